"""
A reply of ``urllib3``, as ``requests`` and botocore hold it: looked at while it is read.

Source:
    urllib3 2.8.0, ``response.py``, read 2026-11-22.
"""

import ssl
from collections.abc import Callable, Iterator
from typing import Any

from solvent.instrument._calls import GuardedCall
from solvent.instrument._relay import Relay


class RawReply:
    """
    Stands in for a reply; what is not here is the reply's own.

    Args:
        content_type, encoding: As its head says.
    """

    def __init__(self, raw: Any, call: GuardedCall, *, status: int, content_type: str, encoding: str) -> None:
        self._raw = raw
        self._call = call
        self._began: Callable[[str], Relay] = lambda found: call.began(status, content_type, found)
        self._encoding = encoding
        self._relay: Relay | None = None
        call.status = status

    def __getattr__(self, name: str) -> Any:
        return getattr(self._raw, name)

    def __iter__(self) -> Iterator[bytes]:
        lines: Iterator[bytes] = type(self._raw).__iter__(self)  # By what this one streams.
        return lines

    def stream(self, amt: int | None = 2**16, decode_content: bool | None = None) -> Iterator[bytes]:
        relay = self._relayed(decode_content)
        try:
            for chunk in self._raw.stream(amt, decode_content=decode_content):
                seen = relay.feed(chunk)
                if relay.is_over:
                    self._call.settle(self._call.over())
                if seen:
                    yield seen
        except GeneratorExit:
            raise
        except BaseException as error:
            self._call.settle(self._call.failed(error))
            self._call.check_time(error)
            raise
        self._call.settle(self._call.over())

    def read(self, amt: int | None = None, decode_content: bool | None = None, **options: Any) -> bytes:
        relay, whole = self._relayed(decode_content), amt is None or amt < 0
        try:
            while chunk := self._raw.read(amt, decode_content=decode_content, **options):
                if (seen := relay.feed(chunk)) or whole:
                    break
            else:
                seen, whole = b"", amt != 0
        except BaseException as error:
            self._call.settle(self._call.failed(error))
            self._call.check_time(error)
            raise
        if whole or relay.is_over:
            self._call.settle(self._call.over())
        return seen

    read1 = read

    def readinto(self, buffer: Any) -> int:
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        try:
            self._raw.close()
        finally:
            self._call.settle(self._call.lost("client_gone"))

    def release_conn(self) -> None:
        self._raw.release_conn()
        self._call.settle(self._call.lost("client_gone"))

    def _relayed(self, decode_content: bool | None) -> Relay:
        if self._relay is None:
            decodes = self._raw.decode_content if decode_content is None else decode_content
            self._relay = self._began("" if decodes else self._encoding)
        return self._relay


def is_certificate_error(error: object, depth: int = 4) -> bool:
    """
    Whether an error says, behind those around it, that the other end is not who it should be.
    """
    if isinstance(error, ssl.SSLCertVerificationError):
        return True
    within = (*getattr(error, "args", ()), getattr(error, "reason", None), getattr(error, "kwargs", {}).get("error"))
    return depth > 0 and any(isinstance(one, Exception) and is_certificate_error(one, depth - 1) for one in within)
