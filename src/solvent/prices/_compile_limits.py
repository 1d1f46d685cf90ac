"""
The largest input and output of models, out of ``litellm``'s list, for the second data file.
"""

import json
import re
import zipfile
from decimal import Context
from pathlib import Path
from typing import Any

from genai_prices.data import providers as card_providers

_FILE = "litellm/model_prices_and_context_window_backup.json"

_EXACT = Context(prec=12)  # The list is written by a program with floats: 0.019100000000000002 is meant as 0.0191.

# litellm's names of providers, and those of the rate card.
PROVIDERS = {
    "anthropic": "anthropic",
    "azure": "azure",
    "azure_ai": "azure",
    "azure_text": "azure",
    "baseten": "baseten",
    "bedrock": "aws",
    "bedrock_converse": "aws",
    "cerebras": "cerebras",
    "cloudflare": "cloudflare",
    "cohere": "cohere",
    "cohere_chat": "cohere",
    "databricks": "databricks",
    "deepseek": "deepseek",
    "fireworks_ai": "fireworks",
    "gemini": "google",
    "github_copilot": "github-copilot",
    "groq": "groq",
    "minimax": "minimax",
    "mistral": "mistral",
    "moonshot": "moonshotai",
    "novita": "novita",
    "openai": "openai",
    "openrouter": "openrouter",
    "ovhcloud": "ovhcloud",
    "perplexity": "perplexity",
    "text-completion-openai": "openai",
    "together_ai": "together",
    "vertex_ai": "google",
    "vertex_ai-anthropic_models": "google",
    "vertex_ai-language-models": "google",
    "voyage": "voyageai",
    "xai": "x-ai",
    "zai": "zai",
}

# Where the list is known to be too low: it says 4,096, but a reply without a cap may fill GPT-4's window of 8,192.
# Source: https://help.openai.com/en/articles/7127966, "context length … is the length of the prompt plus the maximum
# number of tokens in the completion", read 2026-11-21.
_OUTPUTS = {"openai": {"gpt-4": 8_192, "gpt-4-0314": 8_192, "gpt-4-0613": 8_192}}


def compile_limits(source: Path, *, made_by: str) -> str:
    """
    The text of ``limits.json``: by provider and model name, the largest input and output in tokens.

    Args:
        source: litellm's wheel, or the JSON file out of one.
    """
    limits: dict[str, dict[str, list[int | None]]] = {}
    for name, entry in entries_of(source).items():
        provider = PROVIDERS.get(str(entry.get("litellm_provider")))
        found = [_count(entry.get("max_input_tokens")), _count(entry.get("max_output_tokens"))]
        if provider is None or found == [None, None]:
            continue
        known = limits.setdefault(provider, {}).setdefault(plain_name(name), [None, None])
        for at, value in enumerate(found):
            known[at] = max(known[at] or 0, value or 0) or None  # Of two that share a name, the larger.
    for provider, outputs in _OUTPUTS.items():
        for name, tokens in outputs.items():
            limits[provider].setdefault(name, [None, None])[1] = tokens
    _add_models_of_card(limits)
    header = {"made_by": made_by, "source": f"litellm {version_of(source)}", "license": "MIT, see NOTICE"}
    lines = [f"{json.dumps(name)}:{_json(dict(sorted(models.items())))}" for name, models in sorted(limits.items())]
    return _json(header)[:-1] + ',"providers":{\n' + ",\n".join(lines) + "\n}}\n"


def _add_models_of_card(limits: dict[str, dict[str, list[int | None]]]) -> None:
    """
    The rate card's own name of each model, with the largest of what the list says for the names that it goes by.
    """
    for provider in card_providers:
        names = limits.get(provider.id, {})
        models: dict[str, list[int | None]] = {}
        for name, values in names.items():
            model = provider.find_model(name)
            if model is not None:
                known = models.setdefault(model.id.lower(), [None, None])
                for at, value in enumerate(values):
                    known[at] = max(known[at] or 0, value or 0) or None
        for name, values in models.items():
            names.setdefault(name, values)


def entries_of(source: Path) -> dict[str, dict[str, Any]]:
    """
    The list's models by its names, with exact numbers.
    """
    if source.suffix == ".whl":
        with zipfile.ZipFile(source) as wheel:
            text = wheel.read(_FILE)
    else:
        text = source.read_bytes()
    entries = json.loads(text, parse_float=_EXACT.create_decimal)
    return {name: entry for name, entry in entries.items() if name != "sample_spec"}


def plain_name(name: str) -> str:
    """
    The model's name as its provider spells it: without litellm's own prefix and the region that may follow it.
    """
    first, _, rest = name.partition("/")
    if not rest or PROVIDERS.get(first) is None:
        return name.lower()
    return re.sub(r"^(eu|us|global|[a-z]{2}-[a-z]+-\d|us-gov-[a-z]+-\d)/", "", rest).lower()


def _count(value: object) -> int | None:
    return value if type(value) is int and value > 0 else None


def version_of(source: Path) -> str:
    """
    Of a wheel, by its name.
    """
    match = re.match(r"litellm-([^-]+)-", source.name)
    return match[1] if match else "of unknown version"


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
