"""
Charges in the columns of FOCUS: what the specification demands, and every nanodollar.
"""

import json
import re
from collections import Counter
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from export_shell import exported, journal, rows
from golden_ledger import COST, RELEASED, TRIAGE, Golden
from hypothesis import given
from hypothesis import strategies as st
from run_journal import CENT, START

from solvent._amounts import NANODOLLARS_PER_DOLLAR, Usage
from solvent._estimate import usage_json
from solvent._operations import Reserve, Settle
from solvent._records import CallRecord
from solvent.export.focus import COLUMNS
from solvent.prices import Prices, parse_price
from solvent.stores.sqlite import SQLiteStore

DOCS = Path(__file__).parent.parent.parent / "docs" / "reference" / "export.md"
# Source, for these and what the tests below ask of them: the pages of the columns, "Content Constraints" and
# requirements, github.com/FinOps-Open-Cost-and-Usage-Spec/FOCUS_Spec, read 2026-11-22.
NOT_NULL = (
    *("BilledCost", "EffectiveCost", "ListCost", "ContractedCost", "BillingCurrency", "BillingAccountId"),
    *("BillingPeriodStart", "BillingPeriodEnd", "ChargePeriodStart", "ChargePeriodEnd", "ChargeCategory"),
    *("InvoiceIssuerName", "ProviderName", "PublisherName", "ServiceCategory", "ServiceName", "ServiceSubcategory"),
    *("ServiceProviderName", "HostProviderName", "ChargeFrequency", "ChargeDescription", "PricingCategory"),
    *("PricingQuantity", "PricingUnit", "ConsumedQuantity", "ConsumedUnit", "ListUnitPrice", "ContractedUnitPrice"),
    *("SkuId", "SkuMeter", "SkuPriceId"),
)
MAY_BE_NULL = ("BillingAccountName", "ChargeClass", "InvoiceId", "SubAccountId", "SubAccountName", "Tags", "RegionId")
ALLOWED = {
    "BillingCurrency": {"USD"},
    "PricingCurrency": {"USD"},
    "ChargeCategory": {"Usage"},
    "ChargeClass": {"", "Correction"},
    "ChargeFrequency": {"Usage-Based"},
    "PricingCategory": {"Standard"},
    "ServiceCategory": {"AI and Machine Learning"},
    "ServiceSubcategory": {"Generative AI"},
    "PricingUnit": {"Tokens", "Requests", "Searches", "Sessions"},
    **{name: {""} for name in ("CommitmentDiscountStatus", "InvoiceId", "RegionId", "RegionName")},
    "ConsumedUnit": {"Tokens", "Requests", "Searches", "Sessions"},
}
AT = datetime.fromisoformat(START).replace(tzinfo=UTC)  # Of the calls of a journal that names no other time.
DECIMALS = tuple(name for name in COLUMNS if name.endswith(("Cost", "Quantity", "UnitPrice")))
TIMES = tuple(name for name in COLUMNS if re.fullmatch("(Billing|Charge)Period(Start|End)", name))


def billed(found: list[dict[str, Any]]) -> Decimal:
    return sum((Decimal(row["BilledCost"]) for row in found), Decimal())


def test_the_rows_of_the_golden_ledger_are_billed_what_its_accounts_spent(ledger: Golden, store: SQLiteStore) -> None:
    assert billed(rows("focus", store)) * NANODOLLARS_PER_DOLLAR == COST
    for scope in (TRIAGE, "org:acme/team:ads"):
        assert billed(rows("focus", store, scope=scope)) * NANODOLLARS_PER_DOLLAR == ledger.cost(scope)


def test_the_rows_of_each_call_are_billed_what_it_booked_and_unpriced_ones_are_counted(store: SQLiteStore) -> None:
    costs: Counter[str] = Counter()
    for row in rows("focus", store):
        costs[row["x_Seq"]] += Decimal(row["BilledCost"])  # type: ignore[assignment]  # Exact, as no integer would be.
    calls = {row["seq"]: row for row in rows("csv", store)}
    priced = {seq: row for seq, row in calls.items() if row["cost_dollars"]}

    assert {seq: f"{cost:.9f}" for seq, cost in costs.items()} == {
        seq: row["cost_dollars"] for seq, row in priced.items()
    }
    _, written = exported("focus", store)
    unpriced = [row for row in calls.values() if not row["cost_dollars"] and row["kind"] == "settle"]
    assert (written.entries, written.unpriced) == (len(priced), len(unpriced))
    assert (len(unpriced), RELEASED) == (1, 1)


