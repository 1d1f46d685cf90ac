"""
What others say of the FOCUS export: the FinOps Foundation's validator, and a peer that prices the same calls.
"""

import csv
import json
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
from export_shell import exported, journal, rows
from focus_validator import environment, newer_python, validated
from golden_ledger import golden

from solvent._amounts import Usage
from solvent._estimate import usage_json
from solvent.export.focus import COLUMNS
from solvent.prices import Prices

pytestmark = pytest.mark.long
# One of the two fails for any file: the validator knows no conditions for them, and takes both at their word. Of the
# rule that holds them together it says that it is kept.
CONTRADICTORY = {"InvoiceId-C-004-C", "InvoiceId-C-005-C"}
PEER = """
import json, sys
from tokencur.focus import FOCUS_COLUMNS, FOCUS_VERSION, to_focus_rows
from tokencur.records import UsageRecord
rows = to_focus_rows([UsageRecord(**json.loads(sys.argv[1]))])
print(json.dumps([FOCUS_VERSION, FOCUS_COLUMNS, list(rows)]))
"""


@pytest.fixture
def python() -> Path:
    found = newer_python()
    if found is None:
        pytest.skip("focus-validator needs Python 3.12 or 3.13, and there is none")
    return environment(found)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    store = golden(tmp_path / "ledger.db").open()
    path = tmp_path / "focus.csv"
    path.write_text(exported("focus", store)[0], newline="")
    store.close()
    return path


@pytest.mark.timeout(600)
def test_the_golden_ledger_passes_the_validator(python: Path, file: Path) -> None:
    found = validated(python, file)

    failed = {rule for rule, result in found.items() if result == "FAIL"}
    assert len(failed) == 1
    assert failed < CONTRADICTORY
    assert found["InvoiceId-C-000-O"] == "PASS"
    assert sum(result == "PASS" for result in found.values()) > 250


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("column", "value", "rule"),
    [
        ("BilledCost", "", "BilledCost-C-003-M"),
        ("ListUnitPrice", "-1.5", "ListUnitPrice-C-008-M"),
        ("ServiceCategory", "Robots", "ServiceCategory-C-003-M"),
        ("ChargePeriodStart", "2026-03-01", "ChargePeriodStart-C-002-M"),
    ],
)
def test_the_validator_would_find_what_is_wrong(python: Path, file: Path, column: str, value: str, rule: str) -> None:
    with file.open(newline="") as text:
        lines = list(csv.DictReader(text))
    with file.open("w", newline="") as text:
        writer = csv.DictWriter(text, COLUMNS)
        writer.writeheader()
        writer.writerows({**line, column: value} for line in lines)

    assert validated(python, file)[rule] == "FAIL"


@pytest.mark.timeout(600)
def test_a_peer_has_the_same_columns_and_prices_the_same_call_alike(python: Path) -> None:
    model, at = "claude-sonnet-4-5-20250929", datetime(2026, 11, 1, 10, 30, tzinfo=UTC)
    usage = Usage(
        input_tokens=9_000,
        output_tokens=700,
        cache_read_tokens=4_000,
        cache_write_5m_tokens=2_000,
        cache_write_1h_tokens=1_000,
    )
    price = Prices.load().find("anthropic", model)
    assert price is not None
    run = journal()
    started = int(at.timestamp()) * 10**9
    cost = price.cost(usage, tier=None, region=None, at=at)
    names = {"provider": "anthropic", "model_asked": model, "model_used": model}
    run.call(cost, started=started, ended=started, usage=usage_json(usage), **names)
    told = {
        **{name: getattr(usage, name) for name in usage.__struct_fields__ if name.startswith("cache_")},
        "input_tokens": 2_000,  # Those in no cache.
        "output_tokens": 700,
        "timestamp": at.isoformat(),
        "workspace": "",
        "session_id": "",
        "model": model,
    }

    words = [str(python), "-c", PEER, json.dumps(told)]
    version, columns, peers = json.loads(subprocess.run(words, capture_output=True, text=True, check=True).stdout)

    assert version == "1.3"
    assert {name for name in COLUMNS if not name.startswith("x_")} < set(columns)
    ours = rows("focus", run.store)
    for name in ("PricingQuantity", "ListUnitPrice", "ListCost", "BilledCost"):
        assert sorted(float(row[name]) for row in ours) == pytest.approx(sorted(row[name] for row in peers))
    for name in ("BillingPeriodStart", "BillingPeriodEnd", "ChargePeriodStart", "ChargePeriodEnd"):
        assert {row[name] for row in ours} == {row[name] for row in peers}
    for name in ("ChargeCategory", "ChargeFrequency", "PricingCategory", "ServiceCategory", "ServiceSubcategory"):
        assert {row[name] for row in ours} == {row[name] for row in peers}
