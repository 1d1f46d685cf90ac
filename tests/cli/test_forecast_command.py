"""
``solvent forecast``: what a person, a script and a continuous integration see of it.
"""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import typer.main
import yaml
from typer.testing import CliRunner

from solvent.cli import app

ROOT = Path(__file__).parents[2]
RESEARCH = "examples/forecast/research.yaml"
PAGE = ROOT / "docs" / "reference" / "forecast.md"
SCHEMA = ROOT / "src" / "solvent" / "cli" / "forecast_schema.json"
SMALL = """\
workflow: triage
models:
  m: {input: 1.00, output: 10.00}
graph:
  - {call: sort, model: m, prompt: 1000, output: 100}
  - {loop: ask, again: 50%, max: 3, do: [{call: answer, model: m, prompt: 500, output: 50}]}
"""

pytestmark = pytest.mark.usefixtures("at_the_root")


@pytest.fixture
def at_the_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.delenv("SOLVENT_POLICY", raising=False)


@pytest.fixture
def small(tmp_path: Path) -> Path:
    path = tmp_path / "triage.yaml"
    path.write_text(SMALL)
    return path


def run(*words: object, code: int = 0) -> str:
    found = CliRunner().invoke(app, ["forecast", *map(str, words)], env={"COLUMNS": "100"})
    assert found.exit_code == code, found.output
    return found.stdout if code in (0, 1) else found.stderr


def told(*words: object, code: int = 0) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run(*words, "--json", code=code))
    return found


def test_the_json_of_a_small_workflow_is_what_a_hand_works_out(small):
    # One call of $0.002, and 1, 2 or 3 of $0.001 with chances of 1/2, 1/4 and 1/4.
    found = told("run", small, "--runs", 1_000)
    jsonschema.validate(found, json.loads(SCHEMA.read_text()))
    cost = found["cost_usd"]
    assert cost["mean"] == pytest.approx(0.002 + 0.001 * 1.75, rel=1e-9)
    assert (cost["p50"], cost["p90"], cost["worst"]) == pytest.approx((0.003, 0.005, 0.005), rel=1e-3)
    assert (found["tokens"]["worst"], found["calls"]["worst"]) == (2_750, 4)
    assert [(node["scope"], node["model"], node["calls"]) for node in found["nodes"]] == [
        ("step:sort", "m", 1),
        ("step:ask/step:answer", "m", 1.75),
    ]
    assert sum(node["share"] for node in found["nodes"]) == pytest.approx(1)
    assert (found["engine"], found["month"], found["unbounded"]) == ("exact", None, [])


@pytest.mark.parametrize("engine", ["exact", "simulation"])
def test_the_same_seed_prints_the_same_bytes(small, engine):
    words = ("run", small, "--runs", 500, "--seed", 7, "--engine", engine, "--json")
    assert run(*words) == run(*words)


def test_both_engines_see_the_same_workflow(small):
    exactly, simulated = (told("run", small, "--runs", 20_000, "--engine", name) for name in ("exact", "simulation"))
    for figure in ("cost_usd", "tokens", "calls"):
        assert simulated[figure]["mean"] == pytest.approx(exactly[figure]["mean"], rel=0.01)
        assert simulated[figure]["p99"] == pytest.approx(exactly[figure]["p99"], rel=1e-3)
    assert simulated["why"] == "20,000 runs were simulated, as was asked"


@pytest.mark.slow
def test_research_has_the_figures_of_its_notes():
    # The engine of the notes took documents to scatter as a Poisson number, whatever the p95 of 20 says.
    documents = "envelope.documents={mean: 8, min: 1, max: 60, rare: {share: 0.5%, from: 200, to: 1000}}"
    found = told("run", RESEARCH, "--runs", 4_096, "--set", documents)
    cost = found["cost_usd"]
    # Source: the notes on forecasting, measured with an engine of their own on 2^17 cells.
    noted = {"mean": 0.3548, "p50": 0.1201, "p90": 0.6288, "p95": 1.4131, "p99": 5.1156, "p999": 8.0084}
    for figure, amount in noted.items():
        assert cost[figure] == pytest.approx(amount, rel=2e-3), figure
    assert cost["worst"] == pytest.approx(226, abs=1)
    assert found["month"]["mean_usd"] == pytest.approx(40_000 * 0.3548, rel=1e-3)


def test_limits_are_a_policy_that_check_passes(small, tmp_path):
    policy = tmp_path / "solvent.yaml"
    policy.write_text(run("limits", small, "--runs", 2_000))
    checked = CliRunner().invoke(app, ["check", str(policy), "--json"])
    found = json.loads(checked.stdout)
    assert (checked.exit_code, found["contradictions"]) == (0, [])
    budgets = yaml.safe_load(policy.read_text())["budgets"]
    assert any(scope.startswith("run:triage") for scope in budgets)


def test_diff_fails_where_a_condition_holds_and_says_which(small, tmp_path):
    dearer = tmp_path / "dearer.yaml"
    dearer.write_text(SMALL.replace("max: 3", "max: 6"))
    same = told("diff", small, small, "--fail-if", "p99 > +0%", "--runs", 500)
    assert same["failed"] == []
    assert {change["relative"] for change in same["changes"].values()} <= {0.0, None}
    differs = told("diff", small, dearer, "--fail-if", "worst > +20%", "--fail-if", "mean > $5", "--runs", 500, code=1)
    assert differs["failed"] == ["worst > +20%"]
    worst = differs["changes"]["cost_usd.worst"]
    assert (worst["old"], worst["new"], worst["relative"]) == pytest.approx((0.005, 0.008, 0.6))
    assert "failed: worst > +20%" in run("diff", small, dearer, "--fail-if", "worst > +20%", "--runs", 500, code=1)


