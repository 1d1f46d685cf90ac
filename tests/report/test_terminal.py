import io
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from solvent._openings import OtherLimit
from solvent._records import Account, Balance
from solvent.report import ModelUse, Refused, Report, Share, Use, render, write
from solvent.report._records import Rung

CENT = 10_000_000
SECOND = 1_000_000_000
REPORT = Report(
    scope="run:triage",
    openings=1,
    state="ended",
    open_nanoseconds=252 * SECOND,
    started=0,
    ended=252 * SECOND,
    is_command=True,
    exit_reason="budget",
    exit_code=3,
    limits=(
        Balance(account=Account("run:triage", "usd"), limit=100 * CENT, spent=96 * CENT, reserved=3 * CENT),
        Balance(account=Account("run:triage", "calls"), limit=200, spent=33),
        Balance(account=Account("org:acme", "usd", "month@UTC"), limit=50_000 * CENT, spent=120 * CENT),
    ),
    total=Use(
        calls=34,
        cost_nanodollars=96 * CENT,
        unpriced=1,
        tokens={"input_tokens": 341_000, "cache_read_tokens": 120_000, "output_tokens": 16_540},
    ),
    models=(
        ModelUse(
            provider="openai",
            model="gpt-5-mini-2025-08-07",
            use=Use(
                calls=33,
                cost_nanodollars=96 * CENT,
                tokens={"input_tokens": 340_000, "cache_read_tokens": 120_000, "output_tokens": 16_500},
            ),
        ),
        ModelUse(
            provider="openai",
            model="local-model",
            use=Use(calls=1, unpriced=1, tokens={"input_tokens": 1_000, "output_tokens": 40}),
        ),
    ),
    refused=(
        Refused(
            code="budget_exceeded",
            account=Account("run:triage", "usd"),
            limit=100 * CENT,
            count=31,
            reason="run:triage has $0.01 left of $1.00; this call needs up to $0.0300.",
        ),
        Refused(
            code="price_unknown",
            model="gpt-9",
            count=1,
            reason="'gpt-9' has no price, and a limit in dollars is in force.\nTo go on: …",
        ),
    ),
    released=1,
    rungs={"degrade": 3, "prefix": 12, "shrink": 4, "wait": 7},
    ladder=(
        Rung(name="prefix", calls=12, cost_nanodollars=30 * CENT),
        Rung(name="wait", calls=7, cost_nanodollars=20 * CENT, waited_milliseconds=12_000),
        Rung(name="degrade", calls=3, cost_nanodollars=CENT, saved_nanodollars=14_100_000),
        Rung(name="shrink", calls=4, cost_nanodollars=4 * CENT),
        Rung(name="refuse", calls=32, saved_nanodollars=320 * CENT),
    ),
    estimated={"cut": Share(count=2, nanodollars=6 * CENT), "expired": Share(count=1, nanodollars=3 * CENT)},
    expired=Share(count=1, nanodollars=3 * CENT),
    overruns=Share(count=1, nanodollars=1_200_000),
    open=Share(count=1, nanodollars=3 * CENT),
)

AT_80 = """
Solvent · run triage · stopped by the budget · 4 min 12 s

  usd              ████████████████████▒░   96 %  $0.96 of $1.00, $0.03 reserved
  calls            ███░░░░░░░░░░░░░░░░░░░   16 %  33 of 200
  org:acme
    usd per month  █░░░░░░░░░░░░░░░░░░░░░   <1 %  $1.20 of $500.00

  model                  calls    input   cached  output      cost
  gpt-5-mini-2025-08-07     33  340,000  120,000  16,500     $0.96
  local-model                1    1,000        0      40  unpriced
  total                     34  341,000  120,000  16,540     $0.96

  32 calls refused
    31 × budget exceeded: run:triage has $0.01 left of $1.00; this call needs up
         to $0.0300.
     1 × price unknown: 'gpt-9' has no price, and a limit in dollars is in
         force.

  7 waited for room, 12 s in all
  3 made with another model: about $0.0141 saved · 4 given an output cap to fit
  32 refused: up to $3.20 not spent

  2 booked at the most it could cost (cut off): $0.06
  1 expired, charged in full: $0.03
  1 above what was reserved, by $0.0012
  1 of unknown cost

  1 still open, reserved $0.03 · 1 never sent

  see it again: solvent report --run triage
"""

