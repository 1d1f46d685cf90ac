"""
The tree, the rows and the trace of the golden ledger as pictures; those of 80 columns stand in the docs.
"""

import re

import pytest
from clocks import ManualClock
from golden_ledger import TRIAGE
from msgspec.structs import replace
from run_journal import CENT, START, RunJournal

from solvent._records import Account, Balance
from solvent.report import Report, Use, render, summarize
from solvent.report._draw_by import draw_by
from solvent.report._draw_trace import draw_trace
from solvent.report._draw_tree import SCOPES_MAX, draw_tree
from solvent.report._pen import Pen
from solvent.report._records import Node
from solvent.report._terminal import Picture
from solvent.report._trace import trace
from solvent.stores.memory import MemoryStore
from solvent.stores.sqlite import SQLiteStore

PLAIN = Pen(color=False, ascii=False)
TREE_AT_120 = """
Solvent · the whole ledger · 3 runs

  scope                                                           of limit     spent  reserved  calls  refused
  all                                                                        $0.0570   $0.0030     17        4
  ├─ org:acme                   █░░░░░░░░░░░░░░░░░░░░░░░  <1 %  $500/month   $0.0570               16        4
  │  ├─ team:search             ░░░░░░░░░░░░░░░░░░░░░░░░   0 %     $20/day   $0.0550               12        3
  │  │  └─ run:triage           █░░░░░░░░░░░░░░░░░░░░░░░   3 %       $1.50   $0.0550               12        3
  │  │     ├─ agent:writer      ━━━━━━━━━━━━━━━━━━━━━━                       $0.0525                4        2
  │  │     ├─ agent:researcher  █░░░░░░░░░░░░░░░░░░░░░░░  <1 %       $0.50   $0.0022                7        1
  │  │     │  ├─ step:search    ━━━━━━━━                                     $0.0008                4
  │  │     │  └─ itself         ━━━━━━━━━━━━━━━                              $0.0015                3        1
  │  │     └─ itself            ━                                            $0.0002                1
  │  └─ team:ads                ━                                            $0.0020                4        1
  │     └─ run:banner           █░░░░░░░░░░░░░░░░░░░░░░░  <1 %       $0.25   $0.0020                4        1
  │        └─ agent:painter     ━━━━━━━━━━━━━━━━━━━━━━━━                     $0.0020                4        1
  │           ├─ agent:mixer    ━━━━                                         $0.0003                1        1
  │           └─ itself         ━━━━━━━━━━━━━━━━━━━                          $0.0017                3
  └─ user:ann                                                               unpriced   $0.0030      1
     └─ run:lonely                                                          unpriced   $0.0030      1

  █ spent, ▒ reserved of the scope's limit · ━ share of the scope above

  see it again: solvent report --all --tree
"""

TREE_IN_ASCII = """
Solvent - the whole ledger - 3 runs

  scope                             of limit     spent  reserved  calls  refused
  all                                          $0.0570   $0.0030     17        4
  |-org:acme              #.....  $500/month   $0.0570               16        4
  | |-team:search         ......     $20/day   $0.0550               12        3
  | | `-run:triage        #.....       $1.50   $0.0550               12        3
  | |   |-agent:writer    =====                $0.0525                4        2
  | |   |-agent:...rcher  #.....       $0.50   $0.0022                7        1
  | |   | |-step:search   ==                   $0.0008                4
  | |   | `-itself        ===                  $0.0015                3        1
  | |   `-itself          =                    $0.0002                1
  | `-team:ads            =                    $0.0020                4        1
  |   `-run:banner        #.....       $0.25   $0.0020                4        1
  |     `-agent:painter   ======               $0.0020                4        1
  |       |-agent:mixer   =                    $0.0003                1        1
  |       `-itself        ====                 $0.0017                3
  `-user:ann                                  unpriced   $0.0030      1
    `-run:lonely                              unpriced   $0.0030      1

  # spent, + reserved of the scope's limit - = share of the scope above

  see it again: solvent report --all --tree
"""

ROWS_AT_120 = """
Solvent · the whole ledger · 3 runs

  model                      agent       calls  refused   input  cached  output      cost
  gpt-4o-2024-08-06          writer          3            6,000       0   2,024   $0.0477  ━━━━━━━━━━━━━
  claude-haiku-4-5-20251001  writer          1            3,000     500     400   $0.0048  ━
  gpt-4o-mini-2024-07-18     researcher      7           11,000   2,000   1,200   $0.0022  ━
  my-tool                    painter         1                0       0       0   $0.0012  ━
  gpt-4o-mini-2024-07-18     painter         2            2,000       0     200   $0.0004  ━
  gpt-4o-mini-2024-07-18     mixer           1        1   2,000   1,000     200   $0.0003  ━
  gpt-4o-mini-2024-07-18     -               1            1,000       0     100   $0.0002  ━
  local-model                -               1               50       0       5  unpriced
  gpt-4o-mini-2024-07-18     writer          0        2       0       0       0   $0.00
  gpt-9                      researcher      0        1       0       0       0   $0.00
  total                                     17        4  25,050   3,500   4,129   $0.0570

  see it again: solvent report --all --by model,agent
"""

