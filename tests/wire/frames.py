"""
Amazon's event stream, written: what ``test_event_stream`` has botocore read before anything of ours does.
"""

import base64
import json
import struct
import zlib
from collections.abc import Iterable
from typing import Any

_NUMBERS = {2: ">b", 3: ">h", 4: ">i", 5: ">q", 8: ">q"}
Headers = Iterable[tuple[str, int, Any]]


def frame(headers: Headers, payload: bytes) -> bytes:
    """
    One frame; a header is its name, the number of its kind and its value.
    """
    return framed(b"".join(_header(*header) for header in headers), payload)


def framed(head: bytes, payload: bytes) -> bytes:
    """
    One frame with headers as they are given, be they right or not.
    """
    prelude = struct.pack(">II", 16 + len(head) + len(payload), len(head))
    body = prelude + struct.pack(">I", zlib.crc32(prelude)) + head + payload
    return body + struct.pack(">I", zlib.crc32(body))


def event(name: str, body: Any) -> bytes:
    """
    One event as Bedrock sends it.
    """
    headers = {":event-type": name, ":content-type": "application/json", ":message-type": "event"}
    return frame([(key, 7, value) for key, value in headers.items()], json.dumps(body).encode())


def exception(name: str, body: Any) -> bytes:
    headers = {":exception-type": name, ":content-type": "application/json", ":message-type": "exception"}
    return frame([(key, 7, value) for key, value in headers.items()], json.dumps(body).encode())


def chunk(body: Any) -> bytes:
    """
    A maker's own event as ``invoke-with-response-stream`` sends it.
    """
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return event("chunk", {"bytes": base64.b64encode(data).decode(), "p": "abcdefgh"})


def converse_events(body: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """
    The events of a stream that would tell what a plain Converse reply tells.
    """
    found: list[tuple[str, dict[str, Any]]] = [("messageStart", {"role": "assistant"})]
    for index, block in enumerate(body["output"]["message"]["content"]):
        found += [(name, {**part, "contentBlockIndex": index}) for name, part in _parts(block)]
    rest = {key: body[key] for key in ("usage", "metrics", "trace", "performanceConfig", "serviceTier") if key in body}
    return [*found, ("messageStop", {"stopReason": body["stopReason"]}), ("metadata", rest)]


def _parts(block: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    kind, value = next(iter(block.items()))
    if kind == "text":
        parts = [("contentBlockDelta", {"delta": {"text": value}})]
    elif kind == "reasoningContent":
        text = value.get("reasoningText", {}).get("text", "")
        parts = [("contentBlockDelta", {"delta": {"reasoningContent": {"text": text}}})]
    elif kind == "toolUse":
        start = {key: value[key] for key in ("toolUseId", "name", "type") if key in value}
        delta = {"toolUse": {"input": json.dumps(value["input"])}}
        parts = [("contentBlockStart", {"start": {"toolUse": start}}), ("contentBlockDelta", {"delta": delta})]
    else:
        start = {"toolUseId": value["toolUseId"], "type": value["type"], "status": value["status"]}
        parts = [
            ("contentBlockStart", {"start": {kind: start}}),
            ("contentBlockDelta", {"delta": {kind: value["content"]}}),
        ]
    return [*parts, ("contentBlockStop", {})]


def _header(name: str, kind: int, value: Any) -> bytes:
    start = bytes([len(name.encode())]) + name.encode() + bytes([kind])
    if kind in (0, 1):
        return start
    if kind in _NUMBERS:
        return start + struct.pack(_NUMBERS[kind], value)
    data = value.encode() if isinstance(value, str) else value
    return start + data if kind == 9 else start + struct.pack(">H", len(data)) + data