AT_120 = """
Solvent · run triage · stopped by the budget · 4 min 12 s

  usd              ██████████████████████████████████████▒░   96 %  $0.96 of $1.00, $0.03 reserved
  calls            ██████░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░   16 %  33 of 200
  org:acme
    usd per month  █░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░   <1 %  $1.20 of $500.00

  model                  calls    input   cached  output      cost
  gpt-5-mini-2025-08-07     33  340,000  120,000  16,500     $0.96
  local-model                1    1,000        0      40  unpriced
  total                     34  341,000  120,000  16,540     $0.96

  32 calls refused
    31 × budget exceeded: run:triage has $0.01 left of $1.00; this call needs up to $0.0300.
     1 × price unknown: 'gpt-9' has no price, and a limit in dollars is in force.

  7 waited for room, 12 s in all · 3 made with another model: about $0.0141 saved · 4 given an output cap to fit
  32 refused: up to $3.20 not spent

  2 booked at the most it could cost (cut off): $0.06
  1 expired, charged in full: $0.03
  1 above what was reserved, by $0.0012
  1 of unknown cost

  1 still open, reserved $0.03 · 1 never sent

  see it again: solvent report --run triage
"""


def test_the_picture_at_80_columns() -> None:
    assert render(REPORT, width=80, color=False) == AT_80


def test_the_picture_at_120_columns() -> None:
    assert render(REPORT, width=120, color=False) == AT_120


def test_colors_change_nothing_but_colors() -> None:
    colored = render(REPORT, width=80, color=True)

    assert re.sub(r"\x1b\[\d*m", "", colored) == AT_80
    assert colored.startswith("\n\x1b[1mSolvent · run triage\x1b[0m · stopped by the budget")


@pytest.mark.parametrize(
    ("spent", "reserved", "bar", "percent"),
    [
        (0, 0, "........................................", "0 %"),
        (1, 0, "#.......................................", "<1 %"),
        (999_999_999, 0, "#######################################.", "99 %"),
        (1_000_000_000, 0, "########################################", "100 %"),
        (2_000_000_000, 0, "########################################", "200 %"),
        (9_999_999_999, 0, "########################################", "999 %"),
        (10_000_000_000, 0, "########################################", ">999 %"),
        (500_000_000, 1, "###################+....................", "50 %"),
        (0, 1_000_000_000, "++++++++++++++++++++++++++++++++++++++++", "0 %"),
    ],
)
def test_a_bar_is_full_only_at_its_limit(spent: int, reserved: int, bar: str, percent: str) -> None:
    balance = Balance(account=Account("run:triage", "usd"), limit=1_000_000_000, spent=spent, reserved=reserved)

    picture = render(Report(scope="run:triage", limits=(balance,)), width=120, color=False, ascii=True)

    assert f"  usd  {bar}  {percent:>5}  $" in picture


def test_a_limit_of_zero_has_no_percentage() -> None:
    balance = Balance(account=Account("run:triage", "usd"), limit=0)

    picture = render(Report(scope="run:triage", limits=(balance,)), width=120, color=False, ascii=True)

    assert f"  usd  {'.' * 40}         $0.00 of $0.00\n" in picture


def test_a_run_without_calls_says_so() -> None:
    report = Report(
        scope="run:triage",
        openings=1,
        open_nanoseconds=SECOND,
        ended=SECOND,
        exit_reason="exited",
        exit_code=0,
        is_command=True,
    )

    assert render(report, width=80, color=False) == (
        "\nSolvent · run triage · exited with 0 · 1.0 s\n"
        "\n  no model call was seen (calls to an address in its own code go past)\n"
        "\n  see it again: solvent report --run triage\n"
    )


@pytest.mark.parametrize("reason", ["not_found", "not_executable"])
def test_a_command_that_did_not_run_is_told_no_way_for_its_calls(reason: str) -> None:
    report = Report(scope="run:a", openings=1, ended=SECOND, exit_reason=reason, exit_code=127, is_command=True)

    assert "\n  no model call was seen\n" in render(report, width=80, color=False)


@pytest.mark.parametrize(
    ("is_hooked", "said"),
    [
        (True, "no model call was seen"),
        (False, "no model call was seen (without solvent.install() calls go past it)"),
    ],
)
def test_a_block_without_calls_is_told_of_install_where_there_was_none(is_hooked: bool, said: str) -> None:
    report = Report(scope="run:a", openings=1, ended=SECOND, exit_reason="exited", exit_code=0)

    assert f"\n  {said}\n" in render(report, width=80, color=False, is_hooked=is_hooked)


@pytest.mark.parametrize(
    ("reason", "code", "said"), [("exited", 0, "ended"), ("OpenAIError", 1, "ended by OpenAIError")]
)
def test_a_block_ends_and_does_not_exit(reason: str, code: int, said: str) -> None:
    report = Report(
        scope="run:a", openings=1, open_nanoseconds=SECOND, ended=SECOND, exit_reason=reason, exit_code=code
    )

    assert render(report, width=80, color=False).startswith(f"\nSolvent · run a · {said} · 1.0 s\n")


