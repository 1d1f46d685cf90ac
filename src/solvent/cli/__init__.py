"""
The ``solvent`` command.
"""

from typing import Annotated

import typer

from solvent import __version__
from solvent.cli import ledger
from solvent.cli.report import report
from solvent.cli.run import run

app = typer.Typer(
    name="solvent",
    help="A call is paid for before it is made: runtime budgets for LLM and agent programs.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
# Words after the command are the command's own, options among them.
app.command(context_settings={"allow_interspersed_args": False})(run)
app.command()(report)
app.add_typer(ledger.app, name="ledger")


@app.callback(invoke_without_command=True)
def _main(version: Annotated[bool, typer.Option("--version", help="Show the version.")] = False) -> None:
    if version:
        print(f"solvent {__version__}")
        raise typer.Exit


def main() -> None:
    """
    The entry point of the ``solvent`` command.
    """
    app()
