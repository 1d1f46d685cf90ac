"""
``solvent reconcile`` as people type it: the pictures of its page, its exit codes, its refusals.
"""

import json
import re
from fractions import Fraction
from pathlib import Path

import pytest
from bill_world import GPT_4O, HAIKU, MINI, Call, World
from clocks import ManualClock
from golden_ledger import golden
from msgspec.structs import replace
from typer.testing import CliRunner

from solvent.cli import app
from solvent.cli.reconcile import _tolerance
from solvent.reconcile import EXPLANATIONS, Reconciliation
from solvent.stores.sqlite import SQLiteStore

PAGE = Path(__file__).parent.parent.parent / "docs" / "reference" / "reconcile.md"
INVOICE = "Day;Product;Net\n2026-11-01;gpt-4o;1.42\n2026-11-01;gpt-4o-mini;0.06\n"
LARGE = {"input_tokens": 120_000, "cache_read_tokens": 20_000, "output_tokens": 8_000}


class Shell:
    """
    Types ``solvent reconcile …`` in a folder with a ledger and its bill.
    """

    def __init__(self, folder: Path, *, columns: int = 100) -> None:
        self.folder, self.columns = folder, columns
        self.path = folder / "ledger.db"

    def __call__(self, *words: str, columns: int | None = None) -> tuple[int, str, str]:
        env = {"SOLVENT_LEDGER": f"sqlite:///{self.path}", "COLUMNS": str(columns or self.columns), "NO_COLOR": "1"}
        result = CliRunner().invoke(app, ["reconcile", *words], env=env)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result.exit_code, result.stdout, re.sub(r"\AUsage: .*\nTry .*\n\n", "", result.stderr)

    def world(self) -> World:
        return World(SQLiteStore(self.path, clock=ManualClock("2026-12-01T00:00:00"), synchronous="OFF"))


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    monkeypatch.chdir(tmp_path)
    return Shell(tmp_path)


def world_of_the_page(shell: Shell) -> None:
    """
    Three days of two models; on the second some of the differences that there can be.
    """
    world = shell.world()
    for day in range(3):
        for hour in (8, 12, 19):
            world.call(Call(tokens=LARGE).on(day, hour=hour))
            world.call(Call(model=GPT_4O, tokens=LARGE).on(day, hour=hour))
    world.charge(Call(model=GPT_4O, tokens=LARGE).on(0))
    late = Call(model=GPT_4O, tokens=LARGE).on(2, hour=0, minute=1)
    world.book(late)
    world.charge(late, day=late.day - 1)
    world.book(Call(tokens={**LARGE, "output_tokens": 16_000}).on(1), model_used=None, estimated="expired")
    world.charge(Call(tokens={**LARGE, "output_tokens": 900}).on(1))
    world.cell(Call().on(2).day, MINI).dearer = {"output": Fraction(5, 4)}
    world.write(shell.folder, days=3, by_kind=True)
    world.store.close()


def commands_of_the_page() -> list[tuple[str, str]]:
    blocks = re.findall(r"^```\n(\$ .*?)^```", PAGE.read_text(), flags=re.M | re.S)
    return re.findall(r"^\$ solvent reconcile (.*)\n((?:(?!\$ ).*\n)*)", "".join(blocks), flags=re.M)


@pytest.mark.slow
def test_the_page_shows_what_is_printed(shell: Shell) -> None:
    world_of_the_page(shell)
    (shell.folder / "invoice.csv").write_text(INVOICE)
    commands = commands_of_the_page()
    assert len(commands) == PAGE.read_text().count("$ solvent reconcile") > 1
    for words, shown in commands:
        _, out, err = shell(*(word.strip("'") for word in words.split()))
        assert out + err == shown


def test_the_page_tells_every_option_explanation_and_format() -> None:
    text = PAGE.read_text()
    told = set(re.findall(r"^\| `(--[a-z]+)", text, flags=re.M))
    help = CliRunner().invoke(app, ["reconcile", "--help"], env={"COLUMNS": "100"}).stdout
    assert told == set(re.findall(r"^ +(--[a-z]+)", help, flags=re.M))
    assert set(re.findall(r"^\| `([a-z]+)` \|", text, flags=re.M)) >= {*EXPLANATIONS, "openai", "anthropic"}


