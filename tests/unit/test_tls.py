"""TLS on both sides: certificates that are taken up anew, and what is wrong with files."""

import asyncio
import errno
import os
import ssl
from pathlib import Path

import pytest
import trustme

from priolb.errors import ConfigError
from priolb.tls import Certificate, NodeTLS, load_chain
from support.memory_log import MemoryLog


class Files:
    """A certificate and its key in two files, and the authority that signed it."""

    def __init__(self, folder: Path) -> None:
        self.ca = trustme.CA()
        self.cert = folder / "cert.pem"
        self.key = folder / "key.pem"

    def write(
        self, name: str = "localhost", kind: trustme.KeyType = trustme.KeyType.ECDSA, has_key: bool = True
    ) -> None:
        issued = self.ca.issue_cert(name, key_type=kind)
        self.cert.write_bytes(issued.cert_chain_pems[0].bytes())
        if has_key:
            self.key.write_bytes(issued.private_key_pem.bytes())

    def certificate(self) -> Certificate:
        return Certificate(str(self.cert), str(self.key))


@pytest.fixture
def files(tmp_path: Path) -> Files:
    made = Files(tmp_path)
    made.write()
    return made


def shown(certificate: Certificate, ca: trustme.CA, name: str) -> bytes:
    """Shake hands in memory, and return the certificate that was shown to a client that verifies it."""
    client_context = ssl.create_default_context()
    ca.configure_trust(client_context)
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = client_context.wrap_bio(to_client, to_server, server_hostname=name)
    server = certificate.context.wrap_bio(to_server, to_client, server_side=True)
    for _ in range(3):
        for side in (client, server):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
    der = client.getpeercert(binary_form=True)
    assert der is not None
    return der


def test_a_certificate_is_shown_and_another_once_its_files_have_changed(files: Files) -> None:
    certificate = files.certificate()
    first = shown(certificate, files.ca, "localhost")
    assert certificate.refresh() is False
    files.write()
    assert shown(certificate, files.ca, "localhost") == first
    assert certificate.refresh() is True
    second = shown(certificate, files.ca, "localhost")
    assert second != first
    assert certificate.refresh() is False


def test_a_certificate_with_a_key_of_ansecond_takes_the_place_of_the_first(files: Files) -> None:
    """In one context both would stand side by side, and many clients would be shown the old one."""
    certificate = files.certificate()
    files.write(kind=trustme.KeyType.RSA)
    assert certificate.refresh() is True
    der = shown(certificate, files.ca, "localhost")
    assert ssl.DER_cert_to_PEM_cert(der).strip() == files.cert.read_text().strip()


@pytest.mark.parametrize(
    ("what", "reason"),
    [
        ("key of another", "TLS_CERT '{}' and TLS_KEY '{}': certificate and key do not belong together"),
        ("no certificate", "TLS_CERT '{}' and TLS_KEY '{}': nothing in PEM form"),
        ("gone", "TLS_KEY '{1}': No such file or directory"),
    ],
)
def test_files_that_cannot_be_used_leave_the_certificate_as_it_is(
    files: Files, what: str, reason: str
) -> None:
    certificate = files.certificate()
    first = shown(certificate, files.ca, "localhost")
    if what == "key of another":
        files.write(has_key=False)
    elif what == "no certificate":
        files.cert.write_text("nothing\n")
    else:
        files.key.unlink()
    with pytest.raises(ConfigError) as error:
        certificate.refresh()
    assert str(error.value) == reason.format(files.cert, files.key)
    with pytest.raises(ConfigError):
        certificate.refresh()
    assert shown(certificate, files.ca, "localhost") == first
    files.write()
    assert certificate.refresh() is True
    assert shown(certificate, files.ca, "localhost") != first


