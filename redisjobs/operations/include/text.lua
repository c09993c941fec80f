-- Numbers as text: `..` would turn a large one into 1.79e+15.
local function integer(number)
  return string.format('%.0f', number)
end

local function score_text(number)
  return string.format('%.2f', number)
end
