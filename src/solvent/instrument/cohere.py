"""
``cohere``: a refusal of the HTTP library below it becomes Solvent's own error.

Source:
    cohere 7.3.1, ``core/http_client.py``, read 2026-11-22: ``request`` returns whatever was answered, after it tried
    again by itself on a 429; ``stream`` does not try again.
"""

from types import ModuleType
from typing import Any
from urllib.parse import urlsplit

from solvent.instrument._above import aentered, atranslated, entered, translated
from solvent.instrument._hooks import Unhook, wrap
from solvent.instrument._hosts import Client


def hook(module: ModuleType) -> list[Unhook]:
    """
    Args:
        module: ``cohere.core.http_client``.
    """
    return [
        wrap(module.HttpClient, "request", translated(_client, answers=True)),
        wrap(module.HttpClient, "stream", entered(_client)),
        wrap(module.AsyncHttpClient, "request", atranslated(_client, answers=True)),
        wrap(module.AsyncHttpClient, "stream", aentered(_client)),
    ]


def _client(client: Any) -> Client | None:
    url = urlsplit(client.base_url() if client.base_url else "")
    return Client("cohere", url.netloc.lower(), url.path.strip("/"))
