"""What node URIs mean, and which cannot be used."""

import gzip
from base64 import urlsafe_b64encode

import pytest

from priolb.attest.expectation import Expectation, SevExpectation, SgxExpectation
from priolb.attest.sev.measurements import DEFAULTS
from priolb.attest.sev.policy import Tcb
from priolb.attest.sgx.policy import TcbState
from priolb.errors import ConfigError
from priolb.nodes.uri import MAX_URI_CHARACTERS, parse_node_uri

LABEL = "a" * 63


def encoded(document: bytes) -> str:
    """Return the user part with these measurements."""
    return "SEV_" + urlsafe_b64encode(gzip.compress(document)).decode()


SEV = encoded(b"{}")
SGX = "SGX_" + "aB" * 32


@pytest.mark.parametrize(
    ("uri", "is_tls", "host", "port", "path", "query", "slots"),
    [
        ("http://foo", False, "foo", 80, "", "", None),
        ("https://foo", True, "foo", 443, "", "", None),
        ("http://foo/", False, "foo", 80, "/", "", None),
        ("http://localhost:8545", False, "localhost", 8545, "", "", None),
        ("HTTP://Foo.Example:80/Path", False, "foo.example", 80, "/Path", "", None),
        ("https://foo.example.:8443/v1/rpc", True, "foo.example.", 8443, "/v1/rpc", "", None),
        ("http://my_node-1:1", False, "my_node-1", 1, "", "", None),
        ("http://10.0.0.1:65535", False, "10.0.0.1", 65535, "", "", None),
        ("http://[::1]:8545/x", False, "::1", 8545, "/x", "", None),
        ("http://foo:", False, "foo", 80, "", "", None),
        ("http://foo?_workers=4", False, "foo", 80, "", "", 4),
        ("http://foo/rpc?_workers=10000", False, "foo", 80, "/rpc", "", 10_000),
        ("http://foo?_workers=1&key=a%20b", False, "foo", 80, "", "key=a%20b", 1),
        ("http://foo?a=1&_workers=2&b", False, "foo", 80, "", "a=1&b", 2),
        ("http://foo?workers=2&a_workers=3", False, "foo", 80, "", "workers=2&a_workers=3", None),
        ("http://foo?", False, "foo", 80, "", "", None),
        (f"http://{LABEL}.{LABEL}", False, f"{LABEL}.{LABEL}", 80, "", "", None),
    ],
)
def test_a_uri_is_taken_apart(
    uri: str, is_tls: bool, host: str, port: int, path: str, query: str, slots: int | None
) -> None:
    parsed = parse_node_uri(uri)
    assert parsed.uri == uri, "the whole string is the node's identity"
    assert (parsed.is_tls, parsed.host, parsed.port) == (is_tls, host, port)
    assert (parsed.path, parsed.query, parsed.parameters.workers) == (path, query, slots)


