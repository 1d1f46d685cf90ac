"""
``aiobotocore``: a refusal of aiohttp, or of httpx, below it becomes Solvent's own error.

Source:
    aiobotocore 3.10.0, ``endpoint.py``, read 2026-11-22: ``AioEndpoint._send_request`` is the loop that tries again.
"""

from types import ModuleType
from typing import Any
from urllib.parse import urlsplit

from solvent.instrument._above import atranslated
from solvent.instrument._hooks import Unhook, wrap
from solvent.instrument._hosts import Client


def hook(module: ModuleType) -> list[Unhook]:
    """
    Args:
        module: ``aiobotocore.endpoint``.
    """
    return [wrap(module.AioEndpoint, "_send_request", atranslated(_client))]


def _client(endpoint: Any) -> Client | None:
    url = urlsplit(endpoint.host)
    is_bedrock = endpoint._endpoint_prefix == "bedrock-runtime"
    return Client("bedrock", url.netloc.lower(), url.path.strip("/")) if is_bedrock else None
