"""
``ollama``: a refusal of the HTTP library below it becomes Solvent's own error.

Source:
    ollama 0.6.3, ``_client.py``, read 2026-11-22: everything that a model answers comes through ``_request``, which
    never tries again.
"""

from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

from solvent.instrument._above import abegun, atranslated, begun, translated
from solvent.instrument._hooks import Unhook, wrap
from solvent.instrument._hosts import Client


def hook(module: ModuleType) -> list[Unhook]:
    """
    Args:
        module: ``ollama._client``.
    """
    return [wrap(module.Client, "_request", _request), wrap(module.AsyncClient, "_request", _arequest)]


def _request(wrapped: Callable[..., Any], client: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    if kwargs.get("stream"):
        return begun(wrapped(*args, **kwargs), _client(client))
    return translated(_client)(wrapped, client, args, kwargs)


async def _arequest(wrapped: Callable[..., Any], client: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    if kwargs.get("stream"):
        return abegun(await wrapped(*args, **kwargs), _client(client))
    return await atranslated(_client)(wrapped, client, args, kwargs)


def _client(client: Any) -> Client:
    url = client._client.base_url
    return Client("ollama", url.netloc.decode().lower(), url.path.strip("/"))
