"""
The pages about budgets in Python programs: their programs run and print what is shown, and every public name has its
entry.
"""

import ast
import inspect
import os
import re
import subprocess
import sys
from pathlib import Path

import openai
import pytest
from doc_programs import masked, programs, run_programs
from fake_provider import Answer

import solvent
from solvent._clock import SystemClock
from solvent._runtime import PROCESS
from solvent.stores.memory import MemoryStore

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
GUIDE = ROOT / "docs" / "guides" / "python.md"
CONTROL_FLOW = ROOT / "docs" / "guides" / "control_flow.md"
REFERENCE = ROOT / "docs" / "reference" / "budget.md"
BUDGET_FIELDS = vars(solvent.BudgetExceeded(scope="", meter="", limit=0)).keys()


@pytest.fixture
def led(monkeypatch, tmp_path, fake_provider):
    """
    A process that nothing but the environment leads: to a provider that writes 500 tokens, and books of its own.
    """
    fake = fake_provider(Answer(output_tokens=500))
    monkeypatch.chdir(tmp_path)
    for name in ("SOLVENT_GATEWAY", "SOLVENT_POLICY", "SOLVENT_SCOPE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SOLVENT_LEDGER", "memory://")
    monkeypatch.setenv("OPENAI_BASE_URL", f"{fake.url}/v1")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    PROCESS.close()
    yield fake
    solvent.uninstall()
    PROCESS.close()


def ask(**more):
    """
    One call, of a tenth of a cent.
    """
    request = {"model": "gpt-5-mini", "input": "Name a river.", "max_output_tokens": 800, **more}
    with openai.OpenAI(max_retries=0) as client:
        return client.responses.create(**request)


@pytest.mark.slow
@pytest.mark.parametrize("page", [README, GUIDE, CONTROL_FLOW], ids=lambda page: page.name)
@pytest.mark.usefixtures("led")
def test_the_programs_of_a_page_print_what_is_shown(page):
    run_programs(page.read_text())


@pytest.mark.usefixtures("led")
def test_a_run_that_a_guide_names_goes_on_when_the_program_runs_again(capsys):
    named = {'run="triage-of-monday"': GUIDE, 'run="support"': CONTROL_FLOW}
    (monday, support) = (
        program for name, page in named.items() for program, _ in programs(page.read_text()) if name in program
    )
    solvent.install()
    names = {"ask": lambda question: ask(input=question), "solvent": solvent}
    for _ in range(2):
        exec(monday, names)
    first, second = map(int, capsys.readouterr().out.split())
    assert second < first
    exec(support, names)
    capsys.readouterr()
    with pytest.raises(solvent.BudgetExceeded, match=r"^run:support has \$0\.0015 left of \$0\.0035 per day"):
        exec(support, names)
    assert capsys.readouterr().out == ""


def test_the_policy_of_the_guide_holds_whatever_the_code_says(led, monkeypatch):
    (text,) = re.findall(r"^```yaml\n(.*?)^```", GUIDE.read_text(), flags=re.M | re.S)
    use_policy(monkeypatch, text)
    solvent.install()
    with solvent.budget("triage", usd=100), pytest.raises(solvent.BudgetExceeded) as refused:
        ask(model="my-model", max_output_tokens=200_000)
    assert (refused.value.limit, refused.value.source) == (2_000_000_000, "solvent.yaml:2")
    assert led.seen == []


@pytest.mark.slow
def test_the_fixture_of_the_guide_lets_no_test_ask_a_model(led, tmp_path):
    (fixture,) = (program for program, _ in programs(GUIDE.read_text()) if "@pytest.fixture" in program)
    Path("conftest.py").write_text(fixture)
    asks = 'openai.OpenAI().responses.create(model="gpt-5-mini", input="Name a river.")'
    Path("test_ours.py").write_text(f"import openai\n\ndef test_one():\n    {asks}\n\ndef test_other():\n    pass\n")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", tmp_path]
    told = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    assert "1 failed, 1 passed" in told
    assert "has 0 calls left of 0 calls" in told
    assert led.seen == []


