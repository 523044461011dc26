"""nginx as an https node: what it asks of the balancer, and what the balancer asks of it."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from support.balancer import Balancer
from support.certificates import RSA, Authority
from support.factories import Connect, Launch
from support.nginx import Nginx
from support.wire import post, request

StartNginx = Callable[..., Nginx]

# Name that was asked for, protocol, name in the certificate of the balancer, target.
TELL = "location /tell { return 200 '$ssl_server_name|$ssl_protocol|$ssl_client_s_dn|$request_uri'; }"


@pytest.fixture
def start_nginx(tmp_path: Path, authority: Authority) -> Iterator[StartNginx]:
    """Return what starts an nginx with a certificate for some host, and further rules."""
    with ExitStack() as exits:

        def start_one(host: str = "localhost", rules: str = "") -> Nginx:
            cert_file, key_file = authority.issue(host, "node", RSA)
            tls = (
                f"ssl_certificate {cert_file}; ssl_certificate_key {key_file}; ssl_protocols TLSv1.2 TLSv1.3;"
            )
            return exits.enter_context(Nginx(tmp_path / "nginx", f"{tls} {rules} {TELL}", tls=True))

        yield start_one


def tell(balancer: Balancer, connect: Connect) -> list[str]:
    answer = connect(balancer).ask(request("GET", "/tell"), "GET")
    assert answer.status == 200, answer
    return answer.body.decode().split("|")


def test_a_node_is_verified_against_the_file_of_roots_and_told_which_name_is_meant(
    launch: Launch, start_nginx: StartNginx, authority: Authority, connect: Connect
) -> None:
    nginx = start_nginx()
    balancer = launch("-nodes", nginx.uri, NODE_TLS_CA=authority.ca_file)
    assert tell(balancer, connect) == ["localhost", "TLSv1.3", "", "/tell"]


def test_an_address_can_be_verified_too_and_is_no_name(
    launch: Launch, start_nginx: StartNginx, authority: Authority, connect: Connect
) -> None:
    nginx = start_nginx("127.0.0.1")
    balancer = launch("-nodes", f"https://127.0.0.1:{nginx.port}", NODE_TLS_CA=authority.ca_file)
    assert tell(balancer, connect)[0] == ""


def test_without_its_root_a_node_is_not_trusted(launch: Launch, start_nginx: StartNginx) -> None:
    nginx, balancer = start_nginx(), launch()
    assert "certificate verify failed" in balancer.refused_node(nginx.uri)
    assert balancer.nodes() == []


def test_a_node_is_not_trusted_under_another_name(
    launch: Launch, start_nginx: StartNginx, authority: Authority
) -> None:
    nginx = start_nginx("elsewhere.example")
    assert "Hostname mismatch" in launch(NODE_TLS_CA=authority.ca_file).refused_node(nginx.uri)


def test_a_node_is_not_verified_if_its_uri_says_so_and_only_then(
    launch: Launch, start_nginx: StartNginx, connect: Connect
) -> None:
    nginx, balancer = start_nginx("elsewhere.example"), launch()
    balancer.add_node(f"{nginx.uri}?_insecure=1&key=2")
    assert tell(balancer, connect) == ["localhost", "TLSv1.3", "", "/tell?key=2"]
    balancer.refused_node(f"{nginx.uri}?_insecure=0")


def test_a_node_that_wants_a_certificate_gets_it(
    launch: Launch, start_nginx: StartNginx, authority: Authority, connect: Connect
) -> None:
    nginx = start_nginx(rules=f"ssl_verify_client on; ssl_client_certificate {authority.ca_file};")
    nobody = launch(NODE_TLS_CA=authority.ca_file)
    nobody.refused_node(nginx.uri)
    cert_file, key_file = authority.issue("balancer.example", "own")
    somebody = launch(NODE_TLS_CA=authority.ca_file, NODE_TLS_CERT=cert_file, NODE_TLS_KEY=key_file)
    somebody.add_node(nginx.uri)
    assert tell(somebody, connect)[2] != ""


def test_bodies_pass_whole_and_connections_are_used_again(
    launch: Launch, start_nginx: StartNginx, authority: Authority, connect: Connect
) -> None:
    """Long ones pass through: each has a connection of its own."""
    connection = "location /connection { return 200 $connection_requests; }"
    length = "location /length { return 200 $content_length; }"
    nginx = start_nginx(rules=f"client_max_body_size 0; {connection} {length}")
    balancer = launch("-nodes", nginx.uri, NODE_TLS_CA=authority.ca_file)
    (nginx.files / "large").write_bytes(bytes(range(256)) * 40_000)
    client = connect(balancer)
    seen = [client.ask(request("GET", "/connection"), "GET").body for _ in range(3)]
    assert seen == [b"1", b"2", b"3"]
    assert client.ask(request("GET", "/large"), "GET").body == bytes(range(256)) * 40_000
    assert client.ask(post(bytes(5_000_000), target="/length")).body == b"5000000"
