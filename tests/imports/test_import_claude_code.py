"""
Sessions of Claude Code: the recorded ones, against what was worked out of them apart, and the traps that are in them.
"""

import json
from collections import Counter, defaultdict
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from past import PRICES, facts, import_files, settled, state, written
from recorded import recorded

from solvent._amounts import Usage
from solvent.imports import BadCall
from solvent.imports._lines import nanoseconds
from solvent.stores.memory import MemoryStore
from solvent.stores.sqlite import SQLiteStore

AT = "2026-02-10T21:11:59.186Z"
AT_NS = nanoseconds(AT, "here", "timestamp")
KINDS = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_5m_tokens", "cache_write_1h_tokens")


@pytest.fixture(scope="module")
def folder() -> Path:
    return recorded("claude-code-sessions")


@pytest.fixture(scope="module")
def answers(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "calls.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def imported(folder: Path) -> MemoryStore:
    store = MemoryStore()
    result, intake = import_files(store, "claude-code", folder / "sessions")
    assert (result.calls, result.known, len(result.runs), intake.under_way, intake.bad) == (551, 0, 6, 0, 0)
    assert not result.unpriced
    return store


def usage_of(answer: dict[str, Any]) -> Usage:
    fresh, read = answer["input_tokens"], answer["cache_read_tokens"]
    wrote_5m, wrote_1h = answer["cache_write_5m_tokens"], answer["cache_write_1h_tokens"]
    return Usage(
        input_tokens=fresh + read + wrote_5m + wrote_1h,
        output_tokens=answer["output_tokens"],
        cache_read_tokens=read,
        cache_write_5m_tokens=wrote_5m,
        cache_write_1h_tokens=wrote_1h,
        tool_calls=len(answer["tools"]),
    )


def cost_of(answer: dict[str, Any]) -> int:
    price = PRICES.find("anthropic", answer["model"])
    assert price is not None
    return price.cost(usage_of(answer), tier=None, region=None, at=datetime.fromisoformat(answer["timestamp"]))


def session_ids(folder: Path) -> dict[str, str]:
    """
    The ids that sessions have themselves, by the names of their files.
    """
    files = (folder / "sessions").glob("*.jsonl")
    return {file.stem: json.loads(file.read_text().partition("\n")[0])["sessionId"] for file in files}


def scope_of(answer: dict[str, Any], ids: dict[str, str]) -> str:
    agent = "" if answer["agent"] == "main" else f"/agent:{answer['agent'].removeprefix('agent-')}"
    return f"run:{ids[answer['session']]}{agent}"


def test_every_recorded_call_is_booked_with_its_own_tokens_tools_cost_and_agent(folder, answers, imported):
    found, ids = settled(imported), session_ids(folder)
    assert len(found) == len(answers) == 551
    for answer in answers:
        entry = found[f"claude-code:{answer['message_id']}"]
        usage = {name: value for name in Usage.__struct_fields__ if (value := getattr(usage_of(answer), name))}
        assert {name: count for name, count in (entry.call.usage or {}).items() if count} == usage
        assert entry.call.cost_nanodollars == cost_of(answer)
        assert (entry.call.model_used, entry.call.provider) == (answer["model"], "anthropic")
        assert entry.call.price_source == PRICES.find("anthropic", answer["model"]).source
        assert entry.scope == scope_of(answer, ids)
        first = int(datetime.fromisoformat(answer["timestamp"]).timestamp() * 1_000) * 10**6
        assert entry.call.started == first <= entry.call.ended


def test_accounts_hold_what_the_sessions_spent_each_and_in_all(folder, answers, imported):
    ids, spent = session_ids(folder), Counter[tuple[str, str]]()
    for answer in answers:
        run, usage = f"run:{ids[answer['session']]}", usage_of(answer)
        spent[run, "usd"] += cost_of(answer)
        spent[run, "calls"] += 1
        spent[run, "tokens"] += usage.tokens
        spent[run, "input_tokens"] += usage.input_tokens
        spent[run, "output_tokens"] += usage.output_tokens
        spent[run, "tool_calls"] += usage.tool_calls
    balances = {(one.account.scope, one.account.meter): one for one in imported.balances()}
    assert {key: one.spent for key, one in balances.items() if one.spent} == +spent
    assert not any(one.reserved or one.overrun for one in balances.values())
    assert sum(amount for (_, meter), amount in spent.items() if meter == "usd") == 30_953_351_700


def test_the_digest_has_each_agents_calls_in_the_hour_in_which_they_ended(folder, answers, imported):
    ids, wanted, got = session_ids(folder), defaultdict(Counter), defaultdict(Counter)
    for answer in answers:
        sums = wanted[scope_of(answer, ids), answer["model"]]
        sums.update({name: getattr(usage_of(answer), name) for name in KINDS})
        sums.update(calls=1, cost=cost_of(answer))
    ends = Counter((entry.call.ended or 0) // 3_600_000_000_000 for entry in settled(imported).values())
    hours = Counter()
    for group, sums in imported.groups().items():
        got[group.scope, group.model_used].update({name: sums.tokens.get(name, 0) for name in KINDS})
        got[group.scope, group.model_used].update(calls=sums.count, cost=sums.cost)
        hours[group.hour] += sums.count
    assert got == wanted
    assert hours == ends


def test_adding_up_the_lines_would_count_much_of_it_twice(folder, answers):
    naive = Counter()
    for file in (folder / "sessions").rglob("*.jsonl"):
        for line in map(json.loads, file.read_text().splitlines()):
            if line["type"] == "assistant":
                naive["calls"] += 1
                naive["output_tokens"] += line["message"]["usage"]["output_tokens"]
                naive["cache_read_tokens"] += line["message"]["usage"]["cache_read_input_tokens"]
    right = Counter()
    for answer in answers:
        right.update(calls=1, output_tokens=answer["output_tokens"], cache_read_tokens=answer["cache_read_tokens"])
    assert (naive["calls"], right["calls"]) == (1_082, 551)
    assert (naive["cache_read_tokens"], right["cache_read_tokens"]) == (86_812_400, 48_307_451)
    assert (naive["output_tokens"], right["output_tokens"]) == (133_153, 130_560)


@pytest.mark.slow
def test_a_second_import_changes_nothing_in_whatever_order_and_however_often_files_are_given(folder, tmp_path):
    store = SQLiteStore(tmp_path / "ledger.db", synchronous="OFF")
    import_files(store, "claude-code", folder / "sessions")
    before = state(store)
    files = sorted((folder / "sessions").rglob("*.jsonl"), reverse=True)
    for paths in ([folder / "sessions"], files, [*files, *files, folder / "sessions"]):
        result, _ = import_files(store, "claude-code", *paths)
        assert (result.calls, result.known, len(result.runs)) == (0, 551, 0)
        assert state(store) == before
    assert store.verify() is None
    store.close()


def test_a_session_brings_its_subagents(folder, answers):
    session = "8463c716-a2ea-4c14-9efa-87158ebd9f20"
    result, _ = import_files(MemoryStore(), "claude-code", folder / "sessions" / f"{session}.jsonl")
    assert result.calls == sum(answer["session"] == session for answer in answers) == 157


def test_a_file_that_grows_line_by_line_gets_each_call_once_and_whole(folder, tmp_path):
    lines = (folder / "sessions" / "tool_heavy.jsonl").read_text().splitlines()
    whole = MemoryStore()
    import_files(whole, "claude-code", written(tmp_path / "whole.jsonl", lines))
    growing, left = MemoryStore(), []
    for count in range(1, len(lines) + 1):
        file = written(tmp_path / "growing.jsonl", lines[:count])
        told = [json.loads(line).get("timestamp") for line in lines[:count]]
        now_ns = max(nanoseconds(time, "here", "timestamp") for time in told if time is not None) + 10**9
        _, intake = import_files(growing, "claude-code", file, now_ns=now_ns)
        left.append(intake.under_way)
    import_files(growing, "claude-code", tmp_path / "growing.jsonl")
    assert facts(growing) == facts(whole)
    assert set(left) == {0, 1}
    (last,) = [entry for entry in growing.entries(kinds=("close",)) if entry.call.ended][-1:]
    assert last.call.ended == max(entry.call.ended or 0 for entry in settled(whole).values())


def test_a_line_that_is_being_written_is_left_to_the_next_import(folder, tmp_path):
    data = (folder / "sessions" / "short.jsonl").read_bytes()
    store, file = MemoryStore(), tmp_path / "short.jsonl"
    for size in (len(data) - 1, len(data) - 300, len(data) // 2):
        file.write_bytes(data[:size])
        _, intake = import_files(MemoryStore(), "claude-code", file)
        assert intake.bad == 0
    file.write_bytes(data)
    result, _ = import_files(store, "claude-code", file)
    assert result.calls == 1


def line(id: str, output: int = 5, **changes: Any) -> str:
    usage = {"input_tokens": 10, "output_tokens": output, "cache_read_input_tokens": 3, "service_tier": "standard"}
    message = {"id": id, "model": "claude-opus-4-6", "usage": {**usage, **changes.pop("usage", {})}, "content": []}
    message.update(changes.pop("message", {}))
    fields = {"type": "assistant", "timestamp": AT, "sessionId": "s", "message": message}
    return json.dumps({**fields, **changes})


def test_the_largest_counts_of_a_messages_lines_are_the_calls(tmp_path):
    blocks = [{"type": "tool_use", "id": f"t{i}", "name": "Bash"} for i in (1, 2, 2)]
    lines = [line("m", output, message={"content": [block]}) for output, block in zip((1, 90, 40), blocks, strict=True)]
    store = MemoryStore()
    import_files(store, "claude-code", written(tmp_path / "s.jsonl", lines))
    usage = settled(store)["claude-code:m"].call.usage
    assert usage == {"input_tokens": 13, "output_tokens": 90, "cache_read_tokens": 3, "tool_calls": 2}


def test_lines_of_agents_that_share_a_file_may_stand_among_each_others(tmp_path):
    lines = [line("a", 1), line("b", 1, isSidechain=True, agentId="x"), line("a", 7), line("b", 9, isSidechain=True)]
    store = MemoryStore()
    import_files(store, "claude-code", written(tmp_path / "s.jsonl", lines))
    found = {id: (entry.scope, (entry.call.usage or {})["output_tokens"]) for id, entry in settled(store).items()}
    assert found == {"claude-code:a": ("run:s", 7), "claude-code:b": ("run:s/agent:x", 9)}


def test_history_that_another_session_repeats_is_counted_once(tmp_path):
    first = written(tmp_path / "s.jsonl", [line("a"), line("b")])
    fork = written(tmp_path / "t.jsonl", [line("a", sessionId="t"), line("b", sessionId="t"), line("c", sessionId="t")])
    store = MemoryStore()
    result, _ = import_files(store, "claude-code", first, fork)
    assert (result.calls, result.known, result.runs) == (3, 2, {"run:s", "run:t"})
    assert {id: entry.scope for id, entry in settled(store).items()} == {
        "claude-code:a": "run:s",
        "claude-code:b": "run:s",
        "claude-code:c": "run:t",
    }


def test_words_of_claude_code_itself_are_no_calls(tmp_path):
    said = {"model": "<synthetic>", "id": "0b8c"}
    lines = [line("x", message=said), line("y", message={"usage": None}), line("z"), '{"type": "summary"}']
    store = MemoryStore()
    import_files(store, "claude-code", written(tmp_path / "s.jsonl", lines))
    assert [*settled(store)] == ["claude-code:z"]


def test_a_call_at_the_end_of_a_file_may_not_be_over_unless_it_says_so(tmp_path):
    file = written(tmp_path / "s.jsonl", [line("a"), line("b")])
    for seconds, message, calls in ((599, {}, 1), (600, {}, 2), (0, {"stop_reason": "end_turn"}, 2)):
        written(file, [line("a"), line("b", message=message)])
        result, intake = import_files(MemoryStore(), "claude-code", file, now_ns=AT_NS + seconds * 10**9)
        assert (result.calls, intake.under_way) == (calls, 2 - calls)


def test_calls_of_several_agents_in_one_file_may_none_of_them_be_over(tmp_path):
    for ids in (("x", "y"), (None, None)):  # Old versions do not name them.
        agents = [{"isSidechain": True, "agentId": id} for id in ids]
        store, lines = MemoryStore(), [line(name, 1, **agent) for name, agent in zip("ab", agents, strict=True)]
        file = written(tmp_path / "s.jsonl", lines)
        assert import_files(store, "claude-code", file, now_ns=AT_NS)[1].under_way == 2
        lines += [line(name, 9, **agent) for name, agent in zip("ab", agents, strict=True)]
        import_files(store, "claude-code", written(file, lines))
        assert [(entry.call.usage or {})["output_tokens"] for entry in settled(store).values()] == [9, 9]


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (line("m", usage={"output_tokens": -3}), "message.usage: output_tokens must be within 0 and"),
        (line("m", usage={"output_tokens": 1.5}), "message.usage: output_tokens must be a whole number, got 1.5"),
        (line("m", usage={"cache_read_input_tokens": "7"}), "must be a whole number, got '7'"),
        (line("m").replace('"output_tokens": 5', '"output_tokens": NaN'), "it is no JSON: "),
        (line("m", message={"id": None}), "message.id is missing"),
        (line("m", message={"model": 7}), "message.model: expected a text, got 7"),
        (
            line("m", timestamp="yesterday"),
            '.125Z, got "yesterday"',
        ),
        (line("m", sessionId="x" * 300), "a name in a scope has 1 to 256 bytes"),
        ('{"type": "assistant", "message"', "it is no JSON: "),
    ],
)
def test_what_cannot_be_believed_is_an_error_at_its_line_and_nothing_of_it_is_recorded(bad, said, tmp_path):
    file = written(tmp_path / "s.jsonl", [line("a"), bad, line("b")])
    store = MemoryStore()
    with pytest.raises(BadCall) as error:
        import_files(store, "claude-code", file)
    assert str(error.value).startswith(f"{file}:2: ")
    assert said in str(error.value)
    assert {*settled(store)} <= {"claude-code:a", "claude-code:b"}

    _, intake = import_files(store, "claude-code", file, skip_bad=True)
    assert (intake.bad, str(intake.first_bad)) == (1, str(error.value))
    assert {*settled(store)} == {"claude-code:a", "claude-code:b"}
