"""
What a user of the five systems that Solvent joins could do or was promised, and what Solvent does in their place: the
rows of README's table. Each row has its tests beside this file, named after it: ``test_v7_…``.
"""

import ast
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
                "the same answer each time; not a byte written",
            ),
            Row("V2", "observe first, limit later", "without a limit all is recorded and nothing refused"),
            Row("V3", "put a call of their own around any code", "a step that fails is booked, and the task goes on"),
            Row("V4", "give prices; borrow another model's", "refused under dollars, or one event for each model"),
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
            Row("F1", "limit a whole workflow's cost and tokens", "64 branches: $0.99 of $1.00"),
            Row("F2", "have a loop halted", "$0.25 at $0.10 a turn: 2 turns, $0.20; the third is not sent"),
            Row("F3", "have slow siblings cancelled at a breach", "at once; what they used is booked"),
            Row("F4", "nest: an endless loop of two parallel steps", "5 calls, $0.50 of $0.50"),
            Row("F5", "read history and finished results off the error", "`error.report`, `error.results`"),
            Row("F6", "go on with a cheaper workflow", "by hand after a breach; by `fallback` before it"),
            Row(
                "F7",
                "set budgets by name pattern, and ask for a limit's origin",
                "`solvent check --explain` names the line",
            ),
            Row("F8", "pause and resume", "what is left stays left; a new run starts afresh"),
        ),
    ),
    "test_execution_budgets": (
        "seven budgets on four layers",
        (
            Row("E1", "limit tokens, all or read", "`tokens`, `input_tokens`"),
            Row("E2", "limit tokens written", "`output_tokens`"),
            Row("E3", "limit steps", "`calls`, `tool_calls`, `depth`"),
            Row("E4", "limit retries", "`retries`"),
            Row("E5", "limit fan-out", "`branches`, `parallel`"),
            Row("E6", "limit time", "`seconds`"),
            Row("E7", "limit cost", "`usd`"),
            Row("E8", "limit one invocation", "`call:`"),
            Row("E9", "limit an agent's loop", "`agent:`, `step:`"),
            Row("E10", "limit an orchestration", "`run:`"),
            Row("E11", "limit a platform", "`team:`, `org:`; all layers decided in one step"),
            Row(
                "E12",
                "survive the four failure patterns",
                "recursion, 10,000 items, cost with latency, retry storms: each held",
            ),
            Row("E13", "be told what is enforced in part only", "`solvent check`: types × layers, holes by name"),
            Row("E14", "carry the running total along", "it comes back with what remains and the retry's number"),
            Row("E15", "degrade near 80 %, end cleanly at 100 %", "a cheaper model, then a refusal"),
            Row("E16", "account by workflow, not by session", "two in one session: two budgets; one over two: one"),
        ),
    ),
    "test_aegis": (
        "five dimensions and attribution",
        (
            Row("A1", "limit per call, run, day, rolling minute, in all", "five limits of one file hold a real client"),
            Row("A2", "block, warn or log; be alerted at a share", "`on_exceed`, `alert`; no callback holds a lock"),
            Row("A3", "instrument every SDK by one line", "stopped before the first byte"),
            Row("A4", "attribute along delegation", "the children's sum is the parent's"),
            Row("A5", "have usage read from any provider's reply", "OpenAI, Anthropic, Google, LangChain"),
            Row("A6", "rely on prices of many models, and add some", "longest prefix, cached rates, `prices:`"),
            Row("A7", "have loops caught", "the 6th same request in 60 s; never a different one or a retry"),
            Row("A8", "read a structured report", "`report --json`, a schema with a version"),
            Row("A10", "pay little per call", "flat, and bounded in memory"),
        ),
    ),
    "test_stroma": (
        "tokens, cost and latency of a pipeline",
        (
            Row("S1", "set any of tokens, cost and latency", "calls in flight end at the deadline"),
            Row("S2", "report usage in whatever detail", "missing is booked as reserved, never at $0"),
            Row(
                "S3", "decide whether a breach is final", "no retry repeats a refusal; `fallback` is the cheaper retry"
            ),
            Row(
                "S4",
                "switch models at shares, in a chain",
                "60 % → B, 80 % → C: the request names it, and it is booked",
            ),
            Row("S5", "read totals and every attempt after a run", "timed-out ones too"),
            Row("S6", "run branches in parallel under the budget", "`fan_out`: every branch is in the books"),
        ),
    ),
}


def names_of(file: str, id: str) -> list[str]:
    """
    The names of a row's tests.
    """
    tree = ast.parse((Path(__file__).parent / f"{file}.py").read_text())
    names = [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
    return [name for name in names if name.startswith(f"test_{id.lower()}_")]
