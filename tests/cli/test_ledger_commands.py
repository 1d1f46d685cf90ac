"""
The commands of ``solvent ledger``: what they change, what they say, and what they refuse.
"""

import json
import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import typer.main
from clocks import ManualClock
from ledger_shell import DAY, RUN, Shell, first_cells, ledger_of_the_docs, section_of_docs, small_ledger
from run_journal import CENT, RunJournal

from solvent._operations import Answer, Operation, Reserve, Reserved
from solvent._records import Account, Terms
from solvent.cli import app
from solvent.errors import OutcomeUnknown, SolventError
from solvent.stores import open_store
from solvent.stores.sqlite import SQLiteStore

COMMANDS = ("show", "verify", "expire", "top-up", "set-limit", "export")


@pytest.fixture
def ledger(tmp_path: Path) -> Shell:
    return small_ledger(tmp_path)


def test_a_top_up_lets_a_call_pass_that_was_refused(ledger: Shell) -> None:
    assert not isinstance(ledger.reserve("a", RUN, 3 * CENT, 5 * CENT), Reserved)

    said = ledger.said("top-up", "run:triage", "usd", "0.02", "--reason", "two more files", "--id", "k1")

    assert said == (
        "run:triage usd: topped up by $0.02.\n"
        "before: spent $0.04, reserved $0.00; limit in force: the caller's\n"
        "after:  spent $0.04, reserved $0.00; limit in force: the caller's + $0.02 top-up\n"
        "id k1; the same again with --id k1 is counted once.\n"
    )
    assert isinstance(ledger.reserve("a", RUN, 3 * CENT, 5 * CENT), Reserved)
    last = json.loads(ledger.said("export").splitlines()[-2])
    assert (last["kind"], last["id"], last["reason"]) == ("top_up", "k1", "two more files")


def test_a_top_up_of_what_no_limit_holds_says_so(ledger: Shell) -> None:
    ledger.reserve("a", RUN, CENT, None)
    words = ("top-up", "run:triage", "usd", "1")
    without = "spent $0.04, reserved $0.01; limit in force: none, for the last call came without one"

    _, before, after, _ = ledger.said(*words).splitlines()

    assert before == f"before: {without}"
    assert after == f"after:  {without}; the $1.00 top-up adds to one that comes"
    ledger.reserve("b", RUN, CENT, 5 * CENT)
    assert ledger.said(*words).splitlines()[2].endswith("limit in force: the caller's + $2.00 top-up")
    assert ledger.said("set-limit", "run:triage", "usd", "2").splitlines()[2].endswith("$2.00 top-up = $4.00")


def test_the_same_top_up_again_is_counted_once(ledger: Shell) -> None:
    words = ("top-up", "run:triage", "usd", "1.50", "--id", "k1")
    assert ledger.json(*words)["changed"] is True

    again = ledger.json(*words)

    assert (again["changed"], again["after"]["topped_up"]) == (False, "1500000000")
    assert ledger.said(*words).startswith("run:triage usd: nothing changed; the id k1 was counted before.\n")


def test_a_limit_that_was_so_before_says_so(ledger: Shell) -> None:
    words = ("set-limit", "run:triage", "usd", "5")
    ledger.said(*words, "--id", "k1")

    assert ledger.said(*words, "--id", "k1").startswith(
        "run:triage usd: nothing changed; the id k1 was counted before.\n"
    )
    assert ledger.said(*words, "--id", "k2").startswith("run:triage usd: nothing changed; it was so before.\n")


def test_a_limit_is_shown_as_it_was_typed_whatever_was_topped_up(ledger: Shell) -> None:
    ledger.said("top-up", "run:triage", "usd", "1.50")

    stopped = ledger.said("set-limit", "run:triage", "usd", "0")
    ledger.said("top-up", "run:triage", "usd", "9007190")
    capped = ledger.said("set-limit", "run:triage", "usd", "50")
    ledger.said("set-limit", "run:triage", "calls", "7")
    shown = ledger.json("show", "--scope", "run:triage")["accounts"][0]

    assert "limit in force: $0.00 set here (top-ups do not count on it)\n" in stopped
    assert "limit in force: $50.00 set here + $9,007,191.50 top-up = $9,007,199.2547, capped\n" in capped
    assert (shown["limit_set"], shown["topped_up"]) == ("50000000000", "9007191500000000")
    assert "$50.00" in ledger.said("show", "--scope", "run:triage")


