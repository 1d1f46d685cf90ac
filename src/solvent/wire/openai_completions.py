"""
OpenAI's legacy completions, Mistral's fill-in-the-middle, and the hosts that speak them: text in, text out.

Source:
    openai 3.54.0, ``types/completion_create_params.py``, and mistralai 3.7.0, ``fimcompletionrequest.py`` (whose
    replies are a chat's), read 2026-11-22.
"""

from collections.abc import Mapping
from typing import Any

from solvent.wire._call import Call, Item, Reader, ServerTool, WireFormat
from solvent.wire._chat_reply import ChatReply
from solvent.wire._input import head_of
from solvent.wire._openai import (
    asked_model,
    asking_for_usage,
    choices,
    is_usage_asked,
    more_than_asked,
    path_with_model,
    searches_by_itself,
)
from solvent.wire._read import cap, kind_of, retry_count, text
from solvent.wire._reply import reader
from solvent.wire._request import encoded, openai_refusal
from solvent.wire._text import text_bound

# Fields that the model never reads and that do not shape the prompt.
_NOT_PROMPT = frozenset(
    {
        "best_of", "echo", "frequency_penalty", "logit_bias", "logprobs", "max_tokens", "metadata", "min_tokens",
        "model", "n", "presence_penalty", "prompt", "prompt_cache_key", "random_seed", "seed", "service_tier", "stop",
        "stream", "stream_options", "temperature", "top_k", "top_p", "user",
    }
)  # fmt: skip
# Hosts that write this much where a request names no cap. Source: openai 3.54.0, as above ("defaults to 16").
_CAP_UNNAMED = {"azure": 16, "openai": 16}


class OpenAICompletions(WireFormat):
    """
    The wire format ``openai-completions``.
    """

    name = "openai-completions"

    def describe(self, request: Mapping[str, Any], *, provider: str, path: str, headers: Mapping[str, str]) -> Call:
        model = asked_model(request, path)
        try:
            items = tuple([Item(_tokens(prompt), 0, prompt) for prompt in _prompts(request.get("prompt"))])
            head = head_of(request, model, without=_NOT_PROMPT)
        except RecursionError:
            raise ValueError("prompt must not be nested this deeply") from None
        searches = searches_by_itself(request, model)
        return Call(
            format=self.name,
            provider=provider,
            model=model,
            tier=text(request.get("service_tier")),
            stream=bool(request.get("stream")),
            head=head,
            items=items,
            output_tokens_max=_cap(request, provider, items),
            structured_output=bool(request.get("echo")),  # Its cap has the prompt in it.
            choices=max(len(items), 1) * max(choices(request), choices(request, "best_of")),
            server_tools=(ServerTool(name="web_search", calls_max=None),) if searches else (),
            unbounded=tuple(more_than_asked(request, model)),
            cache_writes=None,
            retry=retry_count(headers),
            usage_asked=is_usage_asked(request, provider),
            request=request,
        )

    def rewrite(
        self,
        call: Call,
        *,
        model: str | None = None,
        output_tokens_max: int | None = None,
        own_cap: str = "",  # noqa: ARG002  # The format has one cap, so there is nothing to choose.
    ) -> bytes | None:
        changes: dict[str, Any] = {}
        if model is not None and model != call.model:
            changes["model"] = model
        if output_tokens_max is not None:
            changes["max_tokens"] = output_tokens_max
        changes.update(asking_for_usage(call))
        return encoded({**call.request, **changes}) if changes else None

    def path_for(self, path: str, *, model: str) -> str:
        return path_with_model(path, model)

    def reader(self, call: Call, *, status: int, stream: bool) -> Reader:
        return reader(ChatReply(call, status), stream=stream)

    def refusal(self, *, code: str, message: str, metadata: Mapping[str, Any]) -> dict[str, Any]:
        return openai_refusal(code=code, message=message, metadata=metadata)


def _prompts(given: Any) -> list[Any]:
    """
    The prompts of a request: a text, several of them, a list of tokens, or several such lists.
    """
    if isinstance(given, list) and given and not any(type(part) is int for part in given):
        return given
    return [given]


def _tokens(prompt: Any) -> int:
    """
    The most tokens of one prompt.

    Raises:
        ValueError: It is neither text nor tokens.
    """
    if prompt is None:
        return 1  # The mark that a document begins with.
    if isinstance(prompt, str):
        return text_bound(prompt)
    if isinstance(prompt, list) and all(type(part) is int or isinstance(part, str) for part in prompt):
        return 1 + sum(text_bound(part) if isinstance(part, str) else 1 for part in prompt)
    raise ValueError(f"prompt must be a text, a list of texts, or tokens, got {kind_of(prompt)}")


def _cap(request: Mapping[str, Any], provider: str, items: tuple[Item, ...]) -> int | None:
    """
    The most that one choice can have; with ``echo`` the prompt as well, for nobody says that it is not counted.
    """
    if request.get("max_tokens") is None:
        most = _CAP_UNNAMED.get(provider)
    else:
        most = cap(request, "max_tokens")
        if most == 0 and provider not in _CAP_UNNAMED:
            return None  # Some hosts read 0 as "no cap".
    if most is not None and request.get("echo"):
        most += max((item.tokens_max for item in items), default=0)
    return most
