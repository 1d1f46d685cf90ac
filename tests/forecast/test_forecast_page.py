"""
What the page of a forecast says, that its figures are the record's, and that nothing from outside can say more.
"""

import functools
import re

import numpy as np
import pytest
from clocks import ManualClock
from forecast_cases import BARS, CASES, COVERAGE, LIMITS, NODES, RUN, SCRIPT, made_study, spread
from html_reading import Element, check_structure, read
from msgspec.structs import replace

from solvent import __version__
from solvent.forecast.report import _style
from solvent.forecast.report._range import RAREST
from solvent.forecast.report.page import page, write_page
from solvent.report.html._fit import SIZES
from solvent.report.html._style import DARK, LIGHT

START = "2026-03-02T09:00:00"
TAGS = {
    *("html", "head", "meta", "title", "style", "body", "main", "header", "footer", "section", "figure", "p", "div"),
    *("h1", "h2", "h3", "dl", "dt", "dd", "data", "span", "i", "ol", "ul", "li", "bdi", "wbr", "code"),
    *("table", "caption", "thead", "tbody", "tr", "th", "td", "svg", "g", "line", "rect", "path", "text"),
}


@functools.cache
def text_of(name: str) -> str:
    return page(CASES[name](), clock=ManualClock(START))


def found(name: str = "usual") -> Element:
    return read(text_of(name))


def section(title: str, name: str = "usual") -> Element:
    [one] = [each for each in found(name).all("section") if each.all("h2")[0].text == title]
    return one


def values(element: Element) -> list[float]:
    return [float(each.attributes["value"]) for each in element.all("data")]


@pytest.mark.parametrize("name", sorted(CASES))
def test_names_from_outside_become_no_markup(name):
    text = text_of(name)

    elements = list(read(text).below())
    assert {each.tag for each in elements} <= TAGS
    for each in elements:
        assert not {"href", "src", "xlink:href", "action"} & set(each.attributes)
        assert not [attribute for attribute in each.attributes if attribute.startswith("on")]
    assert "<script" not in text.lower()
    assert re.findall(r"url\(([^)]*)\)", text) == ["#hatch"]
    assert name != "hostile" or SCRIPT in read(text).text


def test_the_page_may_ask_for_nothing():
    [policy] = [each for each in found().all("meta") if each.attributes.get("http-equiv")]

    assert policy.attributes["content"].startswith("default-src 'none'; style-src 'unsafe-inline';")
    assert "http:" not in text_of("usual")
    assert "https:" not in text_of("usual")


@pytest.mark.parametrize("name", sorted(CASES))
def test_a_page_can_be_read_by_its_structure(name):
    top = found(name)

    check_structure(top)
    for chart in top.all("div", "chart"):
        assert chart.attributes["role"] == "img"
        assert len(chart.attributes["aria-label"]) > 40


@pytest.mark.parametrize("name", sorted(CASES))
def test_every_picture_has_a_sentence_before_it(name):
    for one in found(name).all("section"):
        if one.all("div", "chart") or one.all("div", "graph"):
            assert one.all("p")[0].text.rstrip().endswith(".")


def test_the_first_thing_told_is_the_sentence():
    told = [each.text for each in found().all("main")[0].below() if each.tag in ("h1", "p", "dd", "td")]

    assert told[:2] == [
        "Solvent forecast · research-assistant",
        "Half of the runs cost under $0.12, 1 in 100 over $5.12; the worst the graph allows is $226.",
    ]


def test_the_figures_are_those_of_the_record():
    cost, month = made_study().forecast.cost_usd, made_study().forecast.month
    [figures] = found().all("dl", "figures")

    assert values(figures) == [cost.mean, cost.p50, cost.p95, cost.p99, cost.worst, 6.62, month.mean_usd]


def test_the_table_of_one_run_is_the_record():
    forecast = made_study().forecast
    rows = section("One run").all("tbody")[0].all("tr")

    assert [row.all("th")[0].text for row in rows] == ["cost", "tokens", "calls", "time"]
    for row, of in zip(rows, (forecast.cost_usd, forecast.tokens, forecast.calls, forecast.seconds), strict=True):
        told = [of.mean, of.sd, of.p50, of.p90, of.p95, of.p99, of.p999, of.worst]
        assert values(row) == [one for one in told if one is not None]


