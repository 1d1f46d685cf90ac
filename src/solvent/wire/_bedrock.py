"""
What Amazon Bedrock's formats share: models by id and ARN, tiers of two settings, caches, and refusals.
"""

import re
from collections.abc import Mapping
from typing import Any

from solvent.wire._read import path_model, text
from solvent.wire._request import refusal_type

# Each policy of a guardrail is billed by its own units, of input and output, and the request names none of them.
# Source: https://docs.aws.amazon.com/bedrock/latest/userguide/guardrails-how.html, and the units in the recorded
# test_bedrock_model_guardrail_config, read 2026-11-22.
GUARDRAIL = "a guardrail, which is billed beside the tokens"

# The ARN of a model or profile that everybody has, by whose id it is priced; nobody else knows the price of another.
_PUBLIC_ARN = re.compile(r"arn:aws:bedrock:[a-z0-9-]*:\d*:(?:foundation-model|inference-profile)/(.+)")
_STANDARD_TIERS = frozenset({"auto", "default", "standard", "standard_only"})
_ERROR_TYPES = {
    "budget_exceeded": "ServiceQuotaExceededException",
    "budget_held": "ThrottlingException",
    "deadline_passed": "ServiceQuotaExceededException",
    "loop_detected": "ServiceQuotaExceededException",
    "server_error": "ServiceUnavailableException",
}


def bedrock_model(path: str) -> str:
    """
    The model that a path names, by the id that has a price.

    Raises:
        ValueError: It names none.
    """
    model = path_model(path)
    public = _PUBLIC_ARN.fullmatch(model)
    return public[1] if public else model


def service_tier(*settings: object) -> str | None:
    """
    The tier that several settings make together, each of which changes the price.
    """
    given = [name for name in map(text, settings) if name is not None]
    asked = [name for name in given if name not in _STANDARD_TIERS]
    return "+".join(asked) or (given[0] if given else None)


def cache_writes(model: str, marked: frozenset[str]) -> frozenset[str] | None:
    """
    The caches that a request may write: Anthropic's models write what is marked, others may do so by themselves.
    """
    return marked if "anthropic." in model else None


def bedrock_refusal(*, code: str, message: str, metadata: Mapping[str, Any]) -> dict[str, Any]:
    """
    A refusal as Bedrock spells errors; SDKs know its type by ``__type`` where no header names it.

    Source:
        botocore 1.44.5, ``parsers.py``, read 2026-11-22.
    """
    kind = refusal_type(code, _ERROR_TYPES, otherwise="ValidationException")
    return {**metadata, "__type": kind, "message": message, "reason": code}
