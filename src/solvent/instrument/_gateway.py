"""
Calls to the gateway of the ``solvent run`` around this process: it counts them, and here they only say whose they are.
"""

from collections.abc import Mapping
from functools import lru_cache
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct

from solvent._answers import ERROR_HEADER, answer_to, error_in
from solvent._outer import outer_gateway
from solvent._place import steps_below_run
from solvent.instrument._above import above
from solvent.instrument._calls import Refused
from solvent.wire import FORMATS


class Passing(Struct, frozen=True):
    """
    A call that the gateway holds to its budget.

    Attributes:
        steps: Whose it is, below the run.
    """

    steps: tuple[str, ...]

    def scope(self, given: str | None) -> str | None:
        """
        What its header is to say; ``None`` where it is right as it is.

        Args:
            given: What its caller wrote there, which is below the budget that it is made in.
        """
        own = "/".join(self.steps)
        if not own or given == own or (given or "").startswith(own + "/"):
            return None
        return f"{own}/{given}" if given else own

    def refusal(self) -> Refused | None:
        """
        What is told in the gateway's place, where it said before what holds for whatever an SDK tries next.
        """
        known = above()
        error = known.final if known is not None else None
        if error is None:
            return None
        answer = answer_to(error)
        body = FORMATS["openai-chat"].refusal(code=answer.code, message=answer.message, metadata=answer.metadata)
        return Refused(error, answer, msgspec.json.encode(body))

    def answered(self, headers: Mapping[str, str]) -> None:
        """
        The head of the answer is there: a refusal is told to the SDK's hook above, which makes an error of it.
        """
        known = above()
        if known is not None:
            header = headers.get(ERROR_HEADER)
            known.tell(None if header is None else error_in(header))


def to_gateway(url: object) -> Passing | None:
    """
    A call to the gateway; ``None`` for any other, and for one of a budget that is kept elsewhere and holds it too.

    Args:
        url: As its library has it.
    """
    address = outer_gateway()
    if address is None or not str(url).startswith(_origins(address)):
        return None
    steps = steps_below_run()
    if steps is None:
        return None
    # Another address of the gateway stands for another scope, which has no such steps.
    return Passing(steps if str(url).startswith(f"{address}/") else ())


@lru_cache(maxsize=8)
def _origins(address: str) -> tuple[str, ...]:
    """
    What the gateway's addresses begin with, of whichever scope they are.
    """
    where = urlsplit(address)
    return tuple([f"{where.scheme}://{host}:{where.port}/" for host in {where.hostname, "127.0.0.1", "localhost"}])
