"""Arguments and results as plain msgpack: no pickle, no names of classes, nothing that runs code.

What comes back as what is said by annotations. One that allows a value which would not come back as
itself, of the same type and equal, refuses it at the producer. (What `==` does not see is not kept:
the `fold` of a datetime without a zone, the name of a `datetime.timezone`,
which fields of a pydantic model were set.)

| annotation | travels as |
|---|---|
| None, bool, int of 64 bits, float with NaN, str, bytes | itself |
| datetime, date, time | text in ISO 8601, `[Europe/Berlin]` after a datetime in a zone |
| timedelta | an ISO 8601 duration |
| Decimal, UUID, Path | text |
| Enum | its value, or its name where the value is not plain |
| list, set, frozenset, tuple, NamedTuple | a list |
| dict | a map, or a list of pairs where its keys do not fit in one |
| dataclass, TypedDict | a map by field |
| pydantic model | what its JSON would be |
| Optional, Union, Literal, NewType, Annotated | what their values travel as |
| none, Any, object | only plain values: those of the first line, and lists and dicts of them |
"""

from __future__ import annotations

from redisjobs.codec.values import encode

__all__ = ["encode"]