def test_files_that_can_be_read_again_are_taken_up_though_they_have_not_changed(
    files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate = files.certificate()
    files.write()

    def no_files_left(*_: object, **_options: object) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    with monkeypatch.context() as patch:
        patch.setattr(ssl.SSLContext, "load_cert_chain", no_files_left)
        with pytest.raises(ConfigError, match="Too many open files"):
            certificate.refresh()
    assert certificate.refresh() is True


def test_a_log_of_keys_that_cannot_be_written_is_named(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    certificate = files.certificate()
    monkeypatch.setenv("SSLKEYLOGFILE", "/no/such/folder/keys")
    mistake = "SSLKEYLOGFILE '/no/such/folder/keys': No such file or directory"
    with pytest.raises(ConfigError, match=f"^{mistake}$"):
        NodeTLS("", "", "")
    with pytest.raises(ConfigError, match=f"^{mistake}$"):
        NodeTLS(str(files.cert), "", "")
    files.write()
    with pytest.raises(ConfigError, match=f"^{mistake}$"):
        certificate.refresh()


def test_a_change_is_noticed_even_if_the_file_keeps_its_size_and_time(files: Files) -> None:
    certificate = files.certificate()
    status = files.cert.stat()
    other = files.cert.with_suffix(".new")
    other.write_bytes(files.cert.read_bytes())
    os.utime(other, ns=(status.st_atime_ns, status.st_mtime_ns))
    other.replace(files.cert)
    assert certificate.refresh() is True


def test_following_tells_of_what_was_taken_up_and_what_was_not(
    files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("priolb.tls._LOOK_INTERVAL_S", 0.0)

    class Log(MemoryLog):
        def __init__(self) -> None:
            super().__init__()
            self.told = asyncio.Event()

        def info(self, msg: str, /, **fields: object) -> None:
            super().info(msg, **fields)
            self.told.set()

    async def main() -> Log:
        log = Log()
        certificate = files.certificate()
        refresh, looks = certificate.refresh, 0

        def look() -> bool:
            nonlocal looks
            looks += 1
            if looks == 4:  # the first three find what cannot be used, which is told once
                files.write()
            return refresh()

        monkeypatch.setattr(certificate, "refresh", look)
        files.cert.write_text("nothing\n")
        task = asyncio.create_task(certificate.follow(log))
        await log.told.wait()
        task.cancel()
        return log

    broken, taken = asyncio.run(main()).lines
    assert broken[:2] == ("warning", "Certificate has changed and cannot be used; the old one stays")
    assert broken[2] == {
        "err": f"TLS_CERT '{files.cert}' and TLS_KEY '{files.key}': nothing in PEM form",
    }
    assert taken == ("info", "Certificate was taken up anew", {"file": str(files.cert)})


# Files


def test_a_certificate_and_its_key_may_share_a_file(files: Files) -> None:
    files.cert.write_bytes(files.cert.read_bytes() + files.key.read_bytes())
    certificate = Certificate(str(files.cert), "")
    assert shown(certificate, files.ca, "localhost")


def test_a_key_may_come_by_a_pipe(files: Files) -> None:
    reading, writing = os.pipe()
    os.write(writing, files.key.read_bytes())
    os.close(writing)
    certificate = Certificate(str(files.cert), f"/dev/fd/{reading}")
    os.close(reading)
    assert shown(certificate, files.ca, "localhost")


@pytest.mark.parametrize(
    ("cert", "key", "reason"),
    [
        ("missing.pem", "key.pem", "X_CERT '{}/missing.pem': No such file or directory"),
        ("cert.pem", "missing.pem", "X_KEY '{}/missing.pem': No such file or directory"),
        ("cert.pem", "", "X_CERT '{}/cert.pem': holds no private key, and X_KEY names none"),
        (
            "cert.pem",
            "other.pem",
            "X_CERT '{0}/cert.pem' and X_KEY '{0}/other.pem': certificate and key do not belong together",
        ),
        (
            "cert.pem",
            "second.pem",
            "X_CERT '{0}/cert.pem' and X_KEY '{0}/second.pem': certificate and key do not belong together",
        ),
        ("text.pem", "key.pem", "X_CERT '{0}/text.pem' and X_KEY '{0}/key.pem': nothing in PEM form"),
        (
            "cert.pem",
            "locked.pem",
            "X_CERT '{0}/cert.pem' and X_KEY '{0}/locked.pem': the key has a password",
        ),
    ],
)
def test_files_that_cannot_be_used_are_named_with_the_reason(
    files: Files, tmp_path: Path, cert: str, key: str, reason: str
) -> None:
    from cryptography.hazmat.primitives.serialization import (  # noqa: PLC0415 - one test needs it
        BestAvailableEncryption,
        Encoding,
        PrivateFormat,
        load_pem_private_key,
    )

    other = files.ca.issue_cert("localhost")
    (tmp_path / "other.pem").write_bytes(other.private_key_pem.bytes())
    second = files.ca.issue_cert("localhost", key_type=trustme.KeyType.RSA)
    (tmp_path / "second.pem").write_bytes(second.private_key_pem.bytes())
    (tmp_path / "text.pem").write_text("nothing\n")
    plain = load_pem_private_key(files.key.read_bytes(), None)
    locked = plain.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))
    (tmp_path / "locked.pem").write_bytes(locked)
    key_file = str(tmp_path / key) if key else ""
    with pytest.raises(ConfigError) as error:
        load_chain(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), str(tmp_path / cert), key_file, "X_CERT", "X_KEY")
    assert str(error.value) == reason.format(tmp_path)


# Nodes


def test_nodes_are_verified_unless_their_uri_says_otherwise() -> None:
    tls = NodeTLS("", "", "")
    assert (tls.verified.verify_mode, tls.verified.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert (tls.unverified.verify_mode, tls.unverified.check_hostname) == (ssl.CERT_NONE, False)


def test_nodes_are_verified_against_the_roots_of_a_file_instead_of_those_of_the_system(
    files: Files, tmp_path: Path
) -> None:
    files.ca.cert_pem.write_to_path(tmp_path / "ca.pem")
    tls = NodeTLS(str(tmp_path / "ca.pem"), "", "")
    for context in (tls.verified, tls.unverified):
        [root] = context.get_ca_certs(binary_form=True)
        assert ssl.DER_cert_to_PEM_cert(root).strip() == files.ca.cert_pem.bytes().decode().strip()


@pytest.mark.parametrize(
    ("ca", "cert", "key", "words"),
    [
        ("missing.pem", "", "", "NODE_TLS_CA '{}/missing.pem': No such file or directory"),
        ("text.pem", "", "", "NODE_TLS_CA '{}/text.pem': NO_CERTIFICATE_OR_CRL_FOUND"),
        ("", "missing.pem", "key.pem", "NODE_TLS_CERT '{}/missing.pem': No such file or directory"),
        ("", "", "key.pem", "NODE_TLS_KEY: a key without a certificate (NODE_TLS_CERT)"),
    ],
)
def test_files_for_nodes_that_cannot_be_used_are_named(
    files: Files, tmp_path: Path, ca: str, cert: str, key: str, words: str
) -> None:
    (tmp_path / "text.pem").write_text("nothing\n")
    paths = [str(tmp_path / name) if name else "" for name in (ca, cert, key)]
    with pytest.raises(ConfigError) as error:
        NodeTLS(*paths)
    assert str(error.value) == words.format(tmp_path)
