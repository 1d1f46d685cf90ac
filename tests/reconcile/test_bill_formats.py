"""
The formats of bills, as their providers write them: each line is read exactly, and what cannot be read is refused.
"""

import json
from decimal import Decimal
from pathlib import Path

import pytest
from bill_world import PRICES

from solvent._estimate import Estimator
from solvent.imports import FORMATS, Intake, Writer
from solvent.reconcile import Bill, BillError, parse_columns, read_bill
from solvent.reconcile._records import Charge
from solvent.stores.memory import MemoryStore

OPENAI_COSTS = """{"object": "page", "has_more": false, "data": [
  {"object": "bucket", "start_time": 1793491200, "end_time": 1793577600, "results": [
    {"object": "organization.costs.result", "amount": {"value": 0.130804383403075261, "currency": "usd"},
     "line_item": "gpt-5-mini-2025-08-07, cached input", "quantity": 5232, "quantity_unit": "tokens"},
    {"object": "organization.costs.result", "amount": {"value": 0.5, "currency": "usd"},
     "line_item": "priority | gpt-5.6-sol, output, long context", "project_id": null},
    {"object": "organization.costs.result", "amount": {"value": 1e-05, "currency": "usd"},
     "line_item": "web search tool calls", "project_id": null}]},
  {"object": "bucket", "start_time": 1793577600, "end_time": 1793664000, "results": []}]}"""
OPENAI_USAGE = """{"object": "page", "has_more": false, "data": [
  {"object": "bucket", "start_time": 1793491200, "end_time": 1793577600, "results": [
    {"object": "organization.usage.completions.result", "input_tokens": 46264, "input_cached_tokens": 8192,
     "output_tokens": 60000, "num_model_requests": 8, "model": "gpt-5-2025-08-07", "batch": false,
     "service_tier": "default", "project_id": null}]}]}"""
OPENAI_COSTS_CSV = """start_time,end_time,start_time_iso,end_time_iso,amount_value,amount_currency,line_item,project_id
1793491200,1793577600,2026-11-01T00:00:00+00:00,2026-11-02T00:00:00+00:00,0.8958740000000000,usd,,
1793577600,1793664000,2026-11-02T00:00:00+00:00,2026-11-03T00:00:00+00:00,,,,
"""
OPENAI_USAGE_CSV = """start_time,num_model_requests,model,batch,input_tokens,output_tokens,input_cached_tokens
1793491200,10.0,gpt-4o-2024-08-06,TRUE,59200.0,10646.0,5760.0
1793577600,,,,,,
"""
ANTHROPIC_USAGE = """{"data": [{"starting_at": "2026-11-01T00:00:00Z", "ending_at": "2026-11-02T00:00:00Z", "results": [
  {"uncached_input_tokens": 1500,
   "cache_creation": {"ephemeral_1h_input_tokens": 1000, "ephemeral_5m_input_tokens": 500},
   "cache_read_input_tokens": 200, "output_tokens": 700, "server_tool_use": {"web_search_requests": 10},
   "model": "claude-sonnet-4-5-20250929", "service_tier": "standard", "context_window": "0-200k"}]}],
  "has_more": false, "next_page": null}"""
ANTHROPIC_COSTS = """{"data": [{"starting_at": "2026-11-01T00:00:00Z", "ending_at": "2026-11-02T00:00:00Z", "results": [
  {"currency": "USD", "amount": "123.456789", "description": "Claude Sonnet 4.5 Usage - Input Tokens",
   "cost_type": "tokens", "model": "claude-sonnet-4-5-20250929", "service_tier": "standard",
   "token_type": "uncached_input_tokens", "context_window": "0-200k"},
  {"currency": "USD", "amount": "10.00", "description": "Web Search Usage", "cost_type": "web_search", "model": null,
   "service_tier": null, "token_type": null, "context_window": null}]}], "has_more": false}"""
