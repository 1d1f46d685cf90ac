"""
Spend logs of LiteLLM: the same rows in every form they come in, at what LiteLLM says that they cost.
"""

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from past import facts, import_files, settled, state

from solvent.imports import BadCall
from solvent.stores.memory import MemoryStore
from solvent.stores.sqlite import SQLiteStore

KEY = "88dc28d0f030c55ed4ab77ed8faf098196cb1c05df778539800c9f1243fe6b4b"


def row(id: str = "chatcmpl-1", **changes: Any) -> dict[str, Any]:
    """
    A row as the table has it.
    """
    fields: dict[str, Any] = {
        "request_id": id,
        "call_type": "acompletion",
        "api_key": KEY,
        "spend": 3.4e-05,
        "total_tokens": 34,
        "prompt_tokens": 14,
        "completion_tokens": 20,
        "startTime": "2026-11-03T09:59:59.500000Z",
        "endTime": "2026-11-03T10:00:01.250000Z",
        "model": "openai/gpt-4o-mini",
        "model_group": "fast",
        "custom_llm_provider": "openai",
        "api_base": "https://api.openai.com/v1",
        "user": "ada@example.com",
        "metadata": {"user_api_key": KEY, "usage_object": {"prompt_tokens_details": {"cached_tokens": 6}}},
        "cache_hit": "False",
        "cache_key": "Cache OFF",
        "team_id": "search",
        "end_user": "",
        "requester_ip_address": "10.0.0.1",
        "messages": {"secret": "a prompt"},
        "response": {},
        "session_id": "3f0c",
        "status": "success",
    }
    return {**fields, **changes}


def as_csv(rows: list[dict[str, Any]]) -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, [*rows[0]])
    writer.writeheader()
    for fields in rows:
        writer.writerow(
            {name: json.dumps(value) if isinstance(value, dict) else value for name, value in fields.items()}
        )
    return out.getvalue()


FORMS = {
    "log.json": lambda rows: json.dumps(rows),
    "indented.json": lambda rows: json.dumps(rows, indent=2),
    "log.jsonl": lambda rows: "\n".join(map(json.dumps, rows)),
    "log.csv": as_csv,
}


def logged(tmp_path: Path, *rows: dict[str, Any], name: str = "log.json") -> Path:
    (tmp_path / name).write_text(FORMS[name]([*rows]))
    return tmp_path / name


def imported(file: Path, **options: Any) -> MemoryStore:
    store = MemoryStore()
    import_files(store, "litellm", file, **options)
    return store


@pytest.mark.parametrize("name", FORMS)
def test_a_row_is_the_same_call_in_every_form(name, tmp_path):
    store = imported(logged(tmp_path, row(), row("chatcmpl-2", spend=0.1), name=name))
    found = settled(store)
    assert [*found] == ["litellm:chatcmpl-1", "litellm:chatcmpl-2"]
    call = found["litellm:chatcmpl-1"].call
    assert call.usage == {"input_tokens": 14, "output_tokens": 20, "cache_read_tokens": 6}
    assert (call.cost_nanodollars, call.price_source, call.status) == (34_000, "LiteLLM", "200")
    assert (call.provider, call.format) == ("openai", "openai-chat")
    assert (call.model_asked, call.model_used) == ("fast", "gpt-4o-mini")
    assert (call.started, call.ended) == (1_793_699_999_500_000_000, 1_793_700_001_250_000_000)
    assert {entry.scope for entry in found.values()} == {"team:search/user:ada@example.com/run:litellm-2026-11-03"}
    assert found["litellm:chatcmpl-2"].call.cost_nanodollars == 100_000_000


def test_the_same_rows_in_another_form_change_nothing(tmp_path):
    rows = [row(), row("chatcmpl-2")]
    store = imported(logged(tmp_path, *rows))
    before = state(store)
    for name in FORMS:
        result, _ = import_files(store, "litellm", logged(tmp_path, *rows, name=name))
        assert (result.calls, result.known) == (0, 2)
    assert state(store) == before


def test_no_key_prompt_or_address_comes_into_the_ledger(tmp_path):
    store = SQLiteStore(tmp_path / "ledger.db", synchronous="OFF")
    import_files(store, "litellm", logged(tmp_path, row()))
    store.close()
    data = b"".join(path.read_bytes() for path in tmp_path.glob("ledger.db*"))
    assert b"chatcmpl-1" in data
    for secret in (KEY, "a prompt", "10.0.0.1", "api.openai.com"):
        assert secret.encode() not in data


