"""
``solvent check``: which limits there are, what they leave open, what in them cannot be meant, and what holds a scope.
"""

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from solvent._limits import Scope
from solvent._own_file import shown
from solvent.cli._common import EXIT_FAILED, EXIT_LEDGER, fail
from solvent.errors import SolventError
from solvent.policy import Policy
from solvent.policy._find import VARIABLE, PolicyFiles

if TYPE_CHECKING:
    from solvent.cli._check_tables import Findings

# What `solvent check` itself finds nothing open in, and nothing that contradicts.
FIRST_POLICY = """\
budgets:
  org:*: {usd: 50/day}
  run:*: {usd: 2.00, calls: 200, retries: 20, branches: 64, seconds: 15m}
call: {input_tokens: 100k, output_tokens: 8k}
"""


def check(
    policy: Annotated[
        Path | None,
        typer.Argument(metavar="POLICY", help="A solvent.yaml; without it, the policy in force.", show_default=False),
    ] = None,
    explain: Annotated[
        str | None, typer.Option(metavar="SCOPE", help="What a call in SCOPE is held to, and by which line.")
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 1 also where a failure pattern is open.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """
    Tell what a policy limits, which failure patterns it leaves open, and what in it cannot be meant.

    Exits with 1 where something in it contradicts the rest.

    Example: solvent check --explain run:triage-1/agent:researcher
    """
    if strict and explain is not None:
        raise typer.BadParameter("--strict and --explain exclude each other")
    scope = None if explain is None else _scope(explain)
    found = _policy(policy)
    from solvent.cli._check_json import explained_json, findings_json
    from solvent.cli._check_tables import explained_lines, findings_lines, write
    from solvent.policy._explain import explain as explain_policy

    if scope is not None:
        explained = explain_policy(found, scope)
        if as_json:
            print(json.dumps(explained_json(explained), indent=2))
        else:
            write(sys.stdout, lambda pen, width: explained_lines(explained, found, pen, width), environment=os.environ)
        return
    findings = _findings(found)
    if as_json:
        print(json.dumps(findings_json(findings), indent=2))
    else:
        write(sys.stdout, lambda pen, width: findings_lines(findings, pen, width), environment=os.environ)
    if findings.contradictions or (strict and findings.holes):
        raise typer.Exit(EXIT_FAILED)


def _policy(given: Path | None) -> Policy:
    try:
        files = PolicyFiles.of(given, way="solvent check")
        found = files.read()
    except SolventError as error:
        fail(error, EXIT_LEDGER)
    if not found.files:
        looked = [shown(path) for path in files.places]
        if not looked:
            fail(
                f"there is no policy to check: {VARIABLE} is set to nothing.\n"
                f"To go on: unset {VARIABLE}, or name a file: solvent check FILE.",
                EXIT_LEDGER,
            )
        where = f"neither {' nor '.join(looked)} is there"
        first = "\n".join(f"  {line}" for line in FIRST_POLICY.splitlines())
        fail(
            f"there is no policy to check: {where}.\n"
            f"To go on: name one (solvent check FILE), or write a first one into solvent.yaml:\n\n{first}",
            EXIT_LEDGER,
        )
    return found


def _findings(policy: Policy) -> "Findings":
    from solvent.cli._check_tables import Findings
    from solvent.policy._contradictions import contradictions
    from solvent.policy._coverage import coverage, holes

    try:
        found = contradictions(policy)
    except SolventError as error:
        fail(error, EXIT_LEDGER)  # The rate card cannot be read.
    return Findings(
        policy=policy,
        coverage=coverage(policy),
        holes=holes(policy),
        contradictions=[one for one in found if not one.is_note],
        notes=[one for one in found if one.is_note],
    )


def _scope(text: str) -> Scope:
    from solvent.policy._explain import close_scope

    try:
        if "*" in text:
            raise ValueError(f"a scope has names, and no `*`, which is of policies; got {text!r}")
        return Scope.parse(text)
    except ValueError as error:
        close = close_scope(text)
        raise typer.BadParameter(
            f"{error}" + (f"; did you mean {close}?" if close else ""), param_hint="--explain"
        ) from None
