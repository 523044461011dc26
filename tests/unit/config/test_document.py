"""The file as it stands: what it says, on which line, and what is no file of ours."""

import os
import tomllib
from pathlib import Path

import pytest

from priolb.config.document import MAX_BYTES, parse_document, read_document
from priolb.errors import ConfigError

TEXT = '''# [[lane]]
RETRIES_MAX = 3  # tries
NODES = [
  "http://a", # ]
  "http://b",
]

[[lane]]
name = """
[[lane]]
limit = 1
"""
"quoted key" = 1
dotted.key = { a = "}", b = 2 }
  [[ "lane" ]] # two
limit = 2
other = \'\'\'
\'\'\'
[lane.sub]
x = 1
[alone]
y = 1
[[rule]]
'''


def mistake(content: bytes) -> str:
    with pytest.raises(ConfigError) as caught:
        parse_document("a.toml", content)
    return str(caught.value)


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_each_table_and_each_key_has_the_line_on_which_it_begins(end: str) -> None:
    document = parse_document("a.toml", TEXT.replace("\n", end).encode())
    assert dict(document.lines) == {
        ("RETRIES_MAX",): 2,
        ("NODES",): 3,
        ("lane",): 8,
        ("lane", 0): 8,
        ("lane", 0, "name"): 9,
        ("lane", 0, "quoted key"): 13,
        ("lane", 0, "dotted"): 14,
        ("lane", 1): 15,
        ("lane", 1, "limit"): 16,
        ("lane", 1, "other"): 17,
        ("lane", 1, "sub"): 19,
        ("lane", 1, "sub", "x"): 20,
        ("alone",): 21,
        ("alone", "y"): 22,
        ("rule",): 23,
        ("rule", 0): 23,
    }
    assert [lane.get("limit") for lane in document.values["lane"]] == [None, 2]


def test_what_has_no_line_of_its_own_has_that_of_the_table_around_it() -> None:
    document = parse_document("a.toml", b"\nlane = [{name = 'a'},\n {name = 'b'}]\n[[rule]]\nlane = 'a'")
    assert document.place("lane", 1).line_of("name") == 2
    assert document.place("rule", 0).line_of("path") == 4
    assert document.place("rule", 0).line_of("lane") == 5
    assert document.place().line_of("lane") == 2
    assert document.place().line_of("discipline") == 0


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a = 1\nb = \n", "a.toml:2: is no TOML: Invalid value"),
        (b"a = 1\na = 2\n", "a.toml:2: is no TOML: Cannot overwrite a value"),
        (b"\n\n[[lane]\n", "a.toml:3: is no TOML: Expected ']]' at the end of an array declaration"),
        (b'a = "\nb', "a.toml:1: is no TOML: Illegal character '\\n'"),
        (b"a = [\n1,\n", "a.toml:3: is no TOML: Invalid value (at end of document)"),
        (b"a = 1\n\nb = '\xff'\n", "a.toml:3: is not UTF-8"),
        (b"a = " + b"[" * 100_000, "a.toml:1: is nested too deeply"),
    ],
)
def test_what_is_no_toml_is_refused_with_its_line(content: bytes, message: str) -> None:
    assert mistake(content) == message


def test_a_number_that_python_refuses_to_read_is_a_mistake_too() -> None:
    digits = b"9" * 5000
    content = b"# %s\n[a]\nb = '''\n%s'''\nc = [\n1,\n%s]\nd = 1\nd = 2\n" % (digits, digits, digits)
    assert mistake(content) == "a.toml:5: has a number of too many digits"


@pytest.mark.parametrize("line", ['"http://[::1]:8545",', '"a", # ]', "']',", "[1],", "{ a = 1 },"])
def test_a_statement_is_read_once_however_many_lines_it_has(
    line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A list of 4,000 nodes with addresses of IPv6 took half a minute."""
    read: list[int] = []
    loads = tomllib.loads

    def count(text: str) -> dict[str, object]:
        read.append(len(text))
        return loads(text)

    monkeypatch.setattr(tomllib, "loads", count)
    text = "\n".join(["NODES = [", *[line] * 50, "]", "a = 1"])
    assert dict(parse_document("a.toml", text.encode()).lines) == {("NODES",): 1, ("a",): 53}
    assert read == [len(text), len(text) - len("\na = 1"), len("a = 1")]


def test_a_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_bytes(b"\nA = 'zw\xc3\xb6lf'\n")
    document = read_document(str(path))
    assert (document.name, document.values, dict(document.lines)) == (str(path), {"A": "zwölf"}, {("A",): 2})


def test_what_is_no_file_or_too_long_is_refused(tmp_path: Path) -> None:
    fifo, long = tmp_path / "fifo", tmp_path / "long"
    os.mkfifo(fifo)
    long.write_bytes(b"#" * (MAX_BYTES + 1))
    found = {}
    for path in (str(tmp_path), str(fifo), str(long), str(tmp_path / "none"), "a\x00b", "a\nb"):
        with pytest.raises(ConfigError) as caught:
            read_document(path)
        found[path] = str(caught.value)
    assert list(found.values()) == [
        f"{tmp_path}: is not a file",
        f"{fifo}: is not a file",
        f"{long}: is longer than 1000000 bytes",
        f"{tmp_path / 'none'}: there is no such file",
        found["a\x00b"],
        "a\\nb: there is no such file",
    ]
    assert found["a\x00b"].startswith("a\\x00b: ")


def test_a_file_that_may_not_be_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path, mode: str) -> None:
        raise PermissionError(13, "Permission denied")

    path = tmp_path / "a.toml"
    path.touch()
    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(ConfigError, match=r"/a\.toml: cannot be read: Permission denied$"):
        read_document(str(path))


def test_a_mark_at_the_beginning_says_nothing() -> None:
    assert parse_document("a.toml", b"\xef\xbb\xbfa = 1\n").values == {"a": 1}
