"""
``solvent import``: past runs into a ledger.
"""

import difflib
import json
import signal
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

from solvent._amounts import show_dollars
from solvent._estimate import Estimator
from solvent._limits import Scope
from solvent._printable import printable
from solvent.cli._common import EXIT_FAILED, EXIT_LEDGER, fail, is_found_again, ledger_url, opened
from solvent.cli._ledger_options import AsJson, Ledger, scope_option
from solvent.cli._progress import Progress
from solvent.cli._settings import PolicyFile, Price, policy_of
from solvent.errors import SettingsError
from solvent.imports import FORMATS, BadCall, Imported, Intake, PastCall, Refused, Writer, WrongFile, find_files
from solvent.prices import Prices
from solvent.report._json import SCHEMA_VERSION, Json
from solvent.stores._protocol import Store

EXIT_INTERRUPTED = 130
_MODELS_SHOWN = 5

Format = Annotated[str, typer.Argument(metavar="FORMAT", help=f"What they are: {', '.join(FORMATS)}.")]
Files = Annotated[
    list[Path], typer.Argument(metavar="FILE...", help="Files, or folders that are searched.", show_default=False)
]
Under = Annotated[
    str | None, typer.Option("--scope", metavar="S", help="Put all below this scope, such as org:acme/team:search.")
]


def import_(
    format: Format,
    files: Files,
    ledger: Ledger = None,
    scope: Under = None,
    price: Price = None,
    policy: PolicyFile = None,
    sessions: Annotated[
        bool, typer.Option("--sessions", help="litellm: a run for each session_id, not for each day.")
    ] = False,
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Count what cannot be believed, in the place of ending with it.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Record nothing, and say what is in the files.")] = False,
    as_json: AsJson = False,
) -> None:
    """
    Record past runs in a ledger, each call once however often it is imported.

    Nothing is limited or refused. A call has its own time, and costs what the source says, else the price of its day.

    Example: solvent import claude-code ~/.claude/projects
    """
    under = scope_option(scope)
    _check_format(format)
    url = "" if dry_run else _url(ledger)
    prices, estimator = _prices(policy, price)
    try:
        found = find_files(files, format, FORMATS)
        size = sum(file.stat().st_size for file in found)
    except WrongFile as error:
        fail(_printable_lines(str(error)), EXIT_FAILED)
    except OSError as error:
        fail(f"{printable(str(error.filename))} cannot be read: {error.strerror}", EXIT_FAILED)
    with _store(url) as store, Progress("reading", size, is_bytes=True) as progress:
        intake = Intake(now_ns=time.time_ns(), skip_bad=skip_bad, sessions=sessions, told=progress.advance)
        below = None if under is None else Scope.parse(under)
        writer = Writer(store, estimator, begins=prices.card.begins, under=below)
        try:
            with _interrupted_between(FORMATS[format].calls(found, intake)) as calls:
                writer.book(calls, intake)
        except (BadCall, Refused, OSError, KeyboardInterrupt) as error:
            progress.stop()
            _end(error, writer.imported, dry_run)
    if as_json:
        print(json.dumps(_json(format, len(found), writer.imported, intake, dry_run), indent=2))
    else:
        print("\n".join(_lines(writer.imported, intake, ledger, url)))


def _check_format(name: str) -> None:
    if name not in FORMATS:
        close = difflib.get_close_matches(name, FORMATS, n=1)
        near = f"; did you mean {close[0]}?" if close else ""
        raise typer.BadParameter(f"expected {', '.join(FORMATS)}, got {name!r}{near}", param_hint="FORMAT")


def _url(ledger: str | None) -> str:
    url = ledger_url(ledger)
    if url.startswith("memory:"):
        fail(
            "memory:// is a ledger that ends with its process; what is imported into it is gone at once.\n"
            "To go on: name a file with --ledger or SOLVENT_LEDGER.",
            EXIT_LEDGER,
        )
    return url


def _prices(policy: Path | None, price: list[str] | None) -> tuple[Prices, Estimator]:
    try:
        settings = policy_of(policy, price, only_looks=True)
    except SettingsError as error:
        fail(error, EXIT_LEDGER)
    prices = Prices.load(settings.prices)
    return prices, Estimator(prices, price_as=settings.price_as)


