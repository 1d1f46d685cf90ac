"""
What Gemini's formats share: names in either spelling, the pieces of a prompt, service tiers, refusals.

Source:
    google-genai 3.4.0, ``types.py`` and ``models.py``, and the recorded exchanges of the Gemini API and of Vertex AI,
    read 2026-11-22.
"""

import re
from base64 import b64decode
from collections.abc import Mapping
from typing import Any

from solvent.wire import _vertex
from solvent.wire._call import Item
from solvent.wire._input import Input
from solvent.wire._read import count, kind_of, mapping, objects, text
from solvent.wire._request import refusal_type
from solvent.wire._text import json_bound, text_bound

# Everything that the model may read of these is in the request.
_JSON_PARTS = frozenset(
    {
        "audioTranscription",
        "codeExecutionResult",
        "executableCode",
        "functionCall",
        "partMetadata",
        "speechMetadata",
        "thought",
        "thoughtSignature",
        "videoMetadata",
    }
)
# What a server-side tool found is put back by its id, not by what the part shows of it.
_HIDDEN_PARTS = {"toolCall": "an earlier tool call by its id", "toolResponse": "an earlier tool result by its id"}
_HIDDEN_MEDIA = {"application/pdf": "a PDF file", "audio": "audio", "video": "video"}
_WITH_SOUND = frozenset({"", "audio", "video"})  # Media of no told kind may be a film, too.
_MEDIA_BY_NAME = frozenset({"displayName", "fileUri", "mimeType"})
_PLAIN_MESSAGE = {"parts", "role"}
_UNDERSCORE = re.compile(r"_([a-z0-9])")
# Modalities of a count. A page of a document is read as a picture.
AUDIO = ("AUDIO",)
IMAGES = ("DOCUMENT", "IMAGE", "VIDEO")
# Models that have a price for output of a kind; elsewhere such output would be taken for text.
# Source: https://ai.google.dev/gemini-api/docs/pricing by genai-prices 0.2.3, read 2026-11-22.
_PRICED_KINDS = {"AUDIO": re.compile(r"-tts\b"), "IMAGE": re.compile(r"-image\b|nano-banana")}
_STATUSES = {
    "budget_exceeded": "FAILED_PRECONDITION",
    "budget_held": "RESOURCE_EXHAUSTED",
    "deadline_passed": "FAILED_PRECONDITION",
    "loop_detected": "FAILED_PRECONDITION",
    "price_unknown": "FAILED_PRECONDITION",
    "server_error": "UNAVAILABLE",
    "unbounded": "FAILED_PRECONDITION",
}
_HTTP_STATUSES = {"FAILED_PRECONDITION": 402, "RESOURCE_EXHAUSTED": 429, "UNAVAILABLE": 503}


def fields(value: object) -> Mapping[str, Any]:
    """
    A JSON object with its names in lowerCamelCase: Google reads both spellings of every name.

    Source:
        https://protobuf.dev/programming-guides/json/, "Field names as JSON keys", read 2026-11-22.

    Raises:
        ValueError: A name is there in both spellings, and the provider may take the other one.
    """
    source = mapping(value)
    if not any("_" in name for name in source):
        return source
    found: dict[str, Any] = {}
    for name, field in source.items():
        name = camel(name)
        if name in found:
            raise ValueError(f"{name} must be there once, got it in both spellings")
        found[name] = field
    return found


def camel(name: str) -> str:
    return _UNDERSCORE.sub(lambda match: match[1].upper(), name)


def several(value: object, name: str) -> list[Any]:
    """
    A list that a request may have; a single object stands for a list of one.

    Raises:
        ValueError: It is something else.
    """
    if value is None:
        return []
    if isinstance(value, dict):
        return [value]
    if not isinstance(value, list):
        raise ValueError(f"{name} must be a list, got {kind_of(value)}")
    return value