@pytest.mark.parametrize("columns", [80, 120])
def test_the_picture_is_the_pinned_one(shell: Shell, columns: int) -> None:
    world_of_the_page(shell)
    _, out, _ = shell("costs.json", "usage.json", columns=columns)
    assert out == (Path(__file__).parent / f"picture_{columns}.txt").read_text()
    assert max(map(len, out.splitlines())) <= columns


@pytest.mark.parametrize(
    ("tolerance", "code"),
    [("1%", 1), ("22%", 0), ("$0.35", 1), ("$2", 0), ("0", 1)],
)
def test_the_exit_code_says_whether_they_are_within_the_tolerance(shell: Shell, tolerance: str, code: int) -> None:
    world_of_the_page(shell)
    assert shell("costs.json", "usage.json", "--tolerance", tolerance)[0] == code


@pytest.mark.parametrize("tolerance", ["10%", "$0.0000001"])
def test_what_is_exactly_as_far_apart_as_is_allowed_is_within_the_tolerance(tolerance: str) -> None:
    found = Reconciliation(format="csv", lines=(), days=(0, 0), charged=1_000, off=100)
    assert _tolerance(tolerance).allows(found)
    assert not _tolerance(tolerance).allows(replace(found, off=101))


def test_a_bill_that_agrees_is_within_a_tolerance_of_nothing(shell: Shell) -> None:
    world = shell.world()
    world.call(Call(tokens=LARGE))
    world.write(shell.folder)
    world.store.close()
    code, out, _ = shell("costs.json", "usage.json", "--tolerance", "0")
    assert code == 0
    assert "The bill and the journal agree: $0.0213." in out


def test_json_has_every_amount_to_the_nanodollar(shell: Shell) -> None:
    world_of_the_page(shell)
    code, out, _ = shell("costs.json", "usage.json", "--json")
    found = json.loads(out)
    assert (code, found["schema_version"], found["within"], found["tolerance"]) == (1, 1, False, "1%")

    def amount(value: dict[str, str]) -> int:
        return int(value["nanodollars"])

    for line in found["lines"]:
        parts = sum(amount(part["amount"]) for part in line["explanations"])
        assert parts + amount(line["unexplained"]) == amount(line["difference"])
        assert amount(line["volume"]) + amount(line["price"]) == amount(line["difference"])
    assert sum(amount(line["difference"]) for line in found["lines"]) == amount(found["difference"])
    [price] = [part for line in found["lines"] for part in line["explanations"] if part["kind"] == "price"]
    assert price["prices"] == [
        {
            "tokens": "output",
            "billed_per_million": {"nanodollars": "750000000", "dollars": "0.750000000"},
            "ours_per_million": {"nanodollars": "600000000", "dollars": "0.600000000"},
        }
    ]


def test_days_are_taken_from_since_on_and_before_until(shell: Shell) -> None:
    world_of_the_page(shell)
    words = ("costs.json", "usage.json", "--json", "--since", "2026-11-02", "--until", "2026-11-03")
    found = json.loads(shell(*words)[1])
    assert {line["day"] for line in found["lines"]} == {"2026-11-02"}
    code, out, err = shell("costs.json", "--since", "2026-12-24")
    assert (code, out) == (2, "")
    assert err == "solvent: the bill is of 2026-11-01 to 2026-11-03, and has no such days.\n"


def test_only_the_calls_of_the_provider_are_compared(shell: Shell) -> None:
    world = shell.world()
    world.call(Call())
    world.book(Call(model=HAIKU, provider="anthropic"))
    world.write(shell.folder)
    world.store.close()
    assert shell("costs.json", "usage.json")[0] == 0


