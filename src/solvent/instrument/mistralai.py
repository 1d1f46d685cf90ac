"""
``mistralai``: a refusal of the HTTP library below it becomes Solvent's own error.

Source:
    mistralai 3.7.0, ``client/basesdk.py`` and ``client/sdkconfiguration.py``, read 2026-11-22; in 1.x ``basesdk.py``.
"""

from types import ModuleType
from typing import Any
from urllib.parse import urlsplit

from solvent.instrument._above import atranslated, translated
from solvent.instrument._hooks import Unhook, wrap
from solvent.instrument._hosts import Client


def hook(module: ModuleType) -> list[Unhook]:
    """
    Args:
        module: The SDK's ``basesdk``.
    """
    return [
        wrap(module.BaseSDK, "do_request", translated(_client, answers=True)),
        wrap(module.BaseSDK, "do_request_async", atranslated(_client, answers=True)),
    ]


def _client(sdk: Any) -> Client:
    url = urlsplit(sdk.sdk_configuration.get_server_details()[0])
    return Client("mistral", url.netloc.lower(), url.path.strip("/"))
