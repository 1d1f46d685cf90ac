"""
Which provider an address belongs to, and what a call on it is.
"""

import os
import re
from functools import lru_cache
from urllib.parse import unquote, urlsplit

from msgspec import Struct

from solvent.gateway._providers import PROVIDERS, Provider
from solvent.wire import Endpoint, endpoint

# Hosts beside those that a provider's own SDK has: regions, accounts and other doors.
# Source: the clients of openai 3.54.0, anthropic 2.12.0, google-genai 3.4.0, botocore 1.44.5, cohere 7.3.1, mistralai
# 3.7.0, ollama 0.6.3 and together 3.1.1, read 2026-11-22.
_HOSTS = (
    (re.compile(r"(?:[a-z0-9-]+-)?aiplatform\.(?:(?:[a-z]+\.rep|mtls)\.)?googleapis\.com"), "vertex"),
    (re.compile(r"(?:[a-z0-9-]+\.)?api\.openai\.com"), "openai"),
    (re.compile(r"(?:api(?:\.[a-z]+)?|codestral)\.mistral\.ai"), "mistral"),
    (re.compile(r"[a-z0-9-]+\.(?:openai|cognitiveservices|services\.ai)\.azure\.com"), "azure"),
    (re.compile(r"api\.cohere\.ai"), "cohere"),
    (re.compile(r"api\.together\.(?:ai|xyz)"), "together"),
    (re.compile(r"aws-external-anthropic\.[a-z0-9-]+\.api\.aws|claude\.googleapis\.com"), "anthropic"),
    (re.compile(r"bedrock-(?:runtime|mantle)(?:-fips)?\.[a-z0-9-]+\.(?:amazonaws\.com(?:\.cn)?|api\.aws)"), "bedrock"),
    (re.compile(r"generativelanguage\.mtls\.googleapis\.com"), "gemini"),
    (re.compile(r"ollama\.com"), "ollama"),
    (re.compile(r"router\.huggingface\.co|api-inference\.huggingface\.co"), "huggingface"),
)
_ANTHROPIC_AT_OTHERS = "anthropic/"  # What its paths begin with at Azure and at Amazon's Mantle.
_MAKERS = frozenset({"anthropic", "bedrock", "cohere", "gemini", "ollama"})  # Others speak OpenAI's formats.


class Target(Struct, frozen=True, kw_only=True):
    """
    What an address means.

    Attributes:
        path: Below the host, decoded.
        endpoint: ``None`` for a path that nobody here knows, of a provider that is known: it may cost anything.
        own_host: The provider's own address, whose ways are known.
        known_host: It is some provider's, or the environment says so; else only its path looks like one.
    """

    provider: str
    path: str
    endpoint: Endpoint | None
    own_host: bool
    known_host: bool


class Client(Struct, frozen=True):
    """
    An SDK's client, which knows what no address tells.

    Attributes:
        base: The path of its base URL.
    """

    provider: str
    host: str
    base: str


@lru_cache(maxsize=1_024)  # A program calls a few addresses, over and over.
def target_of(method: str, url: str, client: Client | None) -> Target | None:
    """
    What a request to this address is; ``None`` when it is for no provider.

    Args:
        url: Without its query, which may hold a key.
    """
    try:
        parts = urlsplit(url)
        netloc, port = parts.netloc.rpartition("@")[2].lower(), parts.port
    except ValueError:
        return None  # No address at all, as its library will say.
    path = unquote(parts.path).strip("/")
    host = (parts.hostname or "").lower()
    provider = provider_of(host)
    own_host = provider is not None
    if provider is None:
        provider = _named(method, host, port, path)
    if provider is None and client is not None and client.host == netloc:
        provider = client.provider
    if provider is not None:
        return _at(provider, method, path, client.base if client else "", own_host=own_host)
    below, found = _by_its_end("", method, path)
    if found is None:
        return None
    return Target(provider=_maker(found), path=below, endpoint=found, own_host=False, known_host=False)


def provider_of(host: str) -> str | None:
    """
    The provider whose own host it is.
    """
    for provider in PROVIDERS.values():
        if host == urlsplit(provider.url).hostname:
            return provider.name
    return next((name for pattern, name in _HOSTS if pattern.fullmatch(host)), None)


def _at(provider: str, method: str, path: str, base: str, *, own_host: bool) -> Target:
    """
    What a path is at a provider, with or without what a client's base URL puts before it.
    """
    candidates = [(provider, path)]
    if path.startswith(_ANTHROPIC_AT_OTHERS) and provider in ("azure", "bedrock"):
        maker = "anthropic" if provider == "azure" else provider
        candidates.append((maker, path.removeprefix(_ANTHROPIC_AT_OTHERS)))
    if base and path.startswith(base + "/"):
        candidates.append((provider, path.removeprefix(base + "/")))
    for name, below in candidates:
        found = endpoint(name, method, below)
        if found is not None:
            return Target(provider=name, path=below, endpoint=found, own_host=own_host, known_host=True)
    below, found = _by_its_end(provider, method, path)
    return Target(provider=provider, path=below, endpoint=found, own_host=own_host, known_host=True)


def _by_its_end(provider: str, method: str, path: str) -> tuple[str, Endpoint | None]:
    """
    The paid call that the end of a path names: whatever a base URL puts before it, the paths of a format end alike.
    """
    below = path
    while below:
        found = endpoint(provider, method, below)
        if found is not None and found.format is not None:
            return below, found
        below = below.partition("/")[2]
    return path, None


def _named(method: str, host: str, port: int | None, path: str) -> str | None:
    """
    The provider whose SDKs the environment leads to this address.
    """
    named = [provider.name for provider in PROVIDERS.values() if _is_named(provider, host, port, path)]
    found = _by_its_end("", method, path)[1]
    if not named or found is None:
        return named[0] if named else None
    # Several may share a host, as behind a gateway: the path's format tells which is meant. One that has a format of
    # its own is not meant by another's.
    maker = _maker(found)
    is_others = named[0] in _MAKERS and "openai/" not in path
    return maker if maker in named or is_others else named[0]


def _is_named(provider: Provider, host: str, port: int | None, path: str) -> bool:
    """
    Whether the environment leads the provider's SDK to this address.
    """
    for variable in provider.url_variables:
        try:
            base = urlsplit(os.environ.get(variable, ""))
            is_there = base.hostname is not None and (base.hostname.lower(), base.port) == (host, port)
        except ValueError:
            continue  # No address, so no SDK goes there.
        if is_there:
            return path.startswith(base.path.strip("/"))
    return False


def _maker(found: Endpoint | None) -> str:
    """
    Whose prices an address has that is no provider's: those of the format's maker.
    """
    format = found.format.name.partition("-")[0] if found is not None and found.format is not None else ""
    return format if format in _MAKERS else "openai"
