"""
``solvent run``: one command, held to a budget.
"""

import errno
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from msgspec.structs import replace
from typer.core import TyperCommand

from solvent import _amounts
from solvent._limits import Limit, Meter
from solvent._outer import outer_gateway
from solvent._printable import printable
from solvent.cli._common import EXIT_LEDGER, fail, is_found_again
from solvent.cli._settings import policy_of, usage
from solvent.errors import SolventError
from solvent.policy import Policy
from solvent.policy._find import VARIABLE, told_files
from solvent.run._settings import RunSettings, notices, scope_of_run, unlimited
from solvent.stores import default_url

if TYPE_CHECKING:
    from solvent.events import Event
    from solvent.run._session import Ended
    from solvent.stores._batcher import Ledger

STANDARD_OUTPUT = Path("-")


class RunCommand(TyperCommand):
    """
    ``run``, which knows the limits that have no flag.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # The class of typer's contexts is private.
        try:
            return super().parse_args(ctx, args)
        except Exception as error:  # And so is that of its errors.
            flag = getattr(error, "option_name", "")
            if flag in _WITHOUT_FLAG:
                vars(error).update(message=f"No such option: {flag}; {_WITHOUT_FLAG[flag]}", possibilities=None)
            raise


_WITHOUT_FLAG = {
    "--branches": "a policy limits branches, by an entry such as run:*: {branches: 64}",
    "--depth": "a policy limits the depth, by an entry such as run:*: {depth: 5}",
    "--seconds": "it is --time",
}


def _option(panel: str, help: str, *names: str, metavar: str | None = None) -> Any:  # As typer types its options.
    return typer.Option(*names, help=help, rich_help_panel=panel, metavar=metavar)


def _limit(help: str, metavar: str = "N") -> Any:
    return _option("Limits", help, metavar=metavar)


def _way(help: str, *names: str, metavar: str | None = None) -> Any:
    return _option("How", help, *names, metavar=metavar)


def _output(help: str, *names: str, metavar: str | None = None) -> Any:
    return _option("Report", help, *names, metavar=metavar)


def run(
    command: Annotated[list[str] | None, typer.Argument(metavar="COMMAND", hidden=True)] = None,
    usd: Annotated[str | None, _limit("Dollars, such as 2 or 0.50.", "AMOUNT")] = None,
    tokens: Annotated[str | None, _limit("Tokens read and written, such as 500k.")] = None,
    input_tokens: Annotated[str | None, _limit("Tokens read.")] = None,
    output_tokens: Annotated[str | None, _limit("Tokens written.")] = None,
    calls: Annotated[str | None, _limit("Requests that reach a provider.")] = None,
    tool_calls: Annotated[str | None, _limit("Tool executions that models ask for.")] = None,
    retries: Annotated[str | None, _limit("Requests that repeat a failed one.")] = None,
    parallel: Annotated[str | None, _limit("Calls open at the same time.")] = None,
    time: Annotated[str | None, _limit("Time, such as 90s, 10m or 1h30m.", "TIME")] = None,
    name: Annotated[
        str | None,
        _way(
            "Name the run; the budget of an existing one goes on: what it spent, and its limits unless set anew.",
            metavar="NAME",
        ),
    ] = None,
    scope: Annotated[
        str | None,
        _way("Put the run into an org, a team or a user, whose limits in the policy hold it too.", metavar="SCOPE"),
    ] = None,
    price: Annotated[
        list[str] | None,
        _way("A model's price, dollars per million tokens; may be repeated.", metavar="MODEL=IN/OUT"),
    ] = None,
    policy: Annotated[Path | None, _way("Limits and prices from a solvent.yaml.", metavar="FILE")] = None,
    ledger: Annotated[str | None, _way("The ledger: a .db file, or a URL.", metavar="URL")] = None,
    keys: Annotated[
        Literal["swap", "pass"], _way("Give the program stand-ins for its provider keys, or the keys themselves.")
    ] = "swap",
    on_refusal: Annotated[
        Literal["continue", "stop"], _way("Let the program go on after a refused call, or end it.")
    ] = "continue",
    wait: Annotated[
        str | None, _way("How long a call may wait for room that open calls hold (30s).", metavar="TIME")
    ] = None,
    report: Annotated[
        Path | None, _output("Write the report to FILE (-: standard output), not to standard error.", metavar="FILE")
    ] = None,
    as_json: Annotated[bool, _output("The report as JSON; with --report in a file of its own.", "--json")] = False,
    live: Annotated[bool, _output("A line on standard error for every call.", "--live")] = False,
    quiet: Annotated[bool, _output("No report on standard error.", "--quiet")] = False,
) -> None:
    """
    Run a program and hold its model calls to a budget.

    Every call is paid for before it is made: the most it can cost is set aside, what would pass a limit is refused,
    and the real cost is booked after. Without limits everything is recorded and nothing is refused.

    Example: solvent run --usd 2 --calls 200 --time 10m -- python agent.py
    """
    if not command:
        raise typer.BadParameter("no command given; write it after the options: solvent run --usd 2 -- python agent.py")
    limits: Mapping[Meter, str | None] = {
        "usd": usd,
        "tokens": tokens,
        "input_tokens": input_tokens,
        "output_tokens": output_tokens,
        "calls": calls,
        "tool_calls": tool_calls,
        "retries": retries,
        "parallel": parallel,
    }
    _check_report(report)
    try:
        # Inside another run that one's policy holds.
        read = policy_of(policy, price) if outer_gateway(os.environ) is None else Policy()
        if wait is not None:
            read = replace(read, wait_seconds=usage(lambda: _amounts.seconds(wait, name="--wait")))
        settings = RunSettings(
            command=command,
            scope=usage(
                lambda: scope_of_run(name, command, owner=scope), "--name" if scope is None else "--scope, --name"
            ),
            limits=tuple(usage(lambda: _limits(limits))),
            ledger=ledger or os.environ.get("SOLVENT_LEDGER") or read.ledger or default_url(),
            policy=read,
            time_seconds=None if time is None else usage(lambda: _amounts.seconds(time, name="--time")),
            keys=keys,
            on_refusal=on_refusal,
            report=report,
            json=as_json,
            live=live,
            quiet=quiet,
        )
        if policy is None and VARIABLE not in os.environ and not quiet and (report is not None or not as_json):
            _print_found(read)
        code = _run(
            settings, os.environ, refused=_of_the_outer_run(policy, ledger, price, keys, on_refusal, wait, live, scope)
        )
    except SolventError as error:
        fail(error, EXIT_LEDGER)
    raise typer.Exit(code)


def _print_found(policy: Policy) -> None:
    """
    The files that a policy was found in, for nobody named them.
    """
    if policy.files:
        _print_dimly(f"policy: {printable(told_files(policy))}")


def _print_dimly(text: str) -> None:
    from solvent.report._pen import Pen, has_colors

    pen = Pen(color=has_colors(sys.stderr, os.environ), ascii=True)
    print(pen.paint("dim", f"solvent: {text}"), file=sys.stderr)


def _check_report(path: Path | None) -> None:
    """
    Whether the report can be written is asked before the program runs, and nothing is: a file of before stays as it is
    until there is a report.
    """
    if path is None or path == STANDARD_OUTPUT:
        return
    folder, error = os.path.dirname(os.path.realpath(path)), 0
    if os.path.isdir(path):
        error = errno.EISDIR
    elif not os.path.exists(path) and not os.path.isdir(folder):
        error = errno.ENOENT
    elif not os.access(path if os.path.exists(path) else folder, os.W_OK):
        error = errno.EACCES
    if error:
        raise typer.BadParameter(f"{path} cannot be written: {os.strerror(error)}", param_hint="--report")


def _limits(texts: Mapping[Meter, str | None]) -> list[Limit]:
    limits = []
    for meter, text in texts.items():
        if text is not None:
            flag = f"--{meter.replace('_', '-')}"
            read = _amounts.nanodollars if meter == "usd" else _amounts.count
            limits.append(Limit(meter=meter, amount=read(text, name=flag), source=flag))
    return limits


def _of_the_outer_run(*options: object) -> list[str]:
    """
    Options that a run inside another one cannot have, for the outer run's gateway decides about them.
    """
    names = ("--policy", "--ledger", "--price", "--keys", "--on-refusal", "--wait", "--live", "--scope")
    defaults: tuple[object, ...] = (None, "swap", "continue", False, [])
    return [name for name, value in zip(names, options, strict=True) if value not in defaults]


def _run(settings: RunSettings, environ: Mapping[str, str], *, refused: list[str]) -> int:
    from solvent.run._inside import inside
    from solvent.run._session import continued
    from solvent.run._session import run as run_session
    from solvent.stores import open_store
    from solvent.stores._batcher import Ledger

    outer = outer_gateway(environ)
    if outer is not None:
        if refused:
            raise typer.BadParameter(f"{', '.join(refused)}: inside another solvent run these belong to the outer one")
        from solvent.run._nested import below, run_nested

        settings = below(settings, environ)
    ledger = Ledger(open_store(settings.ledger))
    try:
        if outer is None:
            settings = inside(settings, ledger.store, environ)
        settings = continued(settings, ledger)
        if outer is None:
            if not settings.quiet:
                for notice in notices(settings, environ):
                    print(f"solvent: {notice}", file=sys.stderr)
            is_silent = settings.quiet or (settings.json and settings.report is None)
            if not is_silent and (told := unlimited(settings)):
                _print_dimly(told)
            live = _print_live if settings.live else None if is_silent else _Alerts().hear
            ended = run_session(settings, ledger, environ, live=live)
        else:
            ended = run_nested(settings, ledger, environ, outer=outer)
        try:
            if ended.trouble:
                print(f"solvent: {ended.trouble}", file=sys.stderr)
            _tell(settings, ledger, ended)
        except SolventError as error:
            fail(f"{error}\nThe command itself ended with {ended.code}; there is no report.", EXIT_LEDGER)
        except OSError:  # Nobody reads standard error, and the code is the command's all the same.
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    finally:
        ledger.close()
    return ended.code


def _tell(settings: RunSettings, ledger: "Ledger", ended: "Ended") -> None:
    """
    What a person has to know at the end: why nothing ran, that nothing came by, and the report.
    """
    if ended.reason == "not_found":
        print(f"solvent: {settings.command[0]}: command not found", file=sys.stderr)
    elif ended.reason == "not_executable":
        print(f"solvent: {settings.command[0]}: {ended.detail or 'cannot be executed'}", file=sys.stderr)
    if settings.quiet and settings.report is None:
        return
    from solvent.report import summarize, to_json, write

    report = summarize(ledger.store, str(settings.scope))
    if settings.report == STANDARD_OUTPUT:
        _write_report(settings, report, sys.stdout, write, to_json)
        return
    if settings.report is not None:
        try:
            with settings.report.open("w", encoding="utf-8") as file:
                _write_report(settings, report, file, write, to_json)
            return
        except OSError as error:
            print(f"solvent: the report cannot be written to {settings.report}: {error.strerror}", file=sys.stderr)
    _write_report(settings, report, sys.stderr, write, to_json)


def _write_report(settings: RunSettings, report: Any, stream: Any, write: Any, to_json: Any) -> None:
    if settings.json:
        import json

        print(json.dumps(to_json(report), indent=2), file=stream)
    else:
        write(
            report,
            stream,
            environment=os.environ,
            ledger=None if is_found_again(settings.ledger) else settings.ledger,
        )


class _Alerts:
    """
    What is told of a run without ``--live``: shares of limits that are reached, and the first time that one is passed
    which only warns.
    """

    def __init__(self) -> None:
        self._told: set[tuple[str, str, str]] = set()

    def hear(self, event: "Event") -> None:
        from solvent.events import LimitPassed, ShareReached

        if isinstance(event, LimitPassed) and event.on_exceed == "warn":
            limit = (event.error.scope, event.error.meter, event.error.window)
            if limit not in self._told:
                self._told.add(limit)
                _print_live(event)
        elif isinstance(event, ShareReached):
            _print_live(event)


def _print_live(event: "Event") -> None:
    from solvent.run._live import line

    text = line(event)
    if text:
        print(f"solvent: {text}", file=sys.stderr, flush=True)
