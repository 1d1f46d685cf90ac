"""
Asking a provider how many tokens a call reads, before the call is made.
"""

from collections.abc import Awaitable, Callable
from typing import TypeAlias

from msgspec import Struct

# POSTs a body to a path below the provider's base URL, with the keys of the call that it is for; the body of the
# answer, or nothing where none came.
Ask: TypeAlias = Callable[[str, bytes], bytes | None]
AsyncAsk: TypeAlias = Callable[[str, bytes], Awaitable[bytes | None]]


class Counting(Struct, frozen=True):
    """
    What a face offers, so that its call can be counted: the call's own path, and how to ask.
    """

    path: str
    ask: Ask | AsyncAsk


class Count(Struct, frozen=True):
    """
    Asks the driver to send a question and to answer with what came back. It fails by no answer, and never by an error.
    """

    ask: Ask | AsyncAsk
    path: str
    body: bytes

    def do(self) -> bytes | None:
        """
        For synchronous callers.
        """
        answer = self.ask(self.path, self.body)
        assert not isinstance(answer, Awaitable), "a synchronous face asks synchronously"
        return answer

    async def ado(self) -> bytes | None:
        """
        For asynchronous callers.
        """
        answer = self.ask(self.path, self.body)
        return await answer if isinstance(answer, Awaitable) else answer
