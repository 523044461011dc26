"""The balancers that are measured: each one process on one core in front of one node.

priolb runs with everything that is on by default, its access log included. HAProxy and nginx run without
a log, with connection reuse on both sides, and nginx with buffers that hold our bodies.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from benchmarks.child import Child, free_port, free_ports, python_module
from benchmarks.forms import FORMS, INTERPRETED
from benchmarks.machine import program
from benchmarks.payloads import PROBE_CALL, http_request
from benchmarks.workbench import Workbench

PRIOLB: Final = "priolb"
PRIOLB_INTERPRETED: Final = "priolb interpreted"
PRIOLB_PREEMPTING: Final = "priolb, preempting"
HAPROXY: Final = "HAProxy"
NGINX: Final = "nginx"
TCP_RELAY: Final = "TCP relay (HAProxy, mode tcp)"

# The high lane takes slots from the low one.
PREEMPTION: Final = """
PREEMPTIONS_PER_SECOND = 1000
discipline = "strict"
[[lane]]
name = "high"
preempts = true
[[lane]]
name = "low"
preemptible = true
limit = {low_max}
[[rule]]
header = "X-High-Priority"
lane = "high"
"""

# What a balancer is started with: its command, and variables on top of our own environment.
Command = tuple[list[str], dict[str, str]]

CONNECTIONS_MAX: Final = 8000
PROBE: Final = http_request(PROBE_CALL, "Connection: close")
_AFTERMATH_S: Final = 0.2


@dataclass(frozen=True)
class Task:
    """What every balancer is asked to do.

    Args:
        node_port: where the node listens on loopback.
        slots: requests that the node may have at once.
        queue_timeout_s: longest wait in the queue.
        try_timeout_s: longest wait for the node.
        has_priorities: requests with `X-High-Priority: true` go first.
        store: where priolb keeps its list of nodes.
        low_max: most requests without priority that may wait, where a balancer can bound them; 0 for none.
        nodes: how many there are, on as many ports in a row.
    """

    node_port: int
    slots: int
    queue_timeout_s: int = 5
    try_timeout_s: int = 3
    has_priorities: bool = False
    store: str = "dev"
    low_max: int = 0
    nodes: int = 1

    @property
    def node_ports(self) -> range:
        return range(self.node_port, self.node_port + self.nodes)


@dataclass(frozen=True)
class Peer:
    """A balancer that runs and serves."""

    name: str
    port: int
    child: Child


def start_node(workbench: Workbench, slots: int = 1, service_s: float = 0.0, ports: int = 1) -> int:
    """Start a node on the cores of the load and return its port, or the first of them."""
    port = free_port() if ports == 1 else free_ports(ports)
    command = python_module(
        "benchmarks.node",
        *("--port", port, "--ports", ports, "--slots", slots, "--service-s", service_s),
    )
    child = workbench.start("node", command, workbench.cores.others)
    child.wait_until_answering(port, PROBE)
    return port


def start_peers(workbench: Workbench, task: Task, *names: str) -> list[Peer]:
    """Start those of the named balancers that are installed, and wait until each serves.

    Raises:
        BenchmarkError: one that is installed does not serve.
    """
    return [_start(workbench, task, name) for name in names if is_installed(name)]


def let_rest(peers: Iterable[Peer]) -> None:
    """Stop balancers until each has its turn: an idle one, too, looks at its clock and after its nodes."""
    for peer in peers:
        peer.child.rest()


@contextmanager
def turn_of(peer: Peer) -> Iterator[None]:
    """Let one of those that rest go on for a while, as the only one on its core.

    Nothing of it may be under way when it is stopped, or its time would be up when it goes on: so its clients
    have to be gone by the end, and it has a moment more for the requests that they have left behind. After an
    error it goes on, for it ends with its workbench.
    """
    peer.child.go_on()
    yield
    time.sleep(_AFTERMATH_S)
    peer.child.rest()


def is_installed(name: str) -> bool:
    """Return whether this balancer can be measured here."""
    return name.startswith(PRIOLB) or program("nginx" if name == NGINX else "haproxy") is not None


def command_of(workbench: Workbench, task: Task, name: str, port: int) -> tuple[list[str], dict[str, str]]:
    """Return what starts a balancer that is to listen on `port`: command and whole environment."""
    command, environment = _COMMANDS[name](workbench, task, port)
    return command, {**os.environ, **environment}


def _start(workbench: Workbench, task: Task, name: str) -> Peer:
    port = free_port()
    command, environment = _COMMANDS[name](workbench, task, port)
    child = workbench.start(name, command, workbench.cores.measured, **environment)
    child.wait_until_answering(port, PROBE)
    return Peer(name, port, child)


def _priolb(_workbench: Workbench, task: Task, port: int) -> Command:
    nodes = ",".join(f"http://127.0.0.1:{node_port}" for node_port in task.node_ports)
    options = ("-http", f"127.0.0.1:{port}", "-nodes", nodes, "-redis", task.store, "-log-prod")
    return python_module("priolb", *options), {
        "NUM_NODE_WORKERS": str(task.slots),
        "REQUEST_TIMEOUT": str(task.queue_timeout_s),
        "ITEMS_LOWPRIO_MAX": str(task.low_max),
        "REQUEST_PROXY_TIMEOUT": str(task.try_timeout_s),
        "ProxyMaxIdleConns": str(max(512, 2 * task.nodes)),
        "ProxyMaxConnsPerHost": "512",
        "ProxyMaxIdleConnsPerHost": "512",
    }


def _priolb_interpreted(workbench: Workbench, task: Task, port: int) -> Command:
    command, environment = _priolb(workbench, task, port)
    return command, {**environment, "PYTHONPATH": FORMS[INTERPRETED]}


def _priolb_preempting(workbench: Workbench, task: Task, port: int) -> Command:
    file = workbench.directory / f"priolb-{port}.toml"
    file.write_text(PREEMPTION.format(low_max=task.low_max))
    command, environment = _priolb(workbench, task, port)
    return command, {**environment, "CONFIG_FILE": str(file)}


def _haproxy(workbench: Workbench, task: Task, port: int) -> Command:
    return _haproxy_in_mode(workbench, task, port, "http")


def _tcp_relay(workbench: Workbench, task: Task, port: int) -> Command:
    return _haproxy_in_mode(workbench, task, port, "tcp")


def _haproxy_in_mode(workbench: Workbench, task: Task, port: int, mode: str) -> Command:
    file = workbench.directory / f"haproxy-{port}.cfg"
    file.write_text(_haproxy_configuration(task, port, mode))
    # -db: one process in the foreground, which is the one that is measured.
    return [program("haproxy") or "haproxy", "-db", "-q", "-f", str(file)], {}


def _haproxy_configuration(task: Task, port: int, mode: str) -> str:
    http_lines = ["option http-keep-alive", "http-reuse always"] if mode == "http" else []
    priority = "http-request set-priority-class int(-1) if { req.hdr(X-High-Priority) -m str true }"
    lines = [
        "global",
        "  nbthread 1",
        f"  maxconn {CONNECTIONS_MAX}",
        "defaults",
        f"  mode {mode}",
        f"  maxconn {CONNECTIONS_MAX}",
        "  timeout connect 5s",
        "  timeout client 600s",
        "  timeout http-request 10s",
        f"  timeout queue {task.queue_timeout_s}s",
        f"  timeout server {task.try_timeout_s}s",
        "listen balancer",
        f"  bind 127.0.0.1:{port} backlog 4096",
        *[f"  {line}" for line in http_lines],
        *([f"  {priority}"] if task.has_priorities else []),
        *(["  balance leastconn"] if task.nodes > 1 else []),
        *[f"  server node-{at} 127.0.0.1:{at} maxconn {task.slots}" for at in task.node_ports],
    ]
    return "\n".join([*lines, ""])


def _nginx(workbench: Workbench, task: Task, port: int) -> Command:
    file = workbench.directory / f"nginx-{port}.conf"
    file.write_text(_nginx_configuration(workbench, task, port))
    return [program("nginx") or "nginx", "-c", str(file)], {}


def _nginx_configuration(workbench: Workbench, task: Task, port: int) -> str:
    directory = workbench.directory
    temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
    paths = "\n".join(f"  {name}_temp_path {directory}/nginx-{name};" for name in temporary)
    return f"""
daemon off;
worker_processes 1;
pid {directory}/nginx-{port}.pid;
error_log stderr error;
events {{ worker_connections {2 * CONNECTIONS_MAX}; }}
http {{
{paths}
  access_log off;
  keepalive_requests 1000000000;
  client_body_buffer_size 128k;
  upstream node {{
    server 127.0.0.1:{task.node_port} max_conns={task.slots};
    keepalive {task.slots};
    keepalive_requests 1000000000;
  }}
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location / {{
      proxy_pass http://node;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_max_temp_file_size 0;
      proxy_buffers 16 16k;
      proxy_busy_buffers_size 128k;
      proxy_read_timeout {task.try_timeout_s}s;
    }}
  }}
}}
"""


_COMMANDS: Final[dict[str, Callable[[Workbench, Task, int], Command]]] = {
    PRIOLB: _priolb,
    PRIOLB_INTERPRETED: _priolb_interpreted,
    PRIOLB_PREEMPTING: _priolb_preempting,
    HAPROXY: _haproxy,
    NGINX: _nginx,
    TCP_RELAY: _tcp_relay,
}
