"""
``requests``: every request that its sessions send, and each time that urllib3 below them sends it.

Source:
    requests 2.34.2, ``sessions.py`` (``Session.send``), ``models.py`` and ``adapters.py``; urllib3 2.8.0,
    ``connectionpool.py`` (``urlopen``, which asks ``Retry.increment`` before it sends again); read 2026-11-22.
"""

from collections.abc import Callable, Mapping
from contextvars import ContextVar
from types import ModuleType
from typing import Any

from solvent.instrument._calls import GuardedCall, Refused
from solvent.instrument._gateway import to_gateway
from solvent.instrument._hooks import Unhook, wrap
from solvent.instrument._look import guarded, target
from solvent.instrument._raw import RawReply, is_certificate_error

# The times that a request was sent in this context; the last one is under way.
_SENT: ContextVar[list[GuardedCall] | None] = ContextVar("solvent_sent_by_requests", default=None)


def hook(module: ModuleType) -> list[Unhook]:
    """
    Args:
        module: ``requests.sessions``.
    """
    from urllib3.util import Retry

    return [wrap(module.Session, "send", _send), wrap(Retry, "increment", _increment)]


def _send(wrapped: Callable[..., Any], session: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    rest = dict(kwargs)
    request = args[0] if args else rest.pop("request")
    call = None
    try:
        passing = to_gateway(request.url, request.headers.get)
        if passing is None and (call := _call(request)) is not None:
            call.admit()
    except Refused as refused:
        raise refused.error from None
    if passing is not None:
        return passing.answered(wrapped(_with(request, passing.headers), **rest))
    if call is None:
        return wrapped(request, **rest)
    streams = rest.get("stream", session.stream)
    sent = [call]
    token = _SENT.set(sent)
    try:
        with call.under_way():
            response = wrapped(_to_send(call, request), **{**_in_time(call, rest), "stream": True})
    except BaseException as error:
        call = sent[-1]
        call.settle(call.failed(error, sent=_was_sent(error)))
        call.check_time(error)
        raise
    finally:
        _SENT.reset(token)
    _watch(sent[-1], response)
    if not streams:
        response.content  # noqa: B018  # Reads it.
    return response


def _increment(wrapped: Callable[..., Any], _: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """
    What urllib3 sends again was paid for once: book that, and admit the next before it leaves.
    """
    retry, sent = wrapped(*args, **kwargs), _SENT.get()
    response, error = _ended(*args, **kwargs)
    if sent is None or (response is None and not _reached(error)):
        return retry
    call = sent[-1]
    call.status = None if response is None else response.status
    call.settle(call.lost("cut"))
    sent.append(call.again())
    try:
        sent[-1].admit()
    except Refused as refused:
        if response is not None:
            response.drain_conn()
        raise refused.error from None
    return retry


def _ended(_method: Any = None, _url: Any = None, response: Any = None, error: Any = None, **_: Any) -> tuple[Any, Any]:
    return response, error


def _call(request: Any) -> GuardedCall | None:
    found = target(request.method or "", request.url or "")
    if found is None:
        return None
    body = request.body.encode() if isinstance(request.body, str) else request.body
    headers = {name.lower(): _text(value) for name, value in request.headers.items()}
    return guarded(found, headers, body if isinstance(body, bytes) else None)


def _with(request: Any, headers: Mapping[str, str]) -> Any:
    """
    The request with other headers; its owner may send the request itself again, for another budget.
    """
    if not headers:
        return request
    twin = request.copy()
    twin.headers.update(headers)
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

    never = (exceptions.ConnectTimeout, exceptions.ProxyError, exceptions.InvalidSchema, exceptions.InvalidURL)
    reason = getattr(error.args[0], "reason", None) if error.args else None
    return not isinstance(error, never) and _reached(error) and _reached(reason)


def _reached(error: object) -> bool:
    """
    The same of an error of urllib3's.
    """
    from urllib3.exceptions import ConnectTimeoutError, NewConnectionError, ProxyError

    never = (ConnectTimeoutError, NewConnectionError, ProxyError)
    return not isinstance(error, never) and not is_certificate_error(error)
