"""
How fast accounts are spent from: what was added to them in the last minutes.
"""

from collections import deque
from collections.abc import Collection, Mapping
from fractions import Fraction

from msgspec import Struct, field

from solvent._limits import SECOND_NS
from solvent._records import Account, Balance, Entry

WINDOW_NS = 300 * SECOND_NS
LEAST_NS = 10 * SECOND_NS  # One call in the first second of a budget is not yet sixty a minute.
_MINUTE_NS = 60 * SECOND_NS


class _Track(Struct, kw_only=True):
    """
    Attributes:
        spent: At the last look.
        since_ns: From when on its gains are known.
    """

    spent: int | None = None
    since_ns: int = 0
    gains: deque[tuple[int, int]] = field(default_factory=deque)


class Burn:
    """
    What accounts gained, look by look. What they gained before the first look is told by entries.

    Args:
        since_ns: From when on those entries are told.
    """

    def __init__(self, since_ns: int = 0) -> None:
        self._since_ns = since_ns
        self._tracks: dict[Account, _Track] = {}
        self._is_first = True

    def past(self, entry: Entry) -> None:
        for posting in entry.postings:
            if posting.spent:
                self._tracks.setdefault(posting.account, _Track()).gains.append((entry.at, posting.spent))

    def look(self, accounts: Collection[Account], balances: Mapping[Account, Balance], *, now_ns: int) -> None:
        tracks = {account: self._tracks.get(account) or _Track() for account in accounts}
        for account, track in tracks.items():
            spent = balances[account].spent if account in balances else 0
            if track.spent is None:
                track.since_ns = self._since_ns if self._is_first else now_ns
            elif spent != track.spent:
                # A window that began anew holds only what came since.
                gain = spent if spent < track.spent and account.window else spent - track.spent
                track.gains.append((now_ns, gain))
            track.spent = spent
            while track.gains and track.gains[0][0] <= now_ns - WINDOW_NS:
                track.gains.popleft()
        self._tracks, self._is_first = tracks, False

    def per_minute(self, account: Account, *, now_ns: int, opened_ns: int | None = None) -> Fraction:
        """
        What it spends in a minute, by its gains of the last five or since its scope was opened.
        """
        track = self._tracks.get(account)
        if track is None:
            return Fraction(0)
        if account.window == "minute":
            return Fraction(track.spent or 0)
        since = max(now_ns - WINDOW_NS, track.since_ns, opened_ns or 0)
        gained = sum(amount for at, amount in track.gains if at >= since)
        return Fraction(gained * _MINUTE_NS, max(now_ns - since, LEAST_NS))

    def last_gain_ns(self, account: Account) -> int:
        """
        When it was last spent from, as far as that is known; else 0.
        """
        track = self._tracks.get(account)
        return track.gains[-1][0] if track is not None and track.gains else 0
