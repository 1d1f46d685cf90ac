"""
The layout of DESIGN §4: imports point one way, and nothing heavy is loaded before it is used.
"""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent / "src" / "solvent"

# Each part may import those of the ranks below it, and its own.
RANKS = (
    ("_allowance", "_amounts", "_clock", "_courier", "_ids", "_own_file", "_plain", "_printable"),
    ("_limits",),
    ("_limits_in_code",),
    ("_refusal_history", "_refusal_text"),
    ("errors",),
    ("_records",),
    ("_operations",),
    ("_digest", "_ledger"),
    ("stores", "prices", "wire"),
    ("policy", "_bounds", "_framework_usage", "_prefixes", "_tokenizers", "testing"),
    ("_constants", "_outer"),
    ("_inputs",),
    ("_estimate",),
    ("_usage_shapes",),
    ("_usage_of",),
    ("_booking", "_counting", "_headers", "_loops", "_waiting", "events"),
    ("_alerts", "_assess", "_checks", "_ladder", "_listening", "_reload", "_webhook"),
    ("_admission", "_openings", "_standings"),
    ("_attempt", "_carrier"),
    ("_admit", "_driver"),
    ("_calls", "_decide"),
    ("_branches",),
    ("_answers", "_guard"),
    ("_litellm_log", "gateway", "report"),
    ("export", "forecast", "imports", "reconcile", "top"),
    ("_runtime",),
    ("_block",),
    ("_opened", "_place", "_wrapping", "run"),
    ("_top_up",),
    ("_spending",),
    ("_asking",),
    ("_budget",),
    ("_scopes",),
    ("_fan_out", "_turns"),
    ("instrument",),
    ("cli",),
    ("__main__",),
)
RANK = {part: rank for rank, parts in enumerate(RANKS) for part in parts}
HEAVY = (
    "aiohttp",
    "apsw",
    "genai_prices",
    "msgspec",
    "numpy",
    "opentelemetry",
    "prometheus_client",
    "psutil",
    "quicktok",
    "rich",
    "tiktoken",
    "typer",
    "uvicorn",
    "uvloop",
    "yaml",
)


def modules():
    return sorted(SOURCE.rglob("*.py"))


def part_of(path):
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def imported(path):
    tree = ast.parse(path.read_text())
    # What only the type checker reads is no arrow.
    of_types = [node for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"]
    tree.body = [node for node in tree.body if node not in of_types]
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "solvent":
            words = node.module.split(".")[1:]
            yield from [words[0]] if words else [alias.name for alias in node.names]


def test_every_part_has_a_rank():
    assert {part_of(path) for path in modules()} - {"__init__"} == set(RANK)


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(SOURCE)))
def test_imports_point_one_way(path):
    part = part_of(path)
    if part == "__init__":
        return
    for other in imported(path):
        if other in RANK and other != part:
            assert RANK[other] < RANK[part], f"{part} imports {other}"


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(SOURCE)))
def test_a_module_has_one_subject(path):
    lines = path.read_text().count("\n")
    assert lines <= 400, f"{lines} lines: look for the second subject and split along it"


@pytest.mark.slow
def test_importing_solvent_loads_nothing_heavy():
    program = "import sys, solvent; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert not {name.split(".")[0] for name in loaded} & set(HEAVY)
