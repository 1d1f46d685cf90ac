"""
Charges in the columns of FOCUS 1.3, the FinOps Open Cost and Usage Specification, as comma-separated values.

A row is one kind of token or fee of one call, in the hour in which it ended; the rows of a call are billed exactly what
it booked. Calls of unknown cost are left out and counted.

Source:
    https://focus.finops.org/focus-specification/v1-3, and the columns' pages in
    github.com/FinOps-Open-Cost-and-Usage-Spec/FOCUS_Spec, read 2026-11-22.
"""

import csv
import functools
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from operator import itemgetter
from typing import TextIO

from solvent._digest import HOUR_NS
from solvent._ledger import booked
from solvent._printable import as_text
from solvent._records import Entry
from solvent.export._charges import Charge, charges
from solvent.export._row import names
from solvent.export._source import Source, Written, ended
from solvent.report._json import time_json

PICODOLLARS_PER_DOLLAR = 10**12

COLUMNS = (
    *("BilledCost", "BillingAccountId", "BillingAccountName", "BillingCurrency", "BillingPeriodStart"),
    *("BillingPeriodEnd", "ChargeCategory", "ChargeClass", "ChargeDescription", "ChargeFrequency"),
    *(
        "ChargePeriodStart",
        "ChargePeriodEnd",
        "CommitmentDiscountStatus",
        "ConsumedQuantity",
        "ConsumedUnit",
        "ContractedCost",
    ),
    *("ContractedUnitPrice", "EffectiveCost", "HostProviderName", "InvoiceId", "InvoiceIssuerName", "ListCost"),
    *("ListUnitPrice", "PricingCategory", "PricingCurrency", "PricingCurrencyContractedUnitPrice"),
    *("PricingCurrencyEffectiveCost", "PricingCurrencyListUnitPrice", "PricingQuantity", "PricingUnit"),
    *("ProviderName", "PublisherName"),
    *("RegionId", "RegionName", "ResourceId", "ResourceName", "ResourceType", "ServiceCategory", "ServiceName"),
    *("ServiceProviderName", "ServiceSubcategory", "SkuId", "SkuMeter", "SkuPriceDetails", "SkuPriceId"),
    *("SubAccountId", "SubAccountName", "Tags", "x_Seq", "x_Kind", "x_CallId", "x_Scope", "x_Run", "x_Agent"),
    *("x_ModelAsked", "x_ModelUsed", "x_Tier", "x_Estimated", "x_PriceSource", "x_CallStarted", "x_CallEnded"),
)
_EMPTY = dict.fromkeys(COLUMNS, "")
_in_order = itemgetter(*COLUMNS)
_UNKNOWN = "unknown"
_NO_ORGANIZATION = "default"


def write(source: Source, out: TextIO) -> Written:
    """
    Write the header and the rows of each entry that has a cost.
    """
    lines = csv.writer(out, lineterminator="\r\n")
    lines.writerow(COLUMNS)
    prices = source.prices()
    entries = rows = unpriced = 0
    expired: set[str] = set()  # Of unknown cost, as far as is known.
    for entry in source.entries(("correct", "expire", "settle")):
        cost = booked(entry)
        if cost is None:
            if entry.kind == "expire":
                expired.add(entry.id)
            else:
                unpriced += 1
            continue
        if entry.kind == "correct" and (cost or entry.call.cost_nanodollars is not None):
            expired.discard(entry.id)
        entries += 1
        shared = _of_the_call(entry)
        for charge in charges(entry, cost, prices):
            lines.writerow(_in_order({**_EMPTY, **shared, **_of_the_charge(charge, entry)}))
            rows += 1
    return Written(entries=entries, rows=rows, unpriced=unpriced + len(expired))


