"""
``google-genai``: a refusal of the HTTP library below it (httpx2, aiohttp or requests) becomes Solvent's own error.

Source:
    google-genai 3.4.0, ``_api_client.py``, read 2026-11-22. All resources but ``interactions`` and ``live`` go through
    these four, outside the loop that tries again.
"""

from collections.abc import Callable, Iterator, Mapping
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit

from solvent.instrument._above import atranslated, begun, translated
from solvent.instrument._hooks import Unhook, wrap
from solvent.instrument._hosts import Client


def hook(module: ModuleType) -> list[Unhook]:
    """
    Args:
        module: ``google.genai._api_client``.
    """
    client = module.BaseApiClient
    return [
        wrap(client, "request", translated(_client)),
        wrap(client, "request_streamed", _streamed),
        wrap(client, "async_request", atranslated(_client)),
        wrap(client, "async_request_streamed", atranslated(_client)),
    ]


def _streamed(
    wrapped: Callable[..., Iterator[Any]], client: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> Iterator[Any]:
    return begun(wrapped(*args, **kwargs), _client(client))


def _client(client: Any) -> Client | None:
    url = urlsplit(client._http_options.base_url or "")
    return Client("vertex" if client.vertexai else "gemini", url.netloc.lower(), url.path.strip("/"))
