"""The list of metrics is closed, and docs/operations.md knows all of it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from monitor.metrics import Metrics

DOC = Path(__file__).parents[2].joinpath("docs", "operations.md").read_text(encoding="utf-8")
FAMILIES = {f.name + ("_total" if f.type == "counter" else ""): f for f in Metrics().registry.collect()}


def documented() -> dict[str, str]:
    """Name → labels, from the table of metrics."""
    found: dict[str, str] = {}
    for line in DOC.partition("## Metrics\n")[2].partition("\n## ")[0].splitlines():
        cells = line.split(" | ")
        if line.startswith("| `"):
            found |= dict.fromkeys(re.findall(r"`(\w+)`", cells[0]), cells[1])
    return found


def test_every_metric_is_documented_and_nothing_else() -> None:
    assert set(documented()) == set(FAMILIES)


@pytest.mark.parametrize("attribute", [a for a in vars(Metrics()) if a != "registry"])
def test_labels_are_documented(attribute: str) -> None:
    metric = getattr(Metrics(), attribute)
    (family,) = metric.describe()
    name = family.name + ("_total" if family.type == "counter" else "")
    assert tuple(re.findall(r"`(\w+)`", documented()[name])) == metric._labelnames


def test_alert_rules_name_metrics_that_there_are() -> None:
    rules = yaml.safe_load(DOC.partition("```yaml\n")[2].partition("```")[0])["groups"][0]["rules"]
    named = {name for rule in rules for name in re.findall(r"vedette_\w+", rule["expr"])}
    assert len(rules) >= 8
    assert named <= set(FAMILIES)


def test_they_are_exposed() -> None:
    metrics = Metrics()
    metrics.lag_records.labels("3").set(7)
    metrics.sampled_rows.labels("windows").inc(5)
    text = metrics.render().decode()
    assert 'vedette_lag_records{partition="3"} 7.0' in text
    assert 'vedette_sampled_rows_total{by="windows"} 5.0' in text
