"""
Who is told, and when, that a limit is being used up.
"""

import re
from fractions import Fraction
from ipaddress import ip_address
from urllib.parse import urlsplit

from msgspec import Struct

VARIABLE_NAME = "[A-Za-z_][A-Za-z0-9_]{0,127}"
# Not all that is asked of an address, but what a pattern can say of it.
WEBHOOK = (
    r"(?=[!-\[\]-~]{1,2048}$)"
    r"(?:https://[^/?#@]+|http://(?:localhost|127\.[0-9.]+|\[[0-9a-f:.]+\])(?::[0-9]*)?)"
    r"(?:[/?][^#]*)?"
)


class Alert(Struct, frozen=True, kw_only=True):
    """
    The shares of a limit at which somebody is told how far it is used.

    Attributes:
        at: Above 0 and at most 1, each once, the smallest first.
        webhook: The address that is told.
        secret_env: The environment variable with the secret that what is sent there is signed with.
        source: Where it was set: ``solvent.yaml:7``.
    """

    at: tuple[Fraction, ...]
    webhook: str | None = None
    secret_env: str | None = None
    source: str = ""


def webhook(text: str) -> str:
    """
    The address itself, when amounts may be sent there. What is wrong with it is said without saying it, for such
    addresses are often secrets.

    Raises:
        ValueError: It is no address of HTTP, or one that others could read or that holds a password.
    """
    problem = _problem(text)
    if problem:
        raise ValueError(f"webhook must be an address such as https://example.com/alerts, got {problem}")
    return text


def variable(text: str) -> str:
    """
    The name of an environment variable itself.

    Raises:
        ValueError: It is none; what it is may be the secret itself, so it is not said.
    """
    if not re.fullmatch(VARIABLE_NAME, text):
        raise ValueError(
            "secret_env must be the name of an environment variable such as ALERT_SECRET, got something else"
        )
    return text


def _problem(text: str) -> str | None:
    if not re.fullmatch(r"[!-\[\]-~]{1,2048}", text):
        return "one with characters that no address has" if text else "nothing"
    try:
        url = urlsplit(text)
        host, _ = url.hostname, url.port
    except ValueError:
        return "one whose host or port is none"
    if not text.startswith(("https://", "http://")):
        return "one that does not begin with https:// or http://"
    if "@" in url.netloc:
        return "one with a user's name or a password"
    if not host:
        return "one without a host"
    if url.fragment or text.endswith("#"):
        return "one with a fragment (`#`)"
    if url.scheme == "http" and not _is_loopback(host):
        return "plain http to another machine"
    if url.scheme == "http" and host not in url.netloc:
        return "one with a host in capitals"
    return None


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
