"""
Forecasts and limits as they are drawn for a terminal.
"""

import pytest
from forecast_cases import CASES, LIMITS, made_forecast, made_study, spread
from msgspec.structs import replace

from solvent.forecast.report import _figures as figures
from solvent.forecast.report._range import Reach
from solvent.forecast.report._terminal import NODES_MAX, draw_forecast
from solvent.forecast.report._terminal_histogram import _labels
from solvent.forecast.report._terminal_limits import draw_limits
from solvent.forecast.report._terminal_study import draw_study
from solvent.report._pen import Pen

PLAIN = Pen(color=False, ascii=False)
ASCII = Pen(color=False, ascii=True)

AT_80 = """
  Solvent · forecast of research-assistant

  Half of the runs cost under $0.12, 1 in 100 over $5.12; the worst the graph
  allows is $226.

  of one run     mean      p50      p90      p95      p99   p99.9  worst
  cost        $0.3548  $0.1201  $0.6288    $1.41    $5.12   $8.01   $226
  tokens        83.2k    27.1k     152k     371k    1.41M   2.21M  61.2M
  calls          24.1       19       41       53       88     913  9.10k
  time           41 s     21 s     88 s  2.5 min  6.7 min  14 min

  runs by cost, on a logarithmic axis
               ▁▅▃▂▄▅▆▇█▂
        ▁    ▂▆██████████▂▂▂▁▁
        █ ▁▄▇███████████████████▇▇▆▅▄▃▂▁
       ██▆████████████████████████████████▆▅▅▂
  ▁▁▂▄████████████████████████████████████████▆▆▆▆▅▅▅▄▄▄▄▄▄▄▃▃▃▃▂▂▂▂▂▂▂▁▃▃▂▁▁▁▁
  ────┬───────────────┬─────────────┬──────────────┬─────────────┬──────────────
    $0.03           $0.1          $0.3            $1            $3
                        ▲                              ▲                ▲
                   p50 $0.1201                     p95 $1.41        p99 $5.12

  where it goes                     mean  of the mean   of dearest 1 %     worst
  classify                      $0.00012   <1 %          <1 %            $0.0011
  search                        $0.00085   <1 %          <1 %            $0.0010
  agent_loop/agent              $0.2911    82 % ████▉    99 % █████▉        $198
  review_fanout/…_retry/review  $0.0627    18 % █         1 % ▏         $27.10

  A month of 40,000 runs costs $14,200 on average, and in 95 of 100 cases
  between $11,600 and $17,200. Most of its doubt is how many runs there are.

  Exact: the whole distribution is computed; seconds and joint limits come from
  a simulation.
  4,096 runs were simulated: their p99 is $5.13, give or take at most $0.32; the
  p99 above is exact.
  The numbers of the workflow are declared, not measured: the figures are right
  as far as these are.
  nobody said how long search takes: its time is not in the seconds
"""
AT_120 = """
  Solvent · forecast of research-assistant

  Half of the runs cost under $0.12, 1 in 100 over $5.12; the worst the graph allows is $226.

  of one run     mean      p50      p90      p95      p99   p99.9  worst
  cost        $0.3548  $0.1201  $0.6288    $1.41    $5.12   $8.01   $226
  tokens        83.2k    27.1k     152k     371k    1.41M   2.21M  61.2M
  calls          24.1       19       41       53       88     913  9.10k
  time           41 s     21 s     88 s  2.5 min  6.7 min  14 min

  runs by cost, on a logarithmic axis
                  ▁▄▆▁▃▄▅▆▇██▅
               ▁▄▆████████████▂▂▂▂▁▁▁
         ▆▅ ▁▄▆████████████████████████▇▇▆▅▅▄▄▃▂▁
        ▆██▇███████████████████████████████████████▇▆▅▅▂
   ▁▁▂▅█████████████████████████████████████████████████▇▆▆▆▆▅▅▅▅▅▄▄▄▅▄▄▄▃▃▃▃▃▂▃▂▂▂▂▂▂▁▁▂▃▂▂▁▁▁▂
  ──────────────┬─────────┬──────────┬──────────────┬──────────┬─────────┬──────────────┬─────────
              $0.05     $0.1       $0.2           $0.5        $1        $2             $5
                             ▲                         ▲            ▲                   ▲
                        p50 $0.1201               p90 $0.6288   p95 $1.41           p99 $5.12

  where it goes                      model   calls      mean  of the mean         of dearest 1 %         worst
  classify                           small       1  $0.00012   <1 %                <1 %                $0.0011
  search                                            $0.00085   <1 %                <1 %                $0.0010
  agent_loop/agent                   big       5.9  $0.2911    82 % █████████▉     99 % ███████████▉      $198
  review_fanout/review_retry/review  big      13.1  $0.0627    18 % ██▏             1 % ▏             $27.10

  A month of 40,000 runs costs $14,200 on average, and in 95 of 100 cases between $11,600 and $17,200. Most of its doubt
  is how many runs there are.

  Exact: the whole distribution is computed; seconds and joint limits come from a simulation.
  4,096 runs were simulated: their p99 is $5.13, give or take at most $0.32; the p99 above is exact.
  The numbers of the workflow are declared, not measured: the figures are right as far as these are.
  nobody said how long search takes: its time is not in the seconds
"""
IN_ASCII = """
  Solvent - forecast of research-assistant

  Half of the runs cost under $0.12, 1 in 100 over $5.12; the worst the graph
  allows is $226.

  of one run     mean      p50      p90      p95      p99   p99.9  worst
  cost        $0.3548  $0.1201  $0.6288    $1.41    $5.12   $8.01   $226
  tokens        83.2k    27.1k     152k     371k    1.41M   2.21M  61.2M
  calls          24.1       19       41       53       88     913  9.10k
  time           41 s     21 s     88 s  2.5 min  6.7 min  14 min

  runs by cost, on a logarithmic axis
                .. ..:::.
             .:::::::::::..
        :  .::::::::::::::::::::::.....
       ::::::::::::::::::::::::::::::::::::..
  ....::::::::::::::::::::::::::::::::::::::::::...............................
  ----+---------------+-------------+--------------+-------------+--------------
    $0.03           $0.1          $0.3            $1            $3
                        ^                              ^                ^
                   p50 $0.1201                     p95 $1.41        p99 $5.12

  where it goes                     mean  of the mean   of dearest 1 %     worst
  classify                      $0.00012   <1 %          <1 %            $0.0011
  search                        $0.00085   <1 %          <1 %            $0.0010
  agent_loop/agent              $0.2911    82 % #####    99 % ######        $198
  review_fanout...retry/review  $0.0627    18 % #         1 %           $27.10

  A month of 40,000 runs costs $14,200 on average, and in 95 of 100 cases
  between $11,600 and $17,200. Most of its doubt is how many runs there are.

  Exact: the whole distribution is computed; seconds and joint limits come from
  a simulation.
  4,096 runs were simulated: their p99 is $5.13, give or take at most $0.32; the
  p99 above is exact.
  The numbers of the workflow are declared, not measured: the figures are right
  as far as these are.
  nobody said how long search takes: its time is not in the seconds
"""
LIMITS_AT_80 = """
  scope                                    limit         blocks
  call                       4,096 output tokens  never reached
  step:agent_loop                       44 calls         0.21 %
  run:research-assistant-*                 $6.62         0.44 %
  team:research-assistant   $17,300.00 per month           none

  Together they end 0.93 % of the legitimate runs (in 95 of 100 cases between
  0.66 % and 1.3 %, from 4,096 runs); asked for was at most 1 %.

  step:search has no seconds, so time is not limited

  caps in the program                   enough  declared
  review_fanout/review_retry  attempts       2         3
"""
LIMITS_AT_120 = """
  scope                     layer                         limit         blocks  derived from
  call                      invocation      4,096 output tokens  never reached  largest output cap of the graph
  step:agent_loop           agent loop                 44 calls         0.21 %  calls of the runs
  run:research-assistant-*  orchestration                 $6.62         0.44 %  what was spent befor…call, and its bound
  team:research-assistant   platform       $17,300.00 per month           none  40,000 runs of $0.35…, give or take 10 %

  Together they end 0.93 % of the legitimate runs (in 95 of 100 cases between 0.66 % and 1.3 %, from 4,096 runs); asked
  for was at most 1 %.

  step:search has no seconds, so time is not limited

  caps in the program                   enough  declared  what that loses
  review_fanout/review_retry  attempts       2         3  one more attempt would succeed in 1.3 of 100 cases
"""


