"""Any values of the types that travel, and any bytes that a worker may meet."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from redisjobs import InvalidJobError, encode
from redisjobs.codec.annotations import converter_of
from redisjobs.codec.converter import Misfit, converted, same
from redisjobs.codec.packing import pack, unpack, unpack_arguments
from redisjobs.codec.values import value_wire
from tests.unit import codec_types as types
from tests.unit.codec_types import TRAVELLERS

ZONES = st.none() | st.timezones()
LEAVES: list[tuple[Any, st.SearchStrategy[Any]]] = [
    (int, st.integers(-(2**63), 2**64 - 1)),
    (float, st.floats()),
    (str, st.text(st.characters(exclude_categories=["Cs"]), max_size=20)),
    (bytes, st.binary(max_size=20)),
    (datetime, st.datetimes(timezones=ZONES, allow_imaginary=False).filter(lambda t: t.year > 1)),
    (date, st.dates()),
    (time, st.times()),
    (timedelta, st.timedeltas()),
    (Decimal, st.decimals(allow_nan=False)),
    (UUID, st.uuids()),
    (types.Colour, st.sampled_from(types.Colour)),
    (types.Point, st.builds(types.Point, st.floats(), st.floats())),
    (types.Line, st.builds(types.Line, st.just("x"), st.decimals(allow_nan=False))),
]
HASHABLE = (int, str, date, UUID, Decimal, types.Colour)


def containers(hint: Any, values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    made = [
        st.tuples(st.just(list[hint]), st.lists(values, max_size=3)),
        st.tuples(st.just(tuple[hint, ...]), st.lists(values, max_size=3).map(tuple)),
        st.tuples(st.just(tuple[hint, int]), st.tuples(values, st.just(1))),
        st.tuples(st.just(hint | None), st.none() | values),
        st.tuples(st.just(dict[str, hint]), st.dictionaries(st.just("k"), values)),
    ]
    if hint in HASHABLE:
        made += [
            st.tuples(st.just(set[hint]), st.sets(values, max_size=3)),
            st.tuples(st.just(dict[hint, int]), st.dictionaries(values, st.just(1), max_size=3)),
            st.tuples(
                st.just(dict[tuple[hint, int], bool]),
                st.dictionaries(st.tuples(values, st.just(1)), st.booleans(), max_size=3),
            ),
        ]
    return st.one_of(made)


NESTED = st.one_of(
    [st.tuples(st.just(hint), values) | containers(hint, values) for hint, values in LEAVES]
)
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text("ab"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab"), inner, max_size=3),
    max_leaves=10,
)


@given(NESTED)
def test_any_value_comes_back_as_itself(pair: tuple[Any, Any]) -> None:
    hint, value = pair
    converter = converter_of(hint)
    again = converter.decode(unpack(pack(converter.encode(value))))
    assert same(value, again), again


@given(NESTED)
def test_a_producer_without_the_annotations_sends_what_they_read(pair: tuple[Any, Any]) -> None:
    hint, value = pair
    again = converter_of(hint).decode(unpack(pack(value_wire(value))))
    assert same(value, again), again


@given(PLAIN)
def test_any_plain_value_needs_no_annotation(value: Any) -> None:
    converter = converter_of(Any)
    assert same(value, converter.decode(unpack(pack(converter.encode(value)))))


EACH_TYPE = [hint for hint, _ in TRAVELLERS]
EACH = [(hint, value) for hint, values in TRAVELLERS for value in values]


@pytest.mark.parametrize(("hint", "value"), EACH, ids=[repr(pair)[:60] for pair in EACH])
def test_by_value_it_travels_as_by_annotation(hint: Any, value: Any) -> None:
    converter = converter_of(hint)
    assert same(value, converter.decode(unpack(pack(value_wire(value)))))
    wires = [value_wire(value), converter.encode(value)]
    if not isinstance(value, dict):  # an empty one is a map by value, and pairs by annotation
        assert pack(wires[0]) == pack(wires[1])


# These take what they cannot send: msgpack's own timestamps, or what pydantic makes of its input.
LENIENT = (Any, object, list, tuple, dict, types.Pair, types.Person, list[types.Person] | None)


def decodes_or_says_why(hint: Any, packed: bytes) -> None:
    """Bytes are a misfit, or a value of the type: one that the type can send."""
    converter = converter_of(hint)
    try:
        value = converted(converter.decode, unpack(packed), "it")
    except Misfit as misfit:
        assert str(misfit)  # noqa: PT017 - a value is as well
    else:
        if hint not in LENIENT:
            converter.encode(value)


@given(st.sampled_from(EACH_TYPE), st.binary(max_size=60))
def test_hostile_bytes_are_a_plain_error(hint: Any, packed: bytes) -> None:
    decodes_or_says_why(hint, packed)


@given(st.sampled_from(EACH_TYPE), PLAIN)
def test_msgpack_of_another_type_is_a_plain_error(hint: Any, value: Any) -> None:
    decodes_or_says_why(hint, msgpack.packb(value))


@given(st.sampled_from(EACH), st.data())
def test_a_damaged_value_is_a_plain_error(pair: tuple[Any, Any], data: st.DataObject) -> None:
    packed = bytearray(pack(value_wire(pair[1])))
    place = data.draw(st.integers(0, len(packed) - 1))
    packed[place] = data.draw(st.integers(0, 255))
    decodes_or_says_why(pair[0], bytes(packed))


@given(st.binary(max_size=60))
def test_any_bytes_are_arguments_or_a_misfit(payload: bytes) -> None:
    try:
        args, kwargs = unpack_arguments(payload)
    except Misfit:
        return
    assert (type(args), type(kwargs)) == (list, dict)


@pytest.mark.parametrize(
    "payload",
    [
        b"\x91" * 100_000 + b"\xc0",  # nested beyond msgpack's reader
        b"\x92\x90" + b"\x81\xa1a" * 100_000 + b"\xc0",
        b"\x92\xdd\xff\xff\xff\xff",  # an array that says it has 4 billion items
        b"\x92\x90\xdf\xff\xff\xff\xff",
        b"\xc6\xff\xff\xff\xff",
        b"\x92\x90\x81\x90\xc0",  # a list as a key
        b"\x92\x90\x81\xa1a\xd4\x05x",  # an extension that nobody knows
        b"\x92\x90\x81\xa1a\xc7\x0c\xff\xff\xff\xff\xff\x7f\xff\xff\xff\xff\xff\xff\xff",
        b"\x92\x90\x80\x00",  # something behind it
        b"\xc1",
        b"{}",
    ],
)
def test_hostile_payloads_are_misfits(payload: bytes) -> None:
    with pytest.raises(Misfit):
        unpack_arguments(payload)


class TestEncode:
    def test_it_makes_a_payload_of_arguments_by_position_and_name(self) -> None:
        assert unpack(encode("a@b", subject="x")) == [["a@b"], {"subject": "x"}]
        assert unpack(encode(1, [types.NOON], when={types.AN_ID: types.Kind.BIG})) == [
            [1, ["2024-01-31T12:00:00.000001"]],
            {"when": {"12345678-1234-5678-1234-567812345678": "big"}},
        ]
        assert encode() == b"\x92\x90\x80"

    def test_it_names_the_argument_that_cannot_travel(self) -> None:
        with pytest.raises(InvalidJobError, match=r"encode\(\): argument 2: object cannot travel"):
            encode(1, object())
        with pytest.raises(InvalidJobError, match="argument 'when': complex cannot travel"):
            encode(when=[1j])
        with pytest.raises(InvalidJobError, match="argument 2: an int beyond 64 bits"):
            encode("x", 2**64)
        with pytest.raises(InvalidJobError, match="argument 'text': a str with a lone surrogate"):
            encode(text=["\ud800"])

    def test_what_contains_itself_is_refused(self) -> None:
        endless: list[Any] = []
        endless.append(endless)
        with pytest.raises(InvalidJobError, match=r"argument 1: .*contains itself"):
            encode(endless)
