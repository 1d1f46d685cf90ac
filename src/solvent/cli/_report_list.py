"""
``solvent report --list``: the last runs of a ledger, a line each.
"""

from datetime import UTC, datetime

from solvent._amounts import show_dollars
from solvent._printable import printable
from solvent.cli._common import aligned
from solvent.report import Report, shown_name, summarize
from solvent.stores._protocol import Store

RUNS_MAX = 20


def last_runs(store: Store) -> tuple[list[Report], int]:
    """
    The reports of the runs that were opened last, the newest first, and how many runs there are in all.
    """
    opened: dict[str, None] = {}
    for entry in store.entries(kinds=["open"]):
        if entry.scope.rpartition("/")[2].startswith("run:"):
            opened.pop(entry.scope, None)
            opened[entry.scope] = None
    reports = [summarize(store, scope) for scope in [*reversed(opened)][:RUNS_MAX]]
    return sorted(reports, key=_seen, reverse=True), len(opened)


def _seen(report: Report) -> int:
    """
    Its end, which of an imported run is long ago; else its last sign of life.
    """
    return report.ended or report.last_seen or 0


def runs_table(reports: list[Report], count: int) -> str:
    rows = [["last seen, UTC", "ended", "spent", "limit", "calls", "run"], *map(_row, reports)]
    lines = aligned(rows, right=(2, 3, 4))
    if count > len(reports):
        lines.append(f"and {count - len(reports):,} before these")
    return "\n".join(lines)


def _row(report: Report) -> list[str]:
    total = report.total
    spent = show_dollars(total.cost_nanodollars)
    if total.unpriced:
        spent = "unpriced" if total.unpriced == total.calls else f"{spent} + {total.unpriced:,} unpriced"
    own = [one.limit for one in report.limits if (one.account.scope, one.account.meter) == (report.scope, "usd")]
    limit = next((show_dollars(amount) for amount in own if amount is not None), "")
    seen = datetime.fromtimestamp(_seen(report) // 10**9, UTC)
    name = printable(shown_name(report.scope, bare=True))
    return [f"{seen:%Y-%m-%d %H:%M}", _ended(report), spent, limit, f"{total.calls:,}", name]


def _ended(report: Report) -> str:
    """
    ``exited 0``, ``budget``, ``running``, ``killed``; of a block ``ended`` or an error's name; a question mark where
    nobody knows whether it runs.
    """
    if report.ended is None:
        return report.state or "?"
    reason = printable(report.exit_reason or "ended")
    if not report.is_command:
        return "ended" if reason == "exited" else reason
    return f"{reason} {report.exit_code}" if reason in ("exited", "signal") else reason
