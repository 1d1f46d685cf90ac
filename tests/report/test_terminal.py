import io
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from solvent._records import Account, Balance
from solvent.report import ModelUse, Refused, Report, Share, Use, render, write

CENT = 10_000_000
SECOND = 1_000_000_000
REPORT = Report(
    scope="run:triage",
    openings=1,
    started=0,
    ended=252 * SECOND,
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
    rungs={"prefix": 12, "shrink": 4, "wait": 7},
    estimated={"cut": Share(count=2, nanodollars=6 * CENT), "expired": Share(count=1, nanodollars=3 * CENT)},
    expired=Share(count=1, nanodollars=3 * CENT),
    overruns=Share(count=1, nanodollars=1_200_000),
    open=Share(count=1, nanodollars=3 * CENT),
)

AT_80 = """
Solvent · run triage · stopped by the budget · 4 min 12 s

  usd                     █████████████▒░   96 %  $0.96 of $1.00, $0.03 reserved
  calls                   ██░░░░░░░░░░░░░   16 %  33 of 200
  org:acme usd per month  █░░░░░░░░░░░░░░   <1 %  $1.20 of $500.00

  model                  calls    input   cached  output      cost
  gpt-5-mini-2025-08-07     33  340,000  120,000  16,500     $0.96
  local-model                1    1,000        0      40  unpriced
  total                     34  341,000  120,000  16,540     $0.96

  32 calls refused
    31 × budget exceeded: run:triage has $0.01 left of $1.00; this call needs up
         to $0.0300.
     1 × price unknown: 'gpt-9' has no price, and a limit in dollars is in
         force.

  4 given an output cap to fit · 7 waited for room · 1 of unknown cost
  2 booked at the most it could cost (cut off): $0.06
  1 expired, charged in full: $0.03 · 1 above what was reserved, by $0.0012
  1 still open, reserved $0.03 · 1 never sent

  see it again: solvent report --run triage
"""

AT_120 = """
Solvent · run triage · stopped by the budget · 4 min 12 s

  usd                     ██████████████████████████████████████▒░   96 %  $0.96 of $1.00, $0.03 reserved
  calls                   ██████░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░   16 %  33 of 200
  org:acme usd per month  █░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░   <1 %  $1.20 of $500.00

  model                  calls    input   cached  output      cost
  gpt-5-mini-2025-08-07     33  340,000  120,000  16,500     $0.96
  local-model                1    1,000        0      40  unpriced
  total                     34  341,000  120,000  16,540     $0.96

  32 calls refused
    31 × budget exceeded: run:triage has $0.01 left of $1.00; this call needs up to $0.0300.
     1 × price unknown: 'gpt-9' has no price, and a limit in dollars is in force.

  4 given an output cap to fit · 7 waited for room · 1 of unknown cost
  2 booked at the most it could cost (cut off): $0.06 · 1 expired, charged in full: $0.03
  1 above what was reserved, by $0.0012 · 1 still open, reserved $0.03 · 1 never sent

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
        (10_000_000_000, 0, "########################################", "over"),
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
    report = Report(scope="run:triage", openings=1, started=0, ended=SECOND, exit_reason="exited", exit_code=0)

    assert render(report, width=80, color=False) == (
        "\nSolvent · run triage · exited with 0 · 1.0 s\n"
        "\n  no model call came by (a program finds Solvent by OPENAI_BASE_URL and its kin)\n"
        "\n  see it again: solvent report --run triage\n"
    )


def test_a_run_that_was_not_closed_says_so() -> None:
    report = Report(scope="run:triage", openings=2, started=0, last_seen=70 * SECOND)

    assert "\nSolvent · run triage · running, or killed · opened 2 times · 1 min 10 s\n" in render(
        report, width=80, color=False
    )


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
    width=st.integers(80, 200),
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
