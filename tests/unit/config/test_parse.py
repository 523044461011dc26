"""What each kind of value takes, and what it refuses with which words."""

from ipaddress import IPv4Network, IPv6Network
from typing import Any

import pytest

from priolb.config.parse import (
    Address,
    Choice,
    CidrList,
    CommaList,
    Count,
    HostPort,
    JsonText,
    Kind,
    MethodCosts,
    MethodOrPath,
    Methods,
    Name,
    Names,
    OptionalHostPort,
    Status,
    Switch,
    Text,
    Token,
    WholeNumbers,
    Word,
    seconds,
)

HOST_PORT_HINT = "(like localhost:8080, :8080 or [::1]:8080)"


def refusal(kind: Kind[object], text: str) -> str:
    with pytest.raises(ValueError, match="is ") as caught:
        kind.parse(text)
    return str(caught.value)


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (Count(), "0", 0),
        (Count(), "007", 7),
        (Count(), "1000000000", 10**9),
        (Count(1, 10_000), "1", 1),
        (Count(1, 10_000), "10000", 10_000),
        (Status(), "0", 0),
        (Status(), "200", 200),
        (Status(), "599", 599),
        (seconds(), "5", 5.0),
        (seconds(), "0.25", 0.25),
        (seconds(), "0.001", 0.001),
        (seconds(), "1000000", 1_000_000.0),
        (seconds(0), "0", 0.0),
        (Switch(), "1", True),
        (Switch(), "t", True),
        (Switch(), "True", True),
        (Switch(), "YES", True),
        (Switch(), "on", True),
        (Switch(), "0", False),
        (Switch(), "F", False),
        (Switch(), "false", False),
        (Switch(), "No", False),
        (Switch(), "oFF", False),
        (Choice(("one", "two-three")), "two-three", "two-three"),
        (MethodOrPath(), "net_version", "net_version"),
        (MethodOrPath(), "system.health", "system.health"),
        (MethodOrPath(), "/", "/"),
        (MethodOrPath(), "/health?full=1&x=%20", "/health?full=1&x=%20"),
        (JsonText(), "", ""),
        (JsonText(), "false", "false"),
        (JsonText(), ' {"a": [1, "b"]}', ' {"a": [1, "b"]}'),
        (Names("lanes"), "", ()),
        (Names("lanes"), "two, one-1", ("two", "one-1")),
        (Word(), "two-2", "two-2"),
        (WholeNumbers(), "", frozenset()),
        (WholeNumbers(), "-32002, 7,,-32002", frozenset({-32002, 7})),
        (Name(), "", ""),
        (Name(), "lb-1.eu_west", "lb-1.eu_west"),
        (Name(), "a" * 63, "a" * 63),
        (Methods(), "", frozenset()),
        (Methods(), "GET, POST ,,M-SEARCH", frozenset({b"GET", b"POST", b"M-SEARCH"})),
        (Text(), "", ""),
        (Text(), "zwölf = 12", "zwölf = 12"),
        (Token(), "", ""),
        (Token(), "a~!b", "a~!b"),
        (CommaList(), "", ()),
        (CommaList(), " , ,", ()),
        (CommaList(), "http://a, http://b ,,http://c", ("http://a", "http://b", "http://c")),
    ],
)
def test_value_is_parsed(kind: Kind[object], text: str, value: object) -> None:
    parsed = kind.parse(text)
    assert parsed == value
    assert type(parsed) is type(value)


@pytest.mark.parametrize(
    "text", ["1", "99", "101", "199", "600", "-200", "0200", "2xx", "", "\u0662\u0660\u0660"]
)
def test_no_answer_ends_with_such_a_status(text: str) -> None:
    """A check that waited for it could never pass."""
    assert refusal(Status(), text) == "is not a status (200 to 599) or 0"


@pytest.mark.parametrize("text", ["1lb", "-a", "a b", "a,b", "é", "a" * 64, "a/b", "a\n"])
def test_a_name_that_is_no_token_is_refused(text: str) -> None:
    assert refusal(Name(), text) == "is not a name (letters, digits, - . _, a letter first)"


@pytest.mark.parametrize("text", ["", "1lb", "-a", "a b", "a,b", "é", "a" * 64, "a/b", "a\n"])
def test_a_name_of_something_is_a_token_and_never_empty(text: str) -> None:
    assert refusal(Word(), text) == "is not a name (letters, digits, - . _, a letter first)"


@pytest.mark.parametrize("text", ["one two", "1", "one,2", "one;two", "é"])
def test_a_list_with_what_is_no_name_is_refused(text: str) -> None:
    assert refusal(Names("lanes"), text) == "is not a list of lanes"


@pytest.mark.parametrize("text", ["x", "1.5", "+1", "1 2", "--1", "1_0", "9" * 31])
def test_a_list_with_what_is_no_number_is_refused(text: str) -> None:
    expected = "is not a list of whole numbers with commas between them (like -32002,-32005)"
    assert refusal(WholeNumbers(), text) == expected