def _of_the_call(entry: Entry) -> dict[str, str]:
    """
    The columns that all rows of a call have in common.
    """
    call, hour = entry.call, ended(entry) // HOUR_NS
    charged, delivered = _month(hour), _month(entry.at // HOUR_NS)
    # What corrects a month that was over when it came is a row of the month in which it came.
    is_late = entry.kind == "correct" and charged < delivered
    provider = as_text(call.provider or _UNKNOWN)
    begin, end = delivered if is_late else charged
    return {
        **_of_the_scope(entry.scope),
        "BillingCurrency": "USD",
        "BillingPeriodStart": begin,
        "BillingPeriodEnd": end,
        "ChargeCategory": "Usage",
        "ChargeClass": "Correction" if is_late else "",
        "ChargeFrequency": "Usage-Based",
        "ChargePeriodStart": _hour(hour),
        "ChargePeriodEnd": _hour(hour + 1),
        **dict.fromkeys(_PROVIDERS, provider),
        "ServiceName": f"{provider} API",
        "ServiceCategory": "AI and Machine Learning",
        "ServiceSubcategory": "Generative AI",
        "PricingCategory": "Standard",
        "PricingCurrency": "USD",
        "SkuPriceDetails": json.dumps({"x_Tier": call.tier}) if call.tier else "",
        "x_Seq": str(entry.seq),
        "x_Kind": entry.kind,
        "x_CallId": as_text(entry.id),
        "x_ModelAsked": as_text(call.model_asked or ""),
        "x_ModelUsed": as_text(call.model_used or ""),
        "x_Tier": as_text(call.tier or ""),
        "x_Estimated": call.estimated or "",
        "x_PriceSource": as_text(call.price_source or ""),
        "x_CallStarted": "" if call.started is None else time_json(call.started),
        "x_CallEnded": "" if call.ended is None else time_json(call.ended),
    }


# Solvent sees one party: whoever answers the call also sells it, and sends the bill.
_PROVIDERS = ("HostProviderName", "InvoiceIssuerName", "ProviderName", "PublisherName", "ServiceProviderName")


@functools.lru_cache(4_096)
def _of_the_scope(scope: str) -> Mapping[str, str]:
    """
    The organization is billed, its teams are its accounts, and a run is what is paid for.
    """
    found, segments = {kind: name for kind, name in names(scope).items() if name}, scope.split("/")
    kinds = [segment.partition(":")[0] for segment in segments]
    team, run = (_path(segments, kinds, kind) for kind in ("team", "run"))
    return {
        "BillingAccountId": as_text(found.get("org", _NO_ORGANIZATION)),
        "BillingAccountName": as_text(found.get("org", _NO_ORGANIZATION)),
        "SubAccountId": team,
        "SubAccountName": as_text(found.get("team", "")),
        "ResourceId": run,
        "ResourceName": as_text(found.get("run", "")),
        "ResourceType": "Run" if run else "",
        "Tags": json.dumps(found),
        "x_Scope": scope,
        "x_Run": as_text(found.get("run", "")),
        "x_Agent": as_text(found.get("agent", "")),
    }


def _path(segments: list[str], kinds: list[str], kind: str) -> str:
    return "/".join(segments[: kinds.index(kind) + 1]) if kind in kinds else ""


def _of_the_charge(charge: Charge, entry: Entry) -> dict[str, str]:
    call = entry.call
    # A correction is of the model that its expiry named: the two are to add up to what the call cost.
    told = (call.model_asked, call.model_used) if entry.kind == "correct" else (call.model_used, call.model_asked)
    model = next(filter(None, told), _UNKNOWN)
    sku = as_text(f"{call.provider or _UNKNOWN}/{model}/{charge.meter}")
    price, cost, billed = map(_dollars, (charge.unit_picodollars, charge.picodollars, charge.billed_picodollars))
    why = f", estimated: {call.estimated}" if call.estimated else ""
    return {
        "BilledCost": billed,
        "ChargeDescription": as_text(f"{model}: {charge.meter}{why}"),
        "ConsumedQuantity": f"{charge.consumed}.0",
        "ConsumedUnit": charge.unit,
        "ContractedCost": cost,
        "ContractedUnitPrice": price,
        "EffectiveCost": billed,
        "ListCost": cost,
        "ListUnitPrice": price,
        "PricingCurrencyContractedUnitPrice": price,
        "PricingCurrencyEffectiveCost": billed,
        "PricingCurrencyListUnitPrice": price,
        "PricingQuantity": f"{charge.quantity}.0",
        "PricingUnit": charge.unit,
        "SkuId": sku,
        "SkuMeter": charge.meter,
        # A price of a kind of token has an id that no other price has, so that the one can be looked up by the other.
        "SkuPriceId": f"{sku}/{call.tier or 'standard'}/{price}" if charge.is_part else sku,
    }


def _dollars(picodollars: int) -> str:
    """
    An exact decimal number; always with a point, for a column of whole numbers would be taken for integers.
    """
    whole, rest = divmod(abs(picodollars), PICODOLLARS_PER_DOLLAR)
    return f"{'-' if picodollars < 0 else ''}{whole}.{f'{rest:012d}'.rstrip('0') or '0'}"


@functools.lru_cache(4_096)
def _hour(hour: int) -> str:
    return f"{datetime.fromtimestamp(hour * 3_600, UTC):%Y-%m-%dT%H:%M:%SZ}"


@functools.lru_cache(4_096)
def _month(hour: int) -> tuple[str, str]:
    """
    The first moments of the calendar month of an hour, and of the next.
    """
    day = datetime.fromtimestamp(hour * 3_600, UTC)
    later = (day.year + day.month // 12, day.month % 12 + 1)
    return f"{day:%Y-%m}-01T00:00:00Z", "{:04d}-{:02d}-01T00:00:00Z".format(*later)
