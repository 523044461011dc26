"""Lines of statements in a configuration file against those on which they were written."""

import hypothesis.strategies as st
from hypothesis import given

from priolb.config.document import Steps, parse_document

NAMES = ("name", "limit", "a-b", '"quoted = ]"', "'[[lane]]'")
BARE = {'"quoted = ]"': "quoted = ]", "'[[lane]]'": "[[lane]]"}

values = st.sampled_from(
    [
        "1",
        "0x1F",
        "1979-05-27 07:32:00Z",
        '"text # ]"',
        "'}'",
        '"""\n[[lane]]\nlimit = 1 \\"""\n\\\n  """',
        "'''\n\nname = \"\"\"\n'''",
        '""""a ]""""',
        '"""\n""]\\\\"""',
        "''''[a''''",
        '""',
        "[]",
        "[ # ]\n  \"a\", '''\n]\n''', # \"\n]",
        "{ a = [1, 2], b = '}' }",
        "[[1, 2], [{ a = 3 }]]",
    ]
)
noise = st.sampled_from(["", "", "\n", "# [[lane]]\n", "\t\n", "# name = 1\n\n"])
keys = st.lists(st.tuples(st.sampled_from(NAMES), values, noise), max_size=4, unique_by=lambda each: each[0])
headers = st.sampled_from(["[[lane]]", "  [[ lane ]] # of [[rule]]", "[[rule]]"])


@given(keys, st.lists(st.tuples(headers, keys), max_size=5), st.sampled_from(["\n", "\r\n"]))
def test_every_statement_is_found_on_its_first_line(
    top: list[tuple[str, str, str]], tables: list[tuple[str, list[tuple[str, str, str]]]], end: str
) -> None:
    text = ""
    lines: dict[Steps, int] = {}

    def write(statement: str, steps: Steps) -> None:
        nonlocal text
        lines.setdefault(steps, text.count("\n") + 1)
        text += f"{statement}\n"

    def write_keys(steps: Steps, pairs: list[tuple[str, str, str]]) -> None:
        nonlocal text
        for name, value, between in pairs:
            write(f"{name} = {value}", (*steps, BARE.get(name, name)))
            text += between

    write_keys((), top)
    counts = {"lane": 0, "rule": 0}
    for header, pairs in tables:
        name = "lane" if "lane" in header.partition("#")[0] else "rule"
        lines.setdefault((name,), text.count("\n") + 1)
        write(header, (name, counts[name]))
        write_keys((name, counts[name]), pairs)
        counts[name] += 1
    document = parse_document("f", text.replace("\n", end).encode())
    assert document.lines == lines
