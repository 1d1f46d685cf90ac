"""
``requests``: every request that its sessions send.

Source:
    requests 2.34.2, ``sessions.py`` (``Session.send``), ``models.py`` and ``adapters.py``, read 2026-11-22.
"""

from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

from solvent._outer import SCOPE_HEADER
from solvent.instrument._calls import GuardedCall, Refused
from solvent.instrument._gateway import Passing, to_gateway
from solvent.instrument._hooks import Unhook, wrap
from solvent.instrument._look import guarded, target
from solvent.instrument._raw import RawReply, is_certificate_error


def hook(module: ModuleType) -> list[Unhook]:
    """
    Args:
        module: ``requests.sessions``.
    """
    return [wrap(module.Session, "send", _send)]


def _send(wrapped: Callable[..., Any], session: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    rest = dict(kwargs)
    request = args[0] if args else rest.pop("request")
    passing = to_gateway(request.url or "")
    if passing is not None:
        if (refused := passing.refusal()) is not None:
            raise refused.error
        response = wrapped(_named(request, passing), **rest)
        passing.answered(response.headers)
        return response
    call = _call(request)
    if call is None:
        return wrapped(request, **rest)
    try:
        call.admit()
    except Refused as refused:
        raise refused.error from None
    streams = rest.get("stream", session.stream)
    try:
        with call.under_way():
            response = wrapped(_to_send(call, request), **{**_in_time(call, rest), "stream": True})
    except BaseException as error:
        call.settle(call.failed(error, sent=_was_sent(error)))
        call.check_time(error)
        raise
    _watch(call, response)
    if not streams:
        response.content  # noqa: B018  # Reads it.
    return response


def _call(request: Any) -> GuardedCall | None:
    found = target(request.method or "", request.url or "")
    if found is None:
        return None
    body = request.body.encode() if isinstance(request.body, str) else request.body
    headers = {name.lower(): _text(value) for name, value in request.headers.items()}
    return guarded(found, headers, body if isinstance(body, bytes) else None)


def _named(request: Any, passing: Passing) -> Any:
    """
    The request with whose it is.
    """
    scope = passing.scope(request.headers.get(SCOPE_HEADER))
    if scope is None:
        return request
    twin = request.copy()
    twin.headers[SCOPE_HEADER] = scope
    return twin


def _text(value: str | bytes) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else value


def _to_send(call: GuardedCall, request: Any) -> Any:
    """
    A request of one's own, for its owner may send theirs again.
    """
    if call.body is None and call.path is None:
        return request
    twin = request.copy()
    twin.url = call.address(request.url)
    if call.body is not None:
        twin.body = call.body
        twin.headers["Content-Length"] = str(len(call.body))
    return twin


def _in_time(call: GuardedCall, options: dict[str, Any]) -> dict[str, Any]:
    """
    No wait for the provider goes on after the call's deadline.
    """
    if call.deadline is None:
        return options
    given, left = options.get("timeout"), call.deadline.seconds_left
    waits = given if isinstance(given, tuple) else (given, given)
    return {**options, "timeout": tuple([left if wait is None else min(wait, left) for wait in waits])}


def _watch(call: GuardedCall, response: Any) -> None:
    content_type = response.headers.get("content-type", "")
    if response._content_consumed:  # By a hook of the caller's.
        relay, content = call.began(response.status_code, content_type), response._content
        if isinstance(content, bytes):
            response._content = relay.feed(content)
        call.settle(call.over() if isinstance(content, bytes) else call.lost("client_gone"))
        return
    encoding = response.headers.get("content-encoding", "")
    status = response.status_code
    response.raw = RawReply(response.raw, call, status=status, content_type=content_type, encoding=encoding)


def _was_sent(error: BaseException) -> bool:
    """
    Whether the provider may have got a request that ended so.
    """
    from requests import exceptions
    from urllib3.exceptions import NewConnectionError

    never = (exceptions.ConnectTimeout, exceptions.ProxyError, exceptions.InvalidSchema, exceptions.InvalidURL)
    reason = getattr(error.args[0], "reason", None) if error.args else None
    return (
        not isinstance(error, never) and not isinstance(reason, NewConnectionError) and not is_certificate_error(error)
    )
