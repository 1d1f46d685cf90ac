"""
Pictures of open budgets, line by line as a terminal shows them.
"""

import io

import pytest
from pictured import CENT, DOLLAR, NOW, PICTURE, one
from rich.cells import cell_len
from rich.console import Console

from solvent.top._cells import ASCII, MARKS, Marks
from solvent.top._draw import draw
from solvent.top._records import OpenBudget, Picture, Refusal

AT_80 = """\
Solvent · ~/ledger.db · 2 open · 1 killed · $0.2146 a minute        10:15:00 UTC
                                spent reserved    left   limit  per min    lasts

org:acme/team:search…X3Y8ABCDEFGHJKMNPQR · running 4 min · 42 calls, 2 of 8 open
  usd               ██████▒░░   $1.42    $0.18   $0.40   $2.00    $0.21    1 min
  output t… (warn)  █░░░░░░░░  91,230          408,770 500,000   18,400   22 min
  calls             █░░░░░░░░      42        2     156     200      6.5   24 min
  time              ███░░░░░░   4 min            6 min  10 min             6 min
  agent:coder usd   █████████   $0.52           -$0.02   $0.50    $0.04  used up

org:acme/team:search · 1,204 calls, 2 open
  usd/day           ███████░░  $16.00            $4.00  $20.00    $1.00    4 min

org:acme · 88,031 calls
  usd/month         █░░░░░░░░  $73.00          $427.00 $500.00    $0.01 to reset

run:free · open 7 s · 1 call
  usd               no limit  $0.0004                          <$0.0001

run:nightly · killed · 3 calls, 1 open
  usd               █▒░░░░░░░   $0.30    $0.01   $0.69   $1.00

last refusals
  10:14:58  org:acme/team:search/run:triage-01…KQX3Y8ABCDEFGHJKMNPQR/agent:coder
            12 × has $0.00 left of $0.50; this call needs up to $0.0420.
  2026-03-01  run:free  'gpt-9' has no price.
"""
AT_120 = """\
Solvent · ~/ledger.db · 2 open · 1 killed · $0.2146 a minute                                                10:15:00 UTC
                                                           used    spent  reserved     left    limit   per min     lasts

org:acme/team:search/run:triage-01J9ZKQX3Y8ABCDEFGHJKMNPQR · running 4 min · 42 calls, 2 of 8 open
  usd                   ██████████████████████▒▒▒░░░░░░░   80 %    $1.42     $0.18    $0.40    $2.00     $0.21     1 min
  output tokens (warn)  █████░░░░░░░░░░░░░░░░░░░░░░░░░░░   18 %   91,230            408,770  500,000    18,400    22 min
  calls                 ██████▒░░░░░░░░░░░░░░░░░░░░░░░░░   22 %       42         2      156      200       6.5    24 min
  time                  ████████████░░░░░░░░░░░░░░░░░░░░   40 %    4 min              6 min   10 min               6 min
  agent:coder usd       ████████████████████████████████  104 %    $0.52             -$0.02    $0.50     $0.04   used up

org:acme/team:search · 1,204 calls, 2 open
  usd/day               █████████████████████████░░░░░░░   80 %   $16.00              $4.00   $20.00     $1.00     4 min

org:acme · 88,031 calls
  usd/month             ████░░░░░░░░░░░░░░░░░░░░░░░░░░░░   14 %   $73.00            $427.00  $500.00     $0.01  to reset

run:free · open 7 s · 1 call
  usd                   no limit                                 $0.0004                              <$0.0001

run:nightly · killed · 3 calls, 1 open
  usd                   ████████▒░░░░░░░░░░░░░░░░░░░░░░░   31 %    $0.30     $0.01    $0.69    $1.00

last refusals
  10:14:58  org:acme/team:search/ru…FGHJKMNPQR/agent:coder  12 × has $0.00 left of $0.50; this call needs up to $0.0420.
  2026-03-01  run:free  'gpt-9' has no price.
"""
IN_ASCII = """\
Solvent - ~/ledger.db - 2 open - 1 killed - $0.2146 a minute        10:15:00 UTC
                                spent reserved    left   limit  per min    lasts

org:acme/team:searc...3Y8ABCDEFGHJKMNPQR - running 4 min - 42 calls, 2 of 8 open
  usd               ######+..   $1.42    $0.18   $0.40   $2.00    $0.21    1 min
  output ...(warn)  #........  91,230          408,770 500,000   18,400   22 min
  calls             #........      42        2     156     200      6.5   24 min
  time              ###......   4 min            6 min  10 min             6 min
  agent:coder usd   #########   $0.52           -$0.02   $0.50    $0.04  used up

org:acme/team:search - 1,204 calls, 2 open
  usd/day           #######..  $16.00            $4.00  $20.00    $1.00    4 min

org:acme - 88,031 calls
  usd/month         #........  $73.00          $427.00 $500.00    $0.01 to reset

run:free - open 7 s - 1 call
  usd               no limit  $0.0004                          <$0.0001

run:nightly - killed - 3 calls, 1 open
  usd               #+.......   $0.30    $0.01   $0.69   $1.00

last refusals
  10:14:58  org:acme/team:search/run:triage-0...QX3Y8ABCDEFGHJKMNPQR/agent:coder
            12 x has $0.00 left of $0.50; this call needs up to $0.0420.
  2026-03-01  run:free  'gpt-9' has no price.
"""
ON_24_LINES = """\
Solvent · ~/ledger.db · 2 open · 1 killed · $0.2146 a minute        10:15:00 UTC
the ledger does not answer: its file is gone; trying again
                                spent reserved    left   limit  per min    lasts
org:acme/team:search…X3Y8ABCDEFGHJKMNPQR · running 4 min · 42 calls, 2 of 8 open
  usd               ██████▒░░   $1.42    $0.18   $0.40   $2.00    $0.21    1 min
  output t… (warn)  █░░░░░░░░  91,230          408,770 500,000   18,400   22 min
  calls             █░░░░░░░░      42        2     156     200      6.5   24 min
  time              ███░░░░░░   4 min            6 min  10 min             6 min
  agent:coder usd   █████████   $0.52           -$0.02   $0.50    $0.04  used up
org:acme/team:search · 1,204 calls, 2 open
  usd/day           ███████░░  $16.00            $4.00  $20.00    $1.00    4 min
org:acme · 88,031 calls
  usd/month         █░░░░░░░░  $73.00          $427.00 $500.00    $0.01 to reset
run:free · open 7 s · 1 call
  usd               no limit  $0.0004                          <$0.0001
run:nightly · killed · 3 calls, 1 open
  usd               █▒░░░░░░░   $0.30    $0.01   $0.69   $1.00


last refusals
  10:14:58  org:acme/team:search/run:triage-01…KQX3Y8ABCDEFGHJKMNPQR/agent:coder
            12 × has $0.00 left of $0.50; this call needs up to $0.0420.
  2026-03-01  run:free  'gpt-9' has no price.
q quits
"""
ON_12_LINES = """\
Solvent · ~/ledger.db · 2 open · 1 killed · $0.2146 a minute        10:15:00 UTC
                               spent  reserved    left   limit  per min    lasts
org:acme/team:search…X3Y8ABCDEFGHJKMNPQR · running 4 min · 42 calls, 2 of 8 open
  agent:coder usd  █████████   $0.52            -$0.02   $0.50    $0.04  used up
org:acme/team:search · 1,204 calls, 2 open
  usd/day          ███████░░  $16.00             $4.00  $20.00    $1.00    4 min
and 3 more: --once shows all

last refusals
  10:14:58  org:acme/team:search/run:triage-01…KQX3Y8ABCDEFGHJKMNPQR/agent:coder
            12 × has $0.00 left of $0.50; this call needs up to $0.0420.
q quits
"""