@pytest.mark.parametrize("text", ["get", "GET POST", "GET;POST", "GÉT", "1GET", "GET,post", "A" * 33])
def test_a_method_that_nobody_sends_is_refused(text: str) -> None:
    assert refusal(Methods(), text) == "is not a list of methods with commas between them (like GET,POST)"


NO_COUNT = "is not a whole number (0 to 1000)"
OUT_OF_RANGE = "is out of range (0 to 1000)"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", NO_COUNT),
        ("abc", NO_COUNT),
        ("+5", NO_COUNT),
        (" 5", NO_COUNT),
        ("5\n", NO_COUNT),
        ("1_0", NO_COUNT),
        ("0x10", NO_COUNT),
        ("1e2", NO_COUNT),
        ("5.0", NO_COUNT),
        ("--5", NO_COUNT),
        ("nan", NO_COUNT),
        ("inf", NO_COUNT),
        ("٣", NO_COUNT),  # an Arabic digit, which int() takes
        ("²", NO_COUNT),
        ("1001", OUT_OF_RANGE),
        ("-1", OUT_OF_RANGE),
        ("-0", OUT_OF_RANGE),
        ("9" * 100_000, OUT_OF_RANGE),
    ],
)
def test_count_refuses_what_is_no_plain_number_in_range(text: str, reason: str) -> None:
    assert refusal(Count(0, 1000), text) == reason


NO_SECONDS = "is not a number of seconds (0.001 to 1000000)"
SECONDS_OUT_OF_RANGE = "is out of range (0.001 to 1000000)"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", NO_SECONDS),
        ("5s", NO_SECONDS),
        (".5", NO_SECONDS),
        ("5.", NO_SECONDS),
        ("1e3", NO_SECONDS),
        ("nan", NO_SECONDS),
        ("inf", NO_SECONDS),
        ("-inf", NO_SECONDS),
        ("+1", NO_SECONDS),
        ("1_0.5", NO_SECONDS),
        ("1,5", NO_SECONDS),
        ("٣.1", NO_SECONDS),
        ("0", SECONDS_OUT_OF_RANGE),
        ("0.0009", SECONDS_OUT_OF_RANGE),
        ("-3", SECONDS_OUT_OF_RANGE),
        ("1000000.1", SECONDS_OUT_OF_RANGE),
        ("9" * 100_000, SECONDS_OUT_OF_RANGE),
    ],
)
def test_seconds_refuse_what_is_no_plain_decimal_in_range(text: str, reason: str) -> None:
    assert refusal(seconds(), text) == reason


@pytest.mark.parametrize("text", ["", "2", "-1", "maybe", " true", "yes\n", "trüe"])
def test_switch_refuses_other_words(text: str) -> None:
    assert refusal(Switch(), text) == "is not a switch (1, true, yes, on or 0, false, no, off)"


@pytest.mark.parametrize("text", ["a\nb", "a\x00", "\x1b[31m", "\udcff", "a\u2028b"])
def test_text_refuses_what_would_break_a_line(text: str) -> None:
    assert refusal(Text(), text) == "is not text without control characters"


@pytest.mark.parametrize("text", ["a b", "a\n", "tökén", "\x7f"])
def test_token_refuses_what_fits_no_header(text: str) -> None:
    assert refusal(Token(), text) == "is not a token (visible ASCII characters, no spaces)"


@pytest.mark.parametrize(
    ("text", "address", "shown"),
    [
        ("localhost:8080", Address("localhost", 8080), "localhost:8080"),
        (":8080", Address("", 8080), ":8080"),
        ("0.0.0.0:80", Address("0.0.0.0", 80), "0.0.0.0:80"),
        ("[::1]:80", Address("::1", 80), "[::1]:80"),
        ("[::]:0", Address("::", 0), "[::]:0"),
        ("[fe80::1%eth0]:80", Address("fe80::1%eth0", 80), "[fe80::1%eth0]:80"),
        (
            "my_node-1.example.org:65535",
            Address("my_node-1.example.org", 65535),
            "my_node-1.example.org:65535",
        ),
    ],
)
def test_address_is_parsed_and_shown_as_it_was_written(text: str, address: Address, shown: str) -> None:
    assert HostPort().parse(text) == address
    assert str(address) == shown


@pytest.mark.parametrize(
    "text",
    [
        "",
        "8080",
        "localhost",
        "localhost:",
        "localhost:http",
        "localhost:65536",
        "localhost:-1",
        "localhost:+1",
        "localhost:٣",
        "localhost:999999999999",
        "::1:80",
        "::1",
        "[::1]",
        "[]:80",
        "[:80",
        "[localhost]:80",
        "[::1%a b]:80",
        "999.1.1.1:80",
        "1.2.3:80",
        "-a:80",
        "a-:80",
        "a b:80",
        "a/b:80",
        "http://a:80",
        "user@a:80",
        "ä:80",
        f"{'a' * 254}:80",
        "localhost:80\n",
    ],
)
def test_address_refuses_what_nobody_can_listen_on(text: str) -> None:
    assert refusal(HostPort(), text) == f"is not host:port {HOST_PORT_HINT}"


