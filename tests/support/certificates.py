"""An authority of our own, and the certificates that it signs."""

import ssl
from pathlib import Path

import trustme

RSA = trustme.KeyType.RSA
ECDSA = trustme.KeyType.ECDSA


class Authority:
    """Signs certificates; whoever trusts `ca_file` trusts them.

    Args:
        folder: where its files are.

    With `settings` in its environment, a program trusts nobody else.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ca = trustme.CA()
        self.ca_file = str(folder / "ca.pem")
        self._ca.cert_pem.write_to_path(self.ca_file)
        self.settings = {"SSL_CERT_FILE": self.ca_file}

    def server_context(self, host: str) -> ssl.SSLContext:
        """Return the settings of a server that proves to be `host`, a name or an address."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._ca.issue_cert(host).configure_cert(context)
        return context

    def client_context(self) -> ssl.SSLContext:
        """Return the settings of a client that trusts this authority alone."""
        return ssl.create_default_context(cafile=self.ca_file)

    def issue(self, host: str, name: str, key_type: trustme.KeyType = ECDSA) -> tuple[str, str]:
        """Write a certificate and its key over `name`.pem and `name`.key; return both paths."""
        certificate = self._ca.issue_cert(host, key_type=key_type)
        cert_file, key_file = self._folder / f"{name}.pem", self._folder / f"{name}.key"
        certificate.cert_chain_pems[0].write_to_path(cert_file)
        certificate.private_key_pem.write_to_path(key_file)
        return str(cert_file), str(key_file)
