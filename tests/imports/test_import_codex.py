"""
Sessions of Codex: totals that repeat, sessions that begin with another one's history, and what stands around them.
"""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from past import PRICES, facts, import_files, settled, state, written

from solvent._amounts import Usage
from solvent.imports import BadCall
from solvent.stores.memory import MemoryStore

START = datetime(2026, 3, 2, 10, 15, tzinfo=UTC)


class Rollout:
    """
    A session's file as Codex writes it.
    """

    def __init__(self, id: str = "main", **meta: Any) -> None:
        self.at = START
        self.lines: list[str] = []
        self.total = [0, 0, 0, 0]
        self.add("session_meta", {"id": id, "model_provider": "openai", "source": "cli", **meta})

    def add(self, type: str, payload: dict[str, Any], *, seconds: float = 0, **fields: Any) -> None:
        self.at += timedelta(seconds=seconds)
        at = self.at.isoformat().replace("+00:00", "Z")
        self.lines.append(json.dumps({"timestamp": at, "type": type, **fields, "payload": payload}))

    def turn(self, model: str = "gpt-5-codex") -> None:
        self.add("turn_context", {"model": model, "cwd": "/"})

    def reply(self, *counts: int, seconds: float = 10, items: tuple[Any, ...] = ("message",), **fields: Any) -> None:
        """
        Args:
            counts: Input, of it cached, output, of it reasoning.
        """
        self.add("response_item", {"type": "message", "role": "user", "content": []}, seconds=seconds)
        for item in items:
            self.add("response_item", {"type": item} if isinstance(item, str) else item, seconds=1)
        self.total = [before + now for before, now in zip(self.total, counts, strict=True)]
        self.count(usage(self.total), usage(counts), **fields)

    def count(self, total: Any, last: Any, **fields: Any) -> None:
        self.add("event_msg", {"type": "token_count", "info": info(total, last), "rate_limits": {}}, **fields)


def usage(counts: Any) -> dict[str, int]:
    names = ("input_tokens", "cached_input_tokens", "output_tokens", "reasoning_output_tokens")
    return {**dict(zip(names, counts, strict=True)), "total_tokens": counts[0] + counts[2]}


def info(total: Any, last: Any) -> dict[str, Any]:
    told = {"total_token_usage": total, "last_token_usage": last, "model_context_window": 272_000}
    return {name: value for name, value in told.items() if value is not None}


def imported(tmp_path, *rollouts: Rollout) -> MemoryStore:
    store = MemoryStore()
    for number, rollout in enumerate(rollouts):
        written(tmp_path / f"2026/03/02/rollout-{number}.jsonl", rollout.lines)
    import_files(store, "codex", tmp_path)
    return store


def tokens(store: MemoryStore) -> list[tuple[str, int, int]]:
    calls = [(entry.scope, entry.call.usage or {}) for entry in settled(store).values()]
    return [(scope, usage["input_tokens"], usage["output_tokens"]) for scope, usage in calls]


def test_each_reply_is_a_call_with_its_own_model_tokens_tools_and_cost(tmp_path):
    one = Rollout()
    one.turn()
    search = {"type": "web_search_call", "action": {"type": "search"}}
    opened = {"type": "web_search_call", "action": {"type": "open_page"}}
    one.reply(1_000, 600, 50, 20, items=("reasoning", "function_call", "custom_tool_call", search, opened))
    one.turn("gpt-5.2-codex")
    one.reply(1_500, 0, 70, 0)
    first, second = settled(imported(tmp_path, one)).values()

    counts = {"input_tokens": 1_000, "cache_read_tokens": 600, "output_tokens": 50, "reasoning_tokens": 20}
    assert first.call.usage == {**counts, "web_searches": 1, "tool_calls": 2}
    price = PRICES.find("openai", "gpt-5-codex")
    used = Usage(**counts, web_searches=1, tool_calls=2)
    assert first.call.cost_nanodollars == price.cost(used, tier=None, region=None, at=START) == 11_075_000
    assert (first.call.started, first.call.ended) == (ns(11), ns(15))
    assert (second.call.model_asked, second.call.usage) == (
        "gpt-5.2-codex",
        {"input_tokens": 1_500, "output_tokens": 70},
    )
    assert {first.scope, second.scope} == {"run:main"}
    assert first.call.price_source == price.source


