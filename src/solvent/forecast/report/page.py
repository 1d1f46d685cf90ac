"""
A forecast as one page: HTML that needs nothing from elsewhere, and no script, for people to paste into a review.
"""

from pathlib import Path

from solvent import __version__
from solvent._clock import Clock, SystemClock
from solvent.forecast._forecast import Forecast
from solvent.forecast._study import Study
from solvent.forecast.report._coverage_table import coverage
from solvent.forecast.report._exceedance import exceedance
from solvent.forecast.report._graph import graph
from solvent.forecast.report._histogram import NEAR, histogram
from solvent.forecast.report._marked import estimate
from solvent.forecast.report._shares import shares
from solvent.forecast.report._style import style
from solvent.forecast.report._swings import swings
from solvent.forecast.report._tables import limits, spreads
from solvent.forecast.report._words import doubts, month, month_doubt, sentence, sureness
from solvent.report.html._axis import moment
from solvent.report.html._markup import NOTHING, Html, element, join, section
from solvent.report.html._page import POLICY
from solvent.report.html._table import Column, table
from solvent.report.html._write import write_whole


def write_page(study: Study, path: Path, *, force: bool = False, clock: Clock | None = None) -> None:
    """
    Write the page of a forecast, whole or not at all.

    Args:
        force: Replace a file that is there.
        clock: Tells when the page was made.

    Raises:
        FileExistsError: A file is there, and ``force`` was not asked for. It is untouched.
        OSError: The file cannot be written. What was there is untouched.
    """
    write_whole(path, lambda: page(study, clock=clock), force=force)


def page(study: Study, *, clock: Clock | None = None) -> str:
    """
    The text of the page.

    Args:
        clock: Tells when it was made.
    """
    forecast = study.forecast
    name = forecast.workflow.name
    main = element(
        "main",
        element(
            "header", element("p", f"Solvent forecast · {name}", class_="brand"), element("h1", sentence(forecast))
        ),
        _figures(study),
        _section("One run", spreads(forecast)),
        _section("How many runs cost how much", histogram(forecast, study.limit_usd, _near(study))),
        _section("How likely a dear run is", exceedance(forecast, study.outcomes, study.limit_usd)),
        _section("Where the money goes", shares(forecast)),
        _section("The workflow", graph(forecast)),
        _section("What the cost hangs on", swings(study.tornado)),
        _section("Limits", limits(study.limits)),
        _section("What the limits contain", coverage(study.coverage)),
        _section("The month", _month(forecast)),
        _section("How sure this is", *(element("p", said) for said in sureness(forecast))),
    )
    made = moment((clock or SystemClock()).now_ns())
    html = element("html", _head(forecast), element("body", main, _footer(made)), lang="en")
    return f"<!doctype html>\n{html}\n"


def _near(study: Study) -> float:
    """
    The share of the limit from which on the workflow does something.
    """
    return min((one.at for one in study.forecast.workflow.wishes.degrade), default=NEAR)


def _head(forecast: Forecast) -> Html:
    said = sentence(forecast)
    return element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=POLICY),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("meta", name="referrer", content="no-referrer"),
        element("meta", name="robots", content="noindex"),
        element("meta", name="description", content=said),
        element("title", f"Forecast of {forecast.workflow.name} – Solvent"),
        element("style", Html(style())),
    )


def _section(title: str, *parts: Html) -> Html:
    told = join(*parts)
    return section(title, told, id=title.lower().replace(" ", "-")) if told else NOTHING


def _figures(study: Study) -> Html:
    forecast = study.forecast
    cost = forecast.cost_usd
    limit = estimate(study.limit_usd) if study.limit_usd is not None else element("span", "none", class_="none")
    shown = [
        ("mean", estimate(cost.mean), "of a run"),
        ("p50", estimate(cost.p50), "half below"),
        ("p95", estimate(cost.p95), "1 in 20 above"),
        ("p99", estimate(cost.p99), "1 in 100 above"),
        ("worst", estimate(cost.worst), "the graph allows"),
        ("limit", limit, "of a run"),
    ]
    if forecast.month is not None:
        shown.append(("month", estimate(forecast.month.mean_usd), f"{forecast.month.runs:,} runs"))
    boxes = [
        element("div", element("dt", what), element("dd", value, class_="value"), element("dd", more, class_="more"))
        for what, value, more in shown
    ]
    return element("dl", *boxes, class_="figures")


def _month(forecast: Forecast) -> Html:
    found = forecast.month
    if found is None:
        return NOTHING
    rows = [[what, estimate(amount)] for what, amount in doubts(found).items()]
    columns = [Column("not known is"), Column("one standard deviation", "n")]
    doubt = table("Where the doubt of the month comes from", columns, rows, is_titled=True)
    return join(element("p", f"{month(found)} {month_doubt(found)}"), element("div", doubt, class_="small"))


def _footer(made: str) -> Html:
    lines = (
        f"Made by Solvent {__version__} on {made} UTC. ",
        "Amounts are estimates in US dollars and shown rounded; point at one for more of its digits.",
    )
    return element("footer", element("div", element("p", *lines)))
