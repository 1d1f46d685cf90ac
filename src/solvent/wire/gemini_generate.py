"""
Gemini's ``generateContent``, whole and streamed, on the Gemini API and on Vertex AI.

Source:
    google-genai 3.4.0, ``types.py`` and ``models.py``, and the recorded exchanges of both hosts, read 2026-11-22.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from solvent.wire._call import Call, Item, Reader, ServerTool, WireFormat
from solvent.wire._gemini import Contents, asked_tier, camel, fields, is_priced, refusal, several
from solvent.wire._gemini_reply import GenerateReply
from solvent.wire._json_stream import StreamReader
from solvent.wire._openai import choices
from solvent.wire._read import cap, mapping, path_model, path_with, retry_count, text
from solvent.wire._reply import reader
from solvent.wire._request import encoded, told
from solvent.wire._vertex import path_region

# Fields that the model never reads and that do not shape the prompt. ``contents``, ``systemInstruction`` and the
# settings of the output are walked on their own.
_NOT_PROMPT = frozenset(
    {
        "cachedContent", "contents", "generationConfig", "labels", "model", "safetySettings", "serviceTier", "store",
        "systemInstruction",
    }
)  # fmt: skip
# What may be asked on Vertex AI how many tokens it is.
_COUNTED = frozenset({"contents", "generationConfig", "systemInstruction", "tools"})
_NOT_PROMPT_SETTINGS = frozenset(
    {
        "candidateCount", "frequencyPenalty", "logprobs", "maxOutputTokens", "presencePenalty", "responseLogprobs",
        "seed", "stopSequences", "temperature", "topK", "topP",
    }
)  # fmt: skip

# Tools that Google runs inside the call, as often as the model likes: no field of a request caps that. The fee of a
# search has an end at models that bill it once a request, but the tokens of so many inferences have none.
_SERVER_TOOLS = {
    "codeExecution": "code_execution",
    "fileSearch": "file_search",
    "googleMaps": "google_maps",
    "googleSearch": "google_search",
    "googleSearchRetrieval": "google_search",
    "mcpServers": "mcp",
    "urlContext": "url_context",
}
# Settings under which the provider chooses the model, and so the price.
_OTHER_MODELS = ("modelSelectionConfig", "routingConfig")
_SCHEMAS = (
    "parameters", "parametersJsonSchema", "response", "responseFormat", "responseJsonSchema", "responseSchema",
)  # fmt: skip
_STRUCTURED = ("responseFormat", "responseJsonSchema", "responseSchema")


class GeminiGenerate(WireFormat):
    """
    The wire format ``gemini-generate``.
    """

    name = "gemini-generate"

    def describe(self, request: Mapping[str, Any], *, provider: str, path: str, headers: Mapping[str, str]) -> Call:
        try:
            return self._described(request, provider=provider, path=path, headers=headers)
        except RecursionError:
            raise ValueError("the request must not be nested this deeply") from None

    def _described(self, request: Mapping[str, Any], *, provider: str, path: str, headers: Mapping[str, str]) -> Call:
        model = path_model(path)
        asked = fields(request)
        if not isinstance(asked.get("contents"), (dict, list)):
            raise ValueError("contents must be a list")
        if not isinstance(asked.get("generationConfig") or {}, dict):
            raise ValueError("generationConfig must be an object")
        settings = fields(asked.get("generationConfig"))
        pieces = Contents()
        tools = [fields(tool) for tool in several(asked.get("tools"), "tools")]
        head = _head(pieces, asked, settings, model)
        items = tuple([pieces.message(content) for content in several(asked["contents"], "contents")])
        if asked.get("cachedContent") is not None:
            pieces.hide("cached content by its id")
        paints = is_priced("IMAGE", model)  # No cap cuts a picture.
        return Call(
            format=self.name,
            provider=provider,
            model=model,
            tier=asked_tier(asked, provider, headers),
            region=path_region(path),
            stream=path.endswith(":streamGenerateContent"),
            head=head,
            tools=sum(map(_declared, tools)),
            items=items,
            # Thoughts are counted by the cap. Source: github.com/googleapis/python-genai/issues/2062, and the recorded
            # test_google_model_max_tokens_thinking_model_empty_response, read 2026-11-22.
            output_tokens_max=None if paints else cap(settings, "maxOutputTokens") or None,
            structured_output=paints or _is_structured(asked, settings),
            choices=choices(settings, "candidateCount"),
            hidden_input=pieces.hidden,
            has_audio=pieces.has_audio,
            server_tools=tuple(
                ServerTool(name=_SERVER_TOOLS[name], calls_max=None) for name in _given(tools) if name in _SERVER_TOOLS
            ),
            unbounded=_unbounded(settings, model, tools),
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
        """
        As the protocol says; a model that the body repeats is left out, for the path is what names it.
        """
        changed = dict(call.request)
        if model is not None and model != call.model:
            changed.pop("model", None)
        if output_tokens_max is not None:
            name = _spelled(changed, "generationConfig")
            settings = mapping(changed.get(name))
            changed[name] = {**settings, _spelled(settings, "maxOutputTokens"): output_tokens_max}
        return encoded(changed) if changed != call.request else None

    def path_for(self, path: str, *, model: str) -> str:
        return path_with(path, model)

    def count_request(self, call: Call, path: str) -> tuple[str, bytes] | None:
        """
        Source:
            google-genai 3.4.0, ``models.py``, and https://ai.google.dev/api/tokens, read 2026-11-22.
        """
        asked, counting = fields(call.request), f"{path.rpartition(':')[0]}:countTokens"
        if asked.get("cachedContent") is not None:  # Nobody says whether it is in the count.
            return None
        if call.provider == "gemini":
            name = call.model if "/" in call.model else f"models/{call.model}"
            return counting, encoded({"generateContentRequest": {**asked, "model": name}})
        if {name for name, field in asked.items() if field is not None} - _COUNTED - _NOT_PROMPT:
            return None
        return counting, encoded({name: field for name, field in asked.items() if name in _COUNTED})

    def read_count(self, body: bytes) -> int | None:
        return told(body, "totalTokens")

    def is_stream(self, call: Call, content_type: str) -> bool:
        return super().is_stream(call, content_type) or (call.stream and content_type.startswith("application/json"))

    def reader(self, call: Call, *, status: int, stream: bool) -> Reader:
        reply = GenerateReply(call, status)
        return StreamReader(reply) if stream else reader(reply, stream=False)

    def refusal(self, *, code: str, message: str, metadata: Mapping[str, Any]) -> dict[str, Any]:
        return refusal(code=code, message=message, metadata=metadata)


def _spelled(source: Mapping[str, Any], name: str) -> str:
    """
    A name as the request spells it.
    """
    return next((own for own in source if camel(own) == name), name)


def _head(pieces: Contents, asked: Mapping[str, Any], settings: Mapping[str, Any], model: str) -> Item:
    tokens, images = pieces.tokens_max, pieces.images
    system = asked.get("systemInstruction")
    value: dict[str, Any] = {"model": model, "system": None if system is None else pieces.whole(system)}
    for source, not_prompt in ((asked, _NOT_PROMPT), (settings, _NOT_PROMPT_SETTINGS)):
        kept = {name: field for name, field in source.items() if name not in not_prompt and field is not None}
        pieces.json(kept)
        value.update(kept)
    if b'ref"' in encoded(value):
        for schema in _schemas(asked, settings):
            pieces.references(schema)
    return Item(pieces.tokens_max - tokens, pieces.images - images, value)


def _schemas(asked: Mapping[str, Any], settings: Mapping[str, Any]) -> Iterator[Any]:
    declared = [
        fields(function)
        for tool in several(asked.get("tools"), "tools")
        for function in several(fields(tool).get("functionDeclarations"), "functionDeclarations")
    ]
    for source in (settings, *declared):
        yield from (source[name] for name in _SCHEMAS if source.get(name) is not None)


def _given(tools: list[Mapping[str, Any]]) -> Iterator[str]:
    return (name for tool in tools for name, field in tool.items() if field is not None)


def _declared(tool: Mapping[str, Any]) -> int:
    """
    Functions that a tool declares; the use of a computer is one with a definition of Google's own.
    """
    functions = several(tool.get("functionDeclarations"), "functionDeclarations")
    return len(functions) + (tool.get("computerUse") is not None)


def _is_structured(asked: Mapping[str, Any], settings: Mapping[str, Any]) -> bool:
    calling = fields(fields(asked.get("toolConfig")).get("functionCallingConfig"))
    kind = text(settings.get("responseMimeType"))
    return (
        any(settings.get(name) is not None for name in _STRUCTURED)
        or kind not in (None, "text/plain")
        or str(calling.get("mode")).upper() == "ANY"
    )


def _unbounded(settings: Mapping[str, Any], model: str, tools: list[Mapping[str, Any]]) -> tuple[str, ...]:
    found = ["a model that the provider chooses" for name in _OTHER_MODELS if settings.get(name) is not None]
    for modality in several(settings.get("responseModalities"), "responseModalities"):
        kind = str(modality).upper()
        if kind != "TEXT" and not is_priced(kind, model):
            found.append(f"output of kind {kind!r:.60}")
    for name in _given(tools):
        if name not in _SERVER_TOOLS and name not in ("computerUse", "functionDeclarations"):
            found.append(f"a tool of type {name!r:.60}")
    return tuple(found)
