"""Msgpack, from and to bytes: the one place that decides what its bytes may hold."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgpack

from redisjobs.codec.converter import Misfit, converted

# Timestamps of other languages' msgpack become aware datetimes.
_TIMESTAMPS_AS_DATETIMES = 3

NO_ARGUMENTS = b"\x92\x90\x80"  # [[], {}]


def pack(wire: Any) -> bytes:
    """The msgpack bytes of plain data.

    Raises:
        Misfit: an int beyond 64 bits, a str with a lone surrogate, or what is not plain.
    """
    try:
        packed: bytes = msgpack.Packer().pack(wire)  # packb takes twice as long to say the same
    except OverflowError:
        raise Misfit("an int beyond 64 bits cannot travel: send it as a str or Decimal") from None
    except UnicodeEncodeError:
        raise Misfit("a str with a lone surrogate cannot travel: send it as bytes") from None
    except (TypeError, ValueError, RecursionError) as err:
        raise Misfit(f"it cannot be written as msgpack: {err}") from None
    return packed


def argument_place(name: int | str) -> str:
    """How errors call an argument, where no task is there to ask."""
    return f"argument {name + 1 if isinstance(name, int) else repr(name)}"


def pack_arguments(
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    place_of: Callable[[int | str], str] = argument_place,
) -> bytes:
    """A task's payload. `place_of` says how errors call an argument, by its index or name.

    Raises:
        Misfit: an argument cannot be written as msgpack; it says which.
    """
    if not args and not kwargs:
        return NO_ARGUMENTS
    try:
        return pack([args, kwargs])
    except Misfit:
        named: list[tuple[int | str, Any]] = [*enumerate(args), *kwargs.items()]
        for name, value in named:
            converted(pack, value, place_of(name))
        raise


def unpack_arguments(payload: bytes) -> tuple[list[Any], dict[str, Any]]:
    """What `pack_arguments` wrote. A payload of no bytes has no arguments.

    Raises:
        Misfit: the payload is something else. The keys of its map may still be no names.
    """
    if not payload:
        return [], {}
    try:
        found = unpack(payload)
    except Misfit as err:
        raise _no_arguments(f" ({err})") from err
    if type(found) is list and len(found) == 2:
        args, kwargs = found
        if type(args) is list and type(kwargs) is dict:
            return args, kwargs
    raise _no_arguments()


def _no_arguments(why: str = "") -> Misfit:
    return Misfit(
        f"the payload holds no arguments of a task{why}: .job(…) makes one that does, elsewhere"
        " redisjobs.encode(…), or --args and --kwargs on the command line"
    )


def unpack(packed: bytes) -> Any:
    """Plain data from msgpack bytes of any origin.

    Raises:
        Misfit: they are no msgpack, or hold types that only another program knows.
    """
    try:
        return msgpack.unpackb(
            packed,
            strict_map_key=False,
            timestamp=_TIMESTAMPS_AS_DATETIMES,
            ext_hook=_refuse_extension,
        )
    except Misfit:
        raise
    except Exception as err:
        what = str(err) or type(err).__name__
        raise Misfit(f"it is no msgpack that can be read: {what}") from err


def _refuse_extension(code: int, _: bytes) -> Any:
    raise Misfit(f"it holds a msgpack extension of type {code}, which is not known here")