def test_what_is_open_now_has_no_window(ledger: Shell) -> None:
    code, said = ledger.refusal("set-limit", "run:triage", "parallel", "3", "--window", "day", "--new")

    assert (code, "parallel counts what is open now, and has no window" in said) == (2, True)


def test_a_top_up_makes_an_id_and_prints_it(ledger: Shell) -> None:
    first, second = (ledger.json("top-up", "run:triage", "calls", "2k") for _ in range(2))

    assert re.fullmatch(r"[0-9A-Z]{26}", first["id"])
    assert first["id"] != second["id"]
    assert second["after"]["topped_up"] == "4000"


def test_an_id_with_other_contents_is_a_conflict(ledger: Shell) -> None:
    ledger("top-up", "run:triage", "usd", "1", "--id", "k1")
    conflict = (
        "solvent: the id k1 was used before, with other contents. Nothing was recorded.\n"
        "To go on: make a new id for something new; the same id is for the same again.\n"
    )

    assert ledger.refusal("top-up", "run:triage", "usd", "2", "--id", "k1") == (4, conflict)
    assert ledger.refusal("set-limit", "run:triage", "usd", "2", "--id", "k1") == (4, conflict)
    assert ledger.json("show", "--scope", "run:triage")["accounts"][0]["topped_up"] == "1000000000"


@pytest.mark.parametrize("window", ["day", "/day", "day@UTC"])
def test_a_top_up_of_a_window_says_until_when_it_counts(ledger: Shell, window: str) -> None:
    said = ledger.said("top-up", "team:search", "usd", "5", "--window", window)

    assert said.startswith("team:search usd per day (UTC): topped up by $5.00.\n")
    assert re.search(r"^The top-up counts until \d{4}-\d\d-\d\d 00:00 UTC, when the window begins anew\.$", said, re.M)


