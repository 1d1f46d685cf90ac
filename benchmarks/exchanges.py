"""
What Solvent makes of every recorded exchange with a provider: understood, its usage read exactly, its bound held.

    python benchmarks/exchanges.py

``exact`` compares with what the provider recorded, put together a second time and more simply in
``tests/wire/test_samples.py``. A bound is violated where a count or the cost is above it. Two figures in a cell are the
median and the 95th percentile; those of money are large where requests name no output cap. Recordings that left text
out are bounded by its length, and listed apart.
"""

import json
import sys
from collections import Counter, defaultdict
from datetime import UTC, datetime
from pathlib import Path
from statistics import median, quantiles

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "wire"))

from test_samples import expected, token_counts
from wire_samples import exchanges, folder

from solvent._assess import Assessment, Assessor
from solvent._estimate import Estimator
from solvent.cli._exchanges import read_exchanges
from solvent.prices import Prices

COLUMNS = (
    *("exchanges", "understood", "with usage", "exact", "bounded", "violated", "input: bound ÷ billed"),
    *("money: bound ÷ cost", "why not bounded"),
)


class Row:
    """
    The exchanges of one provider and format.
    """

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.reasons: Counter[str] = Counter()
        self.inputs: list[float] = []
        self.costs: list[float] = []

    def add(self, one: Assessment, *, exact: bool | None) -> None:
        self.counts["all"] += 1
        self.counts["understood"] += one.kind in ("paid", "free", "unbounded")
        self.counts["usage"] += exact is not None
        self.counts["exact"] += bool(exact)
        is_bounded = one.bound is not None and one.bound.tokens is not None and one.bound_held is not None
        self.counts["bounded"] += is_bounded
        self.counts["held"] += one.bound_held is not False
        self.counts["broken"] += one.bound_held is False
        if not is_bounded and one.kind == "paid":
            reason = next((note for note in one.notes if note.startswith(("unbounded", "unpriced"))), "no usage told")
            self.reasons[reason.partition(":")[0]] += 1
        if is_bounded and one.usage is not None and one.bound is not None:
            if one.usage.input_tokens and one.bound.input_tokens is not None:
                self.inputs.append(one.bound.input_tokens / one.usage.input_tokens)
            if one.bound.nanodollars and one.cost_nanodollars and not one.estimated:
                self.costs.append(one.bound.nanodollars / one.cost_nanodollars)

    def cells(self) -> list[str]:
        counts = [f"{self.counts[name]:,}" for name in ("all", "understood", "usage", "exact", "bounded", "broken")]
        reasons = ", ".join(f"{count} {reason}" for reason, count in self.reasons.most_common())
        return [*counts, _spread(self.inputs), _spread(self.costs), reasons]


def main() -> int:
    recorded = {(one.provider, one.run, one.step): one for one in exchanges()}
    rows: defaultdict[tuple[bool, str, str], Row] = defaultdict(Row)
    for file in sorted(folder().glob("*.jsonl")):
        assessor = Assessor(Estimator(Prices.load()), at=datetime(2026, 11, 22, tzinfo=UTC))
        lines = map(json.loads, file.read_text().splitlines())
        for line, found in zip(lines, read_exchanges([str(file)]), strict=True):
            one = found if isinstance(found, Assessment) else assessor.assess(found)
            known = recorded.get((line["provider"], line["run"], line["step"]))
            told = expected(known) if known is not None else None
            exact = None if told is None else one.usage is not None and token_counts(one.usage) == told
            is_cut = any(note.startswith("left out") for note in one.notes)
            rows[is_cut, line["provider"], one.format or one.kind].add(one, exact=exact)
    for is_cut in (False, True):
        print("\nrecordings that left something out" if is_cut else "whole recordings")
        _print([[f"{provider} {name}", *row.cells()] for (cut, provider, name), row in rows.items() if cut == is_cut])
    total: Counter[str] = Counter()
    for row in rows.values():
        total.update(row.counts)
    print(
        f"\nin all {total['all']:,} exchanges, {total['understood']:,} understood; {total['usage']:,} tell a usage, "
        f"{total['exact']:,} of them read exactly; {total['bounded']:,} bounded, {total['broken']:,} violated"
    )
    return 0 if not total["broken"] and total["all"] == total["understood"] else 1


def _spread(ratios: list[float]) -> str:
    if not ratios:
        return ""
    high = quantiles(ratios, n=20)[18] if len(ratios) > 1 else ratios[0]
    return f"{median(ratios):.1f}, {high:.1f}"


def _print(rows: list[list[str]]) -> None:
    table = [["", *COLUMNS], *rows]
    widths = [max(len(row[column]) for row in table) for column in range(len(table[0]))]
    for row in table:
        cells = [
            f"{cell:<{width}}" if at in (0, 9) else f"{cell:>{width}}"
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        print("  ".join(cells).rstrip())


if __name__ == "__main__":
    sys.exit(main())
