"""
Whether a ledger's balances are what its journal adds up to.
"""

from collections.abc import Iterable, Iterator, Mapping

from solvent._records import Account, Entry, Posting

Sums = Mapping[tuple[Account, int], tuple[int, int, int, int]]  # Account and bucket → as ``_PARTS`` says.
_PARTS = ("reserved", "spent", "overrun", "topped up")
_NOTHING = (0, 0, 0, 0)


def rebuild(postings: Iterable[Posting]) -> Sums:
    """
    Every account's balance by bucket, from the postings of a whole journal alone.
    """
    sums: dict[tuple[Account, int], tuple[int, int, int, int]] = {}
    for posting in postings:
        key = posting.account, posting.bucket
        reserved, spent, overrun, topped_up = sums.get(key, _NOTHING)
        sums[key] = (
            reserved + posting.reserved,
            spent + posting.spent,
            overrun + posting.overrun,
            topped_up + posting.topped_up,
        )
    return sums


def limits_set(entries: Iterable[Entry], limits: dict[Account, int]) -> Iterator[Entry]:
    """
    The entries as they come; meanwhile ``limits`` learns which limits they set.
    """
    for entry in entries:
        if entry.kind in ("opening_balance", "set_limit"):
            for posting in entry.postings:
                if entry.kind == "set_limit":
                    limits.pop(posting.account, None)
                if posting.limit is not None:
                    limits[posting.account] = posting.limit
        yield entry


def first_difference(rebuilt: Sums, kept: Sums) -> str | None:
    """
    The first account whose balance is not what the journal says, in words; ``None`` when all agree.
    """
    for account, bucket in sorted(rebuilt.keys() | kept.keys()):
        by_journal = rebuilt.get((account, bucket), _NOTHING)
        by_account = kept.get((account, bucket), _NOTHING)
        for name, expected, found in zip(_PARTS, by_journal, by_account, strict=True):
            if expected != found:
                window = f" per {account.window}, bucket {bucket}" if account.window else ""
                return (
                    f"{account.scope} {account.meter}{window}: {name} is {found:,}, "
                    f"and the journal adds up to {expected:,}"
                )
    return None


def limit_difference(by_journal: Mapping[Account, int], kept: Mapping[Account, int]) -> str | None:
    """
    The first limit that was set and is not what the journal says, in words.
    """
    for account in sorted(kept.keys() | by_journal.keys()):
        found, expected = kept.get(account), by_journal.get(account)
        if found != expected:
            return f"{account.scope} {account.meter}: the limit that was set is {found}, and by the journal {expected}"
    return None


def held_difference(held: Mapping[tuple[Account, int], int], kept: Sums) -> str | None:
    """
    The first account in which something else is reserved than open reservations hold, in words.
    """
    for key in sorted(kept.keys() | held.keys()):
        (reserved, *_), expected = kept.get(key, _NOTHING), held.get(key, 0)
        if reserved != expected:
            account, _ = key
            return f"{account.scope} {account.meter}: reserved is {reserved:,}, and open reservations hold {expected:,}"
    return None