def test_the_columns_of_the_histogram_hold_all_runs_in_proportion():
    one = section("How many runs cost how much")
    parts = [float(re.findall(r": ([\d.]+) %", each.all("title")[0].children[0])[0]) for each in one.all("rect")]
    heights = [float(each.attributes["height"]) for each in one.all("rect")]

    assert sum(parts) == pytest.approx(100, abs=1.5)
    tallest = heights.index(max(heights))
    assert parts[tallest] == max(parts)
    for part, height in zip(parts, heights, strict=True):
        assert height == pytest.approx(max(heights) * part / parts[tallest], abs=3)


def test_the_marks_of_the_histogram_stand_at_their_amounts():
    one = section("How many runs cost how much")

    for drawn in labels_by_width(one):
        labels = {each.text: place(each) for each in drawn}
        assert set(labels) == {"p50 $0.1201", "p95 $1.41", "p99 $5.12", "p99.9 $8.01", "80 % $5.30", "limit $6.62"}
        # On a logarithmic axis equal ratios are equal distances.
        unit = (labels["p99 $5.12"] - labels["p50 $0.1201"]) / np.log(5.1156 / 0.1201)
        assert labels["p95 $1.41"] - labels["p50 $0.1201"] == pytest.approx(unit * np.log(1.4131 / 0.1201), abs=0.01)
        assert labels["limit $6.62"] - labels["80 % $5.30"] == pytest.approx(unit * np.log(1 / 0.8), abs=0.01)


def labels_by_width(element: Element) -> list[list[Element]]:
    """
    Those of the marks, which are drawn once where they stand alike at every width.
    """
    by_size = [[each for group in element.all("g", size) for each in group.all("text", "at")] for size, _ in SIZES]
    return [drawn for drawn in by_size if drawn] or [element.all("text", "at")]


def place(element: Element) -> float:
    return float(element.attributes["x"].removesuffix("%"))


def test_the_line_of_near_is_where_the_workflow_degrades():
    study = made_study()
    degrade = replace(study.forecast.workflow.wishes.degrade[0], at=0.5)
    workflow = replace(study.forecast.workflow, wishes=replace(study.forecast.workflow.wishes, degrade=(degrade,)))

    text = page(replace(study, forecast=replace(study.forecast, workflow=workflow)))

    assert "50 % $3.31" in read(text).text


def test_a_limit_below_what_any_run_costs_is_on_the_axis_with_its_line_before_it():
    top = read(page(made_study(limit_usd=0.001)))

    one = next(each for each in top.all("section") if each.all("h2")[0].text == "How many runs cost how much")
    for drawn in labels_by_width(one):
        at = {each.text: place(each) for each in drawn}
        assert 0 < at["80 % $0.00080"] < at["limit $0.0010"] < at["p50 $0.1201"]


def test_labels_of_marks_never_cover_each_other_at_any_of_the_three_widths():
    cost = spread(1.0, 0.1, 1.0, 1.01, 1.02, 1.03, 1.04, 1.05)
    forecast = replace(made_study().forecast, cost_usd=cost)
    top = read(page(made_study(forecast=forecast, limit_usd=1.045)))

    [one] = [each for each in top.all("section") if each.all("h2")[0].text == "How many runs cost how much"]
    for drawn in labels_by_width(one):
        assert len(drawn) == 6
        assert len({each.attributes["y"] for each in drawn}) == 6


def test_the_curves_of_exceedance_are_the_outcomes():
    one = section("How likely a dear run is")
    [chart] = one.all("div", "chart")
    curves = {each.attributes["class"]: each.attributes["d"] for each in chart.all("path", "curve")}

    assert set(curves) == {"curve free", "curve stopped", "curve degraded"}
    # Where 1 in 10 runs costs more, a quarter of the way down, is the p90.
    ends = {name: float(re.findall(r"([\d.]+) [\d.]+$", drawn)[0]) for name, drawn in curves.items()}
    assert ends["curve stopped"] < ends["curve free"]
    assert all(drawn.endswith(" 10000") for drawn in curves.values()), RAREST
    points = [tuple(map(int, each)) for each in re.findall(r"(\d+) (\d+)", curves["curve free"])]
    assert [y for _, y in points] == sorted(y for _, y in points)
    p90 = min(points, key=lambda point: abs(point[1] - 2500))[0]
    p99 = min(points, key=lambda point: abs(point[1] - 5000))[0]
    limit = chart.all("line", "at over")[0]
    per_unit = (float(limit.attributes["x1"].removesuffix("%")) * 100 - p99) / np.log(6.62 / 5.1156)
    assert p99 - p90 == pytest.approx(per_unit * np.log(5.1156 / 0.6288), rel=0.15)