@pytest.mark.parametrize(
    ("state", "said"), [("running", "running"), ("killed", "killed"), (None, "running, or killed")]
)
def test_a_run_that_was_not_closed_says_so(state: str | None, said: str) -> None:
    report = Report(scope="run:triage", openings=2, state=state, open_nanoseconds=70 * SECOND)

    assert f"\nSolvent · run triage · {said} · opened 2 times · 1 min 10 s in all\n" in render(
        report, width=80, color=False
    )


def test_a_long_name_stands_alone_and_whole() -> None:
    name = "agent.py-01M814T8Z9XYJ4ZQ1V2W3X4Y5Z" * 2
    report = Report(
        scope=f"run:{name}", openings=1, open_nanoseconds=SECOND, ended=SECOND, exit_reason="budget", is_command=True
    )

    assert render(report, width=80, color=False).splitlines()[1:4] == [
        "Solvent · run",
        f"  {name}",
        "  stopped by the budget · 1.0 s",
    ]


def test_a_request_that_was_turned_away_came_by() -> None:
    report = Report(scope="run:triage", turned_away={"denied": 2, "invalid_json": 1})

    assert render(report, width=80, color=False) == (
        "\nSolvent · run triage\n"
        "\n  3 requests turned away (2 × path not known, 1 × no JSON that can be read)\n"
        "\n  see it again: solvent report --run triage\n"
    )


def test_calls_that_failed_or_were_never_sent_say_why() -> None:
    report = Report(scope="run:a", failed={"429": 3}, released=1, unsent={"not_sent": 1}, total=Use(calls=3))

    assert "\n  3 failed at the provider (429) · 1 never sent (the provider was not reached)\n" in render(
        report, width=80, color=False
    )


def test_limits_that_only_tell_and_those_without_an_account_are_shown() -> None:
    gauge = Balance(account=Account("run:triage", "parallel"), limit=8)
    report = Report(
        scope="run:triage",
        limits=(gauge, Balance(account=Account("run:triage/step:inner-01M814T8Z9XYJ4ZQ1V2W3X4Y5Z", "usd"), limit=CENT)),
        others=(
            OtherLimit(scope="run:triage", meter="usd", limit="1000000", on_exceed="warn", spent=9_000_000),
            OtherLimit(scope="call", meter="usd", limit="250000000"),
            OtherLimit(scope="call", meter="output_tokens", limit="8000", on_exceed="log"),
            OtherLimit(scope="run:triage", meter="depth", limit="5"),
            OtherLimit(scope="run:triage", meter="seconds", limit="1.5"),
            OtherLimit(scope="org:acme", meter="seconds", limit="600"),
        ),
        rungs={"warn usd": 2},
        total=Use(calls=2),
    )

    picture = render(report, width=80, color=False)

    assert picture == (
        "\nSolvent · run triage\n\n"
        "  usd (warn)  ███████████████████████████████████████  900 %  $0.0090 of $0.0010\n"
        "  step:inner-01M814T8Z9XYJ4ZQ1V2W3X4Y5Z\n"
        "    usd       ░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░    0 %  $0.00 of $0.01\n"
        "  also in force: 8 calls at a time · $0.25 a call\n"
        "    8,000 output tokens a call (log) · depth 5 · time 1.5 s\n"
        "    org:acme time 10 min\n"
        "\n  no model call was seen\n"
        "\n  2 passed the limit of usd (warn)\n"
        "\n  see it again: solvent report --run triage\n"
    )


def test_the_points_of_money_stand_below_one_another() -> None:
    models = [(7, 960_000_000), (3, 22_500), (1, 42_000_000)]
    report = Report(
        scope="run:triage",
        models=tuple(
            ModelUse(provider=None, model=f"m{calls}", use=Use(calls=calls, cost_nanodollars=cost))
            for calls, cost in models
        ),
        total=Use(calls=11, cost_nanodollars=1_002_022_500),
    )

    lines = [line for line in render(report, width=80, color=False).splitlines() if "$" in line]

    assert [line.split()[-1] for line in lines] == ["$0.96", "$0.0000225", "$0.0420", "$1.0020"]
    assert len({line.rindex(".") for line in lines}) == 1


def test_how_to_see_it_again_can_be_pasted() -> None:
    def last_line(scope: str, ledger: str | None = None) -> str:
        return render(Report(scope=scope), width=80, color=False, ledger=ledger).splitlines()[-1].strip()

    assert last_line("run:my run") == "see it again: solvent report --run 'my run'"
    assert last_line("org:acme/run:x") == "see it again: solvent report --run org:acme/run:x"
    assert last_line("run:run%3Ax") == "see it again: solvent report --run run:run%3Ax"
    assert last_line("run:x", "sqlite:///a b.db") == (
        "see it again: solvent report --run x --ledger 'sqlite:///a b.db'"
    )


