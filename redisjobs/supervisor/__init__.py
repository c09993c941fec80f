"""The supervisor: keeps worker processes running, and has a dead one's jobs taken back at once.

`supervisor` and `process` are the parent's side, which loads no user code and knows no Redis;
`child`, `lifeline` and `loading` are the child's; `protocol` is what they tell each other.
"""
