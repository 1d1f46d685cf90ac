"""
What OpenAI's formats, and the many hosts that speak them, have in common.
"""

import re
from collections.abc import Mapping
from typing import Any

from solvent.wire._call import Call
from solvent.wire._read import count, dollars, mapping, model_name, objects

_DEPLOYMENT = re.compile(r"(?<![^/])deployments/([^/]+)/")
_CHOICES_MAX = 2**16
# Hosts that always tell the usage of a stream and refuse to be asked.
# Source: github.com/avante-corp/avante.nvim/issues/2347 and the recorded Mistral stream, read 2026-11-21.
_USAGE_UNASKED = frozenset({"mistral"})
# Models that search or run tools by themselves, known by their names.
_SEARCHING_MODEL = re.compile(r"(?:^|/)(?:gpt-.*-search|sonar)|:online$")
_COMPOUND_MODEL = re.compile(r"(?:^|/)compound")
# Settings under which the host does more than to let this model answer: others may, at their price, or it searches and
# asks more than once. Source: learn.microsoft.com, "Azure OpenAI On Your Data", ``data_sources``, and mistralai 3.7.0,
# ``guardrailconfig.py`` (another model judges), read 2026-11-22.
_MORE = {
    "data_sources": "a data source",
    "guardrails": "guardrails",
    "models": "fallback models",
    "plugins": "plugins",
    "preset": "a preset",
}

# What xAI's tools are charged by. Source: https://docs.x.ai/developers/pricing.md, "Tool Invocation Costs", and replies
# that others published (``server_side_tool_usage_details``), read 2026-11-22.
_XAI_TOOLS = {
    "code_interpreter_calls": "code_sessions",
    "file_search_calls": "file_searches",
    "web_search_calls": "web_searches",
    "x_search_calls": "web_searches",
}
_XAI_FREE_TOOLS = frozenset({"mcp_calls"})


def asked_model(request: Mapping[str, Any], path: str) -> str:
    """
    The model that a request asks for: by the deployment in its path, whatever its body says, else by its body.

    Source:
        learn.microsoft.com, "Azure OpenAI REST API reference": ``deployment-id`` is the deployment that serves the
        request, and the body of such a path has no model; read 2026-11-22.

    Raises:
        ValueError: It names none.
    """
    deployment = _DEPLOYMENT.search(path)
    return deployment[1] if deployment else model_name(request)


def path_with_model(path: str, model: str) -> str:
    """
    The path of the same call to another deployment, where the path names one.
    """
    return _DEPLOYMENT.sub(lambda _: f"deployments/{model}/", path)


def choices(request: Mapping[str, Any], name: str = "n") -> int:
    """
    How many replies a request asks for.

    Raises:
        ValueError: It is no small whole number.
    """
    value = request.get(name)
    if value is None:
        return 1
    if type(value) is not int or not 0 <= value <= _CHOICES_MAX:
        raise ValueError(f"{name} must be a small whole number of choices, got {value!r:.60}")
    return max(value, 1)


def searches_by_itself(request: Mapping[str, Any], model: str) -> bool:
    """
    Whether a model searches the web unasked, once or more.
    """
    return request.get("web_search_options") is not None or _SEARCHING_MODEL.search(model) is not None


def more_than_asked(request: Mapping[str, Any], model: str) -> list[str]:
    """
    What the host does beside letting the model answer, in words; nobody can bound it.
    """
    found = [f"{what} of the host" for name, what in _MORE.items() if request.get(name)]
    if _COMPOUND_MODEL.search(model):
        found.append("a compound of models, each at its own price")
    return found


def searched_files(messages: object, provider: str) -> tuple[str, ...]:
    """
    What nobody can bound in messages with files: OpenRouter reads them for models that cannot, for a fee a page; xAI
    searches them, for a fee a search.

    Source:
        openrouter.ai/docs/features/multimodal/pdfs, and a recorded exchange ($0.002 above its tokens);
        https://docs.x.ai/developers/pricing.md, "Tool Invocation Costs" (``attachment_search``); read 2026-11-22.
    """
    if provider not in ("openrouter", "xai"):
        return ()
    parts = [part for message in objects(messages) for part in objects(message.get("content"))]
    has_files = any(part.get("type") in ("file", "input_file") for part in parts)
    return ("a file that the host reads for a fee",) if has_files else ()


def is_usage_asked(request: Mapping[str, Any], provider: str) -> bool:
    """
    Whether the reply will tell its usage without our asking for it.
    """
    if not request.get("stream") or provider in _USAGE_UNASKED:
        return True
    return mapping(request.get("stream_options")).get("include_usage") is True


def asking_for_usage(call: Call) -> dict[str, Any]:
    """
    What has to change in a request so that a streamed reply tells its usage.
    """
    if call.usage_asked:
        return {}
    return {"stream_options": {**mapping(call.request.get("stream_options")), "include_usage": True}}


def charged(provider: str, usage: Mapping[str, Any]) -> int | None:
    """
    What a host says that it charges for a call, in nanodollars; ``None`` where it does not say.

    OpenRouter's upstreams have prices of their own, and no count of tokens tells the fees of its plugins or of xAI's
    tools. With a key of the user's own, OpenRouter's cost is its fee alone, and the upstream bills the rest.

    Source:
        openrouter.ai/docs/use-cases/usage-accounting and recorded exchanges; docs.x.ai/developers/cost-tracking (a
        dollar has 10^10 ticks); read 2026-11-22.

    Raises:
        ValueError: It is no amount.
    """
    if provider == "xai" and usage.get("cost_in_usd_ticks") is not None:
        return -(-count(usage, "cost_in_usd_ticks") // 10)
    if provider != "openrouter":
        return None
    cost, upstream = dollars(usage, "cost"), dollars(mapping(usage.get("cost_details")), "upstream_inference_cost")
    if cost is None or usage.get("is_byok") is not True:
        return cost
    return None if upstream is None else cost + upstream


def images_told(details: Mapping[str, Any], *, most: int) -> int | None:
    """
    The tokens of images, as far as a host tells kinds apart.

    Raises:
        ValueError: It is no count.
    """
    return None if details.get("image_tokens") is None else min(count(details, "image_tokens"), most)


def ran_at_xai(provider: str, usage: Mapping[str, Any]) -> dict[str, int]:
    """
    How often xAI ran the tools that have a fee, by the fields of a usage; nothing of another host.

    Raises:
        ValueError: One that ran has another price, and xAI does not say what it charged.
    """
    if provider != "xai":
        return {}
    details = mapping(usage.get("server_side_tool_usage_details"))
    if not details:  # Before there were tools, each source was charged.
        return {"web_searches": count(usage, "num_sources_used")}
    ran: dict[str, int] = {}
    for name in details:
        uses = count(details, name)
        if name in _XAI_TOOLS:
            ran[_XAI_TOOLS[name]] = ran.get(_XAI_TOOLS[name], 0) + uses
        elif uses and name not in _XAI_FREE_TOOLS and usage.get("cost_in_usd_ticks") is None:
            raise ValueError(f"{name!r:.60} have a price of their own")
    return ran
