"""
Every name that spans and metrics for OpenTelemetry have, and what ours are called there.

The conventions for generative AI are not stable. Names are those of version 1.41.0, the last one that was published,
but for ``cache_write``, which is ``cache_creation`` there: so do OpenTelemetry's own instrumentations of today.
What is not published yet renames the two histograms (``gen_ai.client.inference.duration``, ``….usage.input_tokens``).
For budgets there are no accepted names: these are ``solvent.…``.

Source:
    github.com/open-telemetry/semantic-conventions v1.41.0, ``docs/gen-ai``; semantic-conventions-genai,
    ``docs/gen-ai/client-inference.md`` and ``non-normative/migration.md``; opentelemetry-util-genai 1.3b0; read
    2026-11-22.
"""

from collections.abc import Mapping

SCHEMA_URL = "https://opentelemetry.io/schemas/1.41.0"
TRACER = "solvent"  # The name of the instrumentation, of spans and of metrics.

OPERATION = "gen_ai.operation.name"
PROVIDER = "gen_ai.provider.name"
REQUEST_MODEL = "gen_ai.request.model"
RESPONSE_MODEL = "gen_ai.response.model"
STREAM = "gen_ai.request.stream"
AGENT = "gen_ai.agent.name"
WORKFLOW = "gen_ai.workflow.name"
TOKEN_TYPE = "gen_ai.token.type"
ERROR = "error.type"
HTTP_STATUS = "http.response.status_code"

CALL_ID = "solvent.call.id"
SCOPE = "solvent.scope"
RUN = "solvent.run"
STEP = "solvent.step"
TIER = "solvent.tier"
ATTEMPT = "solvent.attempt"
DECISION = "solvent.decision"
REASON = "solvent.reason"
RUNGS = "solvent.rungs"
BOUND = "solvent.bound.nanodollars"
COST = "solvent.cost.nanodollars"
COST_USD = "solvent.cost.usd"
PRICE_SOURCE = "solvent.price.source"
ESTIMATED = "solvent.estimated"
OVERRUN = "solvent.overrun.nanodollars"
RUN_TOTAL = "solvent.run.total.nanodollars"
REMAINING = "solvent.remaining.nanodollars"
LIMIT_SCOPE = "solvent.limit.scope"
LIMIT_METER = "solvent.limit.meter"
LIMIT_WINDOW = "solvent.limit.window"
LIMIT = "solvent.limit.amount"

TOKEN_USAGE = "gen_ai.client.token.usage"
DURATION = "gen_ai.client.operation.duration"
DECISIONS = "solvent.decisions"
COSTS = "solvent.cost"
OVERRUNS = "solvent.overrun"
BUDGET = "solvent.budget"  # And .limit, .spent, .reserved, .remaining.
BUDGET_SCOPE = "solvent.budget.scope"
BUDGET_METER = "solvent.budget.meter"
BUDGET_WINDOW = "solvent.budget.window"

TOKEN_BUCKETS = tuple(4**power for power in range(14))
SECOND_BUCKETS = tuple(2**power / 100 for power in range(14))

# What a call is, by its format; the rest are chats.
_OPERATIONS = {
    "cohere-embed": "embeddings",
    "gemini-embed": "embeddings",
    "gemini-generate": "generate_content",
    "ollama-embed": "embeddings",
    "openai-completions": "text_completion",
    "openai-embeddings": "embeddings",
    "own": "call",
}
# Providers that have another name there; the rest have their own, or none.
_PROVIDERS = {
    "": "unknown",
    "azure": "azure.ai.openai",
    "bedrock": "aws.bedrock",
    "gemini": "gcp.gemini",
    "mistral": "mistral_ai",
    "moonshot": "moonshot_ai",
    "vertex": "gcp.vertex_ai",
    "xai": "x_ai",
}
# Usage by the journal's names; the two kinds of cache writes add up to one.
_USAGE = {
    "audio_cache_read_tokens": "gen_ai.usage.audio.cache_read.input_tokens",
    "audio_input_tokens": "gen_ai.usage.audio.input_tokens",
    "audio_output_tokens": "gen_ai.usage.audio.output_tokens",
    "cache_read_tokens": "gen_ai.usage.cache_read.input_tokens",
    "cache_write_1h_tokens": "gen_ai.usage.cache_write.input_tokens",
    "cache_write_5m_tokens": "gen_ai.usage.cache_write.input_tokens",
    "code_sessions": "solvent.usage.code_sessions",
    "file_searches": "solvent.usage.file_searches",
    "image_input_tokens": "gen_ai.usage.image.input_tokens",
    "image_output_tokens": "gen_ai.usage.image.output_tokens",
    "input_tokens": "gen_ai.usage.input_tokens",
    "map_searches": "solvent.usage.map_searches",
    "output_tokens": "gen_ai.usage.output_tokens",
    "reasoning_tokens": "gen_ai.usage.reasoning.output_tokens",
    "tool_calls": "solvent.usage.tool_calls",
    "web_searches": "solvent.usage.web_searches",
    "web_searches_preview": "solvent.usage.web_searches_preview",
}


def operation_of(format: str | None) -> str:
    return _OPERATIONS.get(format or "", "chat")


def provider_of(provider: str | None) -> str:
    return _PROVIDERS.get(provider or "", provider or "")


def usage_of(usage: Mapping[str, int]) -> dict[str, int]:
    """
    Usage by its names there. Names that nobody here knows are left out.
    """
    found: dict[str, int] = {}
    for name, count in usage.items():
        if name in _USAGE:
            found[_USAGE[name]] = found.get(_USAGE[name], 0) + count
    return found