def entries(heading):
    """
    The parts of the reference below a heading, by the names of their own headings.
    """
    section = REFERENCE.read_text().partition(f"\n{heading}\n")[2]
    section = re.split(rf"^{heading.partition(' ')[0]} ", section, flags=re.M)[0]
    parts = re.split(r"^### `?(\w+)`?$", section, flags=re.M)
    return dict(zip(parts[1::2], parts[2::2], strict=True)) | {"": parts[0]}


def cells(text, column):
    rows = [line.split(" | ") for line in re.findall(r"^\| (`.+) \|$", text, flags=re.M)]
    return [re.findall(r"`(\w+)", row[column]) for row in rows]


def table(text, head):
    """
    The names in the first cells of the tables with this head.
    """
    rows = "".join(re.findall(rf"^\| {head} \|.*\n\| --- .*\n((?:\|.*\n)+)", text, flags=re.M))
    firsts = re.findall(r"^\| (`.+?`) \| ", rows, flags=re.M)
    return [name for first in firsts for name in re.findall(r"`(.+?)`", first)]


def test_every_public_name_has_its_entry():
    text = REFERENCE.read_text()
    for name in solvent.__all__:
        assert re.search(rf"^#.*`{name}`|`solvent\.{name}\(|`{name}` is the root", text, flags=re.M), name


FUNCTIONS = {
    "## `agent`, `step` and `tool`": (solvent.agent, solvent.step, solvent.tool),
    "## `budget`": (solvent.budget,),
    "## `call` and `Spending`": (solvent.call,),
    "## `check`, `acheck` and `Decision`": (solvent.check, solvent.acheck),
    "## `fan_out`": (solvent.fan_out,),
    "## `install` and `uninstall`": (solvent.install,),
    "## `loop`": (solvent.loop,),
    "## `resume` and `Carrier`": (solvent.resume,),
    "## `retry`": (solvent.retry,),
}


@pytest.mark.parametrize("heading", FUNCTIONS)
def test_every_argument_has_its_line(heading):
    told = table("".join(entries(heading).values()), "argument")
    for function in FUNCTIONS[heading]:
        signature = inspect.signature(function).parameters.values()
        assert sorted(name.lstrip("*") for name in told) == sorted(each.name for each in signature)
        assert [name for name in told if "*" in name] == [f"**{each.name}" for each in signature if each.kind == 4]


def public(value):
    return {name for name in dir(value) if not name.startswith("_")}


@pytest.mark.parametrize(
    ("heading", "head", "made"),
    [
        ("## `Budget`", "name", solvent.budget()),
        ("## `call` and `Spending`", "name of the `Spending`", solvent.call(usd=1)),
        ("## `check`, `acheck` and `Decision`", "field", solvent.Decision(allowed=True)),
    ],
)
def test_what_a_budget_a_call_and_a_decision_have_is_told_with_its_arguments(heading, head, made):
    text, told = entries(heading)[""], set()
    for cell in table(text, head):
        shown = ast.parse(cell, mode="eval").body
        told.add(shown.func.id if isinstance(shown, ast.Call) else shown.id)
        if isinstance(shown, ast.Call):
            given = {each.arg or f"**{each.value.id}": ast.unparse(each.value) for each in shown.keywords}
            assert given == arguments(getattr(made, shown.func.id)), cell
    for name in public(made) - told - {"runtime"}:  # Of Solvent's own use.
        assert name[0] == "a", name
        assert name[1:] in told
        assert f"`{name}(" in text


def arguments(function):
    """
    The defaults of a function's arguments, as code; of `**amounts` the name.
    """
    return {
        f"**{each.name}" if each.kind == each.VAR_KEYWORD else each.name: each.name
        if each.kind == each.VAR_KEYWORD
        else repr(each.default)
        for each in inspect.signature(function).parameters.values()
    }


