"""
The gateway of the ``solvent run`` around this process: what is in force there, and scopes that are opened there.

Children that open a budget and a ``solvent run`` inside another one ask it the same things in the same words.
"""

import math
import os
import re
from collections.abc import Mapping
from fractions import Fraction
from typing import Any, Literal, TypeVar
from urllib.parse import quote, urlsplit

import msgspec
from msgspec import Struct

from solvent._limits import Limit
from solvent.errors import SettingsError
from solvent.policy import Policy
from solvent.policy._fallback import Fallback

GATEWAY = "SOLVENT_GATEWAY"  # The variable that holds its address, a secret path included.
SCOPE_HEADER = "x-solvent-scope"  # Whose request it is, below the scope of the address.
# It may still be loading; where there is none any more, the connection is refused at once.
ANSWER_SECONDS = 30.0

T = TypeVar("T")


class Opened(Struct, frozen=True, kw_only=True):
    """
    What an opening of a scope put in force, so many seconds ago.
    """

    scope: str
    seconds: float
    limits: tuple[Limit, ...] = ()
    fallback: tuple[Fallback, ...] = ()
    wait_seconds: float | None = None
    alert: tuple[Fraction, ...] = ()


class InForce(Struct, frozen=True, kw_only=True):
    """
    What holds for the calls of a scope.

    Attributes:
        ledger: The URL of the one that they are booked in.
        openings: Of the scopes on its path, widest first.
    """

    scope: str
    ledger: str
    policy: Policy
    openings: tuple[Opened, ...] = ()


class Asked(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    A scope that is to be opened below the one of the address.

    Attributes:
        name: Of the step or agent.
        way_in: An address of its own is wanted, too.
        seconds: For which its time runs already.
    """

    name: str
    kind: Literal["agent", "step"] = "step"
    limits: tuple[Limit, ...] = ()
    fallback: tuple[Fallback, ...] = ()
    wait_seconds: float | None = None
    way_in: bool = False
    alert: tuple[Fraction, ...] = ()
    seconds: float = 0

    def __post_init__(self) -> None:
        if not all(0 < share <= 1 for share in self.alert):
            raise ValueError("alert must be shares above 0 and at most 1")
        for name, value in (("seconds", self.seconds), ("wait_seconds", self.wait_seconds)):
            if value is not None and not 0 <= value < math.inf:
                raise ValueError(f"{name} must be a number of seconds from 0 on, got {value}")


class Answered(Struct, frozen=True, kw_only=True):
    """
    A scope that was opened.

    Attributes:
        opening: Names this opening, to close it.
        ledger: The URL of the one that its calls are booked in.
        token: The secret of its own address; empty where none was wanted.
    """

    scope: str
    opening: str
    ledger: str
    token: str = ""


class Outer:
    """
    The gateway, as its clients see it.

    Args:
        address: With the secret path that stands for a scope.
    """

    def __init__(self, address: str) -> None:
        self.address = address

    def in_force(self) -> InForce:
        """
        What holds for the scope of the address.

        Raises:
            SettingsError: There is no gateway.
        """
        return self._ask("GET", "state", InForce)

    def open(self, asked: Asked, *, below: str = "") -> Answered:
        """
        Open a scope.

        Args:
            below: Where, as the header says it; the scope of the address unless given.

        Raises:
            SettingsError: There is no gateway, or it would not.
        """
        return self._ask("POST", "scopes", Answered, asked, below=below)

    def close(self, opening: str) -> None:
        """
        Have it forgotten: nobody is in the scope any more.

        Raises:
            SettingsError: There is no gateway, or it knows of none.
        """
        self._ask("DELETE", f"scopes/{opening}", dict)

    def _ask(self, method: str, what: str, kind: type[T], body: Asked | None = None, *, below: str = "") -> T:
        import http.client  # 10 ms to import, and only needed here.

        headers = {"content-type": "application/json", **({SCOPE_HEADER: below} if below else {})}
        try:
            where = urlsplit(self.address)
            connection = http.client.HTTPConnection(where.hostname or "", where.port, timeout=ANSWER_SECONDS)
        except ValueError as error:
            raise _no_gateway(f"no address ({error})") from error
        try:
            sent = None if body is None else to_json(body)
            connection.request(method, f"{where.path}/solvent/{what}", sent, headers)
            reply = connection.getresponse()
            answer = reply.read()
            if reply.status == 200:
                return from_json(answer, kind)
            refusal = msgspec.json.decode(answer)["error"]["message"]
        except (OSError, ValueError, LookupError, TypeError, http.client.HTTPException) as error:
            raise _no_gateway(f"no answer ({error})") from error
        finally:
            connection.close()
        raise _no_gateway(refusal)


def outer_gateway(environ: Mapping[str, str] = os.environ) -> str | None:
    """
    The address of the gateway around this process, if there is one.
    """
    return environ.get(GATEWAY) or None


def segment(kind: str, name: str) -> str:
    """
    A step or an agent as a header names it.
    """
    return f"{kind}:{quote(name, safe='')}"


def decoded(value: Mapping[str, Any], kind: type[T]) -> T:
    """
    A value out of JSON, where numbers may be written as text.

    Raises:
        ValueError: It says no such thing.
    """
    return msgspec.convert(value, kind, strict=False, dec_hook=_decoded)


def to_json(value: Struct) -> bytes:
    return msgspec.json.encode(value, enc_hook=_encoded)


def from_json(text: bytes, kind: type[T]) -> T:
    """
    Raises:
        ValueError: It says no such thing.
    """
    return msgspec.json.decode(text, type=kind, dec_hook=_decoded)


def _encoded(value: Any) -> str:
    if isinstance(value, Fraction):
        return str(value)
    raise NotImplementedError


def _decoded(kind: type[Any], value: Any) -> Any:
    if kind is Fraction:
        return _share(str(value))
    raise NotImplementedError


def _share(text: str) -> Fraction:
    # No exponents, which would name numbers that fill the memory.
    match = re.fullmatch(r"\d+(\.\d+|/\d*[1-9]\d*)?", text, re.ASCII)
    if match is None:
        raise ValueError(f"expected a share such as 4/5, got {text!r:.60}")
    return Fraction(text)


def _no_gateway(got: str) -> SettingsError:
    return SettingsError(
        where=GATEWAY,
        expected="the gateway of the `solvent run` around this process",
        got=got,
        hint=f"unset {GATEWAY} to go on without it",
    )
