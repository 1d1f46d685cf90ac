from pathlib import Path

import golden_ledger
from golden_ledger import BANNER, LONELY, RESEARCHER, TRIAGE, WRITER, golden

from solvent._digest import digest_of
from solvent._ledger import booked
from solvent._records import Account


def test_the_golden_ledger_adds_up_to_what_is_written_down(tmp_path: Path) -> None:
    made = golden(tmp_path / "golden.db")
    store = made.open()
    assert store.verify() is None
    scopes = {
        None: golden_ledger.COST,
        TRIAGE: golden_ledger.TRIAGE_COST,
        BANNER: golden_ledger.BANNER_COST,
        LONELY: golden_ledger.LONELY_COST,
        RESEARCHER: golden_ledger.RESEARCHER_COST,
        WRITER: golden_ledger.WRITER_COST,
    }
    for scope, cost in scopes.items():
        assert made.cost(scope) == cost
        assert sum(sums.cost for sums in store.groups(scope=scope).values()) == cost
        entries = [entry for entry in store.entries(scope=scope) if entry.kind in ("correct", "expire", "settle")]
        assert sum(booked(entry) or 0 for entry in entries) == cost
    balances = {balance.account: balance for balance in store.balances()}
    assert balances[Account(TRIAGE, "usd")].spent == golden_ledger.TRIAGE_COST
    assert balances[Account(TRIAGE, "usd")].overrun == golden_ledger.OVERRUN
    assert balances[Account(RESEARCHER, "usd")].spent == golden_ledger.RESEARCHER_COST
    assert balances[Account(LONELY, "usd")].reserved == golden_ledger.OPEN_RESERVED
    groups = store.groups()
    assert groups == digest_of(store.entries())
    assert sum(sums.count for facts, sums in groups.items() if facts.is_call) == len(made.calls) == golden_ledger.CALLS
    counts = {
        kind: sum(sums.count for facts, sums in groups.items() if facts.kind == kind) for kind in ("refuse", "release")
    }
    assert counts == {"refuse": golden_ledger.REFUSALS, "release": golden_ledger.RELEASED}