def test_every_column_is_as_the_specification_demands(store: SQLiteStore) -> None:
    found = rows("focus", store)

    assert set(NOT_NULL + MAY_BE_NULL) <= set(COLUMNS)
    assert {name for row in found for name in NOT_NULL if not row[name]} == set()
    assert {name for name, allowed in ALLOWED.items() for row in found if row[name] not in allowed} == set()
    assert {row[name] for row in found for name in DECIMALS if not re.fullmatch(r"-?\d+\.\d+", row[name])} == set()
    form = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"
    assert {row[name] for row in found for name in TIMES if not re.fullmatch(form, row[name])} == set()
    own = [name.startswith("x_") for name in COLUMNS]
    assert own == sorted(own)
    assert len(set(COLUMNS)) == len(COLUMNS)


def test_a_cost_is_its_unit_price_times_its_quantity(store: SQLiteStore) -> None:
    found = rows("focus", store)

    assert len(found) > 30
    for row in found:
        quantity = Decimal(row["PricingQuantity"])
        assert Decimal(row["ListUnitPrice"]) >= 0
        assert Decimal(row["ListUnitPrice"]) * quantity == Decimal(row["ListCost"])
        assert Decimal(row["ContractedUnitPrice"]) * quantity == Decimal(row["ContractedCost"])
        # The rounding of the call, less than a nanodollar.
        assert 0 <= Decimal(row["BilledCost"]) - Decimal(row["ListCost"]) < Decimal("0.000000001")


def test_a_price_has_an_id_and_a_sku_one_meter(store: SQLiteStore) -> None:
    found = [row for row in rows("focus", store) if row["SkuMeter"] not in ("Calls", "Corrections")]

    assert found
    for of, known_by in (("ListUnitPrice", "SkuPriceId"), ("SkuMeter", "SkuId"), ("SkuId", "SkuPriceId")):
        assert len({(row[known_by], row[of]) for row in found}) == len({row[known_by] for row in found})


def test_each_price_of_a_sku_has_an_id_of_its_own() -> None:
    run, price = journal(), Prices.load().find("google", "gemini-2.5-pro")
    assert price is not None
    for read in (200_000, 200_001, 200_000):  # Above 200,000 tokens all of them cost more.
        usage = Usage(input_tokens=read)
        cost = price.cost(usage, tier=None, region=None, at=AT)
        names = {"provider": "google", "model_asked": "gemini-2.5-pro", "model_used": None}
        run.call(cost, bound=cost, usage=usage_json(usage), **names)

    low, high, again = rows("focus", run.store)

    assert low["SkuId"] == high["SkuId"] == "google/gemini-2.5-pro/Input Tokens"
    assert low["SkuPriceId"] == again["SkuPriceId"] == "google/gemini-2.5-pro/Input Tokens/standard/0.00000125"
    assert high["SkuPriceId"] == "google/gemini-2.5-pro/Input Tokens/standard/0.0000025"


def test_a_call_is_a_row_for_each_kind_of_token_that_it_paid_for(store: SQLiteStore) -> None:
    found = [row for row in rows("focus", store) if row["x_ModelAsked"] == "claude-haiku-4-5"]

    assert [(row["SkuMeter"], row["ConsumedQuantity"], row["ListUnitPrice"], row["BilledCost"]) for row in found] == [
        ("Input Tokens", "1500.0", "0.000001", "0.0015"),
        ("Cache Read Tokens", "500.0", "0.0000001", "0.00005"),
        ("Cache Write Tokens (5 min)", "1000.0", "0.00000125", "0.00125"),
        ("Output Tokens", "400.0", "0.000005", "0.002"),
    ]
    assert {row["ChargeDescription"] for row in found} == {
        "claude-haiku-4-5-20251001: Input Tokens",
        "claude-haiku-4-5-20251001: Cache Read Tokens",
        "claude-haiku-4-5-20251001: Cache Write Tokens (5 min)",
        "claude-haiku-4-5-20251001: Output Tokens",
    }


def test_fees_are_rows_of_their_own() -> None:
    run, usage = journal(), Usage(input_tokens=10, output_tokens=5, web_searches=2)
    call = {"provider": "anthropic", "model_asked": "claude-haiku-4-5", "model_used": None}
    price = Prices.load().find("anthropic", "claude-haiku-4-5")
    assert price is not None
    cost = price.cost(usage, tier=None, region=None, at=AT)
    run.call(cost, usage=usage_json(usage), **call)

    found = {row["SkuMeter"]: row for row in rows("focus", run.store)}

    assert (found["Web Searches"]["PricingQuantity"], found["Web Searches"]["PricingUnit"]) == ("2.0", "Searches")
    assert (found["Web Searches"]["BilledCost"], len(found)) == ("0.02", 3)