ANTHROPIC_COSTS_CSV = """usage_date_utc,model,workspace,api_key,usage_type,context_window,token_type,cost_usd
2026-11-01,Claude Sonnet 4.5,Default,key,standard,≤ 200k,input_cache_write_5m,0.12
2026-11-01,Claude Haiku 3.5,Default,key,batch,≤ 200k,output,0.03
"""
ANTHROPIC_USAGE_CSV = (
    "usage_date_utc,model_version,api_key,workspace,usage_type,context_window,usage_input_tokens_no_cache,"
    "usage_input_tokens_cache_write_5m,usage_input_tokens_cache_write_1h,usage_input_tokens_cache_read,"
    "usage_output_tokens,web_search_count,inference_geo,speed\n"
    "2026-11-01,claude-opus-5,App,Default,standard,≤ 200k,46981,15969,0,7,16932,2,global,\n"
)
LITELLM = (
    '{"request_id": "a", "call_type": "acompletion", "spend": 1.6500000000000003e-05, "startTime": '
    '"2026-11-01T23:59:59.500000Z", "endTime": "2026-11-02T00:00:01Z", "model": "openai/gpt-4o", "prompt_tokens": 10, '
    '"completion_tokens": 2, "custom_llm_provider": "openai", "cache_hit": "False", "status": "success"}\n'
    '{"request_id": "b", "spend": 0, "startTime": "2026-11-01T10:00:00Z", "model": "gpt-4o", "status": "failure"}\n'
    '{"request_id": "c", "spend": 0.0, "startTime": "2026-11-01T10:00:00Z", "model": "gpt-4o", "cache_hit": "True"}\n'
)
FIRST = 20_758  # 2026-11-01.


def bill(folder: Path, text: str, name: str = "bill", **options: object) -> Bill:
    path = folder / name
    path.write_text(text)
    return read_bill([str(path)], **options)  # type: ignore[arg-type]


def charges(found: Bill) -> list[Charge]:
    return [charge for charge in found.charges if charge.cost is not None or charge.tokens or charge.requests]


def told(charge: Charge) -> tuple[object, ...]:
    return charge.day - FIRST, charge.model, charge.tier, charge.cost, charge.kind, charge.requests, charge.tokens


@pytest.mark.parametrize(
    ("text", "format", "expected"),
    [
        (
            OPENAI_COSTS,
            "openai",
            [
                (0, "gpt-5-mini-2025-08-07", None, "0.130804383403075261", "cache_read", None, {"cache_read": 5232}),
                (0, "gpt-5.6-sol", "priority", "0.5", "output", None, None),
                (0, "web search tool calls", None, "0.00001", None, None, None),
            ],
        ),
        (
            OPENAI_USAGE,
            "openai",
            [
                (
                    *(0, "gpt-5-2025-08-07", "default", None, None, 8),
                    {"input": 38_072, "cache_read": 8_192, "output": 60_000},
                )
            ],
        ),
        (OPENAI_COSTS_CSV, "openai", [(0, None, None, "0.895874", None, None, None)]),
        (
            OPENAI_USAGE_CSV,
            "openai",
            [
                (
                    *(0, "gpt-4o-2024-08-06", "batch", None, None, 10),
                    {"input": 53_440, "cache_read": 5_760, "output": 10_646},
                )
            ],
        ),
        (
            ANTHROPIC_USAGE,
            "anthropic",
            [
                (
                    *(0, "claude-sonnet-4-5-20250929", "standard", None, None, None),
                    {
                        "input": 1_500,
                        "cache_read": 200,
                        "cache_write_5m": 500,
                        "cache_write_1h": 1_000,
                        "output": 700,
                        "web_search": 10,
                    },
                )
            ],
        ),
        (
            ANTHROPIC_COSTS,
            "anthropic",
            [
                (0, "claude-sonnet-4-5-20250929", "standard", "1.23456789", "input", None, None),
                (0, "web search", None, "0.10", None, None, None),
            ],
        ),
        (
            ANTHROPIC_COSTS_CSV,
            "anthropic",
            [
                (0, "claude-sonnet-4-5", "standard", "0.12", "cache_write_5m", None, None),
                (0, "claude-3-5-haiku", "batch", "0.03", "output", None, None),
            ],
        ),
        (
            ANTHROPIC_USAGE_CSV,
            "anthropic",
            [
                (
                    *(0, "claude-opus-5", "standard", None, None, None),
                    {
                        "input": 46_981,
                        "cache_read": 7,
                        "cache_write_5m": 15_969,
                        "cache_write_1h": 0,
                        "output": 16_932,
                        "web_search": 2,
                    },
                )
            ],
        ),
        (
            LITELLM,
            "litellm",
            [(1, "gpt-4o", None, "0.000016500000000000003", None, 1, {"input": 10, "output": 2})],
        ),
        (
            'Day;Model;Amount (USD);Input tokens;Output tokens;Calls\n2026/11/1;gpt-4o;"1,234.50";1,000;20;3\n',
            "csv",
            [(0, "gpt-4o", None, "1234.50", None, 3, {"input": 1_000, "output": 20})],
        ),
    ],
)
def test_a_bill_is_recognized_and_read_exactly(
    text: str, format: str, expected: list[tuple[object, ...]], tmp_path: Path
) -> None:
    found = bill(tmp_path, text)
    assert found.format == format
    assert any(f"the format {format}" in line for line in found.said)
    money = [(*line[:3], None if line[3] is None else Decimal(str(line[3])), *line[4:]) for line in expected]
    assert [told(charge) for charge in charges(found)] == money