def ns(seconds: int) -> int:
    return int((START + timedelta(seconds=seconds)).timestamp()) * 10**9


def test_a_count_that_comes_again_is_no_call(tmp_path):
    one = Rollout()
    one.turn()
    one.add("event_msg", {"type": "token_count", "info": None, "rate_limits": {}})
    one.reply(100, 0, 10, 0)
    for _ in range(3):
        one.count(usage(one.total), usage((100, 0, 10, 0)), seconds=5)
    estimate = {**usage((0, 0, 0, 0)), "total_tokens": 90}
    one.count(usage(one.total), estimate)  # What a compaction leaves in the window.
    one.reply(200, 50, 20, 0)
    full = {**usage((0, 0, 0, 0)), "total_tokens": 272_000}
    one.count(full, full)  # What it writes where the window is full.
    store = MemoryStore()
    result, _ = import_files(store, "codex", written(tmp_path / "r.jsonl", one.lines))
    assert tokens(store) == [("run:main", 100, 10), ("run:main", 200, 20)]
    assert (result.calls, result.known) == (2, 0)


def test_what_stands_before_a_count_that_comes_again_is_of_the_next_reply(tmp_path):
    one = Rollout()
    one.turn()
    one.reply(100, 0, 10, 0)
    one.add("response_item", {"type": "function_call"})
    one.add("response_item", {"type": "web_search_call", "action": {"type": "search"}})
    one.count(usage(one.total), usage((100, 0, 10, 0)))  # Of the rate limits alone.
    one.reply(200, 50, 20, 0, items=["function_call"])
    [_, last] = settled(imported(tmp_path, one)).values()
    assert last.call.usage is not None
    assert (last.call.usage["tool_calls"], last.call.usage["web_searches"]) == (2, 1)


def test_totals_alone_tell_what_each_reply_used(tmp_path):
    one = Rollout()
    one.turn()
    for total in ((100, 0, 10, 0), (300, 100, 30, 5), (40, 0, 4, 0)):  # The last one after the count began anew.
        one.count(usage(total), None, seconds=3)
    assert tokens(imported(tmp_path, one)) == [("run:main", 100, 10), ("run:main", 200, 20), ("run:main", 40, 4)]


def test_the_tier_of_a_session_is_that_of_its_settings(tmp_path):
    one = Rollout()
    one.at = datetime(2026, 11, 2, tzinfo=UTC)
    one.turn("gpt-5.2")
    one.reply(100, 0, 10, 0)
    one.add("event_msg", {"type": "thread_settings_applied", "thread_settings": {"service_tier": "fast"}})
    one.reply(100, 0, 10, 0)
    one.add("event_msg", {"type": "thread_settings_applied", "thread_settings": {"service_tier": "default"}})
    one.reply(100, 0, 10, 0)
    calls = [entry.call for entry in settled(imported(tmp_path, one)).values()]
    assert [call.tier for call in calls] == [None, "priority", None]
    assert calls[0].cost_nanodollars == calls[2].cost_nanodollars < calls[1].cost_nanodollars


def parent() -> Rollout:
    one = Rollout()
    one.turn()
    one.reply(1_000, 0, 50, 0)
    one.reply(2_000, 900, 60, 0)
    return one


@pytest.mark.parametrize("restamped", [True, False])
def test_what_a_fork_copies_of_its_parent_is_not_counted_again(restamped, tmp_path):
    one, fork = parent(), Rollout("fork", forked_from_id="main")
    fork.lines.clear()
    fork.at = one.at + timedelta(hours=1)
    fork.add("session_meta", {"id": "fork", "forked_from_id": "main"})
    at = json.loads(fork.lines[0])["timestamp"]
    fork.lines += [json.dumps({**json.loads(line), **({"timestamp": at} if restamped else {})}) for line in one.lines]
    fork.total = list(one.total)
    fork.turn("gpt-5.2-codex")
    fork.reply(3_000, 0, 70, 0)
    store = imported(tmp_path, one, fork)
    assert sorted(tokens(store)) == [("run:fork", 3_000, 70), ("run:main", 1_000, 50), ("run:main", 2_000, 60)]
    assert [entry.call.model_asked for entry in settled(store).values()][2] == "gpt-5.2-codex"
    result, _ = import_files(MemoryStore(), "codex", tmp_path / "2026/03/02/rollout-1.jsonl")
    assert result.calls == 1


