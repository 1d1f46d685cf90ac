"""
What a store that keeps no digest of its journal answers from the entries themselves.
"""

from collections.abc import Collection, Iterator, Mapping

from solvent._digest import DIGESTED, Groups, Hours, digest_of, within
from solvent._records import Account, Entry, Kind
from solvent.stores._protocol import Told, under

_CHARGING: tuple[Kind, ...] = ("open", "refuse", "reserve")
_SHOW_NO_LIFE = ("expire", "opening_balance")


class WithoutDigest:
    def entries(
        self, *, scope: str | None = None, after: int = 0, kinds: Collection[Kind] | None = None
    ) -> Iterator[Entry]:
        raise NotImplementedError

    def groups(
        self,
        *,
        scope: str | None = None,
        hours: Hours | None = None,
        after: int = 0,
        told: Told | None = None,  # noqa: ARG002  # There is never much to read.
    ) -> Groups:
        return within(digest_of(self.entries(scope=scope, kinds=DIGESTED), after), hours)

    def limits(self, scope: str | None = None) -> Mapping[Account, int]:
        found: dict[Account, int | None] = {}
        for entry in self.entries(kinds=_CHARGING):
            found.update({posting.account: posting.limit for posting in entry.postings})
        return {account: limit for account, limit in found.items() if limit is not None and under(account.scope, scope)}

    def last_seen(self, scope: str, *, before: int | None = None) -> int | None:
        found = (
            entry.at
            for entry in self.entries(scope=scope)
            if entry.kind not in _SHOW_NO_LIFE and (before is None or entry.seq < before)
        )
        return max(found, default=None)