def test_a_bill_of_days_without_calls_is_told(shell: Shell) -> None:
    world = shell.world()
    world.call(Call())
    world.store.close()
    (shell.folder / "bill.csv").write_text("date,provider,cost\n2026-01-01,openai,1.00\n")
    code, out, err = shell("bill.csv")
    assert (code, out) == (1, "")
    assert err.startswith(
        "solvent: the journal has no calls of openai on the days of the bill, 2026-01-01 to 2026-01-01.\nTo go on: "
    )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ("bill.csv", "--provider", "openia"),
            "expected one of anthropic, csv, litellm, openai, got 'openia'; did you",
        ),
        (("bill.csv", "--columns", "cost"), "expected pairs such as date=Day,model=Model,cost=Amount, got 'cost'"),
        (("bill.csv", "--provider", "openai", "--columns", "cost=Net"), "the format openai has its own"),
        (("bill.csv", "--tolerance", "one"), "expected a part such as 1%, or dollars such as 0.05, got 'one'"),
        (("bill.csv", "--tolerance", "-1%"), "expected a part such as 1% or 0.5%, got '-1%'"),
        (("bill.csv", "--since", "monday"), "expected a day such as 2026-03-01"),
        (("bill.csv", "--scope", "no scope"), "--scope"),
        (("bill.csv",), "solvent: bill.csv:2: cost: expected an amount of dollars such as 12.50, got 'n/a'"),
        (("gone.csv",), "solvent: gone.csv: No such file or directory"),
    ],
)
def test_wrong_usage_is_told_with_code_2(shell: Shell, words: tuple[str, ...], said: str) -> None:
    shell.world().store.close()
    (shell.folder / "bill.csv").write_text("date,cost\n2026-11-01,n/a\n")
    code, out, err = shell(*words, columns=300)
    assert (code, out) == (2, "")
    assert said in err


def test_a_file_that_is_named_twice_does_not_count_twice(shell: Shell) -> None:
    shell.world().store.close()
    (shell.folder / "table.csv").write_text("date,model,cost\n2026-11-01,gpt-4o,0.10\n")
    code, _, err = shell("table.csv", "table.csv")
    assert code == 2
    assert "2026-11-01 is in two files, and would count twice" in err


def test_a_ledger_that_is_not_there_is_told(shell: Shell) -> None:
    (shell.folder / "bill.csv").write_text("date,cost\n2026-11-01,1\n")
    code, _, err = shell("bill.csv")
    assert code == 4
    assert "there is no ledger at" in err


def test_names_from_a_bill_cannot_steer_the_terminal(shell: Shell) -> None:
    world = shell.world()
    world.call(Call())
    world.store.close()
    (shell.folder / "bill.csv").write_text("date,model,cost\n2026-11-01,\x1b[31mred,1\n")
    _, out, err = shell("bill.csv")
    assert "?[31mred" in out
    assert "\x1b" not in out + err


def test_the_journal_of_the_golden_ledger_adds_up_to_its_sums(shell: Shell) -> None:
    ledger = golden(shell.path)
    days = sorted({call.day for call in ledger.calls})
    (shell.folder / "bill.csv").write_text(f"date,model,cost\n{days[0]},nothing,0\n{days[-1]},nothing,0\n")
    found = json.loads(shell("bill.csv", "--json", "--tolerance", "$1")[1])
    assert int(found["journal"]["nanodollars"]) == ledger.cost()
    for scope in ("org:acme", "org:acme/team:search", "user:ann"):
        found = json.loads(shell("bill.csv", "--json", "--scope", scope)[1])
        assert int(found["journal"]["nanodollars"]) == ledger.cost(scope)


def test_a_bill_made_from_the_golden_ledger_agrees_with_it(shell: Shell) -> None:
    ledger = golden(shell.path)
    lines = [f"{call.day},{call.model},{(call.cost or 0):d}e-9" for call in ledger.calls]
    (shell.folder / "bill.csv").write_text("\n".join(["date,model,cost", *lines, ""]))
    code, out, _ = shell("bill.csv", "--tolerance", "0")
    assert code == 0
    assert "The bill and the journal agree: $0.0570." in out
