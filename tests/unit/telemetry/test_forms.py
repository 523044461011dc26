"""How values and lines look in both forms, and that no client can write a line of its own."""

import json

import pytest

from priolb.telemetry.forms import Form, JsonForm, Level, ReadableForm

JSON = JsonForm()
READABLE = ReadableForm(colours=False)

# What a client may try to have printed: new lines, terminal commands, text that runs backwards.
FORGERIES = [
    "a\nlevel=error forged",
    "a\r\nforged",
    "a\x0bforged",
    "a\x0cforged",
    "a\x00forged",
    "a\x1b[2Jforged",
    "a\x85forged",
    "a\x9b31mforged",
    "a\u2028forged",
    "a\u202eforged",
    "a\udc80forged",
    'a","level":"error","x":"',
    'a" forged="yes',
    "a\\",
    '\\"',
]


@pytest.mark.parametrize(
    ("value", "in_json", "readable"),
    [
        ("plain", '"plain"', "plain"),
        ("", '""', '""'),
        ("two words", '"two words"', '"two words"'),
        ("http://a:1/?_workers=8", '"http://a:1/?_workers=8"', "http://a:1/?_workers=8"),
        ('say "hi"', '"say \\"hi\\""', '"say \\"hi\\""'),
        ("back\\slash", '"back\\\\slash"', '"back\\\\slash"'),
        ("zwölf", '"zw\\u00f6lf"', '"zwölf"'),
        ("a\nb", '"a\\nb"', '"a\\nb"'),
        ("a\x1b[31m", '"a\\u001b[31m"', '"a\\u001b[31m"'),
        ("a\x85b", '"a\\u0085b"', '"a\\u0085b"'),
        ("a\u202eb", '"a\\u202eb"', '"a\\u202eb"'),
        (0, "0", "0"),
        (-12, "-12", "-12"),
        (10**30, str(10**30), str(10**30)),
        (1.5, "1.5", "1.5"),
        (float("nan"), '"nan"', "nan"),
        (float("-inf"), '"-inf"', "-inf"),
        (True, "true", "true"),
        (False, "false", "false"),
        (None, "null", "null"),
        (("a", 1), "\"('a', 1)\"", "\"('a', 1)\""),
        (b"raw", "\"b'raw'\"", "b'raw'"),
    ],
)
def test_value(value: object, in_json: str, readable: str) -> None:
    assert JSON.value(value) == in_json
    assert READABLE.value(value) == readable


@pytest.mark.parametrize(
    ("ms", "in_json", "readable"),
    [
        (1_700_000_000_123, "1700000000.123", "2023-11-14T22:13:20.123Z"),
        (1_795_334_400_007, "1795334400.007", "2026-11-22T08:00:00.007Z"),
        (1_795_334_400_999, "1795334400.999", "2026-11-22T08:00:00.999Z"),
        (1_795_334_401_000, "1795334401.000", "2026-11-22T08:00:01.000Z"),
        (1_795_334_400_998, "1795334400.998", "2026-11-22T08:00:00.998Z"),
        (0, "0.000", "1970-01-01T00:00:00.000Z"),
    ],
)
def test_stamp(ms: int, in_json: str, readable: str) -> None:
    assert JSON.stamp(ms) == in_json
    assert READABLE.stamp(ms) == readable


@pytest.mark.parametrize(
    ("level", "in_json", "readable", "coloured"),
    [
        (Level.DEBUG, '{"level":"debug","ts":T,"msg":"m m"}', "T DEBUG m m", "T \x1b[35mDEBUG\x1b[0m m m"),
        (Level.INFO, '{"level":"info","ts":T,"msg":"m m"}', "T INFO  m m", "T \x1b[34mINFO \x1b[0m m m"),
        (Level.WARNING, '{"level":"warn","ts":T,"msg":"m m"}', "T WARN  m m", "T \x1b[33mWARN \x1b[0m m m"),
        (Level.ERROR, '{"level":"error","ts":T,"msg":"m m"}', "T ERROR m m", "T \x1b[31mERROR\x1b[0m m m"),
    ],
)
def test_line_without_fields(level: Level, in_json: str, readable: str, coloured: str) -> None:
    assert JSON.line(level, "T", "m m", []) == in_json
    assert READABLE.line(level, "T", "m m", []) == readable
    assert ReadableForm(colours=True).line(level, "T", "m m", []) == coloured


def test_line_with_fields() -> None:
    fields = [("a", "1"), ("b", '"x y"')]
    assert JSON.line(Level.INFO, "1.5", "m", fields) == '{"level":"info","ts":1.5,"msg":"m","a":1,"b":"x y"}'
    assert READABLE.line(Level.INFO, "T", "m", fields) == 'T INFO  m  a=1 b="x y"'


@pytest.mark.parametrize("form", [JSON, READABLE])
@pytest.mark.parametrize("text", FORGERIES)
def test_text_of_a_client_stays_in_its_field_of_one_printable_line(form: Form, text: str) -> None:
    line = form.line(Level.INFO, "1", text, [("reqID", form.value(text)), ("end", form.value(1))])
    assert line.isprintable()
    assert line.encode().decode() == line
    if form is JSON:
        assert json.loads(line) == {"level": "info", "ts": 1, "msg": text, "reqID": text, "end": 1}
    else:
        quoted = line.partition(" reqID=")[2].removesuffix(" end=1")
        assert json.loads(quoted if quoted.startswith('"') else f'"{quoted}"') == text
