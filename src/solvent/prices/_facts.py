"""
Facts about prices that no data set has, each with its source and the day it was read; ``_compile_overlay.py`` puts them
into the overlay.
"""

from solvent.prices._overlay import Fact

_OPENAI_PRICES = "https://platform.openai.com/docs/pricing, Built-in tools"
_XAI_PRICES = "https://docs.x.ai/developers/pricing.md, Tool Invocation Costs"
_READ = "2026-11-22"

FACTS = (
    # Since 2026-06-02 a container is billed by the minute, at least five and at this rate for twenty. A reply does not
    # tell the minutes, so twenty are counted, after which an idle container ends.
    Fact(
        provider="openai",
        models=("*",),
        unit="code_session",
        dollars="0.03",
        source=f"{_OPENAI_PRICES}: $0.03 for a container of 1 GB and 20 minutes, in proportion for 4, 16 and 64 GB",
        read=_READ,
    ),
    Fact(
        provider="openai",
        models=("gpt-4.1", "gpt-4.1-mini", "gpt-4o", "gpt-4o-2024-05-13", "gpt-4o-mini"),
        unit="web_search_preview",
        dollars="0.025",
        source=f"{_OPENAI_PRICES}: web search preview, non-reasoning models, $25 per 1,000 calls",
        read=_READ,
    ),
    Fact(
        provider="azure",
        models=("*",),
        unit="web_search",
        dollars="0.014",
        source="https://github.com/microsoft/Foundry-Agent-Solution-Templates, enterprise-knowledge-agent/docs/cost.md"
        ", Grounding with Bing: $14 per 1,000",
        read=_READ,
    ),
    Fact(
        provider="azure",
        models=("*",),
        unit="code_session",
        dollars="0.033",
        source="litellm 1.109.1, azure/container, code_interpreter_cost_per_session",
        read=_READ,
    ),
    # The time is billed, $0.05 an hour with at least five minutes, after 1,550 free hours a month, and nothing beside a
    # new version of web search or web fetch. A reply does not tell the time, so each container counts as one hour.
    Fact(
        provider="anthropic",
        models=("*",),
        unit="code_session",
        dollars="0.05",
        source="https://platform.claude.com/docs/en/about-claude/pricing, code execution: $0.05 an hour and container",
        read=_READ,
    ),
    Fact(
        provider="anthropic",
        models=("*",),
        tier="batch",
        times={"*": "0.5"},
        source="https://platform.claude.com/docs/en/build-with-claude/batch-processing#pricing: 50% of the standard "
        "price, for caches as well",
        read=_READ,
    ),
    Fact(
        provider="anthropic",
        models=("claude-fable-5-2", "claude-mythos-5-2"),
        region="us",
        times={"*": "1.1"},
        source='https://platform.claude.com/docs/en/api/service-tiers: inference_geo "us" on Claude Opus 4.6 and newer '
        "models, 1.1 times",
        read=_READ,
    ),
    Fact(
        provider="google",
        models=("*",),
        unit="code_session",
        dollars="0",
        source="https://ai.google.dev/gemini-api/docs/code-execution, Billing: no additional charge",
        read=_READ,
    ),
    Fact(
        provider="google",
        models=("*",),
        unit="file_search",
        dollars="0",
        source="https://ai.google.dev/gemini-api/docs/file-search: storage and query embeddings are free of charge",
        read=_READ,
    ),
    Fact(
        provider="x-ai",
        models=("*",),
        unit="web_search",
        dollars="0.005",
        source=f"{_XAI_PRICES}: web_search and x_search, $5 per 1,000 calls",
        read=_READ,
    ),
    Fact(
        provider="x-ai",
        models=("*",),
        unit="code_session",
        dollars="0.005",
        source=f"{_XAI_PRICES}: code_execution, $5 per 1,000 calls",
        read=_READ,
    ),
    Fact(
        provider="x-ai",
        models=("*",),
        unit="file_search",
        dollars="0.0025",
        source=f"{_XAI_PRICES}: collections_search and file_search, $2.50 per 1,000 calls",
        read=_READ,
    ),
    Fact(
        provider="x-ai",
        models=("grok-4.6",),
        region="us",
        times={"*": "1.1"},
        source="https://docs.x.ai/developers/advanced-api-usage/regions.md: tokens cost 10% more at us.api.x.ai",
        read=_READ,
    ),
    *[
        Fact(
            provider="together",
            models=("*",),
            region=region,
            times={"*": "1.25"},
            source="https://docs.together.ai/docs/serverless/geo-specific-inference: 1.25 times the standard rate",
            read=_READ,
        )
        for region in ("ca", "us")
    ],
    Fact(
        provider="groq",
        models=("*",),
        tier="flex",
        times={"*": "1"},
        source="https://console.groq.com/docs/flex-processing: the pricing of on-demand",
        read=_READ,
    ),
    Fact(
        provider="aws",
        models=("*",),
        region="us",
        times={"*": "1"},
        source="genai-prices 0.2.3: its prices of Bedrock are those of us-east-1",
        read=_READ,
    ),
    Fact(
        provider="openrouter",
        models=("anthropic/claude-sonnet-4-5",),
        alias="anthropic/claude-sonnet-4.5",
        source="a recorded exchange: asked for so, answered and billed as anthropic/claude-4.5-sonnet-20250929",
        read=_READ,
    ),
    Fact(
        provider="cerebras",
        models=("llama3.3-70b",),
        alias="llama-3.3-70b",
        source="a recorded exchange: asked for so, answered as llama-3.3-70b",
        read=_READ,
    ),
)