def budget_exceeded(_):
    with solvent.budget("triage", usd=0.001):
        ask()


def deadline_passed(monkeypatch):
    with solvent.budget("triage", seconds="15m"):
        now = SystemClock().uptime_ns()
        monkeypatch.setattr(SystemClock, "uptime_ns", lambda _: now + 900 * 10**9)
        ask()


def loop_detected(monkeypatch):
    use_policy(monkeypatch, "loops: {same_call: 2, within: 60s, on_exceed: block}")
    with solvent.budget("triage"):
        for _ in range(3):
            ask()


def price_unknown(monkeypatch):
    monkeypatch.setenv("HOME", os.getcwd())
    monkeypatch.setattr("platformdirs.user_config_path", lambda name: Path.cwd() / ".config" / name)
    with solvent.budget("triage", usd=1):
        ask(model="gpt-5-mimi")


def unbounded(_):
    with solvent.budget("triage", usd=1), openai.OpenAI(max_retries=0) as client:
        client.images.generate(model="gpt-image-1", prompt="A river.")


def store_unavailable(monkeypatch):
    monkeypatch.setenv("SOLVENT_LEDGER", "ledger.db")
    with solvent.budget("triage"):
        Path("ledger.db").unlink()
        ask()


def outcome_unknown(monkeypatch):
    def apply(store, operations):
        taken(store, operations)
        raise solvent.OutcomeUnknown(ledger=store.url, id="", reason="its answer was lost")

    taken = MemoryStore.apply
    with solvent.budget("triage"), monkeypatch.context() as lost:
        lost.setattr(MemoryStore, "apply", apply)
        ask()


def settings_error(monkeypatch):
    use_policy(monkeypatch, "budgets: {'run:*': {dollars: 2}}")
    with solvent.budget("triage"):
        pass


def use_policy(monkeypatch, text):
    Path("solvent.yaml").write_text(text)
    monkeypatch.setenv("SOLVENT_POLICY", "solvent.yaml")


RAISES = {
    "BudgetExceeded": budget_exceeded,
    "DeadlinePassed": deadline_passed,
    "LoopDetected": loop_detected,
    "OutcomeUnknown": outcome_unknown,
    "PriceUnknown": price_unknown,
    "SettingsError": settings_error,
    "StoreUnavailable": store_unavailable,
    "Unbounded": unbounded,
}


@pytest.mark.parametrize("name", RAISES)
@pytest.mark.usefixtures("led")
def test_an_error_has_the_fields_and_says_the_words_that_are_shown(name, monkeypatch, tmp_path):
    solvent.install()
    with pytest.raises(solvent.SolventError) as raised:
        RAISES[name](monkeypatch)
    error, entry = raised.value, entries("## Errors")[name]
    assert type(error) is getattr(solvent, name)
    (shown,) = re.findall(r"^```text\n(.*?)^```", entry, flags=re.M | re.S)
    said = re.sub(r"(?<=fingerprint )[0-9a-f]+", "0123456789abcdef", str(error).replace(str(tmp_path), "/home/you"))
    said = re.sub(r"(?<= came ).*(?= ago)", "0.2 s to 0.1 s", said)
    assert masked(said) == shown.rstrip("\n")
    fields = {field for names in cells(entry, 0) for field in names}
    inherited = set() if name == "BudgetExceeded" or not isinstance(error, solvent.BudgetExceeded) else BUDGET_FIELDS
    own = {field for field in vars(error) if not field.startswith("_")} - inherited
    assert fields == own | ({"remaining", "report", "results"} if name == "BudgetExceeded" else set())


def test_every_error_has_its_entry():
    types = {name: kind for name in solvent.__all__ if isinstance(kind := getattr(solvent, name), type)}
    errors = {name for name, kind in types.items() if issubclass(kind, solvent.SolventError)} - {"SolventError"}
    assert errors == RAISES.keys() == entries("## Errors").keys() - {""}
