"""The reference of metrics, read off their own records.

It is written by `python -m priolb.telemetry.metrics_reference > docs/metrics.md`.
"""

import sys
from collections.abc import Iterable
from typing import Final

from priolb.attest.verdict import Refusal
from priolb.core.nodes.status import NodeStatus
from priolb.core.outcome import FAILURES
from priolb.telemetry.metric_table import METRICS, REFUSALS

_HEAD: Final = """\
# Metrics

<!-- Made by `python -m priolb.telemetry.metrics_reference`; a test holds the two together. -->

`GET /metrics` answers in the text format of [Prometheus](https://prometheus.io), to those who
[may change nodes](operate.md#who-may-change-nodes): peers in `ADMIN_ALLOW`, and whoever sends `ADMIN_TOKEN`.
With `ADMIN_LISTEN` it is there, and the data port passes `/metrics` on to nodes.

```yaml
scrape_configs:
  - job_name: priolb
    authorization: { credentials: the value of ADMIN_TOKEN }
    static_configs: [{ targets: ["10.0.0.5:8080"] }]
```

Everything is read when it is asked for, from what is counted anyway: metrics cost a request nothing, and any
number of servers may ask. Counts begin at 0 with the program, and those of a node whenever it is added.

"""

_LABELS: Final = """
The label `node` is the name that the log has, without user part and query. Of nodes with the same name the
second has `#2` behind it, and so on in the order of the list. `lane` is the name of the lane. Others take
these values:

"""

_WORDS: Final = (
    ("`state`", [status.value for status in NodeStatus]),
    ("`verdict`", ("accepted", "warned", "refused")),
    ("`reason` of a failed try", FAILURES),
    ("`reason` of a refused proof", [refusal.value for refusal in Refusal]),
    ("`reason` of a refused request", [reason.value for reason in REFUSALS]),
    ("`outcome` at a limit", ("passed", "refused")),
)

_TAIL: Final = """
Beside these stand, as is usual, `process_cpu_seconds_total`, `process_resident_memory_bytes`,
`process_virtual_memory_bytes`, `process_open_fds`, `process_max_fds` and `process_start_time_seconds`.

The mean time of a node's answers is
`rate(priolb_node_answer_seconds_total[5m]) / rate(priolb_node_answers_total[5m])`.

## Alerts

A file for `rule_files` of Prometheus, to start from:

```yaml
groups:
  - name: priolb
    rules:
      - alert: PriolbNodeUnattested
        expr: priolb_node_attested == 0
        for: 1m
        annotations:
          summary: "{{ $labels.node }} does not prove what it runs, and gets nothing"
      - alert: PriolbNodeUnusable
        expr: priolb_node_state{state=~"unchecked|down|ejected|last-resort"} == 1
        for: 2m
        annotations:
          summary: "{{ $labels.node }} is {{ $labels.state }}"
      - alert: PriolbNoNodeUsable
        expr: (sum by (instance) (priolb_node_usable) or sum by (instance) (0 * priolb_build_info)) == 0
        for: 10s
        annotations:
          summary: "{{ $labels.instance }} has no node to send requests to"
      - alert: PriolbQueueGrowing
        expr: min_over_time(priolb_lane_waiting[5m]) > 0 and deriv(priolb_lane_waiting[5m]) > 0
        for: 5m
        annotations:
          summary: "{{ $labels.lane }}: somebody waits all the time, and ever more do"
```

A node that is drained or cordoned raises at most the first, unless no other is left: that raises the third,
and so does an empty list of nodes. Why a node does what it does is told by
[`GET /nodes?detail=1`](nodes.md#what-is-known-of-each-node).
"""


def metrics_markdown() -> str:
    """Return the reference of metrics as a Markdown page."""
    return "".join((_HEAD, _table(), _LABELS, *map(_item, _WORDS), _TAIL))


def _table() -> str:
    rows: list[tuple[str, ...]] = [("Name", "Type", "Labels", "Meaning"), ("---",) * 4]
    for metric in METRICS:
        labels = ", ".join(f"`{label}`" for label in metric.labels)
        rows.append((f"`{metric.name}`", metric.kind.value, labels, metric.meaning))
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _item(words: tuple[str, Iterable[str]]) -> str:
    label, values = words
    return f"- {label}: {', '.join(f'`{value}`' for value in values)}\n"


if __name__ == "__main__":
    sys.stdout.write(metrics_markdown())