TRACE_AT_120 = """
UTC       below                         model                         in    out      cost  run so far
2026-03-01
09:00:00  org:acme/team:search/run:triage was opened with $500.00 per month of org:acme, $20.00 per day of team:search,
          $1.00 of run:triage, 200 calls of run:triage
09:00:32  agent:researcher/step:search  gpt-4o-mini-2024-07-18     1,000    100   $0.0002     $0.0002
09:01:04  agent:researcher/step:search  gpt-4o-mini-2024-07-18     2,000    200   $0.0003     $0.0006
          prefix
09:01:36  agent:researcher              gpt-4o-mini-2024-07-18     4,000    500   $0.0009     $0.0015
          asked for gpt-4o · degrade gpt-4o-mini
09:02:08  agent:writer                  claude-haiku-4-5-20251001  3,000    400   $0.0048     $0.0063
          wait 1.5 s
09:02:40  agent:writer                  gpt-4o-2024-08-06          1,000  1,024   $0.0127     $0.0190
          shrink 1024
09:03:10  agent:writer                  gpt-4o-2024-08-06          5,000  1,000   $0.03       $0.0490
          booked at the most it could cost (cut off)
09:03:42  agent:researcher/step:search  gpt-4o-mini-2024-07-18         0      0   $0.00       $0.0490
          failed at the provider (429)
09:04:14  agent:researcher/step:search  gpt-4o-mini-2024-07-18     1,000    100   $0.0002     $0.0492
          retry 1
09:04:46  agent:researcher              gpt-4o-mini-2024-07-18     1,000    100   $0.0002     $0.0494
          $0.00001 above what was reserved
09:07:17  agent:writer                  gpt-4o                         0      0   $0.0050     $0.0544
          expired, charged in full
09:09:48  agent:researcher              gpt-4o-mini                    0      0   $0.0050     $0.0594
          expired, charged in full
09:09:48  agent:researcher              gpt-4o-mini-2024-07-18     2,000    200  -$0.0047     $0.0548
          corrects what it was charged when it expired
09:10:18  never sent: agent:researcher (the provider was not reached)
09:10:18  run:triage usd: topped up by $0.50 (two more files)
09:10:50                                gpt-4o-mini-2024-07-18     1,000    100   $0.0002     $0.0550
          warn usd
09:10:50  refused: agent:writer, gpt-4o-mini, budget exceeded: run:triage has $1.44 left of $1.50; this call needs up to
          $1.60.
09:10:50  refused: agent:writer, gpt-4o-mini, budget exceeded: run:triage has $1.44 left of $1.50; this call needs up to
          $1.70.
09:10:50  refused: agent:researcher, gpt-9, price unknown: 'gpt-9' has no price.
09:10:50  org:acme/team:search/run:triage was closed: budget
"""


def test_the_tree_at_120_columns(whole: Report) -> None:
    assert render(whole, width=120, color=False, picture=draw_tree, options=" --tree") == TREE_AT_120


def test_the_tree_in_ascii(whole: Report) -> None:
    drawn = render(whole, width=80, color=False, ascii=True, picture=draw_tree, options=" --tree")
    assert drawn == TREE_IN_ASCII


def test_the_rows_at_120_columns(whole: Report) -> None:
    picture = draw_by(("model", "agent"))
    assert render(whole, width=120, color=False, picture=picture, options=" --by model,agent") == ROWS_AT_120


def test_the_trace_at_120_columns(store: SQLiteStore) -> None:
    drawn = draw_trace(trace(store, TRIAGE), TRIAGE, PLAIN, 120)
    assert "\n" + "\n".join(drawn) + "\n" == TRACE_AT_120


@pytest.mark.parametrize("picture", [draw_tree, draw_by(("model", "agent")), None])
def test_colors_change_nothing_but_colors(picture: Picture | None, whole: Report) -> None:
    plain, colored = (render(whole, width=120, color=color, picture=picture) for color in (False, True))
    # Paint may keep blanks at the end of a line that plain text does without.
    bare = [re.sub(r"\x1b\[\d*m", "", line).rstrip() for line in colored.splitlines()]
    assert bare == plain.splitlines()
    assert "\x1b[" in colored


def test_colors_of_a_trace_change_nothing_but_colors(store: SQLiteStore) -> None:
    plain, colored = (
        list(draw_trace(trace(store, TRIAGE), TRIAGE, Pen(color=color, ascii=False), 80)) for color in (False, True)
    )
    assert [re.sub(r"\x1b\[\d*m", "", line) for line in colored] == plain
    assert [line for line in colored if "\x1b[31m" in line and "refused" in line]


def node(scope: str, cost: int, *children: Node, limit: int | None = None, reserved: int = 0) -> Node:
    account = Account(scope, "usd")
    limits = () if limit is None else (Balance(account=account, limit=limit, spent=cost, reserved=reserved),)
    total = Use(calls=1, cost_nanodollars=cost)
    own = Use() if children else total
    return Node(
        scope=scope, own=own, total=total, limits=limits, reserved_nanodollars=reserved, children=tuple(children)
    )