STUDY = """
  what the p99 hangs on   20 % lower  20 % higher
  stopping of agent_loop       +31 %        -23 %
  price of big                 -20 %        +20 %
  documents                      0 %          0 %

  under the limit     mean    p99  dearest  blocked  degraded
  no limit         $0.3539  $5.07    $8.01      0 %       0 %
  stop             $0.3515  $5.07    $6.62   0.98 %       0 %
  degrade          $0.3466  $5.07    $5.84   0.04 %     1.5 %

  scope                   layer                         limit         blocks  derived from
  call                    invocation      4,096 output tokens  never reached  largest out… the graph
  step:agent_loop         agent loop                 44 calls         0.21 %  calls of the runs
  run:researc…ssistant-*  orchestration                 $6.62         0.44 %  what was sp… its bound
  team:resear…-assistant  platform       $17,300.00 per month           none  40,000 runs… take 10 %

  Together they end 0.93 % of the legitimate runs (in 95 of 100 cases between 0.66 % and 1.3 %, from
  4,096 runs); asked for was at most 1 %.

  step:search has no seconds, so time is not limited

  caps in the program                   enough  declared
  review_fanout/review_retry  attempts       2         3

  worst of a run, if    none    step  fan-out   retry  output and token    time    cost    all
  runaway recursion   $7,102  $36.00   $7,102  $7,102            $36.20  no max   $6.55  $6.55
  token bloat         no max  no max   no max  no max              $360  no max  no max   $360

  No limit contains: token bloat.
"""


