"""
What a store that keeps no digest of its journal answers from the entries themselves.
"""

from collections.abc import Collection, Iterator

from solvent._digest import DIGESTED, Groups, Hours, digest_of, within
from solvent._records import Entry, Kind
from solvent.stores._protocol import Told

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

    def last_seen(self, scope: str, *, before: int | None = None) -> int | None:
        found = (
            entry.at
            for entry in self.entries(scope=scope)
            if entry.kind not in _SHOW_NO_LIFE and (before is None or entry.seq < before)
        )
        return max(found, default=None)
