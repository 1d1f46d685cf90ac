"""
The page about telemetry: every name that is told has its line, and no other; its program prints what is shown.
"""

import re
from pathlib import Path

import pytest
from doc_programs import run_programs
from golden_ledger import golden
from prometheus_client.parser import text_string_to_metric_families
from test_docs_python import led  # noqa: F401  # A fixture.

from solvent._listening import QUEUE_MAX
from solvent.export import _bounded, _otel_names, _otel_replay, otel, prometheus

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "telemetry.md"
TEXT = PAGE.read_text()


def section(heading):
    return re.split(r"^##+ ", re.split(rf"^##+ {heading}\n", TEXT, flags=re.M)[1], flags=re.M)[0]


def cells(text, column):
    rows = [line.split(" | ") for line in re.findall(r"^\| (`.+) \|$", text, flags=re.M)]
    return [re.findall(r"`([\w.]+)`", row[column]) for row in rows]


def names_of(heading):
    return [name for names in cells(section(heading), 0) for name in names]


def constants(names):
    return {value for name, value in vars(names).items() if name.isupper() and isinstance(value, str) and "." in value}


def test_every_name_of_a_span_or_metric_has_its_line():
    told = constants(_otel_names) - {_otel_names.SCHEMA_URL} | set(_otel_names._USAGE.values())
    budgets = {f"solvent.budget.{part}" for part in ("limit", "spent", "reserved", "remaining")}
    shown = [*names_of("Names of spans"), *names_of("Names of metrics")]
    of_metrics = {name for names in cells(section("Names of metrics"), 2) for name in names if "." in name}
    assert len(shown) == len(set(shown))
    assert {*shown, *of_metrics} == (told - {_otel_names.BUDGET}) | budgets


def test_every_metric_of_prometheus_has_its_line_with_its_labels(tmp_path):
    text = prometheus.text(golden(tmp_path / "golden.db").open())
    found = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    page = section("Prometheus")
    shown = {name: set(labels) for (name,), labels in zip(cells(page, 0), cells(page, 2), strict=True)}
    assert shown == found
    samples = re.findall(r"^solvent_.*$", page, flags=re.M)
    assert len(samples) == 4
    assert set(samples) <= set(text.splitlines())


def test_the_figures_of_the_page_are_those_of_the_code():
    assert f"Up to {QUEUE_MAX:,} events wait" in TEXT
    assert (_bounded.VALUES_MAX, _bounded.SCOPES_MAX) == (100, 1_000)
    assert {name for name in vars(otel.Installed) if not name.startswith("_")} == {"flush", "uninstall"}
    assert _otel_names.SCHEMA_URL.endswith("/1.41.0")
    assert _otel_replay.BATCH == 512


@pytest.mark.slow
@pytest.mark.usefixtures("led")
def test_its_program_prints_what_is_shown():
    page = TEXT.partition("### Names of spans")[0]
    names = run_programs(page)
    names["installed"].uninstall()