@contextmanager
def _store(url: str) -> Iterator[Store]:
    """
    The ledger; without one, one that is gone afterwards, so that a dry run counts in the same way.
    """
    with ExitStack() as stack:
        if not url:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="solvent-import-"))
            url = f"sqlite:///{folder}/ledger.db?synchronous=normal"
        yield stack.enter_context(opened(url))


@contextmanager
def _interrupted_between(calls: Iterator[PastCall]) -> Iterator[Iterator[PastCall]]:
    """
    The calls, of which an interrupt ends the row after a whole one, so that those before it are recorded; a second
    interrupt waits for nothing.
    """
    interrupts: list[int] = []

    def note(number: int, _: FrameType | None) -> None:
        interrupts.append(number)
        signal.signal(signal.SIGINT, before)

    def until() -> Iterator[PastCall]:
        for call in calls:
            if interrupts:
                raise KeyboardInterrupt
            yield call

    before = signal.signal(signal.SIGINT, note)
    try:
        yield until()
    finally:
        signal.signal(signal.SIGINT, before)


def _end(error: BaseException, imported: Imported, dry_run: bool) -> None:
    """
    End the command with what was in the way, and with what stands in the ledger all the same.
    """
    said, code = str(error), EXIT_FAILED
    match error:
        case OSError():
            said = f"{error.filename} cannot be read: {error.strerror}"
        case BadCall():
            said += "\nTo go on: mend it, or pass over such calls with --skip-bad."
        case KeyboardInterrupt():
            said, code = "interrupted.\nTo go on: import the same files again.", EXIT_INTERRUPTED
    if imported.calls and not dry_run:
        said += f"\n{_calls(imported.calls)} before it stay recorded, and are not counted again."
    fail(_printable_lines(said), code)


def _lines(imported: Imported, intake: Intake, ledger: str | None, url: str) -> list[str]:
    runs = f"{len(imported.runs):,} run{'s' if len(imported.runs) != 1 else ''}"
    done = "imported" if url else "found, and nothing recorded"
    lines = [f"{_calls(imported.calls)} of {runs} {done}: {show_dollars(imported.cost_nanodollars)}"]
    if imported.unpriced:
        models = [f"{printable(model)} ({count:,})" for model, count in imported.unpriced.most_common(_MODELS_SHOWN)]
        more = ", …" if len(imported.unpriced) > _MODELS_SHOWN else ""
        # What is recorded stays as it is, so a price has to be there before.
        hint = "which stays so; a price is given with the first import: --price" if url else "give one with --price"
        lines.append(f"of them without a price: {', '.join(models)}{more}; {hint}")
    if imported.corrected and url:
        lines.append(f"of them expired before, and corrected now: {imported.corrected:,}")
    if imported.older:
        lines.append(f"of them before all prices that are known: {imported.older:,}, at the earliest ones")
    if imported.known:
        lines.append(f"there already: {imported.known:,}")
    if intake.under_way:
        lines.append(f"perhaps not over yet: {intake.under_way:,}; import again later")
    for what, count in sorted(intake.left_out.items()):
        lines.append(f"no calls: {count:,} {what}")
    if intake.bad:
        lines.append(f"passed over: {intake.bad:,}; the first is {printable(str(intake.first_bad))}")
    if imported.runs and url:
        where = "" if ledger is None and is_found_again(url) else f" --ledger {printable(ledger or url)}"
        one = f"--run {printable(min(imported.runs))}" if len(imported.runs) == 1 else "--list"
        lines.append(f"To look at it: solvent report {one}{where}")
    return lines


def _calls(count: int) -> str:
    return f"{count:,} call{'s' if count != 1 else ''}"


def _json(format: str, files: int, imported: Imported, intake: Intake, dry_run: bool) -> Json:
    left_out: Mapping[str, int] = dict(sorted(intake.left_out.items()))
    return {
        "schema_version": SCHEMA_VERSION,
        "format": format,
        "dry_run": dry_run,
        "files": files,
        "calls": imported.calls,
        "corrected": imported.corrected,
        "already_there": imported.known,
        "runs": len(imported.runs),
        "cost_nanodollars": str(imported.cost_nanodollars),
        "unpriced": dict(imported.unpriced.most_common()),
        "before_known_prices": imported.older,
        "under_way": intake.under_way,
        "no_calls": left_out,
        "passed_over": intake.bad,
        "first_passed_over": None if intake.first_bad is None else str(intake.first_bad),
    }


def _printable_lines(text: str) -> str:
    return "\n".join(map(printable, text.splitlines()))
