"""
Which names of a bill and of the journal are one model.
"""

from collections.abc import Callable, Collection, Iterator, Mapping

from msgspec import Struct

from solvent.reconcile._records import NOT_TOLD, Billed, Booked, Key


class Names(Struct, frozen=True):
    """
    Under which name a row stands, by the names of the bill and by those of the journal, and what was joined, in words.
    """

    bill: Mapping[str, str]
    journal: Mapping[str, str]
    said: tuple[str, ...]


def match(bill: Mapping[Key, Billed], journal: Mapping[Key, Booked], canonical: Callable[[str], str | None]) -> Names:
    """
    Names that are the same are one model. So are names of one entry of the price data, where the bill does not have the
    one that the journal has.

    Args:
        canonical: The model's name in the price data; ``None`` where that has none.
    """
    if costs_name_no_model(bill):
        everything = {model: NOT_TOLD for _, model in (*bill, *journal)}
        return Names(everything, everything, ("The bill tells no models, so all of a day are compared together.",))
    billed, booked = _names(bill), _names(journal)
    of_bill, of_journal, said = {}, {}, []
    for entry, names in sorted(_by_entry(billed | booked, canonical).items()):
        ours, theirs = names & booked, names & billed
        priced = {model for (_, model), cell in bill.items() if model in theirs and cell.lines}
        counted = {model for (_, model), cell in bill.items() if model in theirs and cell.tokens is not None}
        is_split = priced and counted and not priced & counted  # Costs and usage came under two names.
        if not is_split and (ours <= theirs or len(names) == 1):
            continue
        row = next(iter(theirs)) if len(theirs) == 1 else entry
        of_bill.update(dict.fromkeys(theirs, row))
        of_journal.update(dict.fromkeys(ours, row))
        said.append(f"{' and '.join(sorted(names))} are taken as one model, {row}.")
    return Names(of_bill, of_journal, tuple(said))


def costs_name_no_model(bill: Mapping[Key, Billed]) -> bool:
    return {model for (_, model), cell in bill.items() if cell.lines} == {NOT_TOLD}


def _names(cells: Collection[Key]) -> set[str]:
    return {model for _, model in cells}


def _by_entry(names: Collection[str], canonical: Callable[[str], str | None]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for name, entry in _entries(names, canonical):
        found.setdefault(entry, set()).add(name)
    return found


def _entries(names: Collection[str], canonical: Callable[[str], str | None]) -> Iterator[tuple[str, str]]:
    for name in names:
        entry = canonical(name) if name != NOT_TOLD else None
        if entry is not None:
            yield name, entry