@pytest.mark.parametrize(
    ("uri", "authority", "name"),
    [
        ("http://foo", "foo", "http://foo"),
        ("http://foo:80", "foo", "http://foo"),
        ("http://foo:443", "foo:443", "http://foo:443"),
        ("https://foo:443/a?key=secret", "foo", "https://foo/a"),
        ("https://foo:80", "foo:80", "https://foo:80"),
        ("http://[::1]?_workers=2", "[::1]", "http://[::1]"),
        ("http://[::1]:1/a/", "[::1]:1", "http://[::1]:1/a/"),
    ],
)
def test_the_host_field_leaves_out_the_schemes_own_port_and_the_name_what_may_be_secret(
    uri: str, authority: str, name: str
) -> None:
    parsed = parse_node_uri(uri)
    assert (parsed.authority, parsed.name) == (authority, name)


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("foo", "'foo': the scheme must be http or https"),
        ("foo:8545", "'foo:8545': the scheme must be http or https"),
        ("//foo", "'//foo': the scheme must be http or https"),
        ("ftp://foo", "'ftp://foo': the scheme must be http or https"),
        ("unix:///run/node.sock", "'unix:///run/node.sock': the scheme must be http or https"),
        ("http:foo", "'http:...': its host is no host name and no address"),
        ("http://", "'http://': its host is no host name and no address"),
        ("http://:8545", "'http://:8545': its host is no host name and no address"),
        ("http://?_workers=1", "'http://': its host is no host name and no address"),
        ("http://-foo", "'http://-foo': its host is no host name and no address"),
        ("http://foo..bar", "'http://foo..bar': its host is no host name and no address"),
        ("http://.foo", "'http://.foo': its host is no host name and no address"),
        ("http://fo$o", "'http://fo$o': its host is no host name and no address"),
        ("http://foo\\bar", "'http://foo\\\\bar': its host is no host name and no address"),
        ("http://a,b", "'http://a,b': its host is no host name and no address"),
        (f"http://{LABEL}a", f"'http://{LABEL}a': its host is no host name and no address"),
        ("http://foo:0", "'http://foo:0': port 0 cannot be connected to"),
        ("http://foo#x", "'http://foo': a fragment has no meaning here"),
        ("http://foo#", "'http://foo': a fragment has no meaning here"),
        ("http://foo?_workers", "'http://foo': _workers must be a number from 1 to 10000"),
        ("http://foo?_workers=", "'http://foo': _workers must be a number from 1 to 10000"),
        ("http://foo?_workers=0", "'http://foo': _workers must be a number from 1 to 10000"),
        ("http://foo?_workers=-1", "'http://foo': _workers must be a number from 1 to 10000"),
        ("http://foo?_workers=1.5", "'http://foo': _workers must be a number from 1 to 10000"),
        ("http://foo?_workers=10001", "'http://foo': _workers must be a number from 1 to 10000"),
        (f"http://foo?_workers={'9' * 5000}", "'http://foo': _workers must be a number from 1 to 10000"),
        ("http://foo?_workers=1&_workers=1", "'http://foo': _workers is given twice"),
        ("http://foo?_insecure=1", "'http://foo': _insecure is for https nodes"),
        ("http://foo?_insecure=0", "'http://foo': _insecure is for https nodes"),
        ("https://foo?_insecure", "'https://foo': _insecure must be a number from 0 to 1"),
        ("https://foo?_insecure=2", "'https://foo': _insecure must be a number from 0 to 1"),
        ("https://foo?_insecure=true", "'https://foo': _insecure must be a number from 0 to 1"),
        ("https://foo?_insecure=1&_insecure=1", "'https://foo': _insecure is given twice"),
        ("http://foo?_worker=1", "'http://foo': unknown parameter _worker; did you mean _workers?"),
        ("http://u@foo", "'http://foo': a user part is only for attested nodes (SEV_..., SGX_...)"),
        ("http://u:p@foo?a", "'http://foo': a user part is only for attested nodes (SEV_..., SGX_...)"),
        ("http://@foo", "'http://foo': a user part is only for attested nodes (SEV_..., SGX_...)"),
    ],
)
def test_a_uri_that_cannot_be_used_names_the_part_that_is_wrong(uri: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_node_uri(uri)
    assert str(caught.value) == f"node URI {message}"


@pytest.mark.parametrize("uri", ["", " http://foo", "http://foo\n", "http://foo/\x00", "http://zoë"])
def test_a_uri_is_visible_ascii_characters(uri: str) -> None:
    with pytest.raises(ConfigError, match=r"empty, or with spaces, control or non-ASCII characters$"):
        parse_node_uri(uri)


@pytest.mark.parametrize(
    "uri",
    [
        f"https://{SEV}",
        f"https://{SGX}/",
        f"https://{SGX}?a@foo",
        "https://SEV_hid/den@foo",
        "http://SEV_hid#den@foo",
        "https://SGX_:1/",
    ],
)
def test_what_begins_like_a_user_part_is_never_taken_for_a_host(uri: str) -> None:
    """A base64 of the usual alphabet has a slash, which ends the host."""
    with pytest.raises(ConfigError) as caught:
        parse_node_uri(uri)
    prefix = "SEV_" if "SEV_" in uri else "SGX_"
    assert str(caught.value) == f"node URI: what follows {prefix} has no @ with a host behind it"


@pytest.mark.parametrize(
    ("uri", "expectation"),
    [
        (f"https://{SEV}@foo", SevExpectation(DEFAULTS)),
        (f"https://{SEV.replace('=', '%3D').replace('S', '%53', 1)}@foo", SevExpectation(DEFAULTS)),
        (f"https://{SEV[:20]}%0A{SEV[20:]}%0D%0A@foo", SevExpectation(DEFAULTS)),
        (f"https://{SEV}@foo?_min_tcb=1.2.3.4", SevExpectation(DEFAULTS, {"minimum_tcb": Tcb(1, 2, 3, 4)})),
        (f"https://{SGX}@foo", SgxExpectation(b"\xab" * 32)),
        (
            f"https://{SGX}@foo?_allow_tcb=SWHardeningNeeded%2cUpToDate",
            SgxExpectation(
                b"\xab" * 32,
                {"allowed_states": frozenset({TcbState.UP_TO_DATE, TcbState.SW_HARDENING_NEEDED})},
            ),
        ),
        (
            f"https://{SGX}@foo?_allow_tcb=UpToDate",
            SgxExpectation(b"\xab" * 32, {"allowed_states": frozenset({TcbState.UP_TO_DATE})}),
        ),
    ],
)
def test_what_an_attested_node_has_to_prove(uri: str, expectation: Expectation) -> None:
    assert parse_node_uri(uri).expectation == expectation


def test_nothing_of_the_user_part_or_the_policy_is_meant_for_the_node_or_the_log() -> None:
    parsed = parse_node_uri(f"https://{SGX}@foo:8443/rpc?a=1&_allow_tcb=OutOfDate&_workers=3")
    assert (parsed.host, parsed.port, parsed.path, parsed.query, parsed.parameters.workers) == (
        "foo",
        8443,
        "/rpc",
        "a=1",
        3,
    )
    assert (parsed.authority, parsed.name) == ("foo:8443", "https://foo:8443/rpc")
    assert parse_node_uri("https://foo").expectation is None


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        (f"http://{SGX}@foo", "an attested node (SEV_..., SGX_...) needs https"),
        (f"http://{SEV}@foo", "an attested node (SEV_..., SGX_...) needs https"),
        (f"https://{SGX}:@foo", "the user part of an attested node has no password"),
        (f"https://{SGX}:hidden@foo", "the user part of an attested node has no password"),
        ("https://TDX_00@foo", "a user part is only for attested nodes (SEV_..., SGX_...)"),
        ("https://sgx_00@foo", "a user part is only for attested nodes (SEV_..., SGX_...)"),
        ("https://@foo", "a user part is only for attested nodes (SEV_..., SGX_...)"),
        ("https://SGX_@foo", "what follows SGX_ is no MRENCLAVE (64 hex digits)"),
        ("https://SGX_hidden@foo", "what follows SGX_ is no MRENCLAVE (64 hex digits)"),
        ("https://SEV_hidden!@foo", "what follows SEV_ is no base64url with padding"),
        ("https://SEV_hidden%FF@foo", "what follows SEV_ is no base64url with padding"),
        ("https://SEV_AAAA@foo", "what follows SEV_ is no gzip"),
        (f"https://{encoded(b'null')}@foo", "measurements is no JSON object"),
        (f"https://{encoded(b'[]')}@foo", "measurements is no JSON object"),
        (f"https://{SGX}@foo?_min_tcb=hidden", "_min_tcb has no meaning for a SGX node"),
        (f"https://{SEV}@foo?_arks=hidden", "_arks is not a list of milan, genoa"),
        (f"https://{SEV}@foo?_arks=milan%2Chidden%0a", "_arks is not a list of milan, genoa"),
        (f"https://{SEV}@foo?_arks=milan&_arks=milan", "_arks is given twice"),
        (f"https://{SEV}@foo?_id_key=00", "unknown parameter _id_key; did you mean _id_keys?"),
        (f"https://{SGX}@foo?_insecure=1", "_insecure has no meaning for an attested node"),
        (f"https://{SEV}@foo?_insecure=0", "_insecure has no meaning for an attested node"),
        ("https://foo?_arks=milan", "_arks is only for attested nodes (SEV_..., SGX_...)"),
    ],
)
def test_an_attested_node_that_cannot_be_used_names_the_part_and_hides_the_value(
    uri: str, message: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_node_uri(uri)
    assert str(caught.value) == f"node URI '{uri.partition(':')[0]}://foo': {message}"
    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("http://foo:65536", "http://foo:65536"),
        ("http://foo:-1", "http://foo:..."),
        ("http://foo:x", "http://foo:..."),
        ("http://user:hidden/hidden@10.0.0.1:8545", "http://10.0.0.1:8545"),
        ("http://user:hid,den", "http://user:..."),
    ],
)
def test_a_port_that_is_wrong_is_refused_in_words_of_our_own(uri: str, shown: str) -> None:
    """Those of Python quote what it could not read, which may be a password."""
    with pytest.raises(ConfigError) as caught:
        parse_node_uri(uri)
    assert str(caught.value) == f"node URI {shown!r}: the port is no number from 1 to 65535"
    assert caught.value.__suppress_context__


