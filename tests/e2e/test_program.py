"""The command: flags, environment, subcommands and exit statuses."""

import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from priolb import __version__
from support.balancer import COMMAND, Balancer, environment, run_program
from support.factories import Connect, Launch, NewNode
from support.scripted_node import always
from support.wire import PATIENCE_S, Client, post

CALL = b'{"jsonrpc":"2.0","method":"eth_callBundle","params":[],"id":1}'


def fails(*words: str, **settings: str) -> str:
    """Run the program, which must end with status 2 before it listens; return its last words."""
    done = run_program(*words, **{"LISTEN_ADDR": "127.0.0.1:0"} | settings)
    assert done.returncode == 2, done
    assert done.stdout == ""
    assert "Listening" not in done.stderr and "Traceback" not in done.stderr
    return done.stderr.splitlines()[-1].removeprefix("prio-load-balancer: ")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["-nodse", "http://foo"], "unknown flag -nodse; did you mean -nodes?"),
        (["--htpp=:1"], "unknown flag -htpp; did you mean -http?"),
        (["-retries-max", "3"], "unknown flag -retries-max; set RETRIES_MAX in the environment instead"),
        (["-nodes"], "-nodes needs a value (URIs, comma separated)"),
        (["-node-workers", "many"], "-node-workers: 'many' is not a whole number (1 to 10000)"),
        (["-node-workers", "0"], "-node-workers: '0' is out of range (1 to 10000)"),
        (["-http", "8080"], "-http: '8080' is not host:port (like localhost:8080, :8080 or [::1]:8080)"),
        (["-nodes", "foo"], "NODES, item 1: node URI 'foo': the scheme must be http or https"),
        (["serve"], "unknown command 'serve'"),
        (["nods"], "unknown command 'nods'; did you mean nodes?"),
        (["-redis", "mongodb://x"], "REDIS_URI 'mongodb://x': it is none of dev, sqlite:///path, host:port"),
    ],
)
def test_a_mistake_on_the_command_line_is_one_line_and_exit_status_2(words: list[str], message: str) -> None:
    assert fails(*words).startswith(message)


@pytest.mark.parametrize("words", [["--help"], ["config", "check"], ["nodes", "--help"]])
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_output_that_nobody_takes_is_one_line_at_most(words: list[str], unbuffered: str) -> None:
    """There were tracebacks, of the program or of Python at its end."""
    env = environment({"PYTHONUNBUFFERED": unbuffered})

    def ended(stdout: int) -> tuple[int, bytes]:
        done = subprocess.run(
            [*COMMAND, *words],
            env=env,
            stdout=stdout,
            stderr=subprocess.PIPE,
            timeout=PATIENCE_S,
            check=False,
        )
        return done.returncode, done.stderr

    with Path("/dev/full").open("wb") as full:
        full_disk = b"prio-load-balancer: cannot write the output: No space left on device\n"
        assert ended(full.fileno()) == (1, full_disk)
    done = subprocess.run(
        ["/bin/sh", "-c", '"$@" >&-', "sh", *COMMAND, *words],
        env=env, stderr=subprocess.PIPE, timeout=PATIENCE_S, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, b""), "nobody wants to hear anything"
    reading, writing = os.pipe()
    os.close(reading)
    assert ended(writing) == (1, b"")
    os.close(writing)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("RETRIES_MAX", "three", "RETRIES_MAX: 'three' is not a whole number (0 to 1000)"),
        ("PAYLOAD_MAX_KB", "-1", "PAYLOAD_MAX_KB: '-1' is out of range (0 to 10000000)"),
        ("REQUEST_TIMEOUT", "5s", "REQUEST_TIMEOUT: '5s' is not a number of seconds (0.001 to 1000000)"),
        ("ITEMS_LOWPRIO_MAX", "9999999999", "ITEMS_LOWPRIO_MAX: '9999999999' is out of range"),
        ("ENABLE_PPROF", "maybe", "ENABLE_PPROF: 'maybe' is not a switch"),
        ("ADMIN_ALLOW", "10.0.0.0/33", "ADMIN_ALLOW: '10.0.0.0/33' is not a list of networks"),
    ],
)
def test_a_variable_that_cannot_be_read_is_named_with_its_value(name: str, value: str, message: str) -> None:
    """The original takes its default silently."""
    assert fails(**{name: value}).startswith(message)