@pytest.mark.parametrize(
    ("cost", "record"),
    [
        pytest.param(210_000, {"estimated": "cut"}, id="a bound"),
        pytest.param(210_001, {}, id="an older price"),
        pytest.param(210_000, {"tier": "nowhere"}, id="a tier without a price"),
        pytest.param(210_000, {"model_used": "gpt-none", "model_asked": "gpt-none"}, id="no price"),
        pytest.param(210_000, {"usage": None}, id="no usage"),
        pytest.param(210_000, {"usage": {"input_tokens": "many"}}, id="usage that is none"),
        pytest.param(0, {"usage": {}}, id="nothing used"),
    ],
)
def test_a_cost_that_cannot_be_told_apart_is_one_row(cost: int, record: dict[str, Any]) -> None:
    run = journal()
    usage = {"input_tokens": 1_000, "output_tokens": 100}
    names = {"model_used": "gpt-4o-mini-2024-07-18", "model_asked": "gpt-4o-mini"}
    run.call(cost, **{"usage": usage, **names, **record})

    [row] = rows("focus", run.store)

    assert (row["SkuMeter"], row["PricingQuantity"], row["PricingUnit"]) == ("Calls", "1.0", "Requests")
    assert Decimal(row["BilledCost"]) == Decimal(row["ListUnitPrice"]) == Decimal(cost) / NANODOLLARS_PER_DOLLAR
    assert row["SkuPriceId"] == row["SkuId"]


def test_the_same_call_without_any_of_that_is_told_apart() -> None:
    run = journal()
    run.call(210_000, usage={"input_tokens": 1_000, "output_tokens": 100}, model_used="gpt-4o-mini-2024-07-18")

    assert [row["SkuMeter"] for row in rows("focus", run.store)] == ["Input Tokens", "Output Tokens"]


@given(read=st.integers(0, 5_000_000), cached=st.integers(0, 1_000_000), written=st.integers(0, 1_000_000))
def test_rounding_is_on_the_largest_row_and_nowhere_else(read: int, cached: int, written: int) -> None:
    # Less than a nanodollar a token: $0.0003 a million for what is read, $0.0007 for what is written.
    prices = Prices.load(dict([parse_price("tiny=0.0003/0.0007")]))
    usage = Usage(input_tokens=read + cached, output_tokens=written, cache_read_tokens=cached)
    price = prices.find("openai", "tiny")
    assert price is not None
    cost = price.cost(usage, tier=None, region=None, at=AT)
    run = journal()
    run.call(cost, bound=cost, usage=usage_json(usage), model_asked="tiny", model_used="tiny")

    found = rows("focus", run.store, prices=lambda: prices)

    assert billed(found) * NANODOLLARS_PER_DOLLAR == cost
    rounded = [row for row in found if row["BilledCost"] != row["ListCost"]]
    assert len(rounded) == ((3 * (read + cached) + 7 * written) % 10 > 0)
    assert all(Decimal(row["ListCost"]) == max(Decimal(row["ListCost"]) for row in found) for row in rounded)


def test_a_charge_is_in_the_hour_and_the_month_in_which_its_call_ended() -> None:
    run = journal(at="2026-12-31T23:59:30")
    now = run.store._clock.now_ns()  # type: ignore[attr-defined]  # The one that was handed to it.
    run.call(started=now, ended=now + 10**9)
    run.call(started=now, ended=now + 60 * 10**9)

    first, second = rows("focus", run.store)

    assert [first[name] for name in TIMES] == [
        "2026-12-01T00:00:00Z",
        "2027-01-01T00:00:00Z",
        "2026-12-31T23:00:00Z",
        "2027-01-01T00:00:00Z",
    ]
    assert [second[name] for name in TIMES] == [
        "2027-01-01T00:00:00Z",
        "2027-02-01T00:00:00Z",
        "2027-01-01T00:00:00Z",
        "2027-01-01T01:00:00Z",
    ]