def test_optional_address_may_be_empty() -> None:
    assert OptionalHostPort().parse("") is None
    assert OptionalHostPort().parse(":1") == Address("", 1)
    assert refusal(OptionalHostPort(), "1") == f"is not host:port {HOST_PORT_HINT}"


def test_comma_list_refuses_control_characters() -> None:
    assert refusal(CommaList(), "http://a\n,http://b") == "is not a list with commas between its items"


@pytest.mark.parametrize(
    ("text", "networks"),
    [
        ("", ()),
        ("127.0.0.0/8, ::1/128", (IPv4Network("127.0.0.0/8"), IPv6Network("::1/128"))),
        ("10.1.2.3", (IPv4Network("10.1.2.3/32"),)),
        ("fd00::", (IPv6Network("fd00::/128"),)),
        ("0.0.0.0/0,::/0", (IPv4Network("0.0.0.0/0"), IPv6Network("::/0"))),
    ],
)
def test_networks_are_parsed(text: str, networks: tuple[Any, ...]) -> None:
    assert CidrList().parse(text) == networks


@pytest.mark.parametrize(
    "item",
    [
        "localhost",
        "10.0.0.0/33",
        "10.0.0.0/-1",
        "10.0.0.0/",
        "10.0.0.0/255.0.0.0",
        "10.0.0.0/0.255.255.255",
        "fe80::%eth0/64",
        "::1/129",
        "10.0.0.٣",
        "10.0.0.0/8 10.0.0.0/8",
    ],
)
def test_networks_are_refused_with_the_number_of_the_wrong_item(item: str) -> None:
    hint = "(like 10.0.0.0/8,::1/128)"
    expected = f"is not a list of networks with commas between them {hint}: see item 2"
    assert refusal(CidrList(), f"::1,{item}") == expected


def test_a_network_with_bits_beyond_its_prefix_is_told_as_it_may_be_meant() -> None:
    hint = "(like 10.0.0.0/8,::1/128)"
    expected = (
        f"is not a list of networks with commas between them {hint}: see item 1; write it as 10.0.0.0/8"
    )
    assert refusal(CidrList(), "10.1.2.3/8") == expected


@pytest.mark.parametrize(
    ("item", "ipv4"),
    [
        ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
        ("::ffff:0:0/96", "0.0.0.0/0"),
        ("::FFFF:192.0.2.7", "192.0.2.7/32"),
    ],
)
def test_networks_of_ipv4_are_not_written_as_ipv6(item: str, ipv4: str) -> None:
    """Addresses are told apart as IPv4: nobody would be in them."""
    hint = "(like 10.0.0.0/8,::1/128)"
    expected = (
        f"is not a list of networks with commas between them {hint}: see item 2; write it as IPv4: {ipv4}"
    )
    assert refusal(CidrList(), f"::1,{item}") == expected
    assert CidrList().parse("::fffe:0:0/95,::/0,::fffe:0:0/96") == (
        IPv6Network("::fffe:0:0/95"),
        IPv6Network("::/0"),
        IPv6Network("::fffe:0:0/96"),
    )


@pytest.mark.parametrize(
    ("kind", "text", "words"),
    [
        (Choice(("one", "two")), "", "is not one of one, two"),
        (Choice(("one", "two")), "One", "is not one of one, two; did you mean one?"),
        (
            Choice(("least-in-flight", "x")),
            "least-in-fligt",
            "is not one of least-in-flight, x; did you mean least-in-flight?",
        ),
        *(
            (MethodOrPath(), text, "is not a JSON-RPC method (like net_version) or a path (like /health)")
            for text in (
                "",
                "a b",
                "net-version",
                "health/",
                "http://a/health",
                "/a b",
                "/a#b",
                "/ä",
                "x" * 129,
            )
        ),
        *(
            (JsonText(), text, "is not a JSON value or nothing")
            for text in ("NaN", "[-Infinity]", "False", "{", "'x'", "1 2", "[" * 100_000)
        ),
    ],
)
def test_words_methods_paths_and_json_are_strict(kind: Kind[object], text: str, words: str) -> None:
    assert refusal(kind, text) == words


@pytest.mark.parametrize(
    ("text", "costs"),
    [
        ("", ()),
        ("eth_call=5", (("eth_call", 5),)),
        (
            "eth_call=5,debug_*=20,*=0,M-SEARCH=1",
            (("eth_call", 5), ("debug_*", 20), ("*", 0), ("M-SEARCH", 1)),
        ),
    ],
)
def test_costs_by_method(text: str, costs: tuple[tuple[str, int], ...]) -> None:
    assert MethodCosts().parse(text) == costs


@pytest.mark.parametrize(
    "text", ["a", "=1", "a=", "a=-1", "a=1.5", "a*b=1", "a=1,a=2", "a b=1", "é=1", "a=" + "9" * 10]
)
def test_what_are_no_costs(text: str) -> None:
    with pytest.raises(ValueError, match=r"^is not a table of costs by method .*: see '"):
        MethodCosts().parse(text)
