"""nginx as the node."""

import gzip
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from support.balancer import Balancer
from support.factories import Connect, Launch
from support.nginx import Nginx
from support.wire import Answer, Client, request

TEXT = b"The quick brown fox. " * 1000

StartNginx = Callable[..., Nginx]


@pytest.fixture
def start_nginx(tmp_path: Path) -> Iterator[StartNginx]:
    """Return what starts an nginx that has the file text.txt."""
    with ExitStack() as exits:

        def start_one(rules: str = "", settings: str = "") -> Nginx:
            nginx = exits.enter_context(
                Nginx(tmp_path / f"nginx-{len(list(tmp_path.iterdir()))}", rules, settings)
            )
            (nginx.files / "text.txt").write_bytes(TEXT)
            return nginx

        yield start_one


@pytest.fixture
def client(balancer: Balancer, start_nginx: StartNginx, connect: Connect) -> Client:
    """A client of a balancer whose only node is nginx with default settings."""
    balancer.add_node(start_nginx().uri)
    return connect(balancer)


def get(client: Client, *fields: str, method: str = "GET") -> Answer:
    return client.ask(request(method, "/text.txt", b"", *fields), method)


def test_a_file(client: Client) -> None:
    answer = get(client)
    assert (answer.status, answer.body) == (200, TEXT)
    assert answer.field("Content-Length") == str(len(TEXT))
    assert answer.field("Accept-Ranges") == "bytes"


def test_the_head_of_a_file(client: Client) -> None:
    answer = get(client, method="HEAD")
    assert (answer.status, answer.body, answer.field("Content-Length")) == (200, b"", str(len(TEXT)))
    assert get(client).body == TEXT, "the connection is where it was"


def test_a_part_of_a_file(client: Client) -> None:
    answer = get(client, "Range: bytes=4-8")
    assert (answer.status, answer.body) == (206, b"quick")
    assert answer.field("Content-Range") == f"bytes 4-8/{len(TEXT)}"


def test_two_parts_of_a_file(client: Client) -> None:
    answer = get(client, "Range: bytes=0-2,4-8")
    assert answer.status == 206
    assert (answer.field("Content-Type") or "").startswith("multipart/byteranges; boundary=")
    assert answer.body.count(b"Content-Range: bytes ") == 2


def test_a_part_that_the_file_does_not_have(
    launch: Launch, start_nginx: StartNginx, connect: Connect
) -> None:
    balancer = launch("-nodes", start_nginx().uri, RETRIES_MAX="1")
    answer = get(connect(balancer), "Range: bytes=999999-")
    assert (answer.status, answer.field("Content-Range")) == (416, f"bytes */{len(TEXT)}")


def test_a_file_that_the_client_has_already(client: Client) -> None:
    tag = get(client).field("ETag")
    answer = get(client, f"If-None-Match: {tag}")
    assert (answer.status, answer.body, answer.field("ETag")) == (304, b"", tag)
    assert answer.field("Content-Length") is None
    assert get(client).body == TEXT


def test_a_file_that_is_not_there_is_asked_for_as_often_as_allowed(
    launch: Launch, start_nginx: StartNginx, connect: Connect
) -> None:
    nginx = start_nginx()
    balancer = launch("-nodes", nginx.uri, RETRIES_MAX="2")
    answer = connect(balancer).ask(request("GET", "/missing", b""), "GET")
    assert (answer.status, answer.field("Server")) == (404, "nginx/" + (answer.field("Server") or "")[6:])
    assert b"404 Not Found" in answer.body
    assert [line.split('"')[2].split()[0] for line in nginx.log() if "/missing" in line] == ["404", "404"]


def test_a_path_does_not_climb_out_of_that_of_a_node_that_decodes_it_first(
    balancer: Balancer, start_nginx: StartNginx, connect: Connect
) -> None:
    nginx = start_nginx("location /v3/key { return 200 $uri; } location /x { return 200 climbed; }")
    balancer.add_node(f"{nginx.uri}/v3/key")
    client = connect(balancer)
    for path in ("/../../x", "/..%2f..%2fx", "/%2e%2e%2F%2e%2e%2Fx", "/a%2f..%2f..%2f..%2fx"):
        assert client.ask(request("GET", path), "GET").body == b"/v3/key/x"


