"""
``solvent prices``: what a model costs, and newer prices.
"""

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import msgspec
import typer
import typer.core

from solvent._printable import printable
from solvent.cli._common import EXIT_FAILED, EXIT_LEDGER, aligned, fail
from solvent.cli._settings import At, PolicyFile, Price, policy_of, time_of
from solvent.errors import SettingsError, SolventError
from solvent.prices import Prices
from solvent.prices import update as update_prices
from solvent.report._json import SCHEMA_VERSION

if TYPE_CHECKING:
    from solvent.prices._describe import Sheet, UnitPrice
    from solvent.prices._update import UpdateReport

_SHOWN = 20  # Names of one kind that a person is told; --json has them all.


class _ShowByDefault(typer.core.TyperGroup):
    """
    ``solvent prices gpt-4o`` is ``solvent prices show gpt-4o``.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if "--help" not in args and not any(word in self.commands for word in args[:1]):
            args = ["show", *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=_ShowByDefault,
    help="What a model costs, and newer prices: solvent prices [MODEL], solvent prices update [FILE].",
    no_args_is_help=False,
)


@app.command()
def show(
    model: Annotated[
        str | None,
        typer.Argument(metavar="MODEL", help="As a request spells it, or provider/model.", show_default=False),
    ] = None,
    provider: Annotated[str, typer.Option(metavar="NAME", help="Whose model it is.")] = "",
    price: Price = None,
    policy: PolicyFile = None,
    at: At = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON; without a model a line for each.")] = False,
) -> None:
    """
    Show every price of a model: by unit, tier, region, size of input and date; or what the rate card holds.

    Example: solvent prices claude-sonnet-4-5
    """
    time = time_of(at)
    try:
        prices = Prices.load(policy_of(policy, price).prices)
        if model is None:
            sheets = prices.describe_all(provider=provider or None, at=time)
            _show_all(prices, list(sheets), provider, as_json)
            return
        sheet = prices.describe(model, provider=provider, at=time) or _unknown(prices, model, provider)
    except SolventError as error:
        fail(error, EXIT_LEDGER)
    if as_json:
        print(json.dumps(_json(sheet), indent=2))
    else:
        print("\n".join(_lines(sheet)))


@app.command()
def update(
    file: Annotated[
        Path | None,
        typer.Argument(
            metavar="FILE",
            help="A data.json or data_slim.json of genai-prices; without it, the installed genai-prices package.",
            show_default=False,
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Also to older data than that in force.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="What changed, as JSON.")] = False,
) -> None:
    """
    Take newer prices from a file or an installed package. Nothing is fetched from anywhere.

    Example: pip install --upgrade genai-prices && solvent prices update
    """
    try:
        report = update_prices(file, force=force)
    except SettingsError as error:
        fail(error, EXIT_LEDGER)
    if as_json:
        print(json.dumps({"schema_version": SCHEMA_VERSION, **msgspec.to_builtins(report)}, indent=2, default=str))
    else:
        print("\n".join(_changes(report)))


def _show_all(prices: Prices, sheets: "list[Sheet]", provider: str, as_json: bool) -> None:
    if as_json:
        for sheet in sheets:
            print(json.dumps(_json(sheet)))
        return
    if provider and not sheets:
        fail(f"no provider {printable(provider)!r} is in the rate card.", EXIT_FAILED)
    if provider:
        print("\n".join(printable(sheet.model) for sheet in sheets))
        return
    models = Counter(sheet.provider for sheet in sheets)
    print(f"{len(sheets):,} models of {len(models)} providers have a price: {prices.card.header.source}.\n")
    print(
        "\n".join(
            aligned([["provider", "models"], *([name, f"{count:,}"] for name, count in models.items())], right=(1,))
        )
    )
    print("\nTo go on: solvent prices MODEL, or solvent prices --provider NAME.")


def _unknown(prices: Prices, model: str, provider: str) -> NoReturn:
    first, _, rest = model.rpartition("/")
    whose = [provider or first] if provider or first else prices.card.makers(model) or ["openai", "anthropic", "google"]
    close = [name for one in whose for name in prices.close_matches(one, rest)][:3]
    near = f" Known and close: {', '.join(close)}." if close else ""
    fail(
        f"{printable(model)!r} has no price.{near}\n"
        f"To go on: name its provider (openai/gpt-4o), or give a price with --price {printable(model)}=INPUT/OUTPUT.",
        EXIT_FAILED,
    )


def _json(sheet: "Sheet") -> dict[str, object]:
    return {"schema_version": SCHEMA_VERSION, **msgspec.to_builtins(sheet)}


def _lines(sheet: "Sheet") -> list[str]:
    limits = [
        f"largest {name} {most:,} tokens"
        for name, most in (("input", sheet.input_tokens_max), ("output", sheet.output_tokens_max))
        if most is not None
    ]
    head = [f"{sheet.provider}/{sheet.model}" if sheet.provider else sheet.model, *limits]
    lines = [" · ".join(printable(part) for part in head), ""]
    rows = [["unit", "price", "per", "tier", "above input", "holds", ""]]
    rows += [_row(price) for price in sheet.unit_prices]
    lines += aligned(_without_empty_columns(rows), right=(1,))
    for region in sheet.regions:
        if set(region.times.values()) == {"1"}:
            continue  # It costs what it costs everywhere.
        times = ", ".join(f"{times} ×" if unit == "*" else f"{unit} {times} ×" for unit, times in region.times.items())
        lines.append(f"region {region.region}: {times}")
    return [*lines, "", f"source: {sheet.source}"]


def _row(price: "UnitPrice") -> list[str]:
    holds = " ".join(part for part in (f"from {price.since}" if price.since else "", price.hours or "") if part)
    above = f"{price.above_input_tokens:,}" if price.above_input_tokens else ""
    tier = "" if price.tier == "standard" else price.tier
    return [price.unit, _dollars(price.dollars), price.per, tier, above, holds, "" if price.in_force else "not now"]


def _dollars(text: str) -> str:
    """
    With cents at least: ``$0.60``.
    """
    whole, _, rest = text.partition(".")
    return f"${whole}.{rest:0<2}"


def _without_empty_columns(rows: list[list[str]]) -> list[list[str]]:
    kept = [index for index in range(len(rows[0])) if any(row[index] for row in rows[1:])]
    return [[row[index] for index in kept] for row in rows]


def _changes(report: "UpdateReport") -> list[str]:
    if report.path is None:
        return [f"Nothing is newer: {report.source} is in force, with {report.models:,} models."]
    lines = [f"{report.source} is in force, with {report.models:,} models, in the place of {report.before}."]
    for what, names in (("added", report.added), ("changed", report.changed), ("gone", report.gone)):
        lines += _named(what, names)
    if report.unknown_units:
        lines.append(f"units that this version of Solvent does not know: {', '.join(report.unknown_units)}")
    return [printable(line) for line in lines]


def _named(what: str, names: Iterable[str]) -> list[str]:
    names = list(names)
    if not names:
        return []
    more = f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else ""
    return [f"{what}: {len(names):,} ({', '.join(names[:_SHOWN])}{more})"]