def test_what_the_rules_come_to_is_told():
    told = section("How likely a dear run is").all("p")[0].text

    assert told == (
        "Without a limit 1 run in 100 costs over $5.12. Stopped at the limit, 0.98 % of the runs are ended, and no run "
        "costs more than $6.62. With a cheaper model before the limit, 0.04 % of the runs are ended; 1.5 % go on with "
        "that model."
    )


def test_shares_of_the_mean_and_of_the_dearest_stand_side_by_side():
    rows = section("Where the money goes").all("tbody")[0].all("tr")
    costly = [node for node in NODES if node.worst_usd]

    assert [row.all("bdi")[0].text for row in rows] == [node.path for node in costly]
    for row, node in zip(rows, costly, strict=True):
        calls = [node.calls] if node.model else []
        assert values(row) == [node.share, node.share_of_dearest, node.mean_usd, node.worst_usd, *calls]
        widths = [float(re.findall(r"width:([\d.]+)%", each.attributes["style"])[0]) for each in row.all("i")]
        assert widths == pytest.approx([node.share * 100, node.share_of_dearest * 100], abs=1e-4)


def test_the_graph_shows_every_block_with_its_caps():
    graph = section("The workflow").all("div", "graph")[0]
    steps = {each.all("bdi", "title")[0].text: each for each in graph.all("li")}

    def caps(name: str) -> list[str]:
        return [each.text for each in steps[name].all("div", "step")[0].all("span", "cap")]

    assert list(steps) == [
        *("classify", "needs_search", "search", "agent_loop", "agent", "tool_result"),
        *("review_fanout", "review_retry", "review"),
    ]
    assert caps("classify") == ["small", "≤ 1,024 tokens out"]
    assert caps("needs_search") == ["85 %"]
    assert caps("search") == ["$0.0010"]
    assert caps("agent_loop") == ["again 70 / 94 %", "≤ 40 rounds", "history grows"]
    assert caps("review_fanout") == ["documents", "≤ 60", "8 at a time"]
    assert caps("review_retry") == ["fails 32, 98 %", "≤ 3 attempts"]
    assert "agent" in [each.text for each in steps["agent_loop"].all("bdi")]


def test_what_has_no_cap_is_marked_in_the_graph():
    graph = section("The workflow", "uncapped").all("div", "graph")[0]

    marked = [each.text for each in graph.all("span", "cap none-set")]
    assert marked == ["no max", "no max", "any number of children", "no max of levels", "no max of items"]
    assert [each.text for each in graph.all("p", "when")] == ["60 %", "40 %"]
    assert len(graph.all("div", "parts-of")[0].children) == 2


def test_the_heat_of_a_block_is_what_is_in_it_of_the_mean():
    graph = section("The workflow").all("div", "graph")[0]
    heat = {each.all("bdi", "title")[0].text: each.attributes["style"] for each in graph.all("li")}

    assert heat["agent_loop"] == "--heat-share:82%"
    assert heat["review_fanout"] == heat["review"] == "--heat-share:18%"
    assert heat["classify"] == "--heat-share:0%"


def test_the_bars_of_the_tornado_are_to_scale_and_small_ones_left_out():
    one = section("What the cost hangs on")
    rects = one.all("rect")
    widths = {each.attributes["class"]: float(each.attributes["width"].removesuffix("%")) for each in rects[:2]}

    assert len(rects) == 2 * (len(BARS) - 1)
    assert widths["lower"] / widths["higher"] == pytest.approx(0.31 / 0.23, rel=1e-3)
    assert [each.text for each in one.all("text") if "%" in each.text] == ["-23 %", "+31 %", "-20 %", "+20 %"]
    assert (
        "stopping of agent_loop: +31 % when lower, -23 % when higher"
        in one.all("div", "chart")[0].attributes["aria-label"]
    )