def text(lines: list[str]) -> str:
    return "\n".join(lines)


@pytest.mark.parametrize(("width", "drawn"), [(80, AT_80), (120, AT_120)])
def test_a_forecast_at_a_width(width, drawn):
    assert text(draw_forecast(made_forecast(), PLAIN, width)) == drawn.rstrip("\n")


def test_a_forecast_in_ascii():
    assert text(draw_forecast(made_forecast(), ASCII, 80)) == IN_ASCII.rstrip("\n")


@pytest.mark.parametrize(("width", "drawn"), [(80, LIMITS_AT_80), (120, LIMITS_AT_120)])
def test_limits_at_a_width(width, drawn):
    assert text(draw_limits(LIMITS, PLAIN, width)) == drawn.rstrip("\n")


@pytest.mark.parametrize("pen", [PLAIN, ASCII], ids=["utf", "ascii"])
@pytest.mark.parametrize("width", [60, 80, 100, 120])
@pytest.mark.parametrize("name", sorted(CASES))
def test_every_line_fits_and_cannot_steer_the_terminal(name, width, pen):
    study = CASES[name]()
    for line in draw_study(study, pen, width):
        assert len(line) <= width
        assert line.isprintable()
        assert line.isascii() or not pen.ascii
        assert line == line.rstrip()


def test_a_study_is_its_forecast_and_what_follows_from_it():
    forecast = draw_forecast(made_forecast(), PLAIN, 100)
    drawn = draw_study(made_study(), PLAIN, 100)

    assert drawn[: len(forecast)] == forecast
    assert text(drawn[len(forecast) :]) == STUDY.rstrip("\n")


def test_colors_add_nothing_but_themselves():
    import re

    colored = draw_forecast(made_forecast(), Pen(color=True, ascii=False), 100)

    assert any("\x1b[" in line for line in colored)
    plain = [re.sub(r"\x1b\[\d*m", "", line) for line in colored]
    assert plain == draw_forecast(made_forecast(), PLAIN, 100)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("usual", "Half of the runs cost under $0.12, 1 in 100 over $5.12; the worst the graph allows is $226."),
        (
            "uncapped",
            "Half of the runs cost under $0.12, 1 in 100 over $5.12; nothing bounds the worst: left has no max, "
            "again has no max, helper has no max of levels and 1 more.",
        ),
        ("for_nothing", "Each run costs nothing; the worst the graph allows is nothing."),
        (
            "half_for_nothing",
            "Half of the runs cost nothing, 1 in 100 over $0.020; the worst the graph allows is $0.020.",
        ),
        ("always_alike", "Each run costs $0.021; the worst the graph allows is $0.021."),
        (
            "dear",
            "Half of the runs cost under $120,000, 1 in 100 over $5.12M; the worst the graph allows is $2,260M.",
        ),
    ],
)
def test_the_first_sentence(name, sentence):
    drawn = draw_forecast(CASES[name]().forecast, PLAIN, 200)

    assert drawn[3].strip() == sentence


def test_what_costs_nothing_has_no_histogram_and_what_takes_no_time_no_row_of_times():
    drawn = text(draw_forecast(CASES["for_nothing"]().forecast, PLAIN, 80))
    assert "logarithmic" not in drawn
    assert "search" not in drawn.partition("Exact")[0]

    timeless = text(draw_forecast(CASES["uncapped"]().forecast, PLAIN, 80))
    assert "  time " not in timeless
    assert "  time " in text(draw_forecast(made_forecast(), PLAIN, 80))