def drawn(tree: Node, width: int = 80) -> list[str]:
    report = Report(scope=tree.scope, tree=tree, total=tree.total)
    return render(report, width=width, color=False, picture=draw_tree).splitlines()[3:]


def test_a_bar_of_a_scope_shows_what_is_reserved_of_its_limit() -> None:
    [line] = [
        each for each in drawn(node("run:a", 40 * CENT, limit=100 * CENT, reserved=30 * CENT)) if "run:a" in each
    ][:1]
    assert line == "  run:a   ██▒▒░░  40 %        $1  $0.40     $0.30      1"


def test_what_a_scope_holds_itself_is_in_its_own_line() -> None:
    tree = replace(
        node("run:a", 5 * CENT, node("run:a/agent:b", 2 * CENT, reserved=CENT)), reserved_nanodollars=4 * CENT
    )
    tree = replace(tree, own=Use(calls=1, cost_nanodollars=3 * CENT), refused=2)

    lines = drawn(tree)

    assert [line.split()[-3:] for line in lines if "─itself" in line] == [["$0.03", "1", "2"]]
    assert [line.split()[-2:] for line in lines if "─agent:b" in line] == [["$0.01", "1"]]


def test_of_a_wide_tree_the_dearest_are_drawn_and_the_others_as_one() -> None:
    children = [node(f"run:a/step:s{number}", number * CENT) for number in range(200, 0, -1)]
    tree = node("run:a", sum(child.total.cost_nanodollars for child in children), *children)

    lines = drawn(tree)

    steps = [line for line in lines if "step:" in line]
    assert len(steps) == SCOPES_MAX - 1
    assert steps[0].split()[0] == "├─step:s200"
    [others] = [line for line in lines if "others" in line]
    assert others.split()[0] == "└─141"
    assert f"${141 * 142 // 2 / 100:.2f}" in others
    assert "  the 60 dearest of 201 scopes (--json has more)" in lines


def test_a_deep_tree_is_drawn_as_deep_as_there_is_room_and_says_so() -> None:
    path = ["run:a", *(f"step:{number:02}-of-a-rather-long-name" for number in range(15))]
    tree = node("/".join(path), CENT)
    for length in range(len(path) - 1, 0, -1):
        tree = node("/".join(path[:length]), CENT, tree)

    lines = drawn(tree)

    assert len([line for line in lines if "$0.01" in line]) == 14
    assert "  drawn to 13 levels of 15 (--json has all)" in lines
    assert max(map(len, lines)) <= 80
    assert len([line for line in drawn(tree, 120) if "$0.01" in line]) == 16


def test_long_names_are_cut_in_their_middle() -> None:
    tree = node("run:a", CENT, node("run:a/agent:the-same-beginning-of-a-long-name-and-then-number-1", CENT))
    [line] = [each for each in drawn(tree, 60) if "agent:" in each]
    assert line.startswith("  └─agent:the-same-be…nd-then-number-1  ━━")


def test_a_trace_of_any_length_is_in_columns() -> None:
    journal = RunJournal(MemoryStore(clock=ManualClock(START)), limits={"usd": 10**6 * CENT})
    for number in range(1_500):
        journal.call(CENT if number < 1_200 else 123_456, usage={"input_tokens": 7, "output_tokens": 10**6})

    lines = list(draw_trace(trace(journal.store, "run:triage"), "run:triage", PLAIN, 120))

    assert len(lines) == 1_502  # A head, and a day.
    assert len([line for line in lines if line.startswith("UTC")]) == 1
    assert len({line.rindex(".") for line in lines[2:1_002]}) == 1


def test_text_from_outside_cannot_steer_the_terminal() -> None:
    evil = "gpt\x1b[2J\r\n\u202e\x07"
    journal = RunJournal(MemoryStore(clock=ManualClock(START)), "run:a%1B[2J")
    journal.open()
    journal.call(CENT, model_used=evil, estimated=evil, parent_id=evil, rungs=[f"degrade {evil}"])
    journal.refuse(evil, evil, model=evil)
    journal.close(evil)
    report = summarize(journal.store, None)

    pictures = [render(report, width=80, color=False, picture=one) for one in (draw_tree, draw_by(("model",)))]
    text = "".join([*pictures, *draw_trace(trace(journal.store, None), None, PLAIN, 80)])

    assert all(character.isprintable() for character in text.replace("\n", ""))


def test_the_limits_of_a_whole_ledger_are_the_fullest(whole: Report) -> None:
    def of(number: int) -> Balance:
        return Balance(account=Account(f"user:u{number}", "usd"), limit=100 * CENT, spent=number * CENT)

    lines = render(replace(whole, limits=tuple(map(of, range(1, 9)))), width=80, color=False).splitlines()

    assert [line.strip() for line in lines if "user:" in line] == [f"user:u{number}" for number in (4, 5, 6, 7, 8)]
    assert "  3 more scopes below, none fuller (--json has all)" in lines
