"""
Alerts as HTTP: each share of a limit that is reached is posted to the policy's webhook, off the path of any call.

Source:
    Standard Webhooks 1.0.0, ``spec/standard-webhooks.md`` (headers, what is signed, the secret, what a status says),
    read 2026-11-22.
"""

import json
import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Literal
from urllib.parse import urlsplit

from msgspec import Struct

from solvent._amounts import exact_dollars
from solvent._courier import EXIT_SECONDS, Courier
from solvent.errors import SettingsError
from solvent.events import Event, ShareReached
from solvent.policy._alert import Alert

SCHEMA_VERSION = 1
QUEUE_MAX = 1_000  # Alerts that wait; of a policy with a thousand runs a day they are a day's.
ANSWER_SECONDS = 15.0
# Between attempts: eleven of them, over five minutes.
WAITS_SECONDS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0, 60.0, 60.0)
RETRY_AFTER_MAX_SECONDS = 120.0  # A receiver that asks for more is asked again all the same.
RETRIED = frozenset({408, 425, 429})  # And whatever a server says of itself, from 500 on.
GONE = 410  # Nobody wants to hear of anything any more.
SECRET_PREFIX = "whsec_"
SECRET_BYTES = range(24, 65)

_log = logging.getLogger("solvent")


class _Answer(Struct, frozen=True):
    """
    What a receiver said: its status, or ``None`` and what went wrong.
    """

    status: int | None
    reason: str
    retry_after_seconds: float = 0.0

    @property
    def verdict(self) -> Literal["taken", "again", "never"]:
        if self.status is not None and 200 <= self.status < 300:
            return "taken"
        return "again" if self.status is None or self.status in RETRIED or self.status >= 500 else "never"


class Webhook:
    """
    Posts alerts to one address, in order, each until it is taken or given up.

    It asks no proxy of the environment and follows no redirect: the address that the policy names is the one that is
    told.

    Args:
        url: Of HTTP; only its scheme and host are ever shown, for the rest is often a secret.
        secret: What is sent is signed with it; unsigned without.
        warn: Is told of what is not delivered; the logger ``solvent`` unless given.
        wait: Sleeps so many seconds; ends before where the program does.
    """

    def __init__(
        self,
        url: str,
        secret: bytes | None = None,
        *,
        warn: Callable[[str], object] | None = None,
        wait: Callable[[float], object] | None = None,
    ) -> None:
        self._url = urlsplit(url)
        self._secret = secret
        self._warn = warn or _log.warning
        self._ends = threading.Event()
        self._wait = wait or self._ends.wait
        self._is_gone = False
        self._courier = Courier(
            self._deliver, name="solvent-webhook", most=QUEUE_MAX, what="alerts", hurry=self._ends.set
        )

    @property
    def address(self) -> str:
        return f"{self._url.scheme}://{self._url.netloc}"

    def hear(self, event: Event) -> None:
        if isinstance(event, ShareReached):
            self._courier.put(event)

    def flush(self, timeout_seconds: float = EXIT_SECONDS) -> bool:
        """
        Wait until all that was heard before now is delivered or given up; whether it is.
        """
        return self._courier.flush(timeout_seconds)

    def close(self, timeout_seconds: float = EXIT_SECONDS) -> bool:
        """
        Hear nothing more, and try each that waits once more; whether all of them are delivered or given up by then.
        """
        is_done = self._courier.close(timeout_seconds)
        if not is_done:
            left = self._courier.left
            self._warn(f"{left} alerts were not delivered to {self.address}: the program ended before")
        return is_done

    def _deliver(self, event: ShareReached) -> None:
        if self._is_gone:
            return
        body, waits = payload(event), iter(WAITS_SECONDS)
        while True:
            is_last = self._ends.is_set()
            answer = self._post(event.alert_id, body)
            wait = None if is_last or answer.verdict == "never" else next(waits, None)
            if answer.verdict == "taken" or wait is None:
                break
            self._wait(max(wait, answer.retry_after_seconds))
        if answer.verdict != "taken":
            self._is_gone = answer.status == GONE
            after = "; it is told of none any more" if self._is_gone else ""
            said = f"{answer.reason}{after}. It said: {event.headline()}"
            self._warn(f"an alert was not delivered to {self.address}: {said}")

    def _post(self, id: str, body: bytes) -> _Answer:
        import http.client  # 10 ms to import, and only needed here.

        seconds = min(ANSWER_SECONDS, EXIT_SECONDS / 2) if self._ends.is_set() else ANSWER_SECONDS
        kind = http.client.HTTPSConnection if self._url.scheme == "https" else http.client.HTTPConnection
        timer = None
        try:
            connection = kind(self._url.hostname or "", self._url.port, timeout=seconds)
        except ValueError as error:
            return _Answer(None, f"{error}")
        try:
            connection.connect()
            # An answer that comes in drops would never time out by itself.
            timer = threading.Timer(seconds, _cut, [connection.sock])
            timer.name = "solvent-webhook-timer"
            timer.daemon = True
            timer.start()
            path = f"{self._url.path or '/'}{f'?{self._url.query}' if self._url.query else ''}"
            connection.request("POST", path, body, headers(id, body, self._secret, time.time()))
            reply = connection.getresponse()
            return _Answer(reply.status, f"status {reply.status}", _seconds(reply.getheader("retry-after")))
        except (OSError, ValueError, http.client.HTTPException) as error:
            return _Answer(None, f"{type(error).__name__}: {error}")
        finally:
            if timer is not None:
                timer.cancel()
            connection.close()