@pytest.mark.parametrize(
    ("later", "begin", "charge_class"),
    [(0, "2026-11-01T00:00:00Z", ""), (3 * 86_400, "2026-12-01T00:00:00Z", "Correction")],
)
def test_a_correction_is_of_that_class_where_its_month_was_over(later: int, begin: str, charge_class: str) -> None:
    run = journal(at="2026-11-29T10:00:00")
    clock = run.store._clock  # type: ignore[attr-defined]  # The one that was handed to it.
    started = clock.now_ns()
    id = run.reserve(5 * CENT, started=started)
    clock.advance(seconds=121)
    run.store.expire()
    clock.advance(seconds=later)
    call = CallRecord(provider="openai", model_asked="gpt-5-mini", started=started, ended=started + 10**9)
    run.write(Settle(id=id, actual={"usd": 2 * CENT, "calls": 1}, call=call))

    expire, correct = rows("focus", run.store)

    assert (expire["BilledCost"], expire["ChargeClass"], expire["x_Estimated"]) == ("0.05", "", "expired")
    assert expire["ChargeDescription"] == "gpt-5-mini: Calls, estimated: expired"
    assert (correct["BilledCost"], correct["ChargeClass"], correct["BillingPeriodStart"]) == (
        "-0.03",
        charge_class,
        begin,
    )
    assert (correct["PricingQuantity"], correct["ListUnitPrice"]) == ("-1.0", "0.03")
    assert correct["ConsumedQuantity"] == "0.0"
    assert correct["ChargePeriodStart"] == "2026-11-29T10:00:00Z"


def test_an_expiry_and_its_correction_are_of_one_model() -> None:
    run = journal()
    id = run.reserve(5 * CENT)
    run.store._clock.advance(seconds=121)  # type: ignore[attr-defined]  # The one that was handed to it.
    run.store.expire()
    run.settle(id, 2 * CENT, bound=5 * CENT, model_used="gpt-5-mini-2025-08-07")

    expire, correct = rows("focus", run.store)

    assert (expire["SkuId"], correct["SkuId"]) == ("openai/gpt-5-mini/Calls", "openai/gpt-5-mini/Corrections")
    assert correct["ChargeDescription"].startswith("gpt-5-mini: ")
    assert (correct["x_ModelAsked"], correct["x_ModelUsed"]) == ("gpt-5-mini", "gpt-5-mini-2025-08-07")


@pytest.mark.parametrize(
    ("cost", "billed_dollars", "unpriced"),
    [
        pytest.param(None, ["0.0"], 1, id="never known"),
        pytest.param(0, ["0.0"], 0, id="nothing"),
        pytest.param(2 * CENT, ["0.02"], 0, id="known at last"),
    ],
)
def test_an_expired_call_is_left_out_until_its_cost_is_known(
    cost: int | None, billed_dollars: list[str], unpriced: int
) -> None:
    run = journal()
    amounts, terms = {"calls": 1}, run.terms(run.limits)
    call = CallRecord(provider="openai", model_asked="gpt-none")
    run.write(Reserve(id="a", scope=run.scope, terms=terms, amounts=amounts, call=call))
    run.store._clock.advance(seconds=121)  # type: ignore[attr-defined]  # The one that was handed to it.
    run.store.expire()
    _, before = exported("focus", run.store)
    run.settle("a", cost)

    found, (_, after) = rows("focus", run.store), exported("focus", run.store)

    assert (before.rows, before.unpriced, after.unpriced) == (0, 1, unpriced)
    assert [row["BilledCost"] for row in found] == billed_dollars


def test_a_path_is_accounts_a_run_and_tags() -> None:
    run = journal("org:Acme%3A EU/team:search/run:42/agent:a")
    run.call()

    [row] = rows("focus", run.store)

    assert (row["BillingAccountId"], row["BillingAccountName"]) == ("Acme: EU", "Acme: EU")
    assert (row["SubAccountId"], row["SubAccountName"]) == ("org:Acme%3A EU/team:search", "search")
    assert (row["ResourceId"], row["ResourceName"], row["ResourceType"]) == (
        "org:Acme%3A EU/team:search/run:42",
        "42",
        "Run",
    )
    assert json.loads(row["Tags"]) == {"org": "Acme: EU", "team": "search", "run": "42", "agent": "a"}


def test_no_call_is_a_header_alone() -> None:
    text, written = exported("focus", journal().store)

    assert text == ",".join(COLUMNS) + "\r\n"
    assert (written.entries, written.rows) == (0, 0)


def test_every_column_has_its_line_in_the_docs() -> None:
    table = DOCS.read_text().partition("## FOCUS")[2].partition("\n## ")[0]
    cells = re.findall(r"^\| (.+?) \|", table, flags=re.M)
    assert {name for cell in cells for name in re.findall(r"`(\w+)`", cell)} == set(COLUMNS)
