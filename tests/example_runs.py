"""
Runs an example of an SDK as a reader would: the file as it is, led to a server by the SDK's own variables.
"""

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from solvent.stores import open_store

ROOT = Path(__file__).parent.parent
# Too few for any call; in tokens, for a model of one's own has no price.
TINY = "budgets: {'run:*': {tokens: 10}}\n"


@dataclass(frozen=True)
class Ran:
    """
    What an example printed and what its ledger holds.

    Attributes:
        spent: By meter.
        models: Which were asked.
    """

    printed: str
    spent: Mapping[str, int]
    models: frozenset[str]
    refused_count: int

    @property
    def tokens(self) -> tuple[int, int]:
        return self.spent.get("input_tokens", 0), self.spent.get("output_tokens", 0)


def run_example(sdk: str, folder: Path, environment: Mapping[str, str], *, policy: str | None = None) -> Ran:
    """
    Args:
        folder: Where its ledger, and the policy if there is one, are written.
    """
    ledger = f"sqlite:///{folder}/ledger.db"
    own = {"PATH": "/usr/bin:/bin", "HOME": str(folder), "SOLVENT_LEDGER": ledger, **environment}
    if policy is not None:
        (folder / "solvent.yaml").write_text(policy)
        own["SOLVENT_POLICY"] = str(folder / "solvent.yaml")
    done = subprocess.run(
        [sys.executable, ROOT / "examples" / f"with_{sdk}.py"], capture_output=True, text=True, env=own, check=False
    )
    assert done.stderr == ""
    assert done.returncode == 0
    store = open_store(ledger)
    try:
        spent = {balance.account.meter: balance.spent for balance in store.balances() if balance.spent}
        entries = list(store.entries())
    finally:
        store.close()
    asked = frozenset(entry.call.model_asked for entry in entries if entry.call and entry.call.model_asked)
    refused_count = sum(entry.kind == "refuse" for entry in entries)
    return Ran(printed=done.stdout, spent=spent, models=asked, refused_count=refused_count)


def check_call(ran: Ran, *, billed: tuple[int, int]) -> None:
    """
    One call was made, booked as the server billed it, and reported.
    """
    assert ran.tokens == billed
    assert (ran.spent["calls"], ran.refused_count) == (1, 0)
    assert "1 of 40" in ran.printed


def check_refusal(ran: Ran) -> None:
    """
    No call was made, and what was printed says how to go on.
    """
    assert not ran.spent
    assert ran.refused_count == 1
    assert "has 10 tokens left of 10 tokens; this call needs up to" in ran.printed
    assert "To go on: raise the limit (solvent.yaml:1)." in ran.printed
    assert "1 call refused" in ran.printed
