"""
A call of the past as a log tells it, and what goes on beside the calls while logs are read.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from hashlib import blake2b
from pathlib import Path

from msgspec import Struct

from solvent._amounts import Usage
from solvent._operations import ID_CHARACTERS_MAX

Place = tuple[tuple[str, str], ...]  # The segments of a scope: ``(("run", "42"), ("agent", "a"))``.


class PastCall(Struct, frozen=True, gc=False, kw_only=True):
    """
    One request that reached a provider.

    Attributes:
        id: Made of the source's own ids, so that the same call is the same id whenever it is read.
        where: The file and the line that told it last, for errors.
        place: Whose it was: its scope below the one that all is put under.
        usage: ``None`` where nobody told it.
        cost_nanodollars: What the source says that it cost; ``None`` where it says nothing, and prices decide.
        price_source: Who says so.
        is_copy: It is the entry of a ledger, under its own id: no price is looked up, and a ledger that knows it,
            however it was closed there, leaves it as it is.
        estimated: Why the cost is a bound rather than the provider's count, where it is.
        status: The HTTP status, or what came in its place.
        started, ended: Nanoseconds since 1970, UTC.
        parent_id: What it belongs to, where the source says so.
    """

    id: str
    where: str
    place: Place
    provider: str
    model_asked: str | None
    ended: int
    started: int | None = None
    format: str | None = None
    model_used: str | None = None
    tier: str | None = None
    region: str | None = None
    stream: bool | None = None
    usage: Usage | None = None
    cost_nanodollars: int | None = None
    price_source: str | None = None
    is_copy: bool = False
    estimated: str | None = None
    attempt: int = 0
    status: str = "200"
    parent_id: str | None = None


class BadCall(ValueError):
    """
    A line of a log cannot be believed; nothing of the call that it tells of is recorded.
    """

    def __init__(self, where: str, what: str) -> None:
        super().__init__(f"{where}: {what}")


class WrongFile(ValueError):
    """
    A file is none that its reader knows.
    """


class Refused(ValueError):
    """
    The ledger itself limits what a call would be counted in.
    """


class Intake:
    """
    What is said to whoever reads logs, and what is counted beside the calls.

    Args:
        skip_bad: Count the calls that cannot be believed, in the place of ending with the first one.
        now_ns: A file that was written to shortly before this may be in the middle of a call.
        sessions: Of LiteLLM's logs: each session is a run, and not each day.
        told: Is handed how many bytes were read, now and then.

    Attributes:
        bad: How many calls could not be believed.
        first_bad: The first of them.
        under_way: Calls that may not be over yet; they are left to the next import.
        left_out: What is no call of a provider, by what it is instead.
    """

    def __init__(
        self,
        *,
        now_ns: int,
        skip_bad: bool = False,
        sessions: bool = False,
        told: Callable[[int], object] = lambda _: None,
    ) -> None:
        self.now_ns = now_ns
        self.sessions = sessions
        self.told = told
        self.bad = 0
        self.first_bad: BadCall | None = None
        self.under_way = 0
        self.left_out: Counter[str] = Counter()
        self._skip_bad = skip_bad

    def refuse(self, error: BadCall) -> None:
        """
        Raises:
            BadCall: It, unless such calls are passed over.
        """
        if not self._skip_bad:
            raise error
        self.bad += 1
        self.first_bad = self.first_bad or error


class Source(Struct, frozen=True, kw_only=True):
    """
    A format that can be imported.

    Attributes:
        title: What a file of it is, for people.
        endings: Of the files that are looked for in a folder.
        is_like: Whether an object from the beginning of a file is of this format.
        is_any: Whatever JSON is like no format is read as this one, so that its lines are told what they lack.
        beside: What belongs to a file.
        calls: Yields the calls of files, in constant memory.
    """

    title: str
    endings: tuple[str, ...]
    is_like: Callable[[Mapping[str, object]], bool]
    calls: Callable[[Iterable[Path], Intake], Iterator[PastCall]]
    beside: Callable[[Path], Iterable[Path]] = lambda _: ()
    is_any: bool = False


def shown(path: Path, line: int) -> str:
    return f"{path}:{line}"


def entry_id(source: str, name: str) -> str:
    """
    The id in the ledger of what a source calls so; a digest of the name where no ledger takes it as it is.
    """
    id = f"{source}:{name}"
    if len(id) <= ID_CHARACTERS_MAX and id.isprintable():
        return id
    return f"{source}:{blake2b(name.encode(errors='surrogatepass'), digest_size=16).hexdigest()}"