def text(picture: Picture, width: int, height: int | None = None, *, marks: Marks = MARKS, **said: str) -> str:
    console = Console(file=io.StringIO(), width=width, color_system=None, highlight=False, markup=False)
    console.print(draw(picture, width=width, height=height, marks=marks, ledger="~/ledger.db", **said))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_at_80_columns() -> None:
    assert text(PICTURE, 80) == AT_80


def test_at_120_columns() -> None:
    assert text(PICTURE, 120) == AT_120


def test_in_ascii() -> None:
    assert text(PICTURE, 80, marks=ASCII) == IN_ASCII
    assert IN_ASCII.isascii()


def test_on_a_terminal_of_24_lines_the_refusals_stand_at_its_end() -> None:
    trouble = "the ledger does not answer: its file is gone; trying again"
    assert text(PICTURE, 80, 24, hint="q quits", trouble=trouble) == ON_24_LINES


def test_on_few_lines_the_budgets_nearest_to_their_limits_are_left() -> None:
    assert text(PICTURE, 80, 12, hint="q quits") == ON_12_LINES
    assert text(PICTURE, 80, 4, hint="q quits").splitlines()[1:] == ["and 5 more: --once shows all", "", "q quits"]


def test_where_nothing_is_open_that_is_said() -> None:
    said = text(Picture(at=NOW), 80, 4, hint="q quits").splitlines()
    assert said[0].startswith("Solvent · ~/ledger.db · 0 open · $0.00 a minute  ")
    assert said[1:] == ["no budget is open", "", "q quits"]


