"""
Which scope, provider and endpoint a request's path names, and which call its body asks for.
"""

import hashlib
import secrets
from collections.abc import Mapping

from msgspec import Struct

from solvent._limits import Scope
from solvent.gateway._providers import Upstream
from solvent.gateway._request import Rejected, address_of, check_keys, decode_object, normal_path
from solvent.wire import Endpoint, endpoint
from solvent.wire._call import Asked, Call

_TARGETS_MAX = 1_024  # A program calls a few addresses, over and over; ids in paths must not fill the memory.


class Target(Struct, frozen=True, kw_only=True):
    """
    What a path means.

    Attributes:
        upstream: ``None`` for addresses of Solvent's own.
        path: Below the provider's base URL.
        url: Where it is at the upstream, without a query.
        endpoint: ``None`` for a path that is not known, and so is denied.
    """

    scope: Scope
    scope_name: str
    upstream: Upstream | None
    path: str
    url: str = ""
    endpoint: Endpoint | None = None


class Routes:
    """
    The ways in: path secrets, each of which stands for a scope.
    """

    def __init__(self, routes: Mapping[str, Scope], upstreams: Mapping[str, Upstream]) -> None:
        self._salt = secrets.token_bytes(32)
        self._scopes = {self._digest(token): scope for token, scope in routes.items()}
        self._upstreams = dict(upstreams)
        self._targets: dict[tuple[str, bytes], Target] = {}

    def add(self, scope: Scope) -> str:
        """
        Open a way in for a scope; returns its path secret.
        """
        token = secrets.token_urlsafe(24)
        self._scopes[self._digest(token)] = scope
        return token

    def remove(self, token: str) -> None:
        """
        Close a way in.
        """
        self._scopes.pop(self._digest(token), None)
        self._targets.clear()

    def target(self, method: str, raw_path: bytes) -> Target:
        """
        What a request's path names.

        Raises:
            Rejected: It is not in its plain form, its secret is wrong, or its provider is not known here.
        """
        key = method, raw_path
        target = self._targets.get(key)
        if target is None:
            target = self._find(method, normal_path(raw_path))
            if target.endpoint is not None:
                if len(self._targets) >= _TARGETS_MAX:
                    self._targets.clear()
                self._targets[key] = target
        return target

    def _find(self, method: str, path: str) -> Target:
        token, _, path = path.partition("/")
        scope = self._scopes.get(self._digest(token))
        if scope is None:
            raise Rejected(403, "unknown_route", "This address is not known here.")
        name, _, path = path.partition("/")
        if name == "solvent":
            return Target(scope=scope, scope_name=str(scope), upstream=None, path=path)
        upstream = self._upstreams.get(name)
        if upstream is None:
            raise Rejected(404, "unknown_provider", f"No such provider here; known: {', '.join(self._upstreams)}.")
        below = upstream.below(path)
        return Target(
            scope=scope,
            scope_name=str(scope),
            upstream=upstream,
            path=below,
            url=upstream.url(address_of(path)),
            endpoint=endpoint(name, method, below),
        )

    def _digest(self, token: str) -> bytes:
        """
        A secret as it is looked up: how long that takes says nothing about a secret that is wrong.
        """
        return hashlib.blake2b(token.encode(), key=self._salt, digest_size=16).digest()


def described(found: Endpoint, provider: str, asked: Asked, body: bytes) -> Call:
    """
    The call that a paid request asks for.

    Raises:
        Rejected: The body is not what the format says.
    """
    if found.format is None:
        return _undescribed(found, provider, body, asked.headers)
    request = decode_object(body)
    try:
        check_keys(body)
        return found.format.describe(request, provider=provider, path=asked.path, headers=asked.headers)
    except ValueError as exc:
        raise Rejected(400, "invalid_request", str(exc)) from None
    except RecursionError:
        raise Rejected(400, "invalid_json", "The body is nested too deep.") from None


def _undescribed(found: Endpoint, provider: str, body: bytes, headers: Mapping[str, str]) -> Call:
    """
    A call of a paid path that no format describes: it has no bound, and its body may be no JSON.
    """
    is_json = headers.get("content-type", "").startswith("application/json")
    request = decode_object(body) if body and is_json else {}
    model = request.get("model")
    return Call(
        format=found.name,
        provider=provider,
        model=model if isinstance(model, str) else "",
        stream=request.get("stream") is True,
        unbounded=(found.name,),
    )