def test_pages_in_an_array_and_a_line_each_are_read_alike(tmp_path: Path) -> None:
    page = json.loads(OPENAI_USAGE)
    later = json.loads(OPENAI_USAGE.replace("1793491200", "1793577600"))
    array, lines = json.dumps([page, later]), f"{json.dumps(page)}\n{json.dumps(later)}\n"
    one, other = bill(tmp_path, array, "array"), bill(tmp_path, lines, "lines")
    assert [told(charge) for charge in one.charges] == [told(charge) for charge in other.charges]
    assert [charge.day - FIRST for charge in one.charges] == [0, 1]


def test_a_page_that_is_there_twice_is_refused_for_it_would_count_twice(tmp_path: Path) -> None:
    (tmp_path / "bill").write_text(f"[{OPENAI_COSTS}, {OPENAI_COSTS}]")
    with pytest.raises(BillError, match=r"\[1\]: data\[0\]: it is the same as .*\[0\]: data\[0\], and would count"):
        read_bill([str(tmp_path / "bill")])


def test_a_bill_whose_last_page_is_missing_says_so(tmp_path: Path) -> None:
    page = json.loads(OPENAI_COSTS)
    assert not any("there are more" in said for said in bill(tmp_path, json.dumps(page)).said)
    cut = bill(tmp_path, json.dumps({**page, "has_more": True}))
    assert cut.said[-1].endswith("its last page says that there are more; they are not compared.")


def test_empty_buckets_and_lines_say_which_days_a_bill_covers(tmp_path: Path) -> None:
    assert bill(tmp_path, OPENAI_COSTS).days == (FIRST, FIRST + 1)
    assert bill(tmp_path, OPENAI_COSTS_CSV).days == (FIRST, FIRST + 1)
    assert bill(tmp_path, LITELLM).days == (FIRST, FIRST + 1)


def test_usage_beside_costs_is_one_bill_and_tokens_are_counted_once(tmp_path: Path) -> None:
    (tmp_path / "costs").write_text(OPENAI_COSTS)
    (tmp_path / "usage").write_text(OPENAI_USAGE)
    found = read_bill([str(tmp_path / "costs"), str(tmp_path / "usage")])
    assert [charge.tokens is not None for charge in charges(found)] == [False, False, False, True]


def test_usages_of_the_same_days_are_read_together_but_no_usage_twice(tmp_path: Path) -> None:
    empty = '{"object": "bucket", "start_time": 1793577600, "results": []}'
    embeddings = (
        '{"object": "page", "data": [{"object": "bucket", "start_time": 1793491200, "results": [{"object": '
        '"organization.usage.embeddings.result", "input_tokens": 500, "num_model_requests": 2, "model": '
        f'"text-embedding-3-small"}}]}}, {empty}]}}'
    )
    completions = OPENAI_USAGE.replace('"project_id": null}]}]}', f'"project_id": null}}]}}, {empty}]}}')
    names = {"usage": completions, "embeddings": embeddings, "table": OPENAI_USAGE_CSV, "again": embeddings + "\n"}
    for name, text in names.items():
        (tmp_path / name).write_text(text)
    found = read_bill([str(tmp_path / "usage"), str(tmp_path / "embeddings")])
    assert [(charge.model, charge.requests) for charge in charges(found)] == [
        ("gpt-5-2025-08-07", 8),
        ("text-embedding-3-small", 2),
    ]
    for twice in (("usage", "table"), ("embeddings", "again")):
        with pytest.raises(BillError, match="2026-11-01 is in two files, and would count twice"):
            read_bill([str(tmp_path / name) for name in twice])


