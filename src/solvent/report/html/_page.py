"""
The whole page, from the report's sums and the journal's single calls.
"""

from solvent import __version__
from solvent._clock import Clock, SystemClock
from solvent.report._head import again
from solvent.report._pen import Pen
from solvent.report._records import Report
from solvent.report.html._axis import moment
from solvent.report.html._calls import calls
from solvent.report.html._doings import apart, ladder, refusals
from solvent.report.html._headline import below_headline, figures, headline, summary
from solvent.report.html._icicle import icicle
from solvent.report.html._journal import read
from solvent.report.html._markup import NOTHING, Html, element, join, section
from solvent.report.html._span import span
from solvent.report.html._spend import spend
from solvent.report.html._style import style
from solvent.report.html._tables import days, limits, models, scopes
from solvent.stores._protocol import Store, Told
from solvent.stores._sqlite_schema import VERSION

POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"


def page(store: Store, report: Report, *, clock: Clock | None = None, told: Told | None = None) -> str:
    """
    The text of the page: HTML that needs nothing from elsewhere, and no script.

    Args:
        store: That the report was made from; its journal tells of single calls.
        clock: Tells when the page was made.
        told: Is handed how many entries were read, and of how many, where many have to be.

    Raises:
        StoreUnavailable: The store did not answer.
        LedgerCorrupt: It is damaged.
    """
    journal = read(store, report, told)
    during = span(report, journal)
    head = element("header", element("p", "Solvent report", class_="brand"), element("h1", headline(report)))
    main = element(
        "main",
        head,
        below_headline(report, during),
        figures(report),
        _section("Limits", limits(report)),
        _section("Where it went", _scopes(report)),
        _section("When it was spent", spend(journal, during), days(report)),
        _section("Models", models(report)),
        _section("What Solvent did", refusals(report), ladder(report), apart(report)),
        _section("Calls", calls(report, journal, _again(report, store, " --trace --csv FILE"))) or _no_calls(),
    )
    made = moment((clock or SystemClock()).now_ns())
    body = element("body", main, _footer(report, store, made))
    html = element("html", _head(report), body, lang="en")
    return f"<!doctype html>\n{html}\n"


def _head(report: Report) -> Html:
    return element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=POLICY),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("meta", name="referrer", content="no-referrer"),
        element("meta", name="robots", content="noindex"),
        element("meta", name="description", content=summary(report)),
        element("title", f"{headline(report)} – Solvent"),
        element("style", Html(style())),
    )


def _section(title: str, *parts: Html) -> Html:
    """
    Nothing where there is nothing to tell.
    """
    told = join(*parts)
    return section(title, told, id=title.lower().replace(" ", "-")) if told else NOTHING


def _no_calls() -> Html:
    return section("Calls", element("p", "No model call was seen.", class_="quiet"), id="calls")


def _scopes(report: Report) -> Html:
    if report.tree is None or not (report.tree.total.calls or report.tree.refused or report.tree.reserved_nanodollars):
        return NOTHING
    table = element("details", element("summary", "The same as a table"), scopes(report.tree))
    return join(icicle(report.tree), table)


def _again(report: Report, store: Store, options: str) -> str:
    """
    A command that has this report again; of a ledger in memory there is none. It does not say where the ledger is.
    """
    ledger = store.url if store.url.startswith("memory:") else None
    return again(report, Pen(color=False, ascii=False), ledger, options).partition(": ")[2]


def _footer(report: Report, store: Store, made: str) -> Html:
    kind = store.url.partition(":")[0]
    schema = f"{kind} ledger, schema {VERSION}" if kind == "sqlite" else f"{kind} ledger"
    lines = (
        f"Made by Solvent {__version__} on {made} UTC from a {schema}. ",
        "All times are UTC. Amounts are shown rounded; point at one for every nanodollar. ",
    )
    command = _again(report, store, " --html FILE")
    told = [element("p", "Make it again: ", element("code", command))] if command else []
    return element("footer", element("div", element("p", *lines), *told))
