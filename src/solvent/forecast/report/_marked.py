"""
Estimates on the page: rounded for people, whole for whoever points at one or reads the page with a program.
"""

from solvent.forecast.report._figures import count, seconds, usd
from solvent.report.html._markup import Html, element


def estimate(amount: float | None) -> Html:
    """
    Dollars; ``None`` where nothing bounds them.
    """
    if amount is None:
        return element("span", usd(None), class_="over")
    return element("data", usd(amount), value=repr(float(amount)), title=f"${amount:.9f}")


def number(amount: float | None) -> Html:
    """
    Tokens or calls; ``None`` where nothing bounds them.
    """
    if amount is None:
        return element("span", count(None), class_="over")
    return element("data", count(amount), value=repr(float(amount)), title=f"{amount:,.2f}".removesuffix(".00"))


def time(amount: float | None) -> Html:
    """
    Seconds; ``None`` where nobody knows.
    """
    if amount is None:
        return element("span", "·", class_="none")
    return element("data", seconds(amount), value=repr(float(amount)), title=f"{amount:,.3f} s")