@pytest.mark.parametrize("form", ["json", "csv"])
def test_a_log_of_litellm_is_the_same_bill_as_it_is_an_import(form: str, tmp_path: Path) -> None:
    names = ("request_id", "spend", "startTime", "endTime", "model", "custom_llm_provider", "status", "cache_hit")
    day = ("2026-11-01T10:00:00Z", "2026-11-01T10:00:01Z")
    told = [
        ("a", "0.25", *day, "openai/gpt-4o-mini", "openai", "success", "False"),
        ("b", "0.125", *day, "gpt-4o", "openai", "failure", "False"),  # It failed, and cost something all the same.
        ("c", "0", *day, "gpt-4o", "openai", "failure", "False"),
        ("d", "0", *day, "gpt-4o", "", "failure", "False"),
        ("e", "0.5", *day, "gpt-4o", "openai", "success", "True"),
        ("a", "0.25", *day, "openai/gpt-4o-mini", "openai", "success", "False"),
    ]
    table = "".join(f"{','.join(line)}\n" for line in (names, *told))
    rows = [{**dict(zip(names, line, strict=True)), "spend": float(line[1])} for line in told]
    (tmp_path / f"log.{form}").write_text(table if form == "csv" else json.dumps(rows))
    found = read_bill([str(tmp_path / f"log.{form}")], format="litellm")
    assert found.said == ("Of rows that tell of the same request the first one is taken, and 1 passed over.",)
    money = [(charge.model, int((charge.cost or 0) * 10**9)) for charge in charges(found)]
    assert money == [("gpt-4o-mini", 250_000_000), ("gpt-4o", 125_000_000), ("gpt-4o", 0)]

    store = MemoryStore()
    intake = Intake(now_ns=0)
    writer = Writer(store, Estimator(PRICES), begins=PRICES.card.begins)
    writer.book(FORMATS["litellm"].calls([tmp_path / f"log.{form}"], intake), intake)
    booked = [(entry.call.model_used, entry.call.cost_nanodollars) for entry in store.entries(kinds=("settle",))]
    assert booked == money
    assert (writer.imported.known, intake.left_out.total()) == (1, 2)


def test_logs_of_litellm_that_overlap_count_each_request_once(tmp_path: Path) -> None:
    for name, text in (("one", LITELLM), ("two", LITELLM.replace('"a"', '"z"') + LITELLM)):
        (tmp_path / name).write_text(text)
    found = read_bill([str(tmp_path / "one"), str(tmp_path / "two")])
    assert len(charges(found)) == 2


def test_a_negative_amount_is_read_as_accountants_write_it(tmp_path: Path) -> None:
    found = bill(tmp_path, "date,cost\n2026-11-01,(1.50)\n2026-11-01,-$0.25\n2026-11-01,1e-3\n")
    assert [charge.cost for charge in found.charges] == [Decimal("-1.50"), Decimal("-0.25"), Decimal("0.001")]


def test_a_time_with_a_zone_is_of_its_utc_day(tmp_path: Path) -> None:
    times = ("2026-11-01T23:30:00-02:00", "2026-11-02T00:30:00+02:00", "2026-11-01 12:00:00 UTC", "1793491200")
    found = bill(tmp_path, "\n".join(["date,cost", *(f"{time},1" for time in times), ""]))
    assert [charge.day - FIRST for charge in found.charges] == [1, 0, 0, 0]


def test_columns_are_those_that_are_named(tmp_path: Path) -> None:
    text = "when,what,paid,cost\n2026-11-01,gpt-4o,1.00,9.00\n"
    columns = parse_columns("date=when, model=what,cost=paid")
    found = bill(tmp_path, text, columns=columns)
    assert [told(charge)[:4] for charge in found.charges] == [(0, "gpt-4o", None, Decimal("1.00"))]
    assert not any("by their names" in line for line in found.said)


