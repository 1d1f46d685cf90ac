"""
Which paths are known, and whether calls on them cost money. What is not named here is denied.

What hands out keys or changes limits (``organization``, ``keys``, ``vaults``) is not named: it would open ways around
the gateway.

Source:
    The resources of openai 3.54.0 and anthropic 2.12.0, and recorded exchanges of other hosts, read 2026-11-21; of
    botocore 1.44.5, cohere 7.3.1, fireworks-ai 1.2.30, groq 1.7.0, mistralai 3.7.0, ollama 0.6.3, openrouter 1.3.84,
    together 3.1.1 and zai-sdk 0.2.3, and docs.x.ai/api-reference, read 2026-11-22.
"""

import re
from typing import Literal

Kind = Literal["free", "paid", "unbounded"]

# A base URL may end at any of these, and SDKs add the rest: Groq's sends openai/v1/…, others leave v1 to the base URL.
PREFIX = re.compile(
    r"""(?:
      (?:openai|together)/v1/ | novita/v3/openai/ | v1beta/openai/ | (?:compatibility|inference)/v1/
      | api/(?:(?:coding/)?paas/v4|openai/v1|v1)/
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
    ("api/chat", "ollama-chat"),
    ("api/embed", "ollama-embed"),
    ("api/embeddings", "ollama-embed"),
    ("api/generate", "ollama-chat"),
    ("chat/completions", "openai-chat"),
    ("completions", "openai-completions"),
    ("embed", "cohere-embed"),
    ("embeddings", "openai-embeddings"),
    ("endpoints/*:generateContent", "gemini-generate"),
    ("endpoints/*:streamGenerateContent", "gemini-generate"),
    ("fim/completions", "openai-completions"),
    ("messages", "anthropic-messages"),
    ("model/*/*/converse", "bedrock-converse"),
    ("model/*/*/converse-stream", "bedrock-converse"),
    ("model/*/*/invoke", "bedrock-invoke"),
    ("model/*/*/invoke-with-response-stream", "bedrock-invoke"),
    ("model/*/converse", "bedrock-converse"),
    ("model/*/converse-stream", "bedrock-converse"),
    ("model/*/invoke", "bedrock-invoke"),
    ("model/*/invoke-with-response-stream", "bedrock-invoke"),
    ("models/*:batchEmbedContents", "gemini-embed"),
    ("models/*:embedContent", "gemini-embed"),
    ("models/*:generateContent", "gemini-generate"),
    ("models/*:streamGenerateContent", "gemini-generate"),
    ("publishers/anthropic/models/*:rawPredict", "anthropic-messages"),
    ("publishers/anthropic/models/*:streamRawPredict", "anthropic-messages"),
    ("publishers/google/models/*:batchEmbedContents", "gemini-embed"),
    ("publishers/google/models/*:embedContent", "gemini-embed"),
    ("publishers/google/models/*:generateContent", "gemini-generate"),
    ("publishers/google/models/*:predict", "gemini-embed"),
    ("publishers/google/models/*:streamGenerateContent", "gemini-generate"),
    ("responses", "openai-responses"),
    ("responses/compact", "openai-responses"),
    ("tunedModels/*:generateContent", "gemini-generate"),
    ("tunedModels/*:streamGenerateContent", "gemini-generate"),
    ("v2/chat", "cohere-chat"),
    ("v2/embed", "cohere-embed"),
)

# A method of ``*`` is any.
FREE: tuple[tuple[str, str], ...] = (
    ("DELETE", "api/delete"),
    ("DELETE", "chat/completions/*"),
    ("DELETE", "files/*"),
    ("DELETE", "messages/batches/*"),
    ("DELETE", "models/*"),
    ("DELETE", "responses/*"),
    ("GET", "activity"),
    ("GET", "api-key"),
    ("GET", "api/ps"),
    ("GET", "api/tags"),
    ("GET", "api/version"),
    ("GET", "auth/key"),
    ("GET", "chat/completions"),
    ("GET", "chat/completions/*"),
    ("GET", "chat/completions/*/messages"),
    ("GET", "chat/deferred-completion/*"),
    ("GET", "credits"),
    ("GET", "deployment_runs"),
    ("GET", "deployment_runs/*"),
    ("GET", "embedding-models"),
    ("GET", "embedding-models/*"),
    ("GET", "embeddings/models"),
    ("GET", "files"),
    ("GET", "files/*"),
    ("GET", "files/*/content"),
    ("GET", "files/*/url"),
    ("GET", "files/*:download"),
    ("GET", "files/parser/result/*/*"),
    ("GET", "generation"),
    ("GET", "generation/content"),
    ("GET", "health"),
    ("GET", "image-generation-models"),
    ("GET", "image-generation-models/*"),
    ("GET", "key"),
    ("GET", "language-models"),
    ("GET", "language-models/*"),
    ("GET", "messages/batches"),
    ("GET", "messages/batches/*"),
    ("GET", "messages/batches/*/results"),
    ("GET", "metrics"),
    ("GET", "models"),
    ("GET", "models/*"),
    ("GET", "models/*/*"),
    ("GET", "models/*/*/endpoints"),
    ("GET", "models/*/operations/*"),
    ("GET", "operations/*"),
    ("GET", "props"),
    ("GET", "providers"),
    ("GET", "responses/*"),
    ("GET", "responses/*/input_items"),
    ("GET", "v2/batches"),
    ("GET", "v2/batches/*"),
    ("GET", "v2/videos/*"),
    ("GET", "video-generation-models"),
    ("GET", "video-generation-models/*"),
    ("HEAD", "api/blobs/*"),
    ("POST", "api/blobs/*"),
    ("POST", "api/copy"),
    ("POST", "api/create"),
    ("POST", "api/pull"),
    ("POST", "api/push"),
    ("POST", "api/show"),
    ("POST", "chat/completions/*"),
    ("POST", "check-api-key"),
    ("POST", "detokenize"),
    ("POST", "fileSearchStores"),
    ("POST", "files"),
    ("POST", "messages/batches/*/cancel"),
    ("POST", "messages/count_tokens"),
    ("POST", "model/*/*/count-tokens"),
    ("POST", "model/*/count-tokens"),
    ("POST", "models/*:countTokens"),
    ("POST", "publishers/anthropic/models/count-tokens:rawPredict"),
    ("POST", "publishers/google/models/*:computeTokens"),
    ("POST", "publishers/google/models/*:countTokens"),
    ("POST", "publishers/google/models/*:fetchPredictOperation"),
    ("POST", "responses/*/cancel"),
    ("POST", "responses/input_tokens"),
    ("POST", "tokenize"),
    ("POST", "tokenize-text"),
    ("POST", "upload/v1beta/files"),
    ("POST", "uploads"),
    ("POST", "uploads/*/cancel"),
    ("POST", "uploads/*/complete"),
    ("POST", "uploads/*/parts"),
    ("POST", "v2/batches/*:cancel"),
)

# Free at OpenAI, where a conversation is a list that a response adds to. Mistral runs a model for each of these.
FREE_AT_OPENAI: tuple[tuple[str, str], ...] = (
    ("POST", "conversations"),
    ("POST", "conversations/*"),
    ("POST", "conversations/*/items"),
    ("POST", "moderations"),
)

UNBOUNDED_AT_COHERE: tuple[tuple[str, str], ...] = (
    ("POST", "chat"),
    ("POST", "classify"),
    ("POST", "generate"),
    ("POST", "summarize"),
)

UNBOUNDED: tuple[tuple[str, str], ...] = (
    ("*", "live"),
    ("*", "live/*"),
    ("*", "live/sessions/*"),
    ("*", "live/sessions/*/*"),
    ("*", "realtime"),
    ("*", "realtime/*"),
    ("*", "realtime/*/*"),
    ("*", "realtime/calls/*/*"),
    ("POST", "api/web_fetch"),
    ("POST", "api/web_search"),
    ("POST", "chat/classifications"),
    ("POST", "chat/moderations"),
    ("POST", "complete"),
    ("POST", "content_provenance_checks"),
    ("POST", "files/ocr"),
    ("POST", "files/parser/create"),
    ("POST", "files/parser/sync"),
    ("POST", "layout_parsing"),
    ("POST", "messages/batches"),
    ("POST", "model/*/*/invoke-with-bidirectional-stream"),
    ("POST", "model/*/invoke-with-bidirectional-stream"),
    ("POST", "models/*:asyncBatchEmbedContent"),
    ("POST", "models/*:batchGenerateContent"),
    ("POST", "models/*:generateAnswer"),
    ("POST", "models/*:predict"),
    ("POST", "models/*:predictLongRunning"),
    ("POST", "ocr"),
    ("POST", "pooling"),
    ("POST", "reader"),
    ("POST", "rerank"),
    ("POST", "score"),
    ("POST", "systemone"),
    ("POST", "upload/v1beta/fileSearchStores/*:uploadToFileSearchStore"),
    ("POST", "v2/audio/transcriptions"),
    ("POST", "v2/batches"),
    ("POST", "v2/parse"),
    ("POST", "v2/rerank"),
    ("POST", "v2/videos"),
    ("POST", "web_search"),
)

# Resources that are billed by time, by page, by picture or by what a model does later, at whichever host: to read them,
# to delete them and to cancel them is free, whatever else is done with them is unbounded.
FAMILIES = frozenset(
    {
        "agents",
        "assistants",
        "async",
        "async-invoke",
        "audio",
        "batch",
        "batchPredictionJobs",
        "batches",
        "cachedContents",
        "chatkit",
        "classifications",
        "collections",
        "compute",
        "connectors",
        "containers",
        "context",
        "conversations",
        "datasets",
        "decisions",
        "deployments",
        "documents",
        "dreams",
        "embed-jobs",
        "endpoints",
        "environments",
        "evals",
        "evaluation",
        "fileSearchStores",
        "fine-tunes",
        "fine_tuning",
        "finetune",
        "finetuning",
        "guardrail",
        "guardrail-checks",
        "images",
        "interactions",
        "libraries",
        "memory_stores",
        "moderations",
        "observability",
        "presets",
        "publishers",
        "queue",
        "rag",
        "rl",
        "sessions",
        "shaping",
        "skills",
        "tci",
        "threads",
        "tools",
        "triggers",
        "tunedModels",
        "tuningJobs",
        "vector_stores",
        "videos",
        "voice",
        "voices",
        "workflows",
    }
)


def lookup(provider: str, method: str, path: str) -> tuple[Kind, str] | None:
    """
    Whether a path below a base URL is paid, free or unbounded, and its plain name; ``None`` when it is not known.
    """
    path = path.strip("/")
    match = PREFIX.fullmatch(path)
    if match is None or not all(SEGMENT.fullmatch(segment) for segment in path.split("/")):
        return None
    own = _TABLE_AT.get(provider, {})
    for pattern in _candidates(match[1]):
        for asked in (method, "*"):
            kind = own.get((asked, pattern)) or _TABLE.get((asked, pattern))
            if kind is not None:
                return kind, pattern
    return _in_family(method, match[1])


def _in_family(method: str, name: str) -> tuple[Kind, str] | None:
    family, _, rest = name.partition("/")
    if family not in FAMILIES:
        return None
    free = method in ("DELETE", "GET") or rest.endswith(("/cancel", ":cancel"))
    return ("free" if free else "unbounded"), family


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
_AT_OPENAI: dict[tuple[str, str], Kind] = dict.fromkeys(FREE_AT_OPENAI, "free")
_TABLE_AT: dict[str, dict[tuple[str, str], Kind]] = {
    "azure": _AT_OPENAI,
    "cohere": dict.fromkeys(UNBOUNDED_AT_COHERE, "unbounded"),
    "openai": _AT_OPENAI,
}