def test_a_bracket_that_is_wrong_is_refused() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_node_uri("http://[::1")
    assert str(caught.value) == "node URI 'http://[::1': brackets are for an IPv6 address, like [::1]"
    with pytest.raises(ConfigError, match=r"^node URI"):
        parse_node_uri("http://[foo]")  # which of both it is depends on the release of Python


@pytest.mark.parametrize(
    "uri",
    [
        "http://user:hidden@foo",
        "http://user:hidden@foo:x",
        "http://foo?key=hidden&_workers=0",
        "http://foo?key=hidden&_x=1",
        "ftp://user:hidden@foo",
        "http://user:hidden@foo bar",
        "user:hidden@foo bar",
        "http://user:p/hidden@foo:x",
        "http://user:hidden#hidden@foo",
        "http://user:hidden?hidden@foo",
        "http://us$er:12/hidden@foo",
        "http://hid$hidden/p@foo",
        "http://user:12?hidden@foo#x",
        "http://user:12?_hidden@foo",
        "http://user:12?_hidden=1@foo",
        "http://[hidden/p@foo",
        "http://foo/?key=hidden\n",
        "https://SEV_hid/hidden@foo\n",
        "user:hidden@foo",
        "https:user:hidden@foo",
        "SGX_hidden@foo",
        "SEV_hidden",
        "https:/SEV_hidden@foo",
        "https;//SEV_hidden@foo",
        "https:\\\\SEV_hidden@foo",
        "https://@SGX_hidden==",
        "https://SGX_00@foo:SGX_hidden",
    ],
)
def test_what_may_be_secret_is_not_repeated(uri: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_node_uri(uri)
    assert "hidden" not in str(caught.value)


def test_a_host_has_a_longest_length() -> None:
    host = ".".join(["x" * 63] * 3 + ["x" * 61])
    assert parse_node_uri(f"https://{host}").host == host
    with pytest.raises(ConfigError, match="is no host name"):
        parse_node_uri(f"https://{host}x")


def test_a_uri_has_a_longest_length() -> None:
    base = "http://foo/"
    longest = base + "x" * (MAX_URI_CHARACTERS - len(base))
    assert parse_node_uri(longest).uri == longest
    with pytest.raises(ConfigError, match=f"^node URI: longer than {MAX_URI_CHARACTERS} characters$"):
        parse_node_uri(longest + "x")


@pytest.mark.parametrize(
    ("query", "is_insecure"),
    [("", False), ("?_insecure=0", False), ("?_insecure=1", True), ("?_workers=2&_insecure=1&a", True)],
)
def test_a_certificate_counts_unless_the_uri_says_that_it_does_not(query: str, is_insecure: bool) -> None:
    parsed = parse_node_uri(f"https://foo{query}")
    assert bool(parsed.parameters.is_insecure) is is_insecure
    assert "_insecure" not in parsed.query