def test_a_subagent_is_an_agent_of_its_sessions_run_and_its_inherited_history_none_of_its_own(tmp_path):
    one = parent()
    sub = Rollout("child", session_id="main", parent_thread_id="main", thread_source="subagent", agent_nickname="Bacon")
    sub.lines[0] = json.dumps(
        {**json.loads(sub.lines[0]), "ordinal": 50, "payload": {**json.loads(sub.lines[0])["payload"], **ORDINAL}}
    )
    sub.turn()
    sub.reply(1_000, 0, 50, 0, ordinal=52)
    sub.reply(70, 0, 7, 0, ordinal=54)
    other = Rollout("guard", parent_thread_id="main", source={"subagent": {"other": "guardian"}})
    other.turn()
    other.reply(5, 0, 1, 0)
    assert tokens(imported(tmp_path, one, sub, other))[2:] == [
        ("run:main/agent:Bacon", 70, 7),
        ("run:main/agent:guardian", 5, 1),
    ]


ORDINAL = {"subagent_history_start_ordinal": 54}


def test_two_subagents_that_use_the_same_are_two_calls(tmp_path):
    subs = [Rollout(id, parent_thread_id="main", thread_source="subagent", agent_nickname=id) for id in ("a", "b")]
    for sub in subs:
        sub.turn()
        sub.reply(100, 0, 10, 0)
    assert tokens(imported(tmp_path, *subs)) == [("run:main/agent:a", 100, 10), ("run:main/agent:b", 100, 10)]


def test_a_file_that_grows_or_is_moved_gets_each_call_once(tmp_path):
    one, store = parent(), MemoryStore()
    for count in range(1, len(one.lines) + 1):
        import_files(store, "codex", written(tmp_path / "sessions/r.jsonl", one.lines[:count]))
    before = state(store)
    result, _ = import_files(store, "codex", written(tmp_path / "archived/r.jsonl", one.lines))
    assert (result.calls, result.known) == (0, 2)
    assert state(store) == before
    assert facts(store) == facts(imported(tmp_path / "whole", one))


def test_a_model_that_nobody_names_is_unpriced(tmp_path):
    one = Rollout()
    one.reply(100, 0, 10, 0)
    store = MemoryStore()
    result, _ = import_files(store, "codex", written(tmp_path / "r.jsonl", one.lines))
    assert result.unpriced == {"no model": 1}
    assert [entry.call.cost_nanodollars for entry in settled(store).values()] == [None]


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (usage((-1, 0, 1, 0)), "payload.info: input_tokens must be within 0 and"),
        (usage((1, 2, 1, 0)), "payload.info: cached tokens must not be above input_tokens, got 2 of 1"),
        (
            {**usage((1, 0, 1, 0)), "output_tokens": 0.5},
            "payload.info.last_token_usage.output_tokens: expected a",
        ),
    ],
)
def test_what_cannot_be_believed_is_an_error_at_its_line(bad, said, tmp_path):
    one = Rollout()
    one.turn()
    one.count(usage((9, 0, 9, 0)), bad)
    file = written(tmp_path / "r.jsonl", one.lines)
    with pytest.raises(BadCall) as error:
        import_files(MemoryStore(), "codex", file)
    assert str(error.value).startswith(f"{file}:3: {said}")


def test_a_count_before_any_session_is_an_error(tmp_path):
    one = parent()
    file = written(tmp_path / "r.jsonl", one.lines[1:])
    with pytest.raises(BadCall, match="session_meta with the id of the session does not stand before it"):
        import_files(MemoryStore(), "codex", file)
