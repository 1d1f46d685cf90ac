"""
What the rows of LiteLLM's spend logs mean, for whoever reads them: which of them are calls, and of which model.

What a call cost is what LiteLLM says that it spent, also where the call failed; a request has one row.

Source:
    BerriAI/litellm, ``schema.prisma`` (``LiteLLM_SpendLogs``, whose key is ``request_id``), and
    ``litellm/proxy/spend_tracking/spend_tracking_utils.py`` (an answer from the cache costs nothing); read 2026-11-22.
"""

CACHED = "answered from LiteLLM's own cache"
TURNED_AWAY = "turned away by LiteLLM itself"


def why_no_call(*, status: str | None, cache_hit: object, provider: str | None, has_cost: bool) -> str | None:
    """
    Why a row is no call of a provider; ``None`` where it is one.
    """
    if str(cache_hit).lower() == "true":
        return CACHED
    if status == "failure" and not provider and not has_cost:
        return TURNED_AWAY
    return None


def model_name(model: str | None, provider: str | None) -> str | None:
    """
    The model as its provider calls it.
    """
    return (model or "").removeprefix(f"{provider}/") or None
