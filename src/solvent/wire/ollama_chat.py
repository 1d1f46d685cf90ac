"""
Ollama's own chat and generate.

Source:
    ollama 0.6.3, ``_client.py`` and ``_types.py``; github.com/ollama/ollama, ``docs/api.md``; read 2026-11-22.
"""

from collections.abc import Mapping
from typing import Any

from solvent._amounts import Usage
from solvent.wire._call import Call, Item, Reader, WireFormat
from solvent.wire._input import Input, head_of
from solvent.wire._ndjson import LineReader
from solvent.wire._read import cap, count, kind_of, listed, mapping, model_name, objects, retry_count
from solvent.wire._reply import BodyReader, Reply
from solvent.wire._request import encoded

# Fields that the model never reads and that do not shape the prompt.
_NOT_PROMPT = frozenset(
    {
        "images", "keep_alive", "logprobs", "messages", "metadata", "model", "options", "prompt", "service_tier",
        "stream", "temperature", "top_logprobs",
    }
)  # fmt: skip
_PICTURE = ("height", "steps", "width")
_COUNTS = ("eval_count", "prompt_eval_cached_count", "prompt_eval_count")


class OllamaChat(WireFormat):
    """
    The wire format ``ollama-chat``: messages, or one prompt.
    """

    name = "ollama-chat"

    def describe(self, request: Mapping[str, Any], *, provider: str, path: str, headers: Mapping[str, str]) -> Call:  # noqa: ARG002
        model = model_name(request)
        tools = listed(request, "tools")
        pieces = Input()
        try:
            given = [*listed(request, "messages"), *_prompt(request)]
            items = tuple([_item(pieces, message) for message in given])
            head = head_of(request, model, without=_NOT_PROMPT)
        except RecursionError:
            raise ValueError("messages must not be nested this deeply") from None
        return Call(
            format=self.name,
            provider=provider,
            model=model,
            stream=request.get("stream") is not False,  # It streams unless it is told not to.
            head=head,
            tools=len(tools),
            items=items,
            output_tokens_max=_cap(request),
            structured_output=bool(request.get("format")),
            hidden_input=pieces.hidden,
            has_audio=pieces.has_audio,
            unbounded=("a picture to draw",) if any(request.get(name) for name in _PICTURE) else (),
            retry=retry_count(headers),
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
            changes["options"] = {**mapping(call.request.get("options")), "num_predict": output_tokens_max}
        return encoded({**call.request, **changes}) if changes else None

    def reader(self, call: Call, *, status: int, stream: bool) -> Reader:
        reply = _ChatReply(call, status)
        return LineReader(reply) if stream else BodyReader(reply)

    def refusal(self, *, code: str, message: str, metadata: Mapping[str, Any]) -> dict[str, Any]:
        return ollama_refusal(code=code, message=message, metadata=metadata)


def ollama_refusal(*, code: str, message: str, metadata: Mapping[str, Any]) -> dict[str, Any]:
    """
    A refusal as Ollama spells errors: a text.

    Source:
        ollama 0.6.3, ``_types.py``, ``ResponseError``, read 2026-11-22.
    """
    return {"error": message, "code": code, "metadata": dict(metadata)}


def _prompt(request: Mapping[str, Any]) -> list[Any]:
    """
    The prompt of a request that has one in place of messages, as a message.
    """
    given = {name: request[name] for name in ("prompt", "images") if request.get(name) is not None}
    return [given] if given else []


def _item(pieces: Input, message: Any) -> Item:
    """
    One message; its images are a list beside its content.
    """
    images = message.get("images") if isinstance(message, dict) else None
    if not isinstance(images, list):
        return pieces.message(message)
    item = pieces.message({key: value for key, value in message.items() if key != "images"})
    return Item(item.tokens_max, item.images + len(images), message)


def _cap(request: Mapping[str, Any]) -> int | None:
    """
    The output cap; -1 and -2 mean until the context is full, and 0 ends nothing either.
    """
    options = request.get("options")
    if options is not None and not isinstance(options, dict):
        raise ValueError(f"options must be an object, got {kind_of(options)}")
    return cap(mapping(options), "num_predict") or None


class _ChatReply(Reply):
    """
    A reply as it becomes known: every line has a piece of it, and the last one the counts.
    """

    def __init__(self, call: Call, status: int) -> None:
        super().__init__(call, status)
        self._calls = 0

    def event(self, name: str, body: Mapping[str, Any]) -> None:  # noqa: ARG002
        if body.get("error"):
            self.add_error(body["error"])
        self.body(body)

    def body(self, body: Mapping[str, Any]) -> None:
        self.add_names(body)
        message = mapping(body.get("message"))
        calls = len(list(objects(message.get("tool_calls"))))
        self._calls += calls
        pieces = (body.get("response"), body.get("thinking"), message.get("content"), message.get("thinking"), calls)
        self.begun = self.begun or any(pieces)
        if body.get("done") is True:
            self.done = True
            self.cut_at_length = body.get("done_reason") == "length"
            self.add_usage({name: body[name] for name in _COUNTS if name in body})
            if body.get("done_reason") in ("load", "unload") and not self.begun:
                self.add_usage({"eval_count": 0})  # Without a prompt, the model is only loaded or put away.

    def tool_calls(self) -> int:
        return self._calls

    def usage(self, raw: Mapping[str, Any]) -> Usage | None:
        if raw.get("eval_count") is None and raw.get("prompt_eval_count") is None:
            return None
        # Older servers leave the count of the prompt out when they have the prompt in memory: then it is not known.
        # Source: github.com/ollama/ollama/issues/2068, read 2026-11-22.
        return Usage(
            input_tokens=count(raw, "prompt_eval_count"),
            output_tokens=count(raw, "eval_count"),
            cache_read_tokens=count(raw, "prompt_eval_cached_count"),
            tool_calls=self._calls,
        )
