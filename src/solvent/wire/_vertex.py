"""
What any format is told on Vertex AI beside its body: the region by the path, the service tier by headers.

Source:
    https://docs.cloud.google.com/vertex-ai/generative-ai/docs/priority-paygo; google-genai 3.4.0,
    ``types.TrafficType``; recorded replies (``ON_DEMAND``, ``ON_DEMAND_FLEX``); read 2026-11-22.
"""

import re
from collections.abc import Mapping

from solvent.wire._read import text

_REGION_IN_PATH = re.compile(r"(?:^|/)locations/([^/]+)/")
_NAME_MAX = 64


def path_region(path: str) -> str | None:
    """
    The region that a path names.
    """
    found = _REGION_IN_PATH.search(path)
    return found[1] if found else None


def asked_tier(provider: str, headers: Mapping[str, str]) -> str | None:
    """
    The service tier that a request's headers name.

    Tokens of provisioned throughput were paid for before, so ``dedicated`` has no price; without a header it is used
    where there is some, and the reply says so.
    """
    if provider != "vertex":
        return None
    kind = headers.get("x-vertex-ai-llm-request-type", "").strip().lower()
    shared = headers.get("x-vertex-ai-llm-shared-request-type", "").strip().lower()
    return (shared if kind in ("", "shared") else kind)[:_NAME_MAX] or None


def told_tier(traffic: object) -> str | None:
    """
    The service tier that a reply's kind of traffic stands for; ``on_demand`` is the standard one.
    """
    name = (text(traffic) or "").lower().removeprefix("on_demand_")[:_NAME_MAX]
    return None if name in ("", "traffic_type_unspecified") else name
