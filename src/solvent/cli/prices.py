"""
``solvent prices``: what a model costs, and newer prices.
"""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import msgspec
import typer
import typer.core

from solvent._printable import printable
from solvent.cli._common import EXIT_FAILED, EXIT_LEDGER, aligned, fail
from solvent.cli._price_sheet import sheet_lines
from solvent.cli._settings import At, PolicyFile, Price, policy_of, time_of
from solvent.cli._tables import terminal_width, wrapped
from solvent.errors import SettingsError, SolventError
from solvent.prices import Prices
from solvent.prices import reset as reset_prices
from solvent.prices import update as update_prices
from solvent.report._json import SCHEMA_VERSION

if TYPE_CHECKING:
    from solvent.prices._describe import Sheet
    from solvent.prices._update import UpdateReport

_SHOWN = 20  # Names of one kind that a person is told; --json has them all.


class _ShowByDefault(typer.core.TyperGroup):
    """
    ``solvent prices gpt-4o`` is ``solvent prices show gpt-4o``.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if not {"-h", "--help"}.intersection(args) and not any(word in self.commands for word in args[:1]):
            args = ["show", *args]
        return super().parse_args(ctx, args)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        super().format_help(ctx, formatter)
        show = self.commands["show"]
        formatter.write("\n")
        with show.make_context("show", [], parent=ctx, resilient_parsing=True) as of_show:
            show.format_help(of_show, formatter)


app = typer.Typer(
    cls=_ShowByDefault,
    help="What a model costs, and newer prices. Without a command it is solvent prices show, whose options are below.",
    no_args_is_help=False,
)


@app.command(short_help="Show every price of a model, or what the rate card holds.")
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
    if model is not None and not model.strip():
        raise typer.BadParameter(f"expected the name of a model, got {model!r}", param_hint="MODEL")
    if model is None and at is not None and not as_json:
        raise typer.BadParameter("expected a MODEL beside it, or --json", param_hint="--at")
    time = time_of(at)
    try:
        settings = policy_of(policy, price, only_looks=True)
        prices = Prices.load(settings.prices)
        _check_provider(prices, provider)
        if model is None:
            _show_all(prices, _all(prices, provider, time), provider, as_json)
            return
        sheet = prices.describe(model, provider=provider, at=time, price_as=settings.price_as)
        sheet = sheet or _unknown(prices, model, provider)
    except SolventError as error:
        fail(error, EXIT_LEDGER)
    if as_json:
        print(json.dumps(_json(sheet), indent=2))
    else:
        print("\n".join(sheet_lines(sheet, day=time.date().isoformat(), width=terminal_width())))


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
    force: Annotated[
        bool, typer.Option("--force", help="Take data that is older than what is in force, or the same, as well.")
    ] = False,
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
    nothing = f"Nothing is newer: {report.source} is in force, with {_models(report)}."
    _tell(report, as_json, nothing)


@app.command(short_help="Take every update of the prices back.")
def reset(as_json: Annotated[bool, typer.Option("--json", help="What changed, as JSON.")] = False) -> None:
    """
    Take every update back: the prices that Solvent ships with are in force again.

    Example: solvent prices reset
    """
    try:
        report = reset_prices()
    except SettingsError as error:
        fail(error, EXIT_LEDGER)
    nothing = f"There is no update to take back: {report.source} is in force, with {_models(report)}."
    _tell(report, as_json, nothing)


def _check_provider(prices: Prices, provider: str) -> None:
    close = prices.close_provider(provider) if provider else None
    if close is None:
        return
    near = f" Did you mean {close}?" if close else ""
    fail(f"no provider {printable(provider)!r} is in the rate card.{near}", EXIT_FAILED)


def _all(prices: Prices, provider: str, at: datetime) -> "list[Sheet]":
    """
    What the user has given prices for, and what the card has; of one provider, or of all.
    """
    own = [name for name in prices.own_names() if not provider or name.startswith(f"{provider}/")]
    sheets = [prices.describe(name, at=at) for name in own]
    return [*(sheet for sheet in sheets if sheet), *prices.describe_all(provider=provider or None, at=at)]


def _show_all(prices: Prices, sheets: "Sequence[Sheet]", provider: str, as_json: bool) -> None:
    if as_json:
        for sheet in sheets:
            print(json.dumps(_json(sheet)))
        return
    if provider:
        print("\n".join(printable(sheet.model) for sheet in sheets))
        return
    width = terminal_width()
    own = [sheet.model for sheet in sheets if sheet.by_user]
    models = Counter(sheet.provider for sheet in sheets if not sheet.by_user)
    lines = [f"{sum(models.values()):,} models of {len(models)} providers have a price: {prices.card.header.source}."]
    if own:
        lines += wrapped(printable(f"{len(own):,} of your own come before them: {', '.join(own)}."), width)
    rows = [["provider", "models"], *([name, f"{count:,}"] for name, count in models.items())]
    lines += ["", *aligned(rows, right=(1,)), ""]
    print("\n".join([*lines, "To go on: solvent prices MODEL, or solvent prices --provider NAME."]))


def _unknown(prices: Prices, model: str, provider: str) -> NoReturn:
    name, where = printable(model), f" at {printable(provider)}" if provider else ""
    sellers = [] if provider else [f"{id}/{model}" for id in prices.card.sellers(model)]
    if len(sellers) > 1:
        all_of_them = printable(", ".join(sellers))
        fail(
            f"{len(sellers)} providers have a model {name!r}, each at its own price: {all_of_them}.\n"
            f"To go on: name one of them, as in solvent prices {printable(sellers[0])}.",
            EXIT_FAILED,
        )
    close = prices.close_matches(provider, model) if provider else prices.close_anywhere(model)
    near = f" Known and close: {', '.join(close)}." if close else ""
    fail(
        f"{name!r} has no price{where}.{near}\n"
        f"To go on: name a model as its provider does, or give a price with --price {name}=INPUT/OUTPUT.",
        EXIT_FAILED,
    )


def _json(sheet: "Sheet") -> dict[str, object]:
    return {"schema_version": SCHEMA_VERSION, **msgspec.to_builtins(sheet)}


def _tell(report: "UpdateReport", as_json: bool, nothing: str) -> None:
    if as_json:
        fields = msgspec.to_builtins(report, enc_hook=str)  # A path, as a text.
        print(json.dumps({"schema_version": SCHEMA_VERSION, **fields}, indent=2))
        return
    width = terminal_width()
    for line in _changes(report) if report.path else [nothing]:
        print("\n".join(wrapped(printable(line), width)))


def _changes(report: "UpdateReport") -> list[str]:
    lines = [f"{report.source} is in force, with {_models(report)}, in the place of {report.before}."]
    for what, names in (("added", report.added), ("changed", report.changed), ("gone", report.gone)):
        lines += _named(what, names)
    if report.unknown_units:
        lines.append(f"units that this version of Solvent does not know: {', '.join(report.unknown_units)}")
    return lines


def _models(report: "UpdateReport") -> str:
    return f"{report.models:,} model{'' if report.models == 1 else 's'}"


def _named(what: str, names: Iterable[str]) -> list[str]:
    names = list(names)
    if not names:
        return []
    more = f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else ""
    return [f"{what}: {len(names):,} ({', '.join(names[:_SHOWN])}{more})"]
