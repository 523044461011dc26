"""Which methods a body calls, against the whole of it as Python reads that."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from priolb.http.rpc_methods import methods_in

KEYS = st.sampled_from(["method", "Method", "params", "id", 'a"b\\', "m\u00e9thod"])
SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(['"', "}", "a,b"])
)
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(KEYS, inner), max_leaves=8)
# Lists of members, so that names can be there twice.
CALLS = st.lists(st.tuples(KEYS, VALUES), max_size=5)
BLANKS = st.text(" \t\r\n", max_size=2)


class Pairs(list[tuple[str, Any]]):
    """An object, with all its members."""


def rendered(members: list[tuple[str, Any]], blanks: str, ascii_only: bool) -> str:
    dump = json.JSONEncoder(ensure_ascii=ascii_only).encode
    parts = [f"{dump(name)}{blanks}:{blanks}{dump(value)}" for name, value in members]
    return f"{{{blanks}{f'{blanks},{blanks}'.join(parts)}{blanks}}}"


def names_of(call: object) -> list[bytes]:
    members = call if isinstance(call, Pairs) else []
    return [
        value.encode("utf-8", "replace")
        for name, value in members
        if name.lower() == "method" and isinstance(value, str)
    ]


def expected(text: str) -> tuple[list[bytes], bool, bool] | None:
    value = json.loads(text, object_pairs_hook=Pairs)
    is_batch = not isinstance(value, Pairs)
    named = [names_of(call) for call in (value if is_batch else [value])]
    names = [name for each in named for name in each]
    return (names, is_batch, bool(named) and all(named)) if names or is_batch else None


def found(body: bytes) -> tuple[list[bytes], bool, bool] | None:
    methods = methods_in(body)
    return None if methods is None else (methods.names, methods.is_batch, methods.is_all)


@given(CALLS, BLANKS, st.booleans())
def test_a_call_is_read_as_python_reads_it(
    members: list[tuple[str, Any]], blanks: str, ascii_only: bool
) -> None:
    text = rendered(members, blanks, ascii_only)
    assert found(text.encode("utf-8", "replace")) == expected(text)


@given(st.lists(CALLS, max_size=4), BLANKS, st.booleans())
def test_a_batch_is_read_as_python_reads_it(
    calls: list[list[tuple[str, Any]]], blanks: str, ascii_only: bool
) -> None:
    separator = f"{blanks},{blanks}"
    text = f"{blanks}[{separator.join(rendered(call, blanks, ascii_only) for call in calls)}{blanks}]{blanks}"
    assert found(text.encode("utf-8", "replace")) == expected(text)


@given(CALLS, KEYS, VALUES, st.integers(0, 100))
def test_of_a_call_that_is_cut_off_the_members_count_that_are_whole(
    members: list[tuple[str, Any]], key: str, value: object, cut_chars: int
) -> None:
    last = f"{json.dumps(key)}:{json.dumps(value)}"
    text = "".join(["{", *(f"{json.dumps(name)}:{json.dumps(each)}," for name, each in members)])
    methods = methods_in(f"{text}{last[:cut_chars]}"[: -1 if cut_chars >= len(last) else None].encode())
    assert methods is not None
    assert (methods.names, methods.is_all) == (names_of(Pairs(members)), False)


@given(st.binary(max_size=60) | st.text('{}[]":, \\methodMETHOD1', max_size=60).map(str.encode))
def test_nothing_that_comes_breaks_it(body: bytes) -> None:
    methods = methods_in(body)
    try:
        value = json.loads(body.decode(), object_pairs_hook=Pairs)
    except (ValueError, RecursionError):
        assert methods is None or not methods.is_all
    else:
        assert (methods is not None) == (
            isinstance(value, list) and (not isinstance(value, Pairs) or bool(names_of(value)))
        )
