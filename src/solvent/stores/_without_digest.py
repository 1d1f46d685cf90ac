"""
What a store that keeps no digest of its journal answers from the entries themselves.
"""

from collections.abc import Collection, Iterator, Mapping

from solvent._digest import DIGESTED, HOUR_NS, Facts, Groups, Hours, Sums, digest_of, within
from solvent._ledger import is_run
from solvent._records import Account, Entry, Kind
from solvent.stores._protocol import Told, under

_CHARGING: tuple[Kind, ...] = ("open", "refuse", "reserve")
_OPENING_BALANCE: tuple[Kind, ...] = ("opening_balance",)
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
        groups = digest_of(self.entries(scope=scope, kinds=DIGESTED), after)
        for entry in self.entries(scope=scope, kinds=_OPENING_BALANCE):
            if entry.seq > after:
                groups |= _no_longer_kept(entry)
        return within(groups, hours)

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


def _no_longer_kept(opening: Entry) -> dict[Facts, Sums]:
    """
    The calls whose entries an opening balance stands for: what each run spent, of models that nobody knows any more.
    """
    found: dict[str, Sums] = {}
    for posting in opening.postings:
        if is_run(posting.account.place) and posting.spent:
            sums = found.setdefault(posting.account.scope, Sums(tokens={}, last=opening.at))
            if posting.account.meter == "usd":
                sums.cost, sums.overrun = posting.spent, posting.overrun
            elif posting.account.meter == "calls":
                sums.count = posting.spent
            elif posting.account.meter in ("input_tokens", "output_tokens"):
                sums.tokens[posting.account.meter] = posting.spent
    hour = opening.at // HOUR_NS
    return {Facts(scope=scope, hour=hour, kind="settle"): sums for scope, sums in found.items()}
