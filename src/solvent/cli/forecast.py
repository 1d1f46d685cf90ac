"""
``solvent forecast``: what a workflow will cost, and the limits that follow from it.
"""

import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from solvent._printable import printable
from solvent.cli._check_tables import WIDTH_PIPED, write
from solvent.cli._common import EXIT_FAILED, EXIT_LEDGER, fail
from solvent.cli._progress import Progress
from solvent.errors import SolventError
from solvent.report._terminal import within

if TYPE_CHECKING:
    from solvent.forecast._diff import Change, Condition
    from solvent.forecast._forecast import Engine, Forecast
    from solvent.forecast._model import Workflow
    from solvent.report._pen import Pen

_RUNS = 2**16
_RUNS_COMPARED = 2**14  # Of each, for figures that differ by more than their noise.
_RUNS_MIN = 100
_RUNS_MAX = 1_000_000

app = typer.Typer(
    help="What a workflow will cost before it runs, and the limits that follow from it.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Spec = Annotated[Path, typer.Argument(metavar="SPEC", help="A workflow file.", show_default=False)]
AsJson = Annotated[bool, typer.Option("--json", help="As JSON.")]
RunCount = Annotated[
    int, typer.Option("--runs", metavar="N", min=_RUNS_MIN, max=_RUNS_MAX, help="How many runs to simulate.")
]
Seed = Annotated[int, typer.Option(metavar="N", min=0, help="The same seed finds the same figures.")]
EngineName = Annotated[
    str | None, typer.Option("--engine", metavar="NAME", help="exact or simulation; chosen unless given.")
]
Changes = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME.KEY=VALUE", help="Change a number of the workflow; may be repeated."),
]

FailIf = Annotated[
    list[str] | None,
    typer.Option("--fail-if", metavar="CONDITION", help="Exit with 1 where it is so: 'p99 > +20%'."),
]


@app.command()
def run(
    spec: Spec,
    runs: RunCount = _RUNS,
    seed: Seed = 0,
    engine: EngineName = None,
    changes: Changes = None,
    as_json: AsJson = False,
) -> None:
    """
    Show what one run may cost, use and take, and what a month may.

    Example: solvent forecast run workflow.yaml
    """
    workflow = _workflow(spec, changes)
    found = _forecast(workflow, runs, seed, _engine(engine, workflow))
    if as_json:
        from solvent.forecast._json import forecast_json

        print(json.dumps(forecast_json(found), indent=2, allow_nan=False))
        return
    from solvent.forecast.report._terminal import draw_forecast

    _draw(lambda pen, width: draw_forecast(found, pen, width))


@app.command()
def limits(
    spec: Spec,
    runs: RunCount = _RUNS,
    seed: Seed = 0,
    changes: Changes = None,
    as_json: AsJson = False,
) -> None:
    """
    Write the limits that follow from a workflow, as a solvent.yaml.

    They end at most so many legitimate runs as its `may_block:` says, 1% unless it does.

    Example: solvent forecast limits workflow.yaml > solvent.yaml
    """
    workflow = _workflow(spec, changes)
    from solvent.forecast._forecast import simulated_runs
    from solvent.forecast._policy_text import policy_text
    from solvent.forecast.limits import derive

    with _told(), Progress("simulating runs", runs) as progress:
        found = derive(workflow, simulated_runs(workflow, runs, seed=seed, told=progress.advance))
    if as_json:
        from solvent.forecast._json import limits_json

        print(json.dumps(limits_json(found), indent=2, allow_nan=False))
    else:
        print(policy_text(workflow, found), end="")