def test_columns_that_are_guessed_are_told(tmp_path: Path) -> None:
    found = bill(tmp_path, "Day,Amount\n2026-11-01,1.00\n")
    assert found.said[-1].endswith("by their names, these columns are taken: date 'Day', cost 'Amount'.")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "bill: the bill is empty"),
        ("date,cost\n", "bill: the bill is empty"),
        ('{"data": []}', "bill: the bill is empty"),
        (
            "date,cost\n2026-11-01,1\n2026-11-02,abc\n",
            "bill:3: cost: expected an amount of dollars such as 12.50, got 'abc'",
        ),
        ("date;cost\n2026-11-01;0,21\n", "bill:2: cost: expected an amount of dollars such as 12.50, got '0,21'"),
        ("date;cost\n2026-11-01;1.234,56\n", "bill:2: cost: expected an amount of dollars such as 12.50, got '1.23"),
        ("date;cost;calls\n2026-11-01;1;1,5\n", "bill:2: calls: expected a whole number, got '1,5'"),
        ("date,cost\n01.11.2026,1\n", "bill:2: date: expected a day such as 2026-11-22, got '01.11.2026'"),
        ("date,cost\n11/01/2026,1\n", "bill:2: date: expected a day such as 2026-11-22, got '11/01/2026'"),
        ("date,cost\n2026-11-01,1,2\n", "bill:2: expected 2 columns as in the first line, got more"),
        ("date,cost,calls\n2026-11-01,1,-2\n", "bill:2: calls: expected a whole number, got '-2'"),
        ("date,cost,calls\n2026-11-01,1,1.5\n", "bill:2: calls: expected a whole number, got '1.5'"),
        ("date,cost,currency\n2026-11-01,1,EUR\n", "bill:2: the bill is in 'EUR', and the journal in USD."),
        ("date,input tokens,cached tokens\n2026-11-01,1,2\n", "bill:2: more cached tokens than input tokens"),
        ("a,b\n1,2\n", "bill:1: no column is known to be the date; there are 'a', 'b'"),
        ("date,b\n1,2\n", "bill:1: no column is known to be the cost or the tokens; there are 'date', 'b'"),
        ("date,cost,amount\n1,2,3\n", "bill:1: 'cost', 'amount' could be the cost"),
        ('{"hello": 1}', "bill: no bill that is known, with the fields hello"),
        ('{"hello": ', "bill: Input data was truncated"),
        (OPENAI_COSTS.replace('"usd"', '"eur"'), "data[0].results[0]: the bill is in 'EUR', and the journal in USD."),
        (OPENAI_COSTS.replace("0.5,", '"x",'), "data[0]: "),
        (OPENAI_USAGE.replace("8192", "99999"), "more cached tokens than input_tokens"),
        (ANTHROPIC_COSTS.replace("123.456789", "NaN"), "data[0].results[0]: amount: expected an amount of dollars"),
        (LITELLM.replace('"spend": 0,', '"spend": "x",'), "bill:2: "),
        (LITELLM.replace('"request_id": "c", ', ""), "bill:3: Object missing required field `request_id`"),
        ("\xff", "expected JSON or a table in UTF-8"),
    ],
)
def test_what_cannot_be_read_is_refused_by_its_place(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "bill"
    path.write_bytes(text.encode("latin-1" if text == "\xff" else "utf-8"))
    with pytest.raises(BillError) as refused:
        read_bill([str(path)])
    assert said in str(refused.value).replace(f"{tmp_path}/", "")


def test_a_day_in_two_files_is_refused_for_it_would_count_twice(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).write_text(OPENAI_COSTS_CSV)
    with pytest.raises(BillError) as refused:
        read_bill([str(tmp_path / "one"), str(tmp_path / "two")])
    said = str(refused.value).replace(f"{tmp_path}/", "")
    assert said == "two:2: 2026-11-01 is in two files, and would count twice; the other: one:2"


def test_a_format_that_the_file_does_not_have_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BillError, match="expected of the format anthropic: results, starting_at"):
        bill(tmp_path, OPENAI_COSTS, format="anthropic")
    with pytest.raises(BillError, match="bill:1: expected columns of the format litellm: request_id, spend, startTime"):
        bill(tmp_path, OPENAI_COSTS_CSV, format="litellm")
    with pytest.raises(BillError, match="no column 'Tag'; there are 'date', 'cost'"):
        bill(tmp_path, "date,cost\n2026-11-01,1\n", columns={"date": "Tag"})


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(BillError, match="nothing: No such file or directory"):
        read_bill([str(tmp_path / "nothing")])


@pytest.mark.parametrize("text", ["date", "day=Day", "cost=", "=x", ""])
def test_a_mapping_of_columns_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        parse_columns(text)