def test_limits_stand_with_what_each_blocks():
    one = section("Limits")
    rows = [[cell.text for cell in row.below() if cell.tag in ("th", "td")] for row in one.all("tbody")[0].all("tr")]

    assert len(rows) == len(LIMITS.all)
    assert rows[2] == [RUN, "orchestration", "$6.62", "0.44 %", "what was spent before a call, and its bound"]
    assert [row[3] for row in rows] == ["never reached", "0.21 %", "0.44 %", "none"]
    assert one.all("p")[0].text.startswith("Together they end 0.93 % of the legitimate runs")
    assert LIMITS.remarks[0] in one.text
    assert "99 runs are needed" in section("Limits", "uncapped").text


def test_the_matrix_of_coverage_is_the_record_and_names_what_is_not_contained():
    one = section("What the limits contain")
    rows = one.all("tbody")[0].all("tr")

    for row, of in zip(rows, COVERAGE.rows, strict=True):
        assert values(row) == [worst for worst in of.worst if worst is not None]
        checked = [place for place, cell in enumerate(row.all("td")) if "✓" in cell.text]
        assert [COVERAGE.columns[place] for place in checked] == list(of.contained_by)
    assert one.all("p")[0].text.endswith("Not contained: token bloat.")
    assert [each.text for each in rows[1].all("span", "mark")] == ["not contained"]


def test_the_month_has_its_interval_and_where_its_doubt_comes_from():
    one, month = section("The month"), made_study().forecast.month

    assert one.all("p")[0].text == (
        "A month of 40,000 runs costs $14,200 on average, and in 95 of 100 cases between $11,600 and $17,200. "
        "Most of its doubt is how many runs there are."
    )
    assert values(one) == [month.from_volume, month.from_measuring, month.from_runs]
    assert not [each for each in found("uncapped").all("h2") if each.text == "The month"]


def test_how_sure_it_is_names_the_engine_the_runs_and_what_was_declared():
    told = [each.text for each in section("How sure this is").all("p")]

    assert told == [
        "Exact: the whole distribution is computed; seconds and joint limits come from a simulation.",
        "4,096 runs were simulated: their p99 is $5.13, give or take at most $0.32; the p99 above is exact.",
        "The numbers of the workflow are declared, not measured: the figures are right as far as these are.",
        "nobody said how long search takes: its time is not in the seconds",
    ]
    assert section("How sure this is", "uncapped").all("p")[0].text == (
        "Simulated: 4,096 runs were simulated, for the exact engine cannot: left has no max."
    )


def test_measured_numbers_are_told_as_such():
    study = made_study()
    volume = replace(study.forecast.workflow.volume, measured_runs=300)
    forecast = replace(study.forecast, workflow=replace(study.forecast.workflow, volume=volume))

    assert "The numbers of the workflow were measured in 300 runs." in page(replace(study, forecast=forecast))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_what_is_written_on_heat_can_be_read(scheme):
    colors = {"light": LIGHT, "dark": DARK}[scheme]

    assert contrast(colors["text"], _style.HEAT[scheme]) >= 4.5
    assert contrast(colors["text"], colors["page"]) >= 4.5


def contrast(one: str, other: str) -> float:
    """
    Source:
        W3C, Web Content Accessibility Guidelines 2.2, "contrast ratio", read 2026-11-22.
    """
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def luminance(color: str) -> float:
    parts = [int(color[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_the_page_says_what_made_it_and_when():
    assert f"Made by Solvent {__version__} on 2026-03-02 09:00:00 UTC." in found().all("footer")[0].text


def test_the_same_study_makes_the_same_page():
    assert page(made_study(), clock=ManualClock(START)) == text_of("usual")


def test_a_file_is_replaced_only_when_that_is_asked_for(tmp_path):
    path = tmp_path / "page.html"
    write_page(made_study(), path, clock=ManualClock(START))
    assert path.read_text(encoding="utf-8") == text_of("usual")

    path.write_text("mine", encoding="utf-8")
    with pytest.raises(FileExistsError):
        write_page(made_study(), path)
    assert path.read_text(encoding="utf-8") == "mine"

    write_page(made_study(), path, force=True, clock=ManualClock(START))
    assert path.read_text(encoding="utf-8") == text_of("usual")
    assert [each.name for each in tmp_path.iterdir()] == ["page.html"]
