"""
What happened beside plain calls: refusals, what the ladder did, what was not booked as counted, and all else.
"""

from collections.abc import Iterator, Mapping
from textwrap import wrap

from solvent._amounts import show_dollars, show_seconds
from solvent.report._pen import Pen
from solvent.report._records import Report, Rung, Share

# Why a cost is a bound rather than a count, in words.
ESTIMATED = {
    "choices": "of several choices",
    "client_gone": "left by the program",
    "cut": "cut off",
    "expired": "expired",
    "failed": "ended in an error",
    "price_unknown": "at an unknown price",
    "provider_error": "failed at the provider",
    "stopped": "ended at a deadline or with the run",
    "usage_absurd": "told an impossible usage",
    "usage_missing": "told no usage",
}
# Why a request was turned away before it was a call, in words; other codes say it themselves.
TURNED_AWAY = {
    "denied": "path not known",
    "invalid_json": "no JSON that can be read",
    "too_large": "too large",
}
UNSENT = {
    "client_gone": "left by the program",
    "not_sent": "the provider was not reached",
}
_RUNGS = {
    "wait": "waited for room",
    "degrade": "made with another model",
    "shrink": "given an output cap to fit",
    "refuse": "refused",
    "store_down": "made while the ledger was away",
}


def refusals(report: Report, pen: Pen, width: int) -> list[str]:
    if not report.refused:
        return []
    lines = [pen.paint("red", counted(report.refusals, "call refused", "calls refused"))]
    digits = max(len(f"{refused.count:,}") for refused in report.refused)
    for refused in report.refused:
        headline = (refused.reason or "").partition("\n")[0] or refused.model or ""
        text = pen.plain(f"{refused.code.replace('_', ' ')}: {headline}")
        first = f"  {refused.count:>{digits},} {pen.times} "
        lines += wrap(text, width, initial_indent=first, subsequent_indent=" " * len(first))
    return lines


def ladder(report: Report, pen: Pen, width: int) -> list[str]:
    """
    What each rung of the ladder did and saved; those that only tightened a bound did what nobody notices.
    """
    # Refusals stand above one by one: what is left to tell of them all is what they kept from being spent.
    rungs = [rung for rung in report.ladder if rung.name != "refuse" or rung.saved_nanodollars]
    told = [_rung(rung) for rung in rungs if rung.name in _RUNGS]
    return pen.joined(told, width)


def _rung(rung: Rung) -> str:
    text, saved = f"{rung.calls:,} {_RUNGS[rung.name]}", rung.saved_nanodollars
    if rung.name == "wait" and rung.waited_milliseconds:
        return f"{text}, {show_seconds(rung.waited_milliseconds / 1_000)} in all"
    if not saved:
        return text
    if rung.name == "refuse":
        return f"{text}: up to {show_dollars(saved)} not spent"
    return f"{text}: about {show_dollars(abs(saved))} {'saved' if saved > 0 else 'more'}"


def doubts(report: Report, pen: Pen, width: int) -> list[str]:
    """
    What was not booked as a provider counted it, or not within what had been set aside: a line each.
    """
    estimated = [(reason, share) for reason, share in report.estimated.items() if reason != "expired"]
    seen = (
        *(
            (share.count, _with(f"booked at the most it could cost ({ESTIMATED.get(reason, reason)})", share))
            for reason, share in estimated
        ),
        (report.expired.count, _with("expired, charged in full", report.expired)),
        (report.corrected, "corrected after expiring"),
        (report.overruns.count, _with("above what was reserved, by", report.overruns, joint=" ")),
        (report.total.unpriced, "of unknown cost"),
    )
    told = [pen.plain(f"{count:,} {text}") for count, text in seen if count]
    return [pen.paint("yellow", line) for text in told for line in wrap(text, width, subsequent_indent="  ")]


def events(report: Report, pen: Pen, width: int) -> list[str]:
    seen = (
        (report.before.calls, f"made before this opening: {show_dollars(report.before.cost_nanodollars)}"),
        *_passed(report),
        (report.retries, "retry" if report.retries == 1 else "retries"),
        (sum(report.failed.values()), f"failed at the provider ({_by_count(report.failed, {}, pen)})"),
        (report.open.count, _with("still open, reserved", report.open, joint=" ")),
        (report.released, f"never sent ({_by_count(report.unsent, UNSENT, pen)})".replace(" ()", "")),
    )
    told = [pen.plain(f"{count:,} {text}") for count, text in seen if count]
    if report.turned_away:
        count = counted(sum(report.turned_away.values()), "request", "requests")
        told.append(pen.plain(f"{count} turned away ({_by_count(report.turned_away, TURNED_AWAY, pen)})"))
    return [line for part in pen.joined(told, width) for line in wrap(part, width)]


def _passed(report: Report) -> Iterator[tuple[int, str]]:
    """
    How often which limit was passed that does not block.
    """
    for rung, count in report.rungs.items():
        on_exceed, _, meter = rung.partition(" ")
        if on_exceed in ("warn", "log"):
            what = "were loops" if meter == "same_call" else f"passed the limit of {meter.replace('_', ' ')}"
            yield count, f"{what} ({on_exceed})"


def _by_count(counts: Mapping[str, int], words: Mapping[str, str], pen: Pen) -> str:
    """
    ``path not known``, or ``2 × path not known, 1 × no JSON``.
    """
    named = {words.get(name, name.replace("_", " ")): count for name, count in counts.items()}
    if len(named) < 2:
        return "".join(named)
    return ", ".join(f"{count:,} {pen.times} {name}" for name, count in named.items())


def _with(text: str, share: Share, *, joint: str = ": ") -> str:
    return f"{text}{joint}{show_dollars(share.nanodollars)}"


def counted(count: int, one: str, many: str) -> str:
    return f"{count:,} {one if count == 1 else many}"
