"""
Which paths are known, and whether calls on them cost money. What is not named here is denied.

Source:
    openai 3.54.0 and anthropic 2.12.0, ``resources/``, and recorded exchanges of the other hosts, read 2026-11-21.
"""

import re
from typing import Literal

Kind = Literal["free", "paid", "unbounded"]

# A base URL may end at any of these, and SDKs add the rest: Groq's sends openai/v1/…, others leave v1 to the base URL.
PREFIX = re.compile(
    r"""(?:
      (?:openai|together)/v1/ | novita/v3/openai/ | v1beta/openai/ | api/(?:paas/v4|openai/v1|v1)/ | inference/v1/
      | openai/deployments/[A-Za-z0-9._-]+/ | (?:beta|openai)/ | (?:beta/)?v1/
      | v1(?:alpha|beta1?)/
    )?
    (?:projects/[a-z0-9:.-]+/locations/[a-z0-9-]+/)?  # Vertex AI.
    (?:endpoints/openapi/)?
    (.+)""",
    re.VERBOSE,
)
SEGMENT = re.compile(r"[A-Za-z0-9_~:@-][A-Za-z0-9._~:@-]{0,255}")

# All of them POST. ``*`` is one segment, an id; ``*:verb`` is one with a verb behind it.
PAID: tuple[tuple[str, str], ...] = (
    ("chat/completions", "openai-chat"),
    ("messages", "anthropic-messages"),
    ("responses", "openai-responses"),
)

# A method of ``*`` is any.
FREE: tuple[tuple[str, str], ...] = (
    ("DELETE", "chat/completions/*"),
    ("DELETE", "conversations/*"),
    ("DELETE", "files/*"),
    ("DELETE", "messages/batches/*"),
    ("DELETE", "responses/*"),
    ("GET", "batches"),
    ("GET", "batches/*"),
    ("GET", "chat/completions"),
    ("GET", "chat/completions/*"),
    ("GET", "chat/completions/*/messages"),
    ("GET", "conversations/*"),
    ("GET", "conversations/*/items"),
    ("GET", "conversations/*/items/*"),
    ("GET", "files"),
    ("GET", "files/*"),
    ("GET", "files/*/content"),
    ("GET", "fine_tuning/jobs"),
    ("GET", "fine_tuning/jobs/*"),
    ("GET", "health"),
    ("GET", "messages/batches"),
    ("GET", "messages/batches/*"),
    ("GET", "messages/batches/*/results"),
    ("GET", "metrics"),
    ("GET", "models"),
    ("GET", "models/*"),
    ("GET", "models/*/*"),
    ("GET", "props"),
    ("GET", "responses/*"),
    ("GET", "responses/*/input_items"),
    ("POST", "batches/*/cancel"),
    ("POST", "conversations"),
    ("POST", "conversations/*"),
    ("POST", "conversations/*/items"),
    ("POST", "detokenize"),
    ("POST", "files"),
    ("POST", "messages/batches/*/cancel"),
    ("POST", "messages/count_tokens"),
    ("POST", "moderations"),
    ("POST", "responses/*/cancel"),
    ("POST", "responses/input_tokens"),
    ("POST", "tokenize"),
)

UNBOUNDED: tuple[tuple[str, str], ...] = (
    ("*", "assistants"),
    ("*", "assistants/*"),
    ("*", "containers"),
    ("*", "containers/*"),
    ("*", "realtime"),
    ("*", "realtime/*"),
    ("*", "threads"),
    ("*", "threads/*"),
    ("*", "threads/*/messages"),
    ("*", "threads/*/runs"),
    ("*", "threads/*/runs/*"),
    ("*", "threads/*/runs/*/submit_tool_outputs"),
    ("*", "vector_stores"),
    ("*", "vector_stores/*"),
    ("*", "vector_stores/*/file_batches"),
    ("*", "vector_stores/*/files"),
    ("*", "vector_stores/*/files/*"),
    ("*", "vector_stores/*/search"),
    ("*", "videos"),
    ("*", "videos/*"),
    ("*", "videos/*/content"),
    ("POST", "agents/completions"),
    ("POST", "audio/speech"),
    ("POST", "audio/transcriptions"),
    ("POST", "audio/translations"),
    ("POST", "batches"),
    ("POST", "classifications"),
    ("POST", "complete"),
    ("POST", "completions"),
    ("POST", "embeddings"),
    ("POST", "fim/completions"),
    ("POST", "fine_tuning/jobs"),
    ("POST", "images/edits"),
    ("POST", "images/generations"),
    ("POST", "images/variations"),
    ("POST", "messages/batches"),
    ("POST", "ocr"),
    ("POST", "rerank"),
    ("POST", "responses/compact"),
)


def lookup(method: str, path: str) -> tuple[Kind, str] | None:
    """
    Whether a path below a base URL is paid, free or unbounded, and its plain name; ``None`` when it is not known.
    """
    path = path.strip("/")
    match = PREFIX.fullmatch(path)
    if match is None or not all(SEGMENT.fullmatch(segment) for segment in path.split("/")):
        return None
    for pattern in _candidates(match[1]):
        for asked in (method, "*"):
            kind = _TABLE.get((asked, pattern))
            if kind is not None:
                return kind, pattern
    return None


def _candidates(name: str) -> list[str]:
    """
    The name with every choice of its segments but the first taken for ids, the most literal first.
    """
    first, *rest = name.split("/")
    if len(rest) > 4:
        return []
    found = [first]
    for segment in rest:
        id, colon, verb = segment.rpartition(":")
        forms = (segment, f"*:{verb}", "*") if colon and id else (segment, "*")
        found = [f"{start}/{end}" for end in forms for start in found]
    return found


FORMAT_BY_PATH = dict(PAID)
_TABLE: dict[tuple[str, str], Kind] = {
    **dict.fromkeys(FREE, "free"),
    **dict.fromkeys(UNBOUNDED, "unbounded"),
    **dict.fromkeys((("POST", path) for path in FORMAT_BY_PATH), "paid"),
}
