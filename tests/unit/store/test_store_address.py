"""Which store a URI names, what is refused, and that no refusal repeats a password."""

from pathlib import Path

import pytest
import trustme

from priolb.errors import ConfigError
from priolb.store import open_store
from priolb.store.address import RedisAddress, Tls, masked, redis_address, sqlite_path


@pytest.mark.parametrize(
    ("uri", "address"),
    [
        ("localhost:6379", RedisAddress()),
        (":6380", RedisAddress(port=6380)),
        ("10.0.0.7:65535", RedisAddress(host="10.0.0.7", port=65535)),
        ("[::1]:6379", RedisAddress(host="::1")),
        ("redis://", RedisAddress()),
        ("redis://cache", RedisAddress(host="cache")),
        ("redis://cache:7000/", RedisAddress(host="cache", port=7000)),
        ("redis://cache/5", RedisAddress(host="cache", database=5)),
        ("redis://cache?db=5", RedisAddress(host="cache", database=5)),
        ("redis://[::1]:7000/1", RedisAddress(host="::1", port=7000, database=1)),
        ("redis://:p%40ss@cache", RedisAddress(host="cache", password="p@ss")),
        ("redis://me:p:ss@cache", RedisAddress(host="cache", username="me", password="p:ss")),
        ("REDIS://cache", RedisAddress(host="cache")),
        ("rediss://cache", RedisAddress(host="cache", tls=Tls())),
        (
            "rediss://cache/1?ssl_ca_certs=/ca.pem&ssl_certfile=/c.pem&ssl_keyfile=/k.pem",
            RedisAddress(host="cache", database=1, tls=Tls("/ca.pem", "/c.pem", "/k.pem")),
        ),
        ("rediss://cache?ssl_cert_reqs=none", RedisAddress(host="cache", tls=Tls(verify=False))),
        ("rediss://cache?ssl_check_hostname=No", RedisAddress(host="cache", tls=Tls(check_hostname=False))),
        ("unix:///run/r.sock", RedisAddress(socket_path="/run/r.sock")),
        ("unix:///run/a%20b.sock?db=1", RedisAddress(socket_path="/run/a b.sock", database=1)),
        ("unix://me:x@/r.sock", RedisAddress(socket_path="/r.sock", username="me", password="x")),
        (
            "unix:///r.sock?username=me&password=p%26q",
            RedisAddress(socket_path="/r.sock", username="me", password="p&q"),
        ),
    ],
)
def test_an_address_is_read_from_its_uri(uri: str, address: RedisAddress) -> None:
    assert redis_address(uri) == address


@pytest.mark.parametrize(
    ("uri", "reason"),
    [
        ("", "it is none of"),
        ("Dev", "it is none of"),
        ("cache", "it is none of"),
        ("http://cache:80", "it is none of"),
        ("me:6379x", "it is none of"),
        ("cache:0", "the port must be 1 to 65535"),
        ("redis://cache:0", "the port must be 1 to 65535"),
        ("cache:65536", "the host or the port cannot be read"),
        ("redis://cache:-1", "the host or the port cannot be read"),
        ("redis://[::1", "the host or the port cannot be read"),
        ("redis://cache/one", "the database must be a number from 0"),
        ("redis://cache/-1", "the database must be a number from 0"),
        ("redis://cache/99999999999", "the database must be a number from 0"),
        ("redis://cache/2147483648", "the database must be a number from 0"),
        ("redis://cache/1?db=2", "the database is given twice"),
        ("redis://cache?db=1&db=2", "an option is unknown, empty or given twice; known: db"),
        ("redis://cache?db=", "an option is unknown, empty or given twice; known: db"),
        ("redis://cache?db", "an option is unknown, empty or given twice; known: db"),
        ("redis://cache?socket_timeout=9", "an option is unknown, empty or given twice; known: db"),
        ("redis://cache?ssl_ca_certs=/ca.pem", "an option is unknown, empty or given twice; known: db"),
        ("rediss://cache?ssl_cert_reqs=maybe", "ssl_cert_reqs must be required or none"),
        ("rediss://cache?ssl_check_hostname=maybe", "ssl_check_hostname must be true or false"),
        ("redis://cache /0", "have to be percent-encoded"),
        ("redis://cache\n/0", "have to be percent-encoded"),
        ("redis://cache#1", "have to be percent-encoded"),
        ("unix://run/r.sock", "a socket is unix:///absolute/path"),
        ("unix:///", "a socket is unix:///absolute/path"),
        ("unix://", "a socket is unix:///absolute/path"),
        ("unix://me:x@/r.sock?password=y", "user or password is given twice"),
        ("sqlite://nodes.db", "a SQLite file is sqlite:///relative.db or sqlite:////absolute.db"),
        ("sqlite:nodes.db", "a SQLite file is sqlite:///relative.db or sqlite:////absolute.db"),
        ("sqlite:///", "the name of the file is missing"),
        ("sqlite:////var/lib/", "the name of the file is missing"),
        ("sqlite:///:memory:", "a list in memory is called dev"),
        ("sqlite:///nodes.db?mode=ro", "the path takes no options"),
        ("sqlite:///nodes\0.db", "the path takes no options"),
    ],
)
def test_what_names_no_store_is_refused_with_setting_value_and_reason(uri: str, reason: str) -> None:
    with pytest.raises(ConfigError) as caught:
        open_store(uri, "")
    assert str(caught.value).startswith(f"REDIS_URI {masked(uri)!r}: ")
    assert reason in str(caught.value)