@pytest.mark.parametrize("dashes", ["-", "--"])
def test_flags_have_one_dash_or_two_and_beat_the_environment(
    launch: Launch, new_node: NewNode, dashes: str
) -> None:
    given, not_used = new_node(), new_node()
    balancer = launch(
        f"{dashes}http=127.0.0.1:0",
        f"{dashes}nodes",
        given.uri,
        f"{dashes}log-service=lb-1",
        LISTEN_ADDR="203.0.113.1:1",
        NODES=not_used.uri,
    )
    assert balancer.nodes() == [given.uri]
    assert {line["service"] for line in balancer.lines} == {"lb-1"}


def test_a_port_in_use_is_a_clear_error_and_exit_status_2(launch: Launch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        assert fails(LISTEN_ADDR=address) == f"cannot listen on {address}: Address already in use"
        done = run_program(LISTEN_ADDR="127.0.0.1:0", ADMIN_LISTEN=address)
        last = f"prio-load-balancer: cannot listen on {address}: Address already in use"
        assert (done.returncode, done.stderr.splitlines()[-1]) == (2, last)


def test_an_address_of_another_machine_is_a_clear_error() -> None:
    assert fails(LISTEN_ADDR="203.0.113.1:0").startswith("cannot listen on 203.0.113.1:0: ")


def test_an_empty_host_means_all_interfaces(launch: Launch) -> None:
    balancer = launch("-http", ":0")
    for family, host in ((socket.AF_INET, "127.0.0.2"), (socket.AF_INET6, "::1")):
        with socket.socket(family) as client:
            client.connect((host, balancer.port))


@pytest.mark.parametrize("closing", ["<&-", ">&-", "<&- >&-"])
def test_closed_standard_input_and_output_are_no_sockets(
    launch: Launch, new_node: NewNode, connect: Connect, closing: str
) -> None:
    """Whichever had their numbers, libuv aborted the process when it was closed."""
    command = ["/bin/sh", "-c", f'exec "$@" {closing}', "sh", *COMMAND]
    balancer = launch("-nodes", new_node(always(200, b"ok")).uri, command=command)
    assert connect(balancer).ask(post(CALL)).body == b"ok"
    balancer.signal(signal.SIGTERM)
    assert balancer.wait() == 0


def test_with_standard_error_closed_it_serves_and_logs_nowhere() -> None:
    with socket.create_server(("127.0.0.1", 0)) as node:
        uri = f"http://127.0.0.1:{node.getsockname()[1]}"
        process = subprocess.Popen(
            ["/bin/sh", "-c", 'exec "$@" 2>&-', "sh", *COMMAND, "-nodes", uri],
            env=environment({"LISTEN_ADDR": "127.0.0.1:0"}),
        )
        try:
            node.settimeout(PATIENCE_S)
            checked, _ = node.accept()
            checked.close()
            process.send_signal(signal.SIGTERM)
            assert process.wait(PATIENCE_S) == 0
        finally:
            process.kill()
            process.wait()


@pytest.fixture
def heeded_sigint() -> Iterator[None]:
    """Let programs heed SIGINT, which what a shell runs in the background has inherited to ignore."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("heeded_sigint")
def test_ctrl_c_ends_a_call_without_words() -> None:
    with socket.create_server(("127.0.0.1", 0)) as instance:
        process = subprocess.Popen(
            [*COMMAND, "nodes", "list", "--url", f"http://127.0.0.1:{instance.getsockname()[1]}"],
            env=environment({}),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        try:
            instance.settimeout(PATIENCE_S)
            asked, _ = instance.accept()
            with asked:
                process.send_signal(signal.SIGINT)
                printed, _ = process.communicate(timeout=PATIENCE_S)
            assert (process.returncode, printed) == (130, b"")
        finally:
            process.kill()
            process.wait()


def test_help_names_every_flag_and_variable_of_the_original() -> None:
    done = run_program("--help")
    assert (done.returncode, done.stderr) == (0, "")
    names = """
        -http LISTEN_ADDR -redis REDIS_URI -nodes NODES -backends BACKENDS -node-workers NUM_NODE_WORKERS
        -mock-node -log-prod LOG_PROD -log-service LOG_SERVICE RETRIES_MAX PAYLOAD_MAX_KB ITEMS_FASTTRACK_MAX
        ITEMS_HIGHPRIO_MAX ITEMS_LOWPRIO_MAX ITEMS_FASTTRACK_PER_HIGHPRIO FASTTRACK_DRAIN_FIRST
        REQUEST_TIMEOUT REQUEST_PROXY_TIMEOUT JOB_SEND_TIMEOUT JOB_CHAN_BUFFER
        REDIS_PREFIX ENABLE_ERROR_TEST_API ENABLE_PPROF
        ProxyMaxIdleConns ProxyMaxConnsPerHost ProxyMaxIdleConnsPerHost ProxyIdleConnTimeout
    """
    assert [name for name in names.split() if name not in done.stdout] == []


def test_version_is_one_line() -> None:
    done = run_program("--version")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"prio-load-balancer {__version__} (")
    assert done.stdout.count("\n") == 1


def test_python_m_priolb_serves(launch: Launch, new_node: NewNode, connect: Connect) -> None:
    balancer = launch("-nodes", new_node(always(200, b"ok")).uri, command=COMMAND)
    assert connect(balancer).ask(post(CALL)).body == b"ok"


@contextmanager
def mock_node(*words: str) -> Iterator[str]:
    """Run the subcommand mock-node; give its URI, and check that it ends in order."""
    process = subprocess.Popen(
        [*COMMAND, "mock-node", "--listen", "127.0.0.1:0", *words],
        env=environment({}),
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        with process.stdout as lines:
            yield lines.readline().removeprefix("mock node on ").strip()
            process.send_signal(signal.SIGTERM)
            assert process.wait(PATIENCE_S) == 0
    finally:
        process.kill()
        process.wait()


def test_the_subcommand_mock_node_is_a_node(launch: Launch, connect: Connect) -> None:
    with mock_node() as uri, launch("-nodes", uri) as balancer:
        client = connect(balancer)
        answer = client.ask(post(CALL))
        assert (answer.status, answer.body) == (200, b'{"jsonrpc":"2.0","id":1,"result":"cool"}\n')
        client.close()


def test_a_mock_node_can_fail_as_often_as_wanted(launch: Launch, connect: Connect) -> None:
    """A health check it never fails, or nobody could add it."""
    with mock_node("--error-rate", "1", "--concurrency", "2") as uri, launch() as balancer:
        balancer.add_node(uri)
        client = connect(balancer)
        assert client.ask(post(CALL)).status == 500
        client.close()


def test_the_flag_mock_node_starts_and_adds_one_and_turns_debug_pages_on(
    launch: Launch, new_node: NewNode, connect: Connect
) -> None:
    """The port of the mock node is fixed: what else listens there, a `make run` perhaps, has to end first."""
    balancer: Balancer = launch("-mock-node", "-nodes", new_node(always(500)).uri)
    assert balancer.nodes()[1:] == ["http://localhost:8095"]
    answer = connect(balancer).ask(post(CALL))
    assert (answer.status, answer.body) == (200, b'{"jsonrpc":"2.0","id":1,"result":"cool"}\n')
    assert balancer.ask("GET", "/debug/testLogLevels").status == 200
    assert balancer.ask("GET", "/debug/pprof/").status == 200
    with Client(8095) as node:
        assert node.ask(post(CALL)).status == 200