def test_a_top_up_of_a_window_that_is_over_counts_no_more(ledger: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger("top-up", "team:search", "usd", "5", "--window", "day", "--id", "k1")
    assert ledger.json("show", "--scope", "team:search")["accounts"][0]["topped_up"] == "5000000000"

    clock = ManualClock("2199-01-01T12:00:00")
    monkeypatch.setattr("solvent.cli._common.open_store", lambda url: open_store(url, clock=clock))
    monkeypatch.setattr("time.time_ns", clock.now_ns)
    ledger("set-limit", "team:search", "usd", "7", "--window", "day")

    (account,) = ledger.json("show", "--scope", "team:search")["accounts"]
    assert (account["limit"], account["topped_up"]) == ("7000000000", "0")


def test_a_limit_that_is_set_replaces_those_of_callers(ledger: Shell) -> None:
    assert ledger.said("set-limit", "run:triage", "usd", "$2", "--id", "k1").splitlines()[:3] == [
        "run:triage usd: limit $2.00.",
        "before: spent $0.04, reserved $0.00; limit in force: the caller's",
        "after:  spent $0.04, reserved $0.00; limit in force: $2.00 set here",
    ]
    assert isinstance(ledger.reserve("a", RUN, 190 * CENT, 5 * CENT), Reserved)

    ledger("top-up", "run:triage", "usd", "1")
    after = ledger.json("show", "--scope", "run:triage")["accounts"][0]
    assert (after["limit"], after["limit_set"], after["topped_up"]) == ("3000000000", "2000000000", "1000000000")

    said = ledger.said("set-limit", "run:triage", "usd", "none")
    assert said.startswith("run:triage usd: the callers' limits count again.\n")
    assert "after:  spent $0.04, reserved $1.90; limit in force: the caller's + $1.00 top-up\n" in said
    assert not isinstance(ledger.reserve("b", RUN, 1, 5 * CENT), Reserved)


def test_a_limit_below_what_is_spent_says_that_nothing_more_is_admitted(ledger: Shell) -> None:
    said = ledger.said("set-limit", "run:triage", "usd", "0.03")

    assert "\nNothing more is admitted: $0.04 spent of $0.03.\n" in said
    assert not isinstance(ledger.reserve("a", RUN, 1, None), Reserved)


def test_a_limit_that_open_calls_fill_up_says_what_they_hold(ledger: Shell) -> None:
    ledger.reserve("a", RUN, CENT, 5 * CENT)

    assert "\nNothing more is admitted while calls are open: $0.04 spent, $0.01 reserved of $0.05.\n" in ledger.said(
        "set-limit", "run:triage", "usd", "0.05"
    )


def test_a_checked_meter_is_full_above_its_limit_only(ledger: Shell) -> None:
    assert "admitted" not in ledger.said("set-limit", "run:triage", "retries", "0", "--new")
    assert "\nNothing more is admitted: 2 calls spent of 2 calls.\n" in ledger.said(
        "set-limit", "run:triage", "calls", "2"
    )


def test_an_unknown_account_is_refused_with_close_ones(ledger: Shell) -> None:
    go_on = "To go on: see them all with `solvent ledger show`, or add --new if it is meant for calls to come.\n"

    assert ledger.refusal("top-up", "run:traige", "usd", "1") == (
        4,
        f"solvent: the ledger knows no account run:traige usd. Close:\n  run:triage usd\n{go_on}",
    )
    assert ledger.refusal("set-limit", "team:search", "usd", "1") == (
        4,
        f"solvent: the ledger knows no account team:search usd. Close:\n  team:search usd --window day\n{go_on}",
    )
    assert ledger.refusal("top-up", "org:x", "usd", "1") == (
        4,
        f"solvent: the ledger knows no account org:x usd.\n{go_on}",
    )
    assert "org:x" not in ledger.said("show")


def test_new_makes_an_account_for_calls_to_come(ledger: Shell) -> None:
    ledger.said("set-limit", "org:new", "usd", "1", "--window", "month", "--time-zone", "Europe/Berlin", "--new")

    shown = ledger.json("show", "--scope", "org:new")["accounts"]
    assert [(account["window"], account["limit"]) for account in shown] == [("month@Europe/Berlin", "1000000000")]


def test_an_account_that_only_an_open_run_named_is_known(ledger: Shell) -> None:
    store = ledger.store()
    RunJournal(store, "run:fresh").open()
    store.close()

    assert ledger("top-up", "run:fresh", "usd", "1")[0] == 0


def test_an_unknown_outcome_names_the_id_to_repeat_with(ledger: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    def lost(store: SQLiteStore, _: Sequence[Operation]) -> list[Answer | SolventError]:
        raise OutcomeUnknown(ledger=store.url, id="k1", reason="disk I/O error")

    monkeypatch.setattr(SQLiteStore, "apply", lost)

    code, said = ledger.refusal("top-up", "run:triage", "usd", "1", "--id", "k1")
    assert code == 4
    assert said.endswith("\nThe id of this change: --id k1\n")


METERS = "usd, tokens, input_tokens, output_tokens, calls, branches, parallel, tool_calls, retries"
ZONE = "time_zone must be a name such as UTC or Europe/Berlin"


@pytest.mark.parametrize(
    ("words", "error"),
    [
        ("run:a dollars 1", f"METER: expected one of {METERS}, got 'dollars'"),
        ("run:a output_token 1", f"METER: expected one of {METERS}, got 'output_token'; did you mean output_tokens?"),
        ("run:a usd 1 --window daily", "--window: expected one of minute, hour, day, week, month, got 'daily'"),
        ("run:a usd 1 --window day --time-zone Mars", f"--time-zone: {ZONE}, got 'Mars'"),
        ("run:a usd 1 --time-zone UTC", "--time-zone: it goes with the windows hour, day, week and month"),
        ("run:a usd 1 --window day@UTC --time-zone GB", "--time-zone: got 'GB', and 'day@UTC' names another"),
        ("triage usd 1", "SCOPE: a scope is written kind:name, such as run:42; got 'triage'"),
        ("dept:a usd 1", "SCOPE: a scope's kind is one of org, team, user, run, agent, step; got 'dept'"),
        ("run:a/org:b usd 1", "SCOPE: org:b cannot stand below run in a scope"),
        (f"run:{'x' * 257} usd 1", "SCOPE: a name in a scope has 1 to 256 bytes, got 257 in run:"),
        (f"run:a{'/agent:a' * 16} usd 1", "SCOPE: a scope has 1 to 16 segments, got 17"),
        ("run:\udcff usd 1", "SCOPE: a name in a scope is text in UTF-8, got '\\udcff'"),
        ("run:a usd -5", "AMOUNT: it must be from 0 up, got '-5'"),
        ("run:a calls -5k", "AMOUNT: it must be from 0 up, got '-5k'"),
        ("run:a usd nan", "AMOUNT: it must be an amount of dollars from 0 up, got 'nan'"),
        ("run:a usd inf", "AMOUNT: it must be an amount of dollars from 0 up, got 'inf'"),
        ("run:a usd lots", "AMOUNT: it must be an amount of dollars such as 2 or 0.50, got 'lots'"),
        ("run:a usd 0.0000000001", "AMOUNT: it must be in whole nanodollars (nine decimals), got '0.0000000001'"),
        ("run:a usd 9007200", "AMOUNT: it must be at most $9,007,199.2547, got '9007200'"),
        ("run:a usd 1e999999999", "AMOUNT: it must be at most $9,007,199.2547, got '1e999999999'"),
        ("run:a usd .50", "AMOUNT: write 0.50 if that is meant; a shell makes .50 of an unquoted $1.50, got '.50'"),
        ("run:a usd 20/day", "AMOUNT: the window goes with --window, got '20/day'"),
        ("run:a tokens 1.5", "AMOUNT: it must be a whole number, got '1.5'"),
        ("run:a tokens nan", "AMOUNT: it must be a whole number such as 200, 500k or 2M, got 'nan'"),
        ("run:a tokens 10000000G", "AMOUNT: it must be within 0 and 9007199254740991, got 10000000000000000"),
        ("run:a usd 1 --id \t", "--id: expected letters, digits and signs without spaces, got '\\t'"),
        (f"run:a usd 1 --id {'k' * 257}", "--id: expected at most 256 bytes, got 257"),
        ("run:a usd 1 --reason \udcff", "--reason: expected text in UTF-8, got '\\udcff'"),
        (f"run:a usd 1 --reason {'x' * 1025}", "--reason: expected at most 1,024 bytes, got 1,025"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("command", ["top-up", "set-limit"])
def test_what_cannot_be_meant_is_refused(ledger: Shell, command: str, words: str, error: str) -> None:
    before = ledger.said("export")

    assert ledger.refusal(command, *words.split(" "), "--new") == (2, f"Error: Invalid value for {error}\n")

    assert ledger.said("export") == before


def test_a_top_up_of_nothing_and_of_a_gauge_is_refused(ledger: Shell) -> None:
    assert ledger.refusal("top-up", "run:triage", "usd", "0") == (
        2,
        "Error: Invalid value for AMOUNT: a top-up adds something, got '0'\n",
    )
    assert ledger.refusal("top-up", "run:triage", "parallel", "2") == (
        2,
        "Error: Invalid value for METER: parallel counts what is open now and is never used up; "
        "give it a limit with set-limit\n",
    )
    assert ledger("set-limit", "run:triage", "parallel", "2", "--new")[0] == 0


def test_a_bad_scope_to_look_at_is_refused(ledger: Shell) -> None:
    for command in ("show", "export"):
        code, said = ledger.refusal(command, "--scope", "triage")
        assert (code, said) == (
            2,
            "Error: Invalid value for --scope: a scope is written kind:name, such as run:42; got 'triage'\n",
        )


WORDS = {"top-up": ("run:triage", "usd", "1"), "set-limit": ("run:triage", "usd", "1")}


@pytest.mark.parametrize("command", COMMANDS)
class TestEveryCommand:
    def test_does_not_make_a_ledger_that_is_missing(self, command: str, tmp_path: Path) -> None:
        for name in (f"sqlite:///{tmp_path}/none.db", f"{tmp_path}/none.db"):
            code, said = Shell(tmp_path).refusal(command, *WORDS.get(command, ()), "--ledger", name)
            assert code == 4
            assert said == (
                f"solvent: there is no ledger at sqlite:///{tmp_path}/none.db.\n"
                "To go on: name another with --ledger or SOLVENT_LEDGER; `solvent run` makes one.\n"
            )
        assert list(tmp_path.iterdir()) == []

    def test_says_that_a_ledger_in_memory_is_gone(self, command: str, tmp_path: Path) -> None:
        assert Shell(tmp_path).refusal(command, *WORDS.get(command, ()), "--ledger", "memory://") == (
            4,
            "solvent: memory:// is a ledger that ends with its process; "
            "there is nothing of it to look at or to change.\n"
            "To go on: keep the ledger in a file, with --ledger or SOLVENT_LEDGER, where it is written and here.\n",
        )

    def test_leaves_a_file_that_is_no_ledger_as_it_is(self, command: str, tmp_path: Path) -> None:
        shell = Shell(tmp_path / "ledger.db")
        shell.path.write_bytes(b"not a database, and long enough to be read as one" * 100)
        before = shell.path.read_bytes()

        code, said = shell.refusal(command, *WORDS.get(command, ()))

        assert code == 4
        assert said.startswith(f"solvent: {shell.path} cannot be used as a ledger: ")
        assert shell.path.read_bytes() == before

    def test_leaves_a_ledger_of_a_newer_version_as_it_is(self, command: str, ledger: Shell) -> None:
        import apsw

        connection = apsw.Connection(str(ledger.path))
        connection.pragma("user_version", 99)
        connection.close()

        code, said = ledger.refusal(command, *WORDS.get(command, ()))

        assert code == 4
        assert said.startswith(f"solvent: {ledger.path} cannot be used as a ledger: it is of version 99")

    def test_leaves_the_journal_in_agreement(self, command: str, ledger: Shell) -> None:
        ledger.reserve("late", RUN, CENT, 5 * CENT, ttl_seconds=0)
        ledger.said(command, *WORDS.get(command, ()))
        ledger.said("verify")


def test_expire_says_how_many_and_how_much(ledger: Shell) -> None:
    for id in ("a", "b"):
        ledger.reserve(id, DAY, CENT, 5 * CENT, ttl_seconds=0)
    ledger.reserve("c", RUN, CENT, 5 * CENT, ttl_seconds=0)
    ledger.reserve("d", Account("run:alive", "usd"), CENT, 5 * CENT)

    assert ledger.said("expire") == (
        "3 reservations charged in full:\n"
        "run:triage   1 reservation   $0.01\n"
        "team:search  2 reservations  $0.02\n"
    )  # fmt: skip
    assert ledger.said("expire") == (
        "nothing to expire: every open reservation is within its time, and its program is alive.\n"
    )
    assert [entry["id"] for entry in ledger.json("show", "--open")["open"]] == ["d"]


def test_expire_says_the_same_in_json(ledger: Shell) -> None:
    ledger.reserve("c", RUN, CENT, 5 * CENT, ttl_seconds=0)

    assert ledger.json("expire") == {
        "schema_version": 1,
        "expired": 1,
        "scopes": [{"scope": "run:triage", "expired": 1, "charged": {"usd": "10000000"}}],
    }
    assert ledger.json("expire") == {"schema_version": 1, "expired": 0, "scopes": []}


def test_expire_counts_a_charge_once_however_many_scopes_it_has(ledger: Shell) -> None:
    store = ledger.store()
    terms = Terms.of({Account("team:a", "usd"): None, Account("team:a/run:b", "usd"): None})
    store.apply([Reserve(id="x", scope="team:a/run:b", terms=terms, amounts={"usd": CENT}, ttl_seconds=0)])
    store.close()

    assert ledger.json("expire")["scopes"] == [{"scope": "team:a/run:b", "expired": 1, "charged": {"usd": "10000000"}}]


def test_show_lists_limits_and_top_ups_of_the_ledger(ledger: Shell) -> None:
    ledger("set-limit", "run:triage", "usd", "2")
    ledger("top-up", "run:triage", "calls", "5")

    assert ledger.said("show") == (
        "scope        meter  window   spent  reserved  overrun  limit set  top-ups\n"
        "run:triage   usd    life     $0.04     $0.00    $0.00      $2.00\n"
        "run:triage   calls  life         2         0        0                   5\n"
        "team:search  usd    day@UTC  $0.02     $0.00    $0.00\n"
    )
    accounts = ledger.json("show")["accounts"]
    assert [(one["limit"], one["limit_set"], one["topped_up"]) for one in accounts] == [
        ("2000000000", "2000000000", "0"),
        (None, None, "5"),
        (None, None, "0"),
    ]


def test_show_open_lists_what_is_set_aside_call_by_call(ledger: Shell) -> None:
    assert ledger.said("show", "--open") == "nothing is reserved\n"
    ledger.reserve("01J9ZK", RUN, CENT, 5 * CENT)

    assert re.fullmatch(
        r"id      scope       model         age  reserved\n01J9ZK  run:triage  gpt-5-mini  \d\.\d s  \$0\.01\n",
        ledger.said("show", "--open"),
    )
    (found,) = ledger.json("show", "--open")["open"]
    assert {name: found[name] for name in ("id", "scope", "model", "reserved")} == {
        "id": "01J9ZK",
        "scope": "run:triage",
        "model": "gpt-5-mini",
        "reserved": {"usd": "10000000"},
    }
    assert ledger.said("show", "--open", "--scope", "team:search") == "nothing is reserved under team:search\n"


def test_scopes_and_models_cannot_steer_the_terminal(ledger: Shell) -> None:
    ledger.reserve("01J9ZK", Account("run:a\x1b[2J", "usd"), CENT, 5 * CENT)

    assert "\x1b" not in ledger.said("show") + ledger.said("show", "--open")


def group() -> Any:
    return typer.main.get_command(app).commands["ledger"]  # type: ignore[attr-defined]  # It is a group.


def test_the_group_has_these_commands() -> None:
    assert tuple(group().commands) == COMMANDS


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_takes_a_ledger_and_speaks_json(command: str) -> None:
    options = {name for parameter in group().commands[command].params for name in parameter.opts}
    assert {"--ledger", "--json"} <= options


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_of_a_command_has_its_line_in_the_docs(command: str) -> None:
    written = {name.split()[0] for name in first_cells(section_of_docs(f"`solvent ledger {command}`"))}
    parameters = group().commands[command].params
    meant = {name for parameter in parameters for name in parameter.opts if name.startswith("--")}
    meant |= {parameter.metavar for parameter in parameters if not parameter.opts[0].startswith("--")}
    assert written == meant - {"--help", "--ledger", "--json"}


@pytest.mark.parametrize("command", COMMANDS)
def test_the_docs_show_what_a_command_prints(command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shell = ledger_of_the_docs(tmp_path)
    monkeypatch.chdir(tmp_path)
    shown = re.findall(r"^```\n(.*?)^```", section_of_docs(f"`solvent ledger {command}`"), flags=re.M | re.S)
    printed = []
    for session in shown:
        lines = re.findall(r"^\$ solvent ledger (.+)$", session, flags=re.M)
        printed.append(
            "".join(f"$ solvent ledger {words}\n{''.join(shell(*shlex.split(words))[1:])}" for words in lines)
        )
    assert shown
    assert [_timeless(session) for session in printed] == [_timeless(session) for session in shown]


def _timeless(text: str) -> str:
    return re.sub(r"\d+-\d\d-\d\d \d\d:\d\d|\d+\.\d s", "…", text)
