"""
Asking a provider how many tokens a call reads, with the call's own keys.
"""

import asyncio

from solvent.gateway._exchange import Outgoing
from solvent.gateway._request import address_of
from solvent.gateway._upstream import Client, NotDelivered

COUNT_SECONDS = 5
_ANSWER_BYTES_MAX = 65_536
# What is true of the call alone: its key for being made once, and what it is to be answered with.
_OF_THE_CALL = frozenset({"accept", "idempotency-key"})
_FORM_OF_THE_ANSWER = frozenset({"$alt", "alt"})


async def ask(client: Client, call: Outgoing, path: str, body: bytes) -> bytes | None:
    """
    The answer to a question on a path of the call's provider.

    Args:
        call: As it is to leave, whose keys and query the question gets.

    Returns:
        ``None`` where there is none within five seconds: whatever is wrong with the question, the call goes on.
    """
    headers = [(name, value) for name, value in call.headers if name not in _OF_THE_CALL]
    if any(name == "authorization" and value.startswith("AWS4-") for name, value in headers):
        return None  # Signed for the call's own path and body.
    pairs = call.url.partition("?")[2].split("&")
    query = "&".join(pair for pair in pairs if pair.partition("=")[0] not in _FORM_OF_THE_ANSWER)
    url = call.upstream.url(address_of(path))
    try:
        async with asyncio.timeout(COUNT_SECONDS):
            return await _answer(client, call, f"{url}?{query}" if query else url, headers, body)
    except (NotDelivered, TimeoutError):
        return None


async def _answer(
    client: Client, call: Outgoing, url: str, headers: list[tuple[str, str]], body: bytes
) -> bytes | None:
    reply = await client.send(call.upstream, "POST", url, headers, client.body(body))
    try:
        content = b""
        while chunk := await reply.chunk():
            content += chunk
            if len(content) > _ANSWER_BYTES_MAX:
                return None
        return content if reply.status == 200 else None
    finally:
        reply.close()