def test_what_nginx_compresses_stays_compressed(
    balancer: Balancer, start_nginx: StartNginx, connect: Connect
) -> None:
    """It does so in chunks, as it does not know the length before."""
    balancer.add_node(start_nginx(settings="gzip on; gzip_types *; gzip_proxied any;").uri)
    client = connect(balancer)
    answer = get(client, "Accept-Encoding: gzip")
    assert answer.field("Content-Encoding") == "gzip"
    assert answer.field("Transfer-Encoding") == "chunked"
    assert len(answer.body) < len(TEXT) / 10
    assert gzip.decompress(answer.body) == TEXT
    assert get(client).body == TEXT


def test_connections_to_nginx_are_used_again(
    balancer: Balancer, start_nginx: StartNginx, connect: Connect
) -> None:
    balancer.add_node(start_nginx("location /count { return 200 $connection:$connection_requests; }").uri)
    client = connect(balancer)
    seen = [client.ask(request("GET", "/count"), "GET").body.split(b":") for _ in range(5)]
    assert len({connection for connection, _ in seen}) == 1
    assert [int(number) for _, number in seen] == [1, 2, 3, 4, 5]


def test_a_connection_that_nginx_closes_after_some_requests_is_replaced_unnoticed(
    launch: Launch, start_nginx: StartNginx, connect: Connect
) -> None:
    nginx = start_nginx("location /count { return 200 $connection_requests; }", "keepalive_requests 2;")
    client = connect(launch("-nodes", nginx.uri, RETRIES_MAX="1"))
    seen = [client.ask(request("GET", "/count"), "GET") for _ in range(6)]
    assert [(answer.status, answer.body) for answer in seen] == [(200, b"1"), (200, b"2")] * 3


def test_nginx_refuses_a_large_upload_while_it_comes(
    launch: Launch, start_nginx: StartNginx, connect: Connect
) -> None:
    """The client learns of it although it is still sending; the rest of the body is read by nobody."""
    balancer = launch("-nodes", start_nginx("client_max_body_size 1m;").uri, PAYLOAD_MAX_KB="0")
    client = connect(balancer)
    client.send(request("PUT", "/up", b"", "Content-Length: 50000000") + bytes(2_000_000))
    answer = client.receive("PUT")
    assert (answer.status, answer.field("Connection")) == (413, "close")
    assert b"nginx" in answer.body
    assert client.is_ended()


def test_what_nodes_are_told_of_the_way(
    balancer: Balancer, start_nginx: StartNginx, connect: Connect
) -> None:
    told = '"$http_host|$http_via|$http_forwarded|$http_x_forwarded_for|$http_x_forwarded_proto"'
    nginx = start_nginx(f"location /way {{ return 200 {told}; }}")
    balancer.add_node(nginx.uri)
    answer = connect(balancer).ask(request("GET", "/way", b"", "X-Forwarded-For: 9.9.9.9"), "GET")
    assert answer.body.decode().split("|") == [
        f"127.0.0.1:{nginx.port}",
        f"1.1 {balancer.name}",
        'for=127.0.0.1;proto=http;host="balancer"',
        "127.0.0.1",
        "http",
    ]


def test_a_node_of_http_1_0(balancer: Balancer, start_nginx: StartNginx, connect: Connect) -> None:
    """As one does nginx answer when it may use no chunks: the end of the connection ends the body."""
    nginx = start_nginx(settings="gzip on; gzip_types *; gzip_proxied any; chunked_transfer_encoding off;")
    balancer.add_node(nginx.uri)
    client = connect(balancer)
    for _ in range(2):
        answer = get(client, "Accept-Encoding: gzip")
        assert (answer.field("Transfer-Encoding"), gzip.decompress(answer.body)) == ("chunked", TEXT)


def test_nginx_in_front_of_the_balancer(launch: Launch, start_nginx: StartNginx, connect: Connect) -> None:
    """As its proxy for clients: what it says of them is believed, since it is trusted."""
    told = '"$http_x_forwarded_for|$http_x_forwarded_proto|$http_via"'
    node = start_nginx(f"location /way {{ return 200 {told}; }}")
    balancer = launch("-nodes", node.uri, TRUSTED_PROXIES="127.0.0.0/8")
    proxy = start_nginx(
        f"location /way {{ proxy_pass http://127.0.0.1:{balancer.port};"
        " proxy_set_header X-Forwarded-For 192.0.2.7; proxy_set_header X-Forwarded-Proto https; }"
    )
    with Client(proxy.port) as client:
        answer = client.ask(request("GET", "/way"), "GET")
    assert answer.body.decode() == f"192.0.2.7, 127.0.0.1|https|1.0 {balancer.name}"