class Contents(Input):
    """
    Adds up the contents that it is shown.

    A content's value has its parts under ``content``, each with a ``type``, as the messages of other formats do.
    """

    def message(self, message: Any) -> Item:
        plain = _plain_text(message)
        if plain is not None:  # As below, in short: nearly every message is one.
            bound = text_bound(message["role"]) + len("role") + text_bound(plain)
            self.tokens_max += bound
            return Item(bound, 0, {"role": message["role"], "content": [{"type": "text", "text": plain}]})
        tokens, images = self.tokens_max, self.images
        value = self.whole(message)
        return Item(self.tokens_max - tokens, self.images - images, value)

    def whole(self, content: Any) -> Any:
        """
        One content: a role and parts.
        """
        if not isinstance(content, dict):
            return self.json(content)
        found = fields(content)
        parts = [self.part(part) for part in several(found.get("parts"), "parts")]
        rest = {name: field for name, field in found.items() if name != "parts" and field is not None}
        self.json(rest)
        return {**rest, "content": parts}

    def part(self, part: Any) -> Any:
        if not isinstance(part, dict):
            return self.json(part)
        found = {name: field for name, field in fields(part).items() if field is not None}
        for name, field in found.items():
            self._field(name, field)
        if found.get("thought") or "thoughtSignature" in found:
            return {"type": "thinking", **found}
        return {"type": "text" if "text" in found else "part", **found}

    def _field(self, name: str, field: Any) -> None:
        if name == "text" and isinstance(field, str):
            self.tokens_max += text_bound(field)
        elif name in ("fileData", "inlineData"):
            self._media(fields(field))
        elif name == "functionResponse":
            response = fields(field)
            self.json({key: value for key, value in response.items() if key != "parts"})
            for part in several(response.get("parts"), "functionResponse.parts"):
                self.part(part)
        else:
            self.tokens_max += json_bound(field) + len(name)
            if name == "mediaResolution":
                if fields(field).keys() - {"level"}:  # ``numTokens`` asks for a number of tokens of one's own.
                    self.hide("media of a size that the request names")
            elif name in _HIDDEN_PARTS:
                self.hide(_HIDDEN_PARTS[name])
            elif name not in _JSON_PARTS:
                self.hide(f"a part of type {name!r:.60}")

    def _media(self, media: Mapping[str, Any]) -> None:
        """
        Images have a ceiling. How long a sound, a film or a document is, no reference says, and no number of bytes:
        silence and blank pages take next to none.
        """
        kind = (text(media.get("mimeType")) or "").lower()
        family = kind.partition("/")[0]
        if family == "image":
            self.images += 1
        elif family == "text" and isinstance(media.get("data"), str):
            self._text_file(media["data"])
        else:
            reason = _HIDDEN_MEDIA.get(kind) or _HIDDEN_MEDIA.get(family) or "a file"
            self.hide(reason, has_audio=family in _WITH_SOUND)
        self.json({key: media[key] for key in _MEDIA_BY_NAME & media.keys()})

    def _text_file(self, data: str) -> None:
        try:  # Both alphabets are read, with padding and without.
            self.tokens_max += text_bound(b64decode(data.replace("-", "+").replace("_", "/") + "==").decode())
        except ValueError:
            self.hide("a file")


def _plain_text(message: Any) -> str | None:
    """
    The text of a message that has a role and one part with a text, and nothing else.
    """
    if not isinstance(message, dict) or message.keys() != _PLAIN_MESSAGE or not isinstance(message["role"], str):
        return None
    parts = message["parts"]
    if not isinstance(parts, list) or len(parts) != 1 or not isinstance(parts[0], dict) or parts[0].keys() != {"text"}:
        return None
    return parts[0]["text"] if isinstance(parts[0]["text"], str) else None


def asked_tier(request: Mapping[str, Any], provider: str, headers: Mapping[str, str]) -> str | None:
    """
    The service tier that a request names: in its body on the Gemini API, by its headers on Vertex AI.

    Source:
        https://ai.google.dev/gemini-api/docs/priority-inference (``service_tier``); google-genai 3.4.0,
        ``types.ServiceTier``; both read 2026-11-22.
    """
    value = request.get("serviceTier")
    if value is not None:
        # An enumeration may also come as its number, which is no name that any price has.
        return _tier(str(value))
    return _vertex.asked_tier(provider, headers)


def told_tier(usage: Mapping[str, Any]) -> str | None:
    """
    The service tier that a reply's usage names.
    """
    told = text(usage.get("serviceTier"))
    return _vertex.told_tier(usage.get("trafficType")) if told is None else _tier(told)


def _tier(name: str) -> str | None:
    name = name.lower().removeprefix("service_tier_")[:64]
    return None if name == "unspecified" else name


def is_priced(kind: str, model: str) -> bool:
    """
    Whether the model has a price for output of this kind.
    """
    return kind in _PRICED_KINDS and _PRICED_KINDS[kind].search(model) is not None


def tokens_of(usage: Mapping[str, Any], name: str, *kinds: str) -> int | None:
    """
    The tokens of some kinds in a list of counts by modality; ``None`` where there is no such list.

    Raises:
        ValueError: One of the counts cannot be meant.
    """
    details = usage.get(name)
    if not isinstance(details, list):
        return None
    return sum(count(one, "tokenCount") for one in objects(details) if one.get("modality") in kinds)


def refusal(*, code: str, message: str, metadata: Mapping[str, Any]) -> dict[str, Any]:
    """
    A refusal as Google spells errors. A spent budget is not the status that clients take for "later".

    Source:
        https://cloud.google.com/apis/design/errors, "Error model" and "Error info"; google-genai 3.4.0, ``errors.py``;
        read 2026-11-22.
    """
    status = refusal_type(code, _STATUSES, otherwise="INVALID_ARGUMENT")
    info = {
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": code.upper(),
        "domain": "solvent",
        "metadata": {name: str(value) for name, value in metadata.items()},
    }
    error = {"code": _HTTP_STATUSES.get(status, 400), "message": message, "status": status, "details": [info]}
    return {"error": error}