@pytest.mark.parametrize(
    ("spend", "nanodollars"),
    [("3.4e-05", 34_000), ("1.23456789012e-05", 12_346), ("0.1", 100_000_000), ("0", 0), ("0.0", 0), ("1e-400", 1)],
)
def test_spend_is_read_digit_by_digit_and_rounded_up_once(spend, nanodollars, tmp_path):
    file = logged(tmp_path, row(spend=0.123456789))
    file.write_text(file.read_text().replace("0.123456789", spend))
    assert [entry.call.cost_nanodollars for entry in settled(imported(file)).values()] == [nanodollars]


def test_rows_that_reached_no_provider_are_no_calls(tmp_path):
    rows = [row(), row("b", cache_hit="True", spend=0), row("c", status="failure", custom_llm_provider="", spend=0)]
    store = MemoryStore()
    result, intake = import_files(store, "litellm", logged(tmp_path, *rows))
    assert (result.calls, intake.left_out.total()) == (1, 2)
    assert set(intake.left_out) == {"answered from LiteLLM's own cache", "turned away by LiteLLM itself"}


def test_a_failed_call_has_its_status(tmp_path):
    told = {"status": "failure", "spend": 0, "prompt_tokens": 0, "completion_tokens": 0}
    rows = [
        row("a", **told, metadata={"error_information": {"error_code": "529", "error_message": "a prompt"}}),
        row("b", **told, metadata="{}"),
    ]
    calls = [entry.call for entry in settled(imported(logged(tmp_path, *rows))).values()]
    assert [(call.status, call.cost_nanodollars) for call in calls] == [("529", 0), ("failed", 0)]


def test_sessions_are_runs_where_that_is_asked_for(tmp_path):
    file = logged(tmp_path, row("a"), row("b", session_id="", agent_id="planner", organization_id="acme"))
    scopes = [entry.scope for entry in settled(imported(file, sessions=True)).values()]
    own = "org:acme/team:search/user:ada@example.com/run:litellm-2026-11-03/agent:planner"
    assert scopes == ["team:search/user:ada@example.com/run:3f0c", own]


def test_all_can_be_put_below_another_scope_in_the_place_of_its_owners(tmp_path):
    store = imported(logged(tmp_path, row()), under="org:acme")
    assert {entry.scope for entry in settled(store).values()} == {"org:acme/run:litellm-2026-11-03"}


def test_what_was_cached_is_part_of_the_input_whether_or_not_the_prompt_tells_it(tmp_path):
    usage = {"cache_read_input_tokens": 900, "cache_creation_input_tokens": 100}
    for prompt, total in ((14, 1_014), (1_014, 1_014)):
        store = imported(logged(tmp_path, row(prompt_tokens=prompt, metadata={"usage_object": usage})))
        (entry,) = settled(store).values()
        told = {"output_tokens": 20, "cache_read_tokens": 900, "cache_write_5m_tokens": 100}
        assert entry.call.usage == {"input_tokens": total, **told}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"prompt_tokens": -1}, "prompt_tokens must be within 0 and"),
        ({"prompt_tokens": 1.5}, "prompt_tokens: expected a whole number, got "),
        ({"spend": -0.5}, "spend: expected dollars within 0 and 9,007,199, got -0.5"),
        ({"spend": "NaN"}, "spend: expected dollars within 0 and 9,007,199, got NaN"),
        ({"spend": 1e30}, "spend: expected dollars within 0 and 9,007,199, got 1"),
        ({"request_id": ""}, "request_id is missing"),
        ({"startTime": "soon"}, "startTime: expected a time such as"),
        ({"endTime": None}, "endTime: expected a time such as"),
    ],
)
@pytest.mark.parametrize("name", ["log.json", "log.csv"])
def test_what_cannot_be_believed_is_an_error_at_its_row(name, changes, said, tmp_path):
    file = logged(tmp_path, row("a"), row("b", **changes), name=name)
    with pytest.raises(BadCall) as error:
        import_files(MemoryStore(), "litellm", file)
    at = f"{file}:3" if name == "log.csv" else f"{file}, row 2"
    assert str(error.value).startswith(f"{at}: ")
    assert said in str(error.value)
    _, intake = import_files(MemoryStore(), "litellm", file, skip_bad=True)
    assert intake.bad == 1


def test_rows_that_are_still_being_written_are_left_to_the_next_import(tmp_path):
    file = logged(tmp_path, row("a"), row("b"))
    whole, store = file.read_text(), MemoryStore()
    file.write_text(whole[:-40])
    import_files(store, "litellm", file)
    assert [*settled(store)] == ["litellm:a"]
    file.write_text(whole)
    import_files(store, "litellm", file)
    assert facts(store) == facts(imported(file))


def test_a_row_of_csv_that_lacks_columns_is_an_error(tmp_path):
    file = logged(tmp_path, row("a"), name="log.csv")
    file.write_text(file.read_text() + "b,acompletion\n")
    with pytest.raises(BadCall, match="it has not as many columns as the head"):
        import_files(MemoryStore(), "litellm", file)
