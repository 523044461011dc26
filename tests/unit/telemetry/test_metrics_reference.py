"""The reference of metrics tells about every metric, and its alerts about metrics that there are."""

import re
import subprocess
import sys
from pathlib import Path

from priolb.core.nodes.status import NodeStatus
from priolb.telemetry.metric_table import METRICS
from priolb.telemetry.metrics_reference import metrics_markdown

REFERENCE = Path(__file__).parents[3] / "docs" / "metrics.md"


def test_reference_has_a_row_for_each_metric() -> None:
    rows = [line for line in metrics_markdown().splitlines() if line.startswith("|")]
    assert len(rows) == len(METRICS) + 2
    assert all(row.count(" | ") == 3 for row in rows)
    assert rows[6] == (
        "| `priolb_node_state` | gauge | `node`, `state` "
        "| 1 for what the node is doing, 0 for every other state. |"
    )


def test_reference_lists_the_words_of_every_label_of_a_closed_set() -> None:
    page = metrics_markdown()
    assert (
        "- `state`: `drained`, `draining`, `cordoned`, `unattested`, `last-resort`, `unchecked`, `down`, "
        "`ejected`, `probing`, `warming`, `up`\n"
    ) in page
    assert "- `verdict`: `accepted`, `warned`, `refused`\n" in page
    assert "- `reason` of a failed try: `node_unreachable`, `node_timeout`, " in page
    assert "- `reason` of a refused request: `queue_full`, `wait_too_long`, " in page
    assert "- `reason` of a refused proof: `verifier_failed`, `certificate_malformed`, " in page


def test_alerts_are_about_metrics_labels_and_states_that_there_are() -> None:
    alerts = metrics_markdown().partition("## Alerts")[2].partition("```yaml\n")[2].partition("```")[0]
    # Of no node at all there are no series: then the 0 of what is always there counts.
    assert (
        "expr: (sum by (instance) (priolb_node_usable) or sum by (instance) (0 * priolb_build_info)) == 0\n"
        in alerts
    )
    used = set(re.findall(r"priolb_\w+", alerts))
    assert used == {
        "priolb_build_info",
        "priolb_node_attested",
        "priolb_node_state",
        "priolb_node_usable",
        "priolb_lane_waiting",
    }
    labels = {label for metric in METRICS if metric.name in used for label in metric.labels}
    assert set(re.findall(r"\$labels\.(\w+)", alerts)) == labels - {"version"} | {"instance"}
    [states] = re.findall(r'state=~"([^"]+)"', alerts)
    assert set(states.split("|")) < {status.value for status in NodeStatus}
    assert re.findall(r"alert: (\w+)", alerts) == [
        "PriolbNodeUnattested",
        "PriolbNodeUnusable",
        "PriolbNoNodeUsable",
        "PriolbQueueGrowing",
    ]


def test_reference_in_the_docs_is_what_the_command_prints() -> None:
    """To mend it: make docs."""
    printed = subprocess.run(
        [sys.executable, "-m", "priolb.telemetry.metrics_reference"],
        capture_output=True,
        check=True,
        text=True,
    ).stdout
    assert printed == metrics_markdown()
    assert REFERENCE.read_text(encoding="utf-8") == printed
