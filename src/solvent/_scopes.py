"""
The functions that make budgets: over a run, an agent, a step or a tool, or over one that was opened before.
"""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Unpack

from solvent import _amounts
from solvent._asking import Asks
from solvent._branches import Begins
from solvent._budget import Budget
from solvent._carrier import Headers, carrier_in
from solvent._limits import OWNERS, Scope
from solvent._limits_in_code import Limits, LimitSpec, check_text, limits_of
from solvent._opened import Kind, Wanted
from solvent.policy._fallback import chain, share


def budget(
    name: str | None = None,
    *,
    usd: LimitSpec | None = None,
    tokens: LimitSpec | None = None,
    input_tokens: LimitSpec | None = None,
    output_tokens: LimitSpec | None = None,
    calls: LimitSpec | None = None,
    tool_calls: LimitSpec | None = None,
    retries: LimitSpec | None = None,
    branches: LimitSpec | None = None,
    parallel: LimitSpec | None = None,
    depth: LimitSpec | None = None,
    seconds: LimitSpec | None = None,
    fallback: Sequence[str | Mapping[str, str]] = (),
    wait: str | float | None = None,
    alert: Sequence[str] = (),
    ledger: str | None = None,
    run: str | None = None,
    scope: str | None = None,
) -> Budget:
    """
    A budget: in its ``with`` (or ``async with``) block, or in each call of the function that it decorates, every
    guarded call is held to these limits.

    A limit is an amount such as ``0.50`` or ``"200k"``, one of a window such as ``"5/day"``, a list of them, or a
    mapping that also says what happens at it: ``{"limit": "5/day", "on_exceed": "warn", "time_zone": "UTC"}``.

    Args:
        name: What it is for; each opening is a scope of its own, ``run:triage-01J9ZK…``. A function's own name, else
            ``budget``.
        usd: Dollars, such as ``0.50`` or ``"2.00"``; 0 allows no paid call, ``None`` is no limit.
        tokens, input_tokens, output_tokens: Counts, such as ``200_000`` or ``"200k"``.
        calls: Requests that reach a provider; a retry is another one.
        tool_calls: Tool executions that models ask for.
        retries: Requests that repeat a failed one.
        branches: Branches of fan-outs, counted when one opens.
        parallel: Calls open at the same time.
        depth: How deep agents and steps may nest in it.
        seconds: From its opening on, such as ``90`` or ``"15m"``; calls that are under way then are ended.
        fallback: Models, each of which is used where a call does not fit with the one before it; or steps as the policy
            has them: ``{"from": "gpt-4o", "to": "gpt-4o-mini", "at": "80%"}``.
        wait: How long a call may wait for room that open calls hold, such as ``"30s"``; as the budget around this one
            or the policy says, else.
        alert: Shares of its limits, such as ``["50%", "80%"]``, that are told when they are reached.
        ledger: A URL or a ``.db`` file, in the place of the process's own ledger.
        run: The name of a run to go on with, in the place of a new one.
        scope: The org, team or user that it is in, such as ``org:acme/team:search``, whose limits in the policy hold it
            too.

    Raises:
        ValueError: An amount is negative, no number, or not finite; the models of a fallback lead back; or a name is no
            text. When it is opened: ``SettingsError`` for a ledger or a policy that cannot be used, ``RuntimeError``
            where it is open already.
    """
    for what, text in (("name", name), ("ledger", ledger), ("run", run), ("scope", scope)):
        if callable(text):
            raise ValueError("budget is called before it decorates a function: @solvent.budget(usd=0.50)")
        check_text(what, text)
    given = Limits(
        usd=usd,
        tokens=tokens,
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        calls=calls,
        tool_calls=tool_calls,
        retries=retries,
        branches=branches,
        parallel=parallel,
        depth=depth,
        seconds=seconds,
    )
    called = repr(name) if name else f"run={run!r}" if run else ""
    wanted = Wanted(
        name=name or "",
        limits=limits_of(given, source=f"budget({called})"),
        fallback=chain(fallback),
        wait_seconds=None if wait is None else _amounts.seconds(wait, name="wait"),
        alert=_shares(alert),
        ledger=ledger,
        run=run,
        owner=None if scope is None else _owner(scope),
    )
    return Budget(wanted)


def agent(name: str, **limits: Unpack[Limits]) -> Budget:
    """
    An agent: calls in its block, or in the function that it decorates, are charged to ``agent:NAME`` below the budget
    around it, and held to these limits and to those that the policy has for an agent of that name.

    Its limits are for all of a run's openings of the agent together; ``seconds`` counts from each of them.

    Args:
        **limits: As ``budget`` takes them.

    Raises:
        ValueError: A limit is none, or the name is no text.
    """
    return Budget(named("agent", name, limits, maker="agent"))


def step(name: str, **limits: Unpack[Limits]) -> Budget:
    """
    A step of a workflow: as ``agent``, with the scope ``step:NAME``.
    """
    return Budget(named("step", name, limits, maker="step"))


def tool(name: str, **limits: Unpack[Limits]) -> Budget:
    """
    A tool while it runs: as ``step``. It is not begun where its run may not go on: where the time is over, or where
    models asked for more tool calls than ``tool_calls`` allows.

    What a tool itself costs is a ``call`` in it.
    """
    return Budget(named("step", name, limits, maker="tool", begins="tool"))


def resume(carrier: str | Scope | Headers, *, ledger: str | None = None) -> Budget:
    """
    Go on with a budget that was opened before, or in another process: with what it spent and with its limits, which are
    looked up in the ledger.

    Args:
        carrier: What its ``carry()`` gave, in whatever it came: the text, the headers of a request, an environment. Its
            time goes on as well. Or its scope, such as ``run:triage-01J9ZK…``: it is opened anew, and its time begins
            anew.
        ledger: That in which it was opened, where it is not the process's own.

    Raises:
        ValueError: It carries no budget. When it is opened: a ``SettingsError``, which is a ``ValueError`` as well,
            where the ledger does not know it.
    """
    check_text("ledger", ledger)
    found = carrier_in(carrier)
    return Budget(Wanted(name=found.scope.parts[-1][1], carrier=found, ledger=ledger))


HERE = Asks()
call, check, acheck = HERE.call, HERE.check, HERE.acheck


def named(kind: Kind, name: str, limits: Limits, *, maker: str, begins: Begins = "code") -> Wanted:
    """
    What opens ``kind:NAME`` below the budget around it.

    Args:
        maker: What the program called, for errors.
    """
    if callable(name):
        own = getattr(name, "__name__", maker)
        raise ValueError(f"{maker} has a name before it decorates a function: @solvent.{maker}({own!r})")
    check_text("name", name or "")
    Scope(((kind, name),))
    return Wanted(name=name, kind=kind, limits=limits_of(limits, source=f"{maker}({name!r})"), begins=begins)


def _owner(text: str) -> Scope:
    found = Scope.parse(text)
    if any(kind not in OWNERS for kind, _ in found.parts):
        raise ValueError(f"scope must be of orgs, teams and users, such as org:acme/team:search; got {text!r}")
    return found


def _shares(given: Sequence[str]) -> tuple[Fraction, ...]:
    if isinstance(given, str) or not isinstance(given, Sequence) or not all(isinstance(each, str) for each in given):
        raise ValueError(f"alert must be a list of shares such as ['50%', '80%'], got {given!r}")
    return tuple(sorted({share(each, name="alert") for each in given}))