def test_whatif_is_a_diff_with_the_file_as_it_would_be(small, tmp_path):
    changed = tmp_path / "changed.yaml"
    changed.write_text(SMALL.replace("max: 3", "max: 2"))
    asked = told("whatif", small, "--set", "ask.max=2", "--runs", 500)
    assert asked["changes"] == told("diff", small, changed, "--runs", 500)["changes"]


UNCAPPED = {
    "loop": "{loop: go, again: 60%, max: none, do: [{call: ask, model: m, prompt: 500, output: 50}]}",
    "retry": "{retry: go, fail: 90%, max: none, do: [{call: ask, model: m, prompt: 500, output: 50}]}",
    "spawn": "{spawn: go, children: {mean: 0.9, max: none}, max: none, do: "
    "[{call: ask, model: m, prompt: 500, output: 50}]}",
    "output": "{call: ask, model: m, prompt: 500, output: {p50: 100, p95: 300, max: none}}",
}


@pytest.mark.slow
@pytest.mark.parametrize("what", UNCAPPED)
def test_what_has_no_max_is_said_everywhere_and_breaks_nothing(what, tmp_path):
    spec = tmp_path / "open.yaml"
    spec.write_text(f"workflow: open\nmodels: {{m: {{input: 1.00, output: 10.00}}}}\ngraph: [{UNCAPPED[what]}]\n")
    found = told("run", spec, "--runs", 500)
    assert (found["cost_usd"]["worst"], found["nodes"][0]["worst_usd"]) == (None, None)
    assert all("has no max" in said for said in found["unbounded"])
    assert found["unbounded"]
    assert "no max" in run("run", spec, "--runs", 500)
    assert "limits" in told("limits", spec, "--runs", 500)
    told("whatif", spec, "--set", "models.m.output=20", "--runs", 500)
    page = tmp_path / "page.html"
    run("report", spec, "--html", page, "--runs", 500)
    assert "inf" not in re.findall(r'<data value="([^"]*)"', page.read_text())


def test_calls_that_no_closed_form_tells_are_not_told(small):
    summed = told("run", small, "--set", "ask.history=grows", "--set", "ask.compact={at: 520, to: 10}", "--runs", 500)
    assert summed["engine"] == "simulation"
    assert {node["calls"] for node in summed["nodes"]} == {None}
    assert sum(node["mean_usd"] for node in summed["nodes"]) == pytest.approx(summed["cost_usd"]["mean"])


def test_a_run_of_very_many_calls_is_simulated_less_often(small):
    found = told("run", small, "--set", "ask.max=300000", "--set", "ask.again=99.999%", "--runs", 20_000)
    assert 100 <= found["simulated_runs"] < 20_000
    assert found["remarks"][0].startswith(f"{found['simulated_runs']:,} runs are simulated and not 20,000")


def test_a_condition_on_a_month_needs_one(small):
    said = run("diff", small, small, "--fail-if", "month > $5", "--runs", 500, code=2)
    assert "needs `volume: {runs_per_month: N}` in both workflows" in " ".join(said.split())


def test_wrong_usage_says_what_is_right(small, tmp_path):
    page = tmp_path / "page.html"
    page.write_text("mine")
    for words, said in (
        (("run", small, "--engine", "fast"), "expected exact or simulation, got 'fast'"),
        (("run", small, "--runs", "1"), "100"),
        (("whatif", small), "nothing is changed; such as --set agent_loop.max=25"),
        (("diff", small, small, "--fail-if", "p99"), "expected a figure, a sign and an amount"),
        (("report", small, "--html", page), "is there already; --force replaces it"),
    ):
        assert said in " ".join(run(*words, code=2).split())
    assert page.read_text() == "mine"


def test_a_file_that_is_not_understood_ends_with_code_4(small, tmp_path):
    broken = tmp_path / "broken.yaml"
    broken.write_text(SMALL.replace("max: 3, ", ""))
    assert f"{broken}:6: " in run("run", broken, code=4)
    assert "nowhere.yaml" in run("run", tmp_path / "nowhere.yaml", code=4)
    assert "with ask.rounds=2: " in run("whatif", small, "--set", "ask.rounds=2", code=4)


def test_without_numpy_it_says_what_to_install(small):
    program = (
        "import importlib.util, sys\n"
        "found = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda name, *more: None if name == 'numpy' else found(name, *more)\n"
        "from solvent.cli import main\n"
        f"sys.argv = ['solvent', 'forecast', 'run', {str(small)!r}]\n"
        "main()\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert ended.returncode == 4
    assert ended.stderr == (
        "solvent: a forecast needs NumPy, which is not installed.\nTo go on: pip install 'solvent[forecast]'\n"
    )


def test_the_page_of_the_reference_tells_every_command_and_option():
    group: Any = typer.main.get_command(app)
    commands = group.commands["forecast"].commands
    options = {
        name
        for command in commands.values()
        for parameter in command.params
        for name in parameter.opts
        if name.startswith("--")
    }
    text = PAGE.read_text()
    cells = re.findall(r"^\| ((?:[^|\\]|\\.)+) \|", text, flags=re.M)
    named = {name.split()[0] for cell in cells for name in re.findall(r"`([^`]+)`", cell) if name.startswith("--")}
    assert named == options
    assert {name.split()[2] for name in re.findall(r"`(solvent forecast [^`]+)`", text)} == set(commands)
    keys = json.loads(SCHEMA.read_text())["properties"]
    assert set(keys) <= set(re.findall(r"`([a-z_]+)`", text))