@pytest.mark.parametrize("width", range(60, 170, 7))
@pytest.mark.parametrize("marks", [MARKS, ASCII])
def test_no_line_is_wider_than_the_terminal(width: int, marks: Marks) -> None:
    large = OpenBudget(
        scope=f"org:{'名' * 60}/run:{'x' * 200}",
        calls=123_456_789,
        open_calls=1_000,
        rows=(
            one("run:x", "usd", 9_000_000 * DOLLAR, 8_999_999 * DOLLAR + 1, reserved=CENT, burn=DOLLAR, left=10**9),
            one("run:x", "output_tokens", 10**12, 10**11, window="minute", burn=10**9, left=1, on_exceed="warn"),
        ),
    )
    refusal = Refusal(at=NOW, scope=large.scope, code="budget_exceeded", said="名" * 300)
    picture = Picture(at=NOW, budgets=(*PICTURE.budgets, large), refusals=(refusal, *PICTURE.refusals))
    for height in (None, 24, 50):
        lines = text(picture, width, height, marks=marks, hint="q quits", trouble="away " * 50).splitlines()
        assert max(map(cell_len, lines)) <= width
        assert height is None or len(lines) == height


def test_text_from_outside_cannot_steer_the_terminal() -> None:
    wild = OpenBudget(scope="run:a\x1b[2Jb", rows=(one("run:a", "usd", CENT, 0),))
    refusal = Refusal(at=NOW, scope="run:a\x1b[2Jb", code="x", said="\x1b]0;title\x07 [red]none[/red]")
    said = text(Picture(at=NOW, budgets=(wild,), refusals=(refusal,)), 80)
    assert "\x1b" not in said
    assert "run:a?[2Jb" in said
    assert "?]0;title? [red]none[/red]" in said


@pytest.mark.parametrize("width", [60, 80])
def test_what_a_refusal_said_is_whole_in_a_picture_that_is_not_live(width: int) -> None:
    said = "has $0.00 left of $0.50; " + "this call needs up to $0.0420, " * 5 + "x" * 150 + " of 名名名."
    refusal = Refusal(at=NOW, scope="run:a", code="budget_exceeded", said=said)
    picture = Picture(at=NOW, refusals=(refusal,))
    whole = text(picture, width).partition("last refusals")[2]
    assert "…" not in whole
    assert "".join(whole.split()) == "".join(f"10:15:00 run:a {said}".split())
    assert max(map(cell_len, whole.splitlines())) <= width
    assert "…" in text(picture, width, 24).partition("last refusals")[2]


def test_a_scope_that_the_ledger_does_not_know_is_named() -> None:
    assert text(Picture(at=NOW, unknown="run:nope"), 80).splitlines()[1:] == [
        "the ledger knows no scope run:nope, and nothing below it"
    ]
    assert "run:" + "x" * 200 in "".join(text(Picture(at=NOW, unknown="run:" + "x" * 200), 80).split())


def test_a_name_is_cut_in_the_middle() -> None:
    assert MARKS.cut("org:acme/run:triage-01J9ZK", 16) == "org:acme…-01J9ZK"
    assert ASCII.cut("org:acme/run:triage-01J9ZK", 16) == "org:acm...01J9ZK"
    assert MARKS.cut("名名名名名名", 8) == "名名…名"
    assert MARKS.cut("run:triage", 10) == "run:triage"
