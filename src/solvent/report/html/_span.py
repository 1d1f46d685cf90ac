"""
The time that a page is about, which its heading, its chart and its table of calls agree upon.
"""

from solvent.report._records import Report
from solvent.report.html._journal import Journal

Span = tuple[int, int]  # Nanoseconds since 1970; both ends belong to it.


def span(report: Report, journal: Journal) -> Span | None:
    """
    From the run's start, or else its first call, to its end or its last call, by their own times: imported calls are
    older than the entries that tell of them. ``None`` where nothing ever began.
    """
    is_all = report.hours is None
    happened = [one.at for one in (*journal.bookings, *journal.refusals)]
    begins = [*happened, *([report.started] if report.started is not None and is_all else [])]
    ends = [*happened, *([report.ended] if report.ended is not None and is_all else [])]
    if not ends and report.last_seen is not None:
        ends = [report.last_seen]
    if not begins or not ends:
        return None
    return min(begins), max(min(begins), *ends)
