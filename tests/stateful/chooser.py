"""Who chooses what happens next: a random generator, or hypothesis, which can shorten a story."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, TypeVar

from hypothesis import strategies as st

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence

T = TypeVar("T")


class Chooser(ABC):
    """All choices come down to numbers, of which the least is the plainest."""

    @abstractmethod
    def number(self, least: int, most: int) -> int:
        """One of these numbers, both ends included."""

    def one_of(self, options: Sequence[T]) -> T:
        """One of these."""
        return options[self.number(0, len(options) - 1)]

    def happens(self, percent: int) -> bool:
        """Whether something that happens so often does."""
        return self.number(0, 99) >= 100 - percent

    def some_of(self, options: Sequence[T], most: int | None = None) -> list[T]:
        """Some of these, perhaps none, in an order that is not theirs."""
        left = list(options)
        count = self.number(0, min(len(left), len(left) if most is None else most))
        return [left.pop(self.number(0, len(left) - 1)) for _ in range(count)]


class RandomChooser(Chooser):
    """Chooses by a seeded generator."""

    def __init__(self, generator: random.Random) -> None:
        self._generator = generator

    def number(self, least: int, most: int) -> int:
        return self._generator.randint(least, most)


class DrawingChooser(Chooser):
    """Chooses by what hypothesis draws."""

    def __init__(self, data: st.DataObject) -> None:
        self._data = data

    def number(self, least: int, most: int) -> int:
        return least if least == most else self._data.draw(st.integers(least, most))
