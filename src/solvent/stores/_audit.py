"""
Whether a ledger's balances are what its journal adds up to.
"""

from collections.abc import Iterable, Mapping

from solvent._ledger import Account, Posting

Sums = Mapping[tuple[Account, int], tuple[int, int, int]]  # Account and bucket → reserved, spent, overrun.


def rebuild(postings: Iterable[Posting]) -> Sums:
    """
    Every account's balance by bucket, from the postings of a whole journal alone.
    """
    sums: dict[tuple[Account, int], tuple[int, int, int]] = {}
    for posting in postings:
        key = posting.account, posting.bucket
        reserved, spent, overrun = sums.get(key, (0, 0, 0))
        sums[key] = reserved + posting.reserved, spent + posting.spent, overrun + posting.overrun
    return sums


def first_difference(rebuilt: Sums, kept: Sums) -> str | None:
    """
    The first account whose balance is not what the journal says, in words; ``None`` when all agree.
    """
    for account, bucket in sorted(rebuilt.keys() | kept.keys()):
        by_journal = rebuilt.get((account, bucket), (0, 0, 0))
        by_account = kept.get((account, bucket), (0, 0, 0))
        for name, expected, found in zip(("reserved", "spent", "overrun"), by_journal, by_account, strict=True):
            if expected != found:
                window = f" per {account.window}, bucket {bucket}" if account.window else ""
                return (
                    f"{account.scope} {account.meter}{window}: {name} is {found:,}, "
                    f"and the journal adds up to {expected:,}"
                )
    return None
