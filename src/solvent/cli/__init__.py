"""
The ``solvent`` command.
"""

import errno
import logging
import os
import sys
from typing import Annotated

import typer

from solvent import __version__
from solvent.cli import forecast, ledger, prices
from solvent.cli._export_live import ExportCommand
from solvent.cli.check import check
from solvent.cli.doctor import doctor
from solvent.cli.exchanges import cost, estimate
from solvent.cli.export import export
from solvent.cli.import_ import import_
from solvent.cli.reconcile import reconcile
from solvent.cli.report import report
from solvent.cli.run import RunCommand, run
from solvent.cli.top import top

app = typer.Typer(
    name="solvent",
    help="A call is paid for before it is made: runtime budgets for LLM and agent programs.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["--help", "-h"]},
)
# Words after the command are the command's own, options among them.
app.command(cls=RunCommand, context_settings={"allow_interspersed_args": False})(run)
app.command(
    context_settings={"allow_interspersed_args": False},
    short_help="Tell what solvent.install() holds to budgets, and what not.",
)(doctor)
app.command(short_help="Show what was spent, where it went, what was refused.")(report)
app.command(short_help="Show the budgets that are open, live.")(top)
app.command(short_help="Tell what a policy limits, leaves open, and contradicts.")(check)
app.command(short_help="Show the most that calls can cost, part by part.")(estimate)
app.command(short_help="Show what calls did cost, and whether their bounds held.")(cost)
app.command("import", short_help="Record past runs of other tools, each call once.")(import_)
app.command(
    cls=ExportCommand,
    short_help="Write calls for spreadsheets, scripts and FinOps tools.",
    epilog="Also: solvent export otel, solvent export prometheus, each with a --help of its own.",
)(export)
app.command(short_help="Compare the journal with a provider's bill.")(reconcile)
app.add_typer(forecast.app, name="forecast", short_help="What a workflow will cost, and the limits that follow.")
app.add_typer(ledger.app, name="ledger")
app.add_typer(prices.app, name="prices", short_help="What a model costs, and newer prices.")


@app.callback(invoke_without_command=True)
def _main(version: Annotated[bool, typer.Option("--version", help="Show the version.")] = False) -> None:
    if version:
        print(f"solvent {__version__}")
        raise typer.Exit


def main() -> None:
    """
    The entry point of the ``solvent`` command.
    """
    _open_standard_streams()
    logging.getLogger("solvent").addHandler(
        logging.NullHandler()
    )  # What a person has to know, commands say themselves.
    try:
        try:
            app()
        finally:
            sys.stdout.flush()
    except OSError as error:
        # A full disk or a reader who left is an exit code and not a traceback; anything else is a bug.
        if error.errno not in (errno.EIO, errno.ENOSPC, errno.EPIPE):
            raise
        if error.errno != errno.EPIPE:  # A reader who left has read what they wanted.
            print(f"solvent: standard output cannot be written: {error.strerror}", file=sys.stderr)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # What is left in the buffer has to go somewhere.
        raise SystemExit(1) from None


def _open_standard_streams() -> None:
    """
    Put something in the place of standard streams that are closed, or the next file that is opened would become one.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # The lowest one that is free: this one.
    sys.stdin = sys.stdin or open(0)  # noqa: SIM115  # Open for as long as the process is.
    sys.stdout = sys.stdout or open(1, "w")  # noqa: SIM115
    sys.stderr = sys.stderr or open(2, "w")  # noqa: SIM115