def test_text_from_outside_cannot_steer_the_terminal() -> None:
    evil = "gpt\x1b[2J\r\n\u202e\x07"
    report = replace(
        REPORT,
        scope="run:a%1B[2J",
        exit_reason=evil,
        models=(ModelUse(provider=None, model=evil, use=Use(calls=1)),),
        refused=(Refused(code=evil, model=evil, count=1, reason=evil),),
        estimated={evil: Share(count=1)},
    )

    picture = render(report, width=80, color=False)

    assert all(character.isprintable() for character in picture.replace("\n", ""))


class Stream(io.TextIOWrapper):
    def __init__(self, encoding: str, *, terminal: bool = False) -> None:
        super().__init__(io.BytesIO(), encoding=encoding)
        self._terminal = terminal

    def isatty(self) -> bool:
        return self._terminal

    def written(self) -> str:
        self.flush()
        content = self.buffer.getvalue()  # type: ignore[attr-defined]  # The buffer is the BytesIO made above.
        assert isinstance(content, bytes)
        return content.decode(self.encoding)


def test_a_pipe_gets_no_color_and_80_columns() -> None:
    stream = Stream("utf-8")
    write(REPORT, stream, environment={})

    assert stream.written() == AT_80


@pytest.mark.parametrize(
    ("environment", "colored"),
    [({}, True), ({"NO_COLOR": "1"}, False), ({"NO_COLOR": ""}, True), ({"TERM": "dumb"}, False)],
)
def test_a_terminal_gets_color_unless_it_asks_for_none(environment: dict[str, str], colored: bool) -> None:
    stream = Stream("utf-8", terminal=True)
    write(REPORT, stream, environment={"COLUMNS": "80", **environment})

    assert ("\x1b[" in stream.written()) is colored


def test_of_many_scopes_below_the_fullest_are_drawn_and_the_others_counted() -> None:
    def below(number: int) -> str:
        return f"run:triage/step:req-{number}"

    own = Balance(account=Account("run:triage", "usd"), limit=100 * CENT, spent=10 * CENT)
    balances = [
        Balance(account=Account(below(number), meter), limit=100, spent=number % 100)
        for number in range(300)
        for meter in ("tokens", "calls")
    ]
    balances[2 * 7] = replace(balances[2 * 7], reserved=150)
    times = [OtherLimit(scope=below(number), meter="seconds", limit="60") for number in (7, 8)]
    limits, others = (own, *balances), (*times, OtherLimit(scope=below(300), meter="depth", limit="2"))
    report = replace(REPORT, limits=limits, others=others)

    picture = render(report, width=60, color=False)

    block = picture.split("\n\n")[1].splitlines()
    assert [line.strip() for line in block if line.startswith("  step:")] == [
        f"step:req-{number}" for number in (7, 98, 99, 199, 299)
    ]
    assert len(block) == 1 + 5 * 3 + 2
    assert block[-2:] == [
        "  also in force: step:req-7 time 1 min",
        "  296 more scopes below, none fuller (--json has all)",
    ]
    six = replace(report, limits=(own, *balances[: 2 * 6]), others=())
    assert "1 more scope below" in render(six, width=60, color=False)


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_stream_that_knows_no_blocks_gets_ascii(encoding: str) -> None:
    stream = Stream(encoding)
    name = "modèle-日本"
    write(replace(REPORT, models=(replace(REPORT.models[0], model=name),)), stream, environment={})

    assert stream.written().isascii()
    assert "##########" in stream.written()
    assert "mod?le-??" in stream.written()


_NAMES = st.text(min_size=1, max_size=60)
_AMOUNTS = st.integers(0, 10**14)  # $100,000.


@pytest.mark.slow
@settings(deadline=None)
@given(
    width=st.integers(60, 200),
    model=_NAMES,
    reason=_NAMES,
    spent=_AMOUNTS,
    limit=_AMOUNTS,
    reserved=_AMOUNTS,
)
def test_the_picture_stays_within_its_columns(
    width: int, model: str, reason: str, spent: int, limit: int, reserved: int
) -> None:
    balances = tuple(
        Balance(account=Account(scope, meter), limit=limit, spent=spent, reserved=reserved)
        for scope in ("run:triage", "org:a-rather-long-name-of-an-organization")
        for meter in ("usd", "output_tokens")
    )
    use = Use(calls=3, cost_nanodollars=spent, tokens={"input_tokens": spent})
    report = replace(
        REPORT,
        limits=balances,
        models=(ModelUse(provider=None, model=model, use=use),),
        refused=(Refused(code="budget_held", count=10**6, reason=reason),),
    )

    widest = max(map(len, render(report, width=width, color=False).splitlines()))

    assert widest <= min(width, 120)
