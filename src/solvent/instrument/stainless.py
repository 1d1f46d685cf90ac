"""
SDKs made by one generator (``openai``, ``anthropic``, ``groq``, ``together`` and others): a refusal of the HTTP library
below them becomes Solvent's own error.

Source:
    openai 1.0.0 to 3.54.0 and anthropic 0.3.0 to 2.12.0, ``_base_client.py``: ``SyncAPIClient.request`` and
    ``AsyncAPIClient.request`` are in all of them, outside the loop that tries again; read 2026-11-22.
"""

from functools import lru_cache
from types import ModuleType
from typing import Any

from solvent.instrument._above import atranslated, translated
from solvent.instrument._hooks import Unhook, wrap
from solvent.instrument._hosts import Client

_CLOUDS = ("azure", "bedrock", "vertex")


def hook(module: ModuleType) -> list[Unhook]:
    """
    Args:
        module: The SDK's ``_base_client``.
    """
    package = module.__name__.partition(".")[0]

    def client_of(client: Any) -> Client:
        return _client(client, package)

    return [
        wrap(module.SyncAPIClient, "request", translated(client_of)),
        wrap(module.AsyncAPIClient, "request", atranslated(client_of)),
    ]


def _client(client: Any, package: str) -> Client:
    """
    Who calls: a client at an address of its owner's choice still has its SDK's paths and prices.
    """
    url = client.base_url
    kind: Any = type(client)
    return Client(_provider(kind, package), url.netloc.decode().lower(), url.path.strip("/"))


@lru_cache(maxsize=64)
def _provider(of: Any, package: str) -> str:
    names = [kind.__name__.lower() for kind in of.__mro__ if kind.__module__.startswith(f"{package}.")]
    return next((cloud for cloud in _CLOUDS if any(cloud in name for name in names)), package)