@app.command()
def diff(
    old: Annotated[Path, typer.Argument(metavar="OLD", help="A workflow file.", show_default=False)],
    new: Annotated[Path, typer.Argument(metavar="NEW", help="The same, changed.", show_default=False)],
    fail_if: FailIf = None,
    runs: RunCount = _RUNS_COMPARED,
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """
    Compare the forecasts of two workflow files.

    Example: solvent forecast diff main.yaml branch.yaml --fail-if "p99 > +20%"
    """
    _compare(_workflow(old), _workflow(new), str(new), fail_if or (), runs, seed, as_json)


@app.command()
def whatif(
    spec: Spec,
    changes: Changes = None,
    fail_if: FailIf = None,
    runs: RunCount = _RUNS_COMPARED,
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """
    Compare a workflow with itself after changes.

    Example: solvent forecast whatif workflow.yaml --set agent_loop.max=25
    """
    if not changes:
        raise typer.BadParameter("nothing is changed; such as --set agent_loop.max=25", param_hint="--set")
    what = f"the same with {', '.join(changes)}"
    _compare(_workflow(spec), _workflow(spec, changes), what, fail_if or (), runs, seed, as_json)


@app.command(short_help="Show cost, limits, what they contain, what it hangs on.")
def report(
    spec: Spec,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Write a page that stands alone.", show_default=False)
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
    runs: RunCount = _RUNS,
    seed: Seed = 0,
    engine: EngineName = None,
    changes: Changes = None,
) -> None:
    """
    Show all that follows from a workflow: its cost, its limits, what they contain, and what the cost hangs on.

    Example: solvent forecast report workflow.yaml --html forecast.html
    """
    workflow = _workflow(spec, changes)
    if html is not None:
        _check_page(html, force)
    from solvent.forecast._study import TORNADO, WITH_RULES, study

    name = _engine(engine, workflow)
    with _told(), Progress("computing", runs + 3 * WITH_RULES + TORNADO) as progress:
        found = study(workflow, runs=runs, seed=seed, engine=name, told=progress.advance)
    if html is None:
        from solvent.forecast.report._terminal_study import draw_study

        _draw(lambda pen, width: draw_study(found, pen, width))
        return
    from solvent.forecast.report._words import sentence
    from solvent.forecast.report.page import write_page

    try:
        write_page(found, html, force=force)
    except OSError as error:
        fail(f"{printable(str(html))} cannot be written: {error.strerror}", EXIT_FAILED)
    print(sentence(found.forecast))
    print(f"The page is {printable(str(html))}.")


def _check_page(html: Path, force: bool) -> None:
    """
    What would be in the way is said before a report is computed, which takes some seconds.
    """
    shown = printable(str(html))
    if html.exists() and not force:
        raise typer.BadParameter(f"{shown} is there already; --force replaces it", param_hint="--html")
    if not html.absolute().parent.is_dir():
        fail(f"{shown} cannot be written: its folder is not there", EXIT_FAILED)


def _draw(draw: "Callable[[Pen, int], list[str]]") -> None:
    """
    As wide as the terminal, and as a narrow one where nobody looks.
    """
    write(sys.stdout, lambda pen, width: draw(pen, within(width or WIDTH_PIPED)), environment=os.environ)


def _compare(
    old: "Workflow", new: "Workflow", what: str, fail_if: Sequence[str], runs: int, seed: int, as_json: bool
) -> None:
    from solvent.forecast._diff import changes, check_known, condition

    with _usage("--fail-if"):
        conditions = [condition(text) for text in fail_if]
    before, after = (_forecast(workflow, runs, seed, None) for workflow in (old, new))
    found = changes(before, after)
    with _usage("--fail-if"):
        check_known(conditions, found)
    met = [one for one in conditions if one.is_met(found)]
    _show(found, met, before, after, what, as_json)
    if met:
        raise typer.Exit(EXIT_FAILED)


def _show(
    found: "dict[str, Change]", met: "list[Condition]", old: "Forecast", new: "Forecast", what: str, as_json: bool
) -> None:
    if as_json:
        from solvent.forecast._json import changes_json

        print(json.dumps(changes_json(found, met), indent=2, allow_nan=False))
        return
    from solvent.cli._forecast_changes import draw_changes

    write(sys.stdout, lambda pen, width: draw_changes(found, met, old, new, what, pen, width), environment=os.environ)


def _workflow(spec: Path, changes: Sequence[str] | None = None) -> "Workflow":
    if find_spec("numpy") is None:
        fail("a forecast needs NumPy, which is not installed.\nTo go on: pip install 'solvent[forecast]'", EXIT_LEDGER)
    # The engines work on small arrays, which more threads only make dearer: half again as much processor time.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from solvent.forecast.spec import read_workflow

    try:
        return read_workflow(spec, changes=changes or ())
    except SolventError as error:
        fail(error, EXIT_LEDGER)


def _forecast(workflow: "Workflow", runs: int, seed: int, engine: "Engine | None") -> "Forecast":
    from solvent.forecast._forecast import forecast

    with _told(), Progress("simulating runs", runs) as progress:
        return forecast(workflow, runs=runs, seed=seed, engine=engine, told=progress.advance)


def _engine(name: str | None, workflow: "Workflow") -> "Engine | None":
    if name not in (None, "exact", "simulation"):
        raise typer.BadParameter(f"expected exact or simulation, got {name!r}", param_hint="--engine")
    if name == "exact":
        from solvent.forecast.exact import why_not

        reason = why_not(workflow)
        if reason is not None:
            raise typer.BadParameter(f"the exact engine cannot: {reason}", param_hint="--engine")
    return name  # type: ignore[return-value]  # One of them.


@contextmanager
def _told() -> Iterator[None]:
    """
    What an engine cannot do with a workflow ends the command with its message.
    """
    try:
        yield
    except ValueError as error:
        fail(error, EXIT_FAILED)


@contextmanager
def _usage(flag: str) -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint=flag) from error
