"""
A response as it becomes known: its events repeat the whole at the end.

Source:
    openai 3.54.0, ``types/responses``, and recorded exchanges, read 2026-11-21.
"""

import re
from collections.abc import Mapping
from typing import Any

from solvent._amounts import Usage
from solvent.wire._call import Call
from solvent.wire._openai import charged, images_told, ran_at_xai
from solvent.wire._read import all_written, count, mapping, objects, text
from solvent.wire._reply import Reply
from solvent.wire._responses_tools import CODE_CALLS, container_gigabytes, hosts_shell, tool_types

CALLER_CALLS = frozenset({"apply_patch_call", "computer_call", "custom_tool_call", "function_call", "local_shell_call"})


class ResponsesReply(Reply):
    """
    Items come under their numbers, so that one that is told several times counts once.
    """

    MARK = re.compile(
        rb'"(?:error|response\.(?:created|completed|incomplete|failed|cancelled|output_item\.added|output_item\.done))"'
    )
    MARKS = (b"event: error",)
    _ENDS = frozenset({"response.cancelled", "response.completed", "response.failed", "response.incomplete"})

    def __init__(self, call: Call, status: int) -> None:
        super().__init__(call, status)
        self._calls: set[int] = set()
        self._searches: set[int] = set()
        self._file_searches: set[int] = set()
        self._searches_x = call.provider == "xai" and "x_search" in tool_types(call.request.get("tools"))
        self._code: dict[int, tuple[str, str | None]] = {}  # The kind of each run, and its container.

    def event(self, name: str, body: Mapping[str, Any]) -> None:
        kind = body.get("type")
        kind = kind if isinstance(kind, str) else name
        response = mapping(body.get("response"))
        self.add_names(response)
        if kind in self._ENDS:
            self.done = True
            self.body(response)
        elif kind == "error" or (kind == "" and body.get("error")):
            self.add_error(body.get("error") or {"type": body.get("code")})
        elif kind.endswith(".delta"):
            self.begun = True
        elif kind.startswith("response.output_item."):
            self.begun = True
            key = body.get("output_index")
            self._add_item(mapping(body.get("item")), key if isinstance(key, int) else len(self._calls))

    def body(self, body: Mapping[str, Any]) -> None:
        self.add_names(body)
        self.add_usage(body.get("usage"))
        if body.get("error"):
            error = mapping(body["error"])
            self.add_error({"type": error.get("type") or error.get("code")})
        if mapping(body.get("incomplete_details")).get("reason") == "max_output_tokens":
            self.cut_at_length = True
        for number, item in enumerate(objects(body.get("output"))):
            self.begun = True
            self._add_item(item, number)

    def tool_calls(self) -> int:
        return len(self._calls)

    def usage(self, raw: Mapping[str, Any]) -> Usage | None:
        if raw.get("input_tokens") is None and raw.get("output_tokens") is None:
            return None
        read, written, total = (count(raw, name) for name in ("input_tokens", "output_tokens", "total_tokens"))
        if raw.get("output_tokens") is None and total < read:
            raise ValueError("output_tokens is missing")
        details, written_details = mapping(raw.get("input_tokens_details")), mapping(raw.get("output_tokens_details"))
        written, reasoning = all_written(written, count(written_details, "reasoning_tokens"), read=read, total=total)
        return Usage(
            input_tokens=read,
            output_tokens=written,
            cache_read_tokens=count(details, "cached_tokens"),
            cache_write_5m_tokens=count(details, "cache_write_tokens"),
            reasoning_tokens=reasoning,
            audio_input_tokens=count(details, "audio_tokens"),
            image_input_tokens=images_told(details, most=read),
            image_output_tokens=images_told(written_details, most=written),
            tool_calls=self.tool_calls(),
            **self._fees(raw),
        )

    def charged(self, raw: Mapping[str, Any]) -> int | None:
        return charged(self.call.provider, raw)

    def _fees(self, raw: Mapping[str, Any]) -> dict[str, int]:
        """
        What was used of the tools that have a fee: as the host counts it, or by the items.
        """
        is_preview = any(tool.name == "web_search_preview" for tool in self.call.server_tools)
        shown = {
            "web_searches_preview" if is_preview else "web_searches": len(self._searches),
            "file_searches": len(self._file_searches),
            "code_sessions": len(self._code) if self.call.provider == "xai" else self._gigabytes(),
        }
        ran = ran_at_xai(self.call.provider, raw)
        return {name: max(shown.get(name, 0), ran.get(name, 0)) for name in shown | ran}

    def _gigabytes(self) -> int:
        """
        Those of all containers together: each is charged by its memory, however often code ran in it.
        """
        sizes: dict[str | None, int] = {}
        for kind, container in self._code.values():
            size = container_gigabytes(self.call.request.get("tools"), kind)
            sizes[container] = max(sizes.get(container, 0), size)
        return sum(sizes.values())

    def _add_item(self, item: Mapping[str, Any], number: int) -> None:
        kind = item.get("type")
        if not isinstance(kind, str):
            return
        environment = mapping(item.get("environment"))
        at_caller = kind in CALLER_CALLS
        if kind == "shell_call":
            where = environment.get("type")
            at_caller = where == "local" or (where is None and not hosts_shell(self.call.request.get("tools")))
        if kind == "tool_search_call":
            at_caller = item.get("execution") == "client"
        if self._searches_x and kind == "custom_tool_call" and str(item.get("name")).startswith("x_"):
            self._searches.add(number)  # ``x_keyword_search`` and its like, in replies that others published.
        elif at_caller:
            self._calls.add(number)
        elif kind in CODE_CALLS:
            self._code[number] = kind, text(item.get("container_id")) or text(environment.get("container_id"))
        elif kind == "file_search_call":
            self._file_searches.add(number)
        elif kind == "web_search_call":
            # Only searches are charged. Source: openai 3.54.0, ``response_function_web_search.py`` (the actions), and
            # community.openai.com/t/1365861 (of the three, the guide says it of searches alone); but at xAI pages as
            # well, by https://docs.x.ai/developers/pricing.md; read 2026-11-22.
            is_charged = self.call.provider == "xai" or mapping(item.get("action")).get("type") in (None, "search")
            (self._searches.add if is_charged else self._searches.discard)(number)
