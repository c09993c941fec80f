-- Bounds on the work of one call.
local VALUES = 1000 -- values in one unpack()
local BYTES = 4194304 -- bytes of records that one call reads
local BELLS = 3 -- tokens that a bell holds at most
