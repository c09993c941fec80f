"""`redisjobs worker` on a leash: it ends when the storm does, however that ends."""

from __future__ import annotations

from redisjobs.cli import main
from redisjobs.demo.leash import take_leash

if __name__ == "__main__":
    take_leash()
    main()
