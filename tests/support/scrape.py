"""The metrics of a running balancer, read as Prometheus reads them."""

from prometheus_client.parser import text_string_to_metric_families

from support.balancer import Balancer


def scrape(balancer: Balancer, *fields: str) -> dict[tuple[str, ...], float]:
    """Return the value of every series by name and values of its labels, in the order of their names."""
    answer = balancer.ask("GET", "/metrics", b"", *fields)
    assert (answer.status, answer.field("Content-Type")) == (200, "text/plain; version=0.0.4; charset=utf-8")
    samples = [
        sample for family in text_string_to_metric_families(answer.body.decode()) for sample in family.samples
    ]
    series = {
        (sample.name, *(sample.labels[label] for label in sorted(sample.labels))): sample.value
        for sample in samples
    }
    assert len(series) == len(samples), "no series is there twice"
    return series