def webhook_of(
    alert: Alert | None, environ: Mapping[str, str] = os.environ, *, warn: Callable[[str], object] | None = None
) -> Webhook | None:
    """
    The webhook that a policy's alert names, if it does.

    Args:
        warn: As of ``Webhook``.

    Raises:
        SettingsError: The variable with its secret says none.
    """
    if alert is None or alert.webhook is None:
        return None
    secret = None if alert.secret_env is None else _secret(alert, alert.secret_env, environ)
    return Webhook(alert.webhook, secret, warn=warn)


def payload(event: ShareReached) -> bytes:
    """
    What a receiver is told, as JSON: amounts as text, so that no reader rounds them, and for money also in dollars.
    """
    amounts = {
        "limit": event.limit,
        "spent": event.spent,
        "reserved": event.reserved,
        "remaining": event.limit - event.spent - event.reserved,
    }
    is_money = event.meter == "usd"
    data = {
        "scope": event.scope,
        "meter": event.meter,
        "window": event.window,
        "share": f"{float(event.share * 100):g}%",
        "by": event.by,
        "unit": "nanodollars" if is_money else "count",
        **{name: str(amount) for name, amount in amounts.items()},
        "dollars": {name: exact_dollars(amount) for name, amount in amounts.items()} if is_money else None,
        "resets_at": None if event.resets_at is None else f"{event.resets_at:%Y-%m-%dT%H:%M:%SZ}",
        "source": event.source,
        "call_id": event.id,
    }
    told = {
        "type": "budget.share_reached",
        "timestamp": f"{event.at:%Y-%m-%dT%H:%M:%S.%fZ}",
        "schema_version": SCHEMA_VERSION,
        "text": event.headline(),
        "data": data,
    }
    return json.dumps(told, separators=(",", ":")).encode()


def headers(id: str, body: bytes, secret: bytes | None, at: float) -> dict[str, str]:
    """
    Args:
        at: When this attempt is made, in seconds since 1970.
    """
    import base64
    import hmac

    found = {
        "content-type": "application/json",
        "user-agent": "solvent",
        "webhook-id": id,
        "webhook-timestamp": str(int(at)),
    }
    if secret is not None:
        signed = b".".join((id.encode(), found["webhook-timestamp"].encode(), body))
        digest = hmac.digest(secret, signed, "sha256")
        found["webhook-signature"] = f"v1,{base64.b64encode(digest).decode()}"
    return found


def _secret(alert: Alert, name: str, environ: Mapping[str, str]) -> bytes:
    import base64
    import binascii

    text = environ.get(name, "").removeprefix(SECRET_PREFIX)
    try:
        secret = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):  # Not in ASCII, say.
        secret = b""
    if len(secret) not in SECRET_BYTES:
        missing = "; it is empty" if name in environ else "; it is not set"
        form = f"{SECRET_PREFIX} and 24 to 64 bytes in base64{'' if text else missing}"
        raise SettingsError(
            where=f"{alert.source}: alert.secret_env" if alert.source else "alert.secret_env",
            expected=f"a secret in the environment variable {name}: {form}",
            got="something else" if text else "",
            hint=f"""export {name}=$(python -c "import base64, secrets; """
            f"""print('{SECRET_PREFIX}' + base64.b64encode(secrets.token_bytes(32)).decode())"), """
            "and give it to the receiver, too",
        )
    return secret


def _seconds(retry_after: str | None) -> float:
    """
    How long a receiver asks to be left alone: in seconds or until a time, as HTTP has it.
    """
    from email.utils import parsedate_to_datetime

    if not retry_after:
        return 0.0
    try:
        seconds = (
            float(int(retry_after))
            if retry_after.strip().isdigit()
            else (parsedate_to_datetime(retry_after).timestamp() - time.time())
        )
    except (TypeError, ValueError, OverflowError):
        return 0.0
    return min(max(seconds, 0.0), RETRY_AFTER_MAX_SECONDS)


def _cut(sock: socket.socket | None) -> None:
    if sock is not None:
        with suppress(OSError):  # It is closed already.
            sock.shutdown(socket.SHUT_RDWR)
