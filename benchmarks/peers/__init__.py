"""Other job queues over Redis, each measured in an environment of its own.

`python -m benchmarks.peers` installs and measures them. `catalog` says what they are, each
`<name>_peer` module is their side of it: it runs in the peer's environment, where redisjobs is not.
"""

from __future__ import annotations
