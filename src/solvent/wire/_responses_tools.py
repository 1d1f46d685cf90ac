"""
The tools of a response: who runs them, as what they are charged, and which of them nobody can bound.

Source:
    openai 3.54.0, ``types/responses/tool.py`` and the items of each tool, read 2026-11-21.
"""

import re
from collections.abc import Mapping
from typing import Any

from solvent.wire._call import ServerTool
from solvent.wire._read import cap, mapping, objects

# Which tools the provider runs inside the call, each use being one more inference. Where the caller runs them
# (function, custom, apply_patch, local_shell, both computer tools), a use ends the response.
_PLAIN_TOOLS = frozenset(
    {"apply_patch", "computer", "computer_use_preview", "custom", "function", "local_shell", "namespace"}
)
_SERVER_TOOLS = {
    "code_execution": "code_interpreter",
    "code_interpreter": "code_interpreter",
    "file_search": "file_search",
    "mcp": "mcp",
    "openrouter:web_search": "web_search",
    "shell": "shell",
    "tool_search": "tool_search",
    "web_search": "web_search",
    "web_search_2025_08_26": "web_search",
    "web_search_preview": "web_search_preview",
    "web_search_preview_2025_03_11": "web_search_preview",
    "x_search": "web_search",
}
# Where each tool that runs code says in which container, and the items of its uses.
_CONTAINERS = {"code_execution": "container", "code_interpreter": "container", "shell": "environment"}
_CODE_TOOLS = {"code_interpreter_call": ("code_execution", "code_interpreter"), "shell_call": ("shell",)}
CODE_CALLS = frozenset(_CODE_TOOLS)
# Billed by another model's price, which no usage tells.
_UNBOUNDED_TOOLS = {"image_generation": "image generation"}

# A container is charged by its memory. Source: openai 3.54.0, ``types/responses/container_auto_param.py`` (the sizes
# that there are), read 2026-11-22.
_GIGABYTES = re.compile(r"([1-9][0-9]{0,2})g")
_GIGABYTES_MAX = 64


def tool_count(tools: object) -> int:
    return sum(1 + tool_count(tool.get("tools")) for tool in objects(tools))


def tool_types(tools: object) -> list[object]:
    return [tool.get("type") for tool in objects(tools)]


def server_tools(request: Mapping[str, Any], tools: list[Any]) -> tuple[ServerTool, ...]:
    """
    The tools that the provider runs, by the names that their fees have.
    """
    calls_max = cap(request, "max_tool_calls")
    return tuple(
        ServerTool(name=_SERVER_TOOLS[tool["type"]] + _size(tool), calls_max=calls_max)
        for tool in objects(tools)
        if isinstance(tool.get("type"), str) and tool["type"] in _SERVER_TOOLS and not _runs_at_caller(tool)
    )


def unbounded_tools(tools: list[Any]) -> list[str]:
    """
    The tools whose cost has no end, in words.
    """
    found = []
    for tool in tools:
        kind = mapping(tool).get("type")
        if isinstance(kind, str) and kind in _UNBOUNDED_TOOLS:
            found.append(_UNBOUNDED_TOOLS[kind])
        elif not (isinstance(kind, str) and (kind in _SERVER_TOOLS or kind in _PLAIN_TOOLS)):
            found.append(f"a tool of type {kind!r:.60}")
        elif kind in _CONTAINERS and not _runs_at_caller(tool) and _gigabytes(tool) is None:
            found.append("a container whose memory the request does not tell")
    return found


def hosts_shell(tools: object) -> bool:
    """
    Whether a shell of these tools runs in a container of the provider.
    """
    shells = [mapping(tool.get("environment")) for tool in objects(tools) if tool.get("type") == "shell"]
    return any(shell.get("type") not in (None, "local") for shell in shells)


def container_gigabytes(tools: object, item: str) -> int:
    """
    The memory of the container of such an item, the largest that there is where no tool tells it.
    """
    sizes = [_gigabytes(tool) or _GIGABYTES_MAX for tool in objects(tools) if tool.get("type") in _CODE_TOOLS[item]]
    return max(sizes, default=_GIGABYTES_MAX)


def _runs_at_caller(tool: Mapping[str, Any]) -> bool:
    kind = tool.get("type")
    if kind == "shell":
        return mapping(tool.get("environment")).get("type") == "local"
    if kind == "tool_search":
        return tool.get("execution") == "client"
    return kind is None or kind in _PLAIN_TOOLS


def _size(tool: Mapping[str, Any]) -> str:
    gigabytes = _gigabytes(tool) if tool["type"] in _CONTAINERS else None
    return f"_{gigabytes}g" if gigabytes is not None and gigabytes > 1 else ""


def _gigabytes(tool: Mapping[str, Any]) -> int | None:
    """
    The memory of the container that a tool makes; ``None`` where it uses one that was made before, or says it in words
    that are not known.
    """
    container = tool.get(_CONTAINERS[tool["type"]])
    if container is None:
        return 1
    if mapping(container).get("type") not in ("auto", "container_auto"):
        return None
    limit = container.get("memory_limit")
    size = _GIGABYTES.fullmatch(limit) if isinstance(limit, str) else None
    return 1 if limit is None else int(size[1]) if size else None