def test_the_share_of_runs_for_nothing_is_told_beside_the_histogram():
    drawn = text(draw_forecast(CASES["half_for_nothing"]().forecast, PLAIN, 80))

    assert "on a logarithmic axis; 60 % cost nothing" in drawn


def test_of_many_nodes_the_largest_are_drawn_and_the_rest_is_told():
    some = made_forecast().nodes[1]
    large = replace(some, path="large", scope="step:large", share=0.4, share_of_dearest=0.0)
    tail = replace(some, path="tail", scope="step:tail", share=0.0, share_of_dearest=0.9)
    small = [replace(some, path=f"small{number}", scope=f"step:small{number}", share=0.02) for number in range(30)]

    drawn = text(draw_forecast(made_forecast(nodes=(*small, large, tail)), PLAIN, 80))

    assert "large" in drawn
    assert "tail" in drawn
    assert drawn.count("small") == NODES_MAX - 2
    assert "8 more, 16 % of the mean (--json has all)" in drawn


def test_the_share_of_a_step_is_drawn_to_scale():
    [line] = [line for line in draw_forecast(made_forecast(), PLAIN, 120) if "agent_loop/agent " in line]

    assert "82 % █████████▉ " in line  # 0.8205 of 12 characters, in eighths.
    assert "99 % ███████████▉" in line


def test_the_histogram_peaks_where_most_runs_are():
    usd = made_forecast().runs.usd * 0 + 0.3
    usd[:100] = 0.01
    forecast = made_forecast(cost_usd=spread(0.29, 0.1, 0.3, 0.3, 0.3, 0.3, 0.3, 1.0))
    forecast.runs.usd[:] = usd

    drawn = draw_forecast(forecast, PLAIN, 80)

    columns = [line for line in drawn if "█" in line or "▁" in line]
    tall = {place for line in columns[:5] for place, mark in enumerate(line) if mark == "█"}
    assert len(tall) == 1
    signs = next(line for line in drawn if "▲" in line)
    assert abs(signs.index("▲") - tall.pop()) <= 1


def test_a_label_at_the_end_of_the_axis_stays_within_it():
    line, shown = _labels([("p99 $5.12", 9.9), ("p50 $1.01", 1.01)], Reach(1.0, 10.0), 40)

    assert line == "p50 $1.01" + " " * 22 + "p99 $5.12"
    assert shown == [9.9, 1.01]


def test_limits_that_cannot_be_derived_say_why():
    drawn = text(draw_limits(CASES["uncapped"]().limits, PLAIN, 80))

    assert "no limit can be derived" in drawn
    assert "usd is not limited: left has no max" in drawn


@pytest.mark.parametrize(
    ("amount", "shown"),
    [
        (0, "$0"),
        (0.0000123, "$0.000012"),
        (0.1201, "$0.1201"),
        (0.99949, "$0.9995"),
        (0.99996, "$1.00"),
        (5.1156, "$5.12"),
        (99.994, "$99.99"),
        (99.996, "$100"),
        (226.3, "$226"),
        (14_192.0, "$14,200"),
        (999_600.0, "$1.00M"),
        (-0.5, "-$0.5000"),
        (None, "no max"),
    ],
)
def test_dollars_have_as_many_digits_as_they_deserve(amount, shown):
    assert figures.usd(amount) == shown


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        (0, "0"),
        (0.02, "0.02"),
        (7.42, "7.4"),
        (36, "36"),
        (99.97, "100"),
        (999.4, "999"),
        (999.6, "1.00k"),
        (83_214.2, "83.2k"),
        (1_412_000, "1.41M"),
        (61.2e6, "61.2M"),
        (None, "no max"),
    ],
)
def test_counts_have_three_digits(number, shown):
    assert figures.count(number) == shown


@pytest.mark.parametrize(
    ("part", "shown"),
    [
        (0, "0 %"),
        (0.000004, "<0.001 %"),
        (0.0004, "0.04 %"),
        (0.05, "5 %"),
        (0.0098, "0.98 %"),
        (0.144, "14 %"),
        (1, "100 %"),
    ],
)
def test_chances_have_two_digits(part, shown):
    assert figures.chance(part) == shown


def test_times_are_told_in_the_unit_they_deserve():
    assert [figures.seconds(one) for one in (4.24, 41, 151, 812, 20_000)] == [
        "4.2 s",
        "41 s",
        "2.5 min",
        "14 min",
        "5.6 h",
    ]
