"""
``botocore``, and ``boto3`` on it: every attempt of a call to Amazon Bedrock, between its parameters and its signature.

Source:
    botocore 1.44.5, ``endpoint.py`` (``Endpoint.create_request``, ``Endpoint._send``), ``awsrequest.py``,
    ``httpsession.py`` and ``data/bedrock-runtime/2023-09-30/service-2.json``, read 2026-11-22.
"""

from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit

from solvent.instrument._calls import GuardedCall, Refused
from solvent.instrument._hooks import Unhook, wrap
from solvent.instrument._hosts import Client
from solvent.instrument._look import guarded, target
from solvent.instrument._raw import RawReply, is_certificate_error

_SERVICE = "bedrock-runtime"
_CALL = "solvent_call"  # On a request that is made, until it is sent.


def hook(module: ModuleType) -> list[Unhook]:
    """
    Args:
        module: ``botocore.endpoint``.
    """
    return [wrap(module.Endpoint, "create_request", _create), wrap(module.Endpoint, "_send", _send)]


def _create(wrapped: Callable[..., Any], _: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """
    Admit an attempt before it is signed. A refusal leaves botocore as it is: nothing tries again out here.
    """
    asked, operation = _asked(*args, **kwargs)
    call = None if operation is None or operation.service_model.service_name != _SERVICE else _call(asked)
    if call is None:
        return wrapped(asked, operation)
    try:
        call.admit()
    except Refused as refused:
        raise refused.error from None
    body = asked["body"] if call.body is None else call.body
    request = wrapped({**asked, "url": call.address(asked["url"]), "body": body}, operation)
    setattr(request, _CALL, call)
    return request


def _send(wrapped: Callable[..., Any], _: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    request = args[0] if args else kwargs["request"]
    call: GuardedCall | None = getattr(request, _CALL, None)
    if call is None:
        return wrapped(request)
    try:
        with call.under_way():
            response = wrapped(request)
    except BaseException as error:
        call.settle(call.failed(error, sent=_was_sent(error)))
        call.check_time(error)
        raise
    content_type = response.headers.get("content-type", "")
    if request.stream_output:
        response.raw = RawReply(response.raw, call, status=response.status_code, content_type=content_type, encoding="")
    else:
        call.began(response.status_code, content_type).feed(response.content)
        call.settle(call.over())
    return response


def _asked(params: Mapping[str, Any], operation_model: Any = None) -> tuple[Mapping[str, Any], Any]:
    return params, operation_model


def _call(asked: Mapping[str, Any]) -> GuardedCall | None:
    url = urlsplit(asked["url"])
    found = target(asked["method"], asked["url"], Client("bedrock", url.netloc.lower(), ""))
    if found is None:
        return None
    headers = {name.lower(): str(value) for name, value in asked["headers"].items()}
    return guarded(found, headers, _bytes(asked["body"]))


def _bytes(body: Any) -> bytes | None:
    """
    A body's bytes; those of a file are read, and the file put back.
    """
    if hasattr(body, "read") and hasattr(body, "seek"):
        at = body.tell()
        body, _ = body.read(), body.seek(at)
    if isinstance(body, str):
        return body.encode()
    return bytes(body) if isinstance(body, bytes | bytearray) else None


def _was_sent(error: BaseException) -> bool:
    """
    Whether Amazon may have got a request that ended so.
    """
    from botocore import exceptions  # type: ignore[import-untyped]  # It has no types.

    never = (exceptions.ConnectTimeoutError, exceptions.EndpointConnectionError, exceptions.ProxyConnectionError)
    return not isinstance(error, never) and not is_certificate_error(error)
