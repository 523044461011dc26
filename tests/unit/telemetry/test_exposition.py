"""Metrics as text, judged by the parser of prometheus-client and to the letter."""

from prometheus_client.parser import text_string_to_metric_families

from priolb.core.nodes.node import NodeState
from priolb.telemetry.exposition import SERIES_AT_ONCE, parts_of, process_text
from priolb.telemetry.metric import Facts, Kind, Node, Spread
from priolb.telemetry.metric_table import METRICS
from priolb.telemetry.pulse import Pulse
from priolb.telemetry.requests import RequestLog
from support.facts import some_facts
from support.pipe_log import OpenLog
from support.tickets import new_queue


def page_of(facts: Facts) -> str:
    """Return what is told of the balancer."""
    return b"".join(parts_of(facts)).decode()


def family_text(page: str, name: str) -> str:
    """Return everything that a page says of one metric."""
    return f"# HELP {name} " + page.partition(f"# HELP {name} ")[2].partition("# HELP")[0]


def test_the_text_of_a_gauge_a_counter_and_a_histogram(open_log: OpenLog) -> None:
    page = page_of(some_facts(open_log()))
    assert family_text(page, "priolb_lane_waiting") == (
        "# HELP priolb_lane_waiting Requests that wait in the lane now.\n"
        "# TYPE priolb_lane_waiting gauge\n"
        'priolb_lane_waiting{lane="fast-track"} 1.0\n'
        'priolb_lane_waiting{lane="high-priority"} 0.0\n'
        'priolb_lane_waiting{lane="low-priority"} 2.0\n'
    )
    assert family_text(page, "priolb_clients_left_total") == (
        "# HELP priolb_clients_left_total Clients that left before their answer was complete.\n"
        "# TYPE priolb_clients_left_total counter\n"
        'priolb_clients_left_total{lane="fast-track"} 0.0\n'
        'priolb_clients_left_total{lane="high-priority"} 1.0\n'
        'priolb_clients_left_total{lane="low-priority"} 0.0\n'
    )
    assert family_text(page, "priolb_node_attestations_total").partition("\n")[2] == (
        "# TYPE priolb_node_attestations_total counter\n"
        'priolb_node_attestations_total{node="http://node-2",verdict="accepted"} 2.0\n'
        'priolb_node_attestations_total{node="http://node-2",verdict="warned"} 1.0\n'
        'priolb_node_attestations_total{node="http://node-2",verdict="refused"} 3.0\n'
    )
    assert family_text(page, "priolb_event_loop_stall_seconds").partition("\n")[2] == (
        "# TYPE priolb_event_loop_stall_seconds histogram\n"
        'priolb_event_loop_stall_seconds_bucket{le="0.002"} 100.0\n'
        'priolb_event_loop_stall_seconds_bucket{le="0.005"} 100.0\n'
        'priolb_event_loop_stall_seconds_bucket{le="0.01"} 100.0\n'
        'priolb_event_loop_stall_seconds_bucket{le="0.025"} 100.0\n'
        'priolb_event_loop_stall_seconds_bucket{le="0.05"} 100.0\n'
        'priolb_event_loop_stall_seconds_bucket{le="0.1"} 102.0\n'
        'priolb_event_loop_stall_seconds_bucket{le="0.25"} 102.0\n'
        'priolb_event_loop_stall_seconds_bucket{le="0.5"} 102.0\n'
        'priolb_event_loop_stall_seconds_bucket{le="1.0"} 102.0\n'
        'priolb_event_loop_stall_seconds_bucket{le="+Inf"} 103.0\n'
        "priolb_event_loop_stall_seconds_count 103.0\n"
        "priolb_event_loop_stall_seconds_sum 1.75\n"
    )


def test_what_a_parser_reads_is_what_the_table_says_of_every_metric(open_log: OpenLog) -> None:
    facts = some_facts(open_log())
    families = {family.name: family for family in text_string_to_metric_families(page_of(facts))}
    assert len(families) == len(METRICS)
    for metric in METRICS:
        family = families[metric.name.removesuffix("_total")]
        assert (family.type, family.documentation) == (metric.kind.value, metric.meaning)
        if metric.kind is Kind.HISTOGRAM:
            continue  # the letters above have it
        read = [(sample.name, sample.labels, sample.value) for sample in family.samples]
        assert read == [
            (metric.name, dict(zip(metric.labels, labels, strict=True)), float(value))
            for labels, value in metric.read(facts)
            if not isinstance(value, Spread)
        ]


def test_what_would_end_a_label_or_a_line_is_escaped(open_log: OpenLog) -> None:
    name = 'http://a/"} 1\n\\x'
    facts = Facts([(NodeState(1, name, 5), None)], new_queue(), RequestLog(open_log().logger), Pulse())
    page = page_of(facts)
    assert 'priolb_node_slots{node="http://a/\\"} 1\\n\\\\x"} 5.0\n' in page
    [slots] = [each for each in text_string_to_metric_families(page) if each.name == "priolb_node_slots"]
    assert [(sample.labels, sample.value) for sample in slots.samples] == [({"node": name}, 5.0)]


def test_the_process_tells_of_itself_in_the_usual_names(open_log: OpenLog) -> None:
    families = {each.name: each for each in text_string_to_metric_families(process_text().decode())}
    assert set(families) == {
        "process_virtual_memory_bytes",
        "process_resident_memory_bytes",
        "process_start_time_seconds",
        "process_cpu_seconds",
        "process_open_fds",
        "process_max_fds",
    }
    [resident] = families["process_resident_memory_bytes"].samples
    assert resident.value > 1e6


def test_with_few_nodes_all_is_one_part(open_log: OpenLog) -> None:
    facts = Facts([(NodeState(1, "http://a", 5), None)], new_queue(), RequestLog(open_log().logger), Pulse())
    assert [len(part) > 0 for part in parts_of(facts)] == [True]


def test_with_many_nodes_the_parts_are_short_and_together_the_same(open_log: OpenLog) -> None:
    """As if each metric had been written in one go: one head, then every node in its order."""
    names = [f"http://node-{number}" for number in range(3 * SERIES_AT_ONCE + 1)]
    nodes: list[Node] = [(NodeState(number, name, number), None) for number, name in enumerate(names)]
    facts = Facts(nodes, new_queue(), RequestLog(open_log().logger), Pulse())
    parts = [part.decode() for part in parts_of(facts)]
    lines = [[line for line in part.splitlines() if not line.startswith("#")] for part in parts]
    assert max(map(len, lines)) < 3 * SERIES_AT_ONCE
    assert family_text("".join(parts), "priolb_node_slots").splitlines() == [
        "# HELP priolb_node_slots "
        + next(each.meaning for each in METRICS if each.name == "priolb_node_slots"),
        "# TYPE priolb_node_slots gauge",
        *(f'priolb_node_slots{{node="{name}"}} {number}.0' for number, name in enumerate(names)),
    ]
