"""What can be done to a queue: one file an operation, its Lua script beside it.

An operation is a generator. It yields the calls of one round trip, receives their replies, and
returns a typed value. It knows nothing of sockets: `redisjobs.line` drives it.
"""
