"""
What a user of the five systems that Solvent joins could do or was promised, and what Solvent does in their place: the
rows of README's table. Each row has its tests beside this file, named after it: ``test_v7_…``.
"""

import ast
from functools import cache
from pathlib import Path
from typing import NamedTuple


class Row(NamedTuple):
    """
    Attributes:
        id: ``V7``; its tests are named ``test_v7_…``.
        can: What a user can do.
        figure: What comes of it in Solvent, as its tests assert it.
    """

    id: str
    can: str
    figure: str


# By the file of their tests: what such a system is, and its rows.
SYSTEMS: dict[str, tuple[str, tuple[Row, ...]]] = {
    "test_veloryn": (
        "a decision between steps",
        (
            Row(
                "V1",
                "ask between steps whether the next one may be made",
                "the same answer each time, with the amounts; the journal is the same byte for byte",
            ),
            Row(
                "V2",
                "observe first, limit later",
                "without a limit five calls of five are made and recorded; then four under $1.06",
            ),
            Row(
                "V3",
                "put a call of their own around any code",
                "a step that fails is booked at its most, or as it said; the task goes on",
            ),
            Row(
                "V4",
                "give prices; borrow another model's",
                "`prices:`; refused under dollars, or `price_as` with one event for each model",
            ),
            Row("V5", "read each step's cost and the sum", "`report()` is the journal's sum; nothing is printed"),
            Row("V6", "keep all data local and readable", "no file in the folder, no connection"),
            Row(
                "V7",
                "stop a loop, and many agents, at one budget",
                "$0.99 of $1.00: in turn, 64 tasks, 64 threads, 4 processes",
            ),
        ),
    ),
    "test_flujo": (
        "limits over loops and branches",
        (
            Row(
                "F1",
                "limit a whole workflow's cost and tokens",
                "64 branches: 33 calls, $0.99 of $1.00; 99,198 of 100,000 tokens",
            ),
            Row("F2", "have a loop halted", "$0.25 at $0.10 a turn: 2 turns, $0.20; the third is not sent"),
            Row(
                "F3",
                "have slow siblings cancelled at a breach",
                "$0.15 under $0.10 is not begun, the other is cancelled in that moment, its $0.01 booked",
            ),
            Row("F4", "nest: an endless loop of two parallel steps", "5 calls, $0.50 of $0.50"),
            Row(
                "F5",
                "read history and finished results off the error",
                "`error.report`, `error.results`: $0.40 of $0.50 by model, 2 of 4 results",
            ),
            Row(
                "F6",
                "go on with a cheaper workflow",
                "by hand after a breach; by `fallback` before it: 2 calls of $0.10, 8 cheaper ones",
            ),
            Row(
                "F7",
                "set budgets by name pattern, and ask for a limit's origin",
                "patterns such as `run:triage-*`; `solvent check --explain` names the line",
            ),
            Row("F8", "pause and resume", "$0.40 of $0.50 left is what goes on; a new run has $0.50"),
        ),
    ),
    "test_execution_budgets": (
        "seven budgets on four layers",
        (
            Row("E1", "limit tokens, all or read", "`tokens: 5150`: 5 calls of 1,006 are sent, and no sixth"),
            Row("E2", "limit tokens written", "`output_tokens: 5k`: 5 calls of 1,000"),
            Row("E3", "limit steps", "`calls: 5`: 5; `tool_calls: 4`: 3 replies of 2; `depth: 3`: 3 agents deep"),
            Row("E4", "limit retries", "`retries: 3`: 4 attempts are sent, of an SDK's 21"),
            Row("E5", "limit fan-out", "`branches: 4`: of 5, none starts; `parallel: 3`: 8 calls, 3 at a time"),
            Row("E6", "limit time", "`seconds: 15m`: none is sent after them"),
            Row("E7", "limit cost", "`usd: 0.105`: 10 calls of a cent, and no eleventh"),
            Row("E8", "limit one invocation", "`call: {usd: 0.25}`: the one of $0.25001 is refused"),
            Row("E9", "limit an agent's loop", "`agent:`, `step:` of $0.03: 3 calls of a cent"),
            Row(
                "E10",
                "limit an orchestration",
                "`run:` of $0.03: 3 calls; no other layer's balance moves by the refusal",
            ),
            Row("E11", "limit a platform", "`team:`, `org:` of $0.03: 3 calls; all layers are decided in one step"),
            Row(
                "E12",
                "survive the four failure patterns",
                "recursion $2.00 of $10.23, 10,000 items $0 of $10, a slow provider $0.30 of $1.20, 6 of 27 retries",
            ),
            Row("E13", "be told what is enforced in part only", "`solvent check`: types × layers, holes by name"),
            Row("E14", "carry the running total along", "with retry 7: $0.80 spent, $0.20 left"),
            Row(
                "E15",
                "degrade near 80 %, end cleanly at 100 %",
                "8 calls of $0.10, 20 of a cheaper model, then a refusal at $1.00",
            ),
            Row("E16", "account by workflow, not by session", "two in one session: two budgets; one over two: one"),
            Row(
                "E17",
                "rebuild any overage from the trail",
                "`report --trace`: $0.08 under $0.05 is one call, billed $0.05 above its bound",
            ),
            Row(
                "E18",
                "model the cascade before production, and take the limits from it",
                "`solvent forecast`: $0.021 clean, $0.036 at worst; its limits let both pass, and no third turn",
            ),
            Row(
                "E19",
                "enforce, attribute and reconcile by one record",
                "2 calls of $0.10 under $0.25; a bill of 5: 3 outside Solvent, $0.30, and nothing else",
            ),
        ),
    ),
    "test_aegis": (
        "five dimensions and attribution",
        (
            Row(
                "A1",
                "limit per call, run, day, rolling minute, in all",
                "five limits of one file, each met by a real client",
            ),
            Row("A2", "block, warn or log; be alerted at a share", "`on_exceed`, `alert`; no callback holds a lock"),
            Row("A3", "instrument every SDK by one line", "5 × $12.50 under $0.01: no byte is sent"),
            Row("A4", "attribute along delegation", "the children's sum is the parent's"),
            Row("A5", "have usage read from any provider's reply", "OpenAI, Anthropic, Google, LangChain"),
            Row(
                "A6",
                "rely on prices of many models, and add some",
                "47 providers with date and source, cached rates, `prices:`",
            ),
            Row("A7", "have loops caught", "the 6th same request in 60 s; never a different one or a retry"),
            Row("A8", "read a structured report", "`report --json`, a schema with a version"),
            Row("A9", "log every decision", "the journal; FOCUS rows of every charge"),
            Row("A10", "pay little per call", "flat, and bounded in memory, over 1,000,000 calls"),
        ),
    ),
    "test_stroma": (
        "tokens, cost and latency of a pipeline",
        (
            Row(
                "S1",
                "set any of tokens, cost and latency",
                "each of the 8 combinations; calls in flight are ended at the deadline",
            ),
            Row(
                "S2", "report usage in whatever detail", "13 shapes; what is missing is booked as reserved, never at $0"
            ),
            Row(
                "S3", "decide whether a breach is final", "no retry repeats a refusal; `fallback` is the cheaper retry"
            ),
            Row(
                "S4",
                "switch models at shares, in a chain",
                "from 60 % B, from 80 % C: the request names it, and it is booked",
            ),
            Row(
                "S5",
                "read totals and every attempt after a run",
                "three attempts, also the one that timed out, and their sum",
            ),
            Row(
                "S6",
                "run branches in parallel under the budget",
                "`fan_out`: each of 8 branches is in the books, at what was billed",
            ),
        ),
    ),
}


def names_of(file: str, id: str) -> list[str]:
    """
    The names of a row's tests.
    """
    return [name for name in _functions(file) if name.startswith(f"test_{id.lower()}_")]


@cache
def _functions(file: str) -> list[str]:
    tree = ast.parse((Path(__file__).parent / f"{file}.py").read_text())
    return [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