@pytest.mark.parametrize(
    ("uri", "path"),
    [("sqlite:///nodes.db", "nodes.db"), ("sqlite:////var/a%20b.db", "/var/a%20b.db")],
)
def test_a_path_is_taken_as_it_stands(uri: str, path: str) -> None:
    assert sqlite_path(uri) == path


@pytest.mark.parametrize(
    ("uri", "description"),
    [
        ("dev", "dev (in memory)"),
        ("sqlite:////var/nodes.db", "sqlite:////var/nodes.db"),
        (":6379", "redis://localhost:6379/0"),
        ("redis://me:secret@[::1]:7000/2", "redis://[::1]:7000/2"),
        ("rediss://:secret@cache", "rediss://cache:6379/0"),
        ("unix:///r.sock?db=1&password=secret", "unix:///r.sock?db=1"),
    ],
)
def test_a_store_describes_itself_without_its_password(uri: str, description: str) -> None:
    assert open_store(uri, "").describe() == description


@pytest.mark.parametrize(
    ("uri", "shared"), [("dev", False), ("sqlite:///nodes.db", True), ("cache:6379", True)]
)
def test_a_store_says_whether_another_process_may_change_it(uri: str, shared: bool) -> None:
    assert open_store(uri, "").shared is shared


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("dev", "dev"),
        ("cache:6379", "cache:6379"),
        ("[::1]:6379", "[::1]:6379"),
        ("[::1]", "[::1]"),
        ("redis://cache:7000/2?db=1", "redis://cache:7000/2?db=1"),
        ("rediss://cache?ssl_ca_certs=/ca.pem", "rediss://cache?ssl_ca_certs=/ca.pem"),
        ("sqlite:////var/nodes.db", "sqlite:////var/nodes.db"),
        ("redis://:secret@cache/0", "redis://***@cache/0"),
        ("redis://secret@cache/0", "redis://***@cache/0"),
        ("redis://me:sec@secret@cache", "redis://***@cache"),
        ("redis://me:secret/secret@cache", "redis://***@cache"),
        ("redis://me:secret#secret@cache", "redis://***@cache"),
        ("redis://me:secret?secret@cache", "redis://***"),
        ("redis://me:secret://secret@cache", "***@cache"),
        ("me:secret@cache:6379", "***@cache:6379"),
        ("redis://:secret", "redis://:***"),
        ("redis://me:secret/secret", "redis://me:***"),
        ("me:secret", "me:***"),
        ("unix:///r.sock?db=1&password=secret", "unix:///r.sock?db=1&password=***"),
        ("unix:///r.sock?password=sec@secret", "unix://***"),
        ("unix:///r.sock?p%61ssword=secret", "unix:///r.sock?***"),
        ("redis://cache?secret", "redis://cache?***"),
        ("redis://cache?token=secret&db=1", "redis://cache?***&db=1"),
    ],
)
def test_a_shown_uri_has_no_secret_left(uri: str, shown: str) -> None:
    assert masked(uri) == shown
    assert "secret" not in shown


@pytest.mark.parametrize(
    "uri",
    [
        "redis://me:hunter2#@cache",
        "redis://me:hunter2?@cache",
        "redis://me:hunter2/@cache",
        "redis://me:hunter2[@cache",
        "redis://me:\uff03hunter2@cache",
        "redis://me:hunter2@cache:port",
        "redis://:hunter2",
        "me:hunter2@cache:6379",
        "redis://cache?hunter2=hunter2",
        "unix://me:hunter2@host/r.sock",
        "redis://me:hunter2 @cache",
    ],
)
def test_no_refusal_repeats_a_password(uri: str) -> None:
    with pytest.raises(ConfigError) as caught:
        redis_address(uri)
    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ("ssl_ca_certs={}/none.pem", "ssl_ca_certs '{}/none.pem': No such file or directory"),
        ("ssl_ca_certs={}/text.pem", "ssl_ca_certs '{}/text.pem': NO_CERTIFICATE_OR_CRL_FOUND"),
        ("ssl_certfile={}/none.pem", "ssl_certfile '{}/none.pem': No such file or directory"),
        (
            "ssl_certfile={0}/text.pem&ssl_keyfile={0}/none.pem",
            "ssl_keyfile '{}/none.pem': No such file or directory",
        ),
        (
            "ssl_certfile={}/text.pem",
            "ssl_certfile '{}/text.pem': holds no private key, and ssl_keyfile names none",
        ),
        ("ssl_keyfile={}/text.pem", "ssl_keyfile: a key without a certificate (ssl_certfile)"),
    ],
)
def test_a_file_that_cannot_be_used_is_named_with_its_option(
    tmp_path: Path, options: str, fault: str
) -> None:
    """By the client it would be a server that cannot be reached."""
    (tmp_path / "text.pem").write_text("nothing\n")
    uri = f"rediss://:hunter2@cache:7000?{options.format(tmp_path)}"
    with pytest.raises(ConfigError) as caught:
        open_store(uri, "")
    assert str(caught.value) == f"REDIS_URI {masked(uri)!r}: {fault.format(tmp_path)}"
    assert "hunter2" not in str(caught.value)


def test_files_that_can_be_used_are_taken(tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    authority.issue_cert("me").private_key_and_cert_chain_pem.write_to_path(tmp_path / "me.pem")
    uri = f"rediss://cache?ssl_ca_certs={tmp_path}/ca.pem&ssl_certfile={tmp_path}/me.pem"
    assert open_store(uri, "").describe() == "rediss://cache:6379/0"


def test_an_address_does_not_print_its_password() -> None:
    assert "hunter2" not in repr(redis_address("redis://me:hunter2@cache"))
