"""
What a process that is started here goes on with: the budget of the code that starts it.

A program gets it by its environment. In a ``solvent run`` that leads it to an address of the gateway which stands for
the budget; elsewhere it names the budget's scope and ledger, for whoever asks ``solvent.install()`` or ``solvent run``.
"""

import logging
import os
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

from solvent._block import OPEN, Block, innermost
from solvent._carrier import LEDGER_VARIABLE, SCOPE_VARIABLE, Carrier
from solvent._limits import Scope
from solvent._opened import carried_by, way_in
from solvent._outer import GATEWAY, outer_gateway
from solvent._place import current_place
from solvent._runtime import PROCESS
from solvent.errors import SettingsError
from solvent.instrument._lost import tell_lost
from solvent.stores import is_shared

Environment: TypeAlias = Mapping[Any, Any]  # Its words may be texts, bytes and paths.

_log = logging.getLogger("solvent")
_told: set[str] = set()  # What keeps a budget from reaching other processes is logged once.


def environment(given: Environment | None) -> tuple[Environment | None, Block | None]:
    """
    The environment of a program that is started here, and the block that it belongs to.

    Args:
        given: What its caller would have it be; one that names a scope of its own keeps that.

    Raises:
        SettingsError: In strict mode, where the budget cannot reach it.
        Unbounded: In strict mode, where nobody can say which budget it is.
    """
    inherited = os.environ.get(SCOPE_VARIABLE)
    if inherited is None and not OPEN.blocks() and innermost() is None:
        return given, None
    words = {os.fsdecode(name): os.fsdecode(word) for name, word in (os.environ if given is None else given).items()}
    found = block_here() if words.get(SCOPE_VARIABLE, inherited) == inherited else _named(words)
    if found is not None:
        more = _in_run(words, *found) if outer_gateway() is not None else _by_ledger(*found)
    else:
        more = _inherited() if SCOPE_VARIABLE not in words else None
    return (given, None) if more is None else ({**words, **more}, found[0] if found is not None else None)


def block_here() -> tuple[Block, Scope] | None:
    """
    The block that code here belongs to, with the scope of it that is meant; ``None`` outside of budgets.

    Raises:
        Unbounded: In strict mode, where nobody can say which it is.
    """
    blocks = OPEN.blocks()
    block = innermost() or (blocks[0] if len(blocks) == 1 else None)
    if block is not None or not blocks:
        return None if block is None else (block, block.scope)
    place = current_place()
    tell_lost(str(place.scope), place.lost_among, place.runtime.guard.listeners)
    return next(((each, place.scope) for each in blocks if each.scope.is_in(place.scope)), None)


def carrier_of(block: Block, scope: Scope) -> Carrier | None:
    """
    What stands for a block in other processes; ``None`` where it cannot reach them, which is told.

    Raises:
        SettingsError: In strict mode, where it cannot.
    """
    try:
        return carried_by(block, scope)
    except SettingsError as error:
        _unreached(error)
        return None


def check_shared(block: Block) -> None:
    """
    Tell of a block whose ledger a forked process has a copy of, so that nobody adds up what both spend.

    Raises:
        SettingsError: In strict mode.
    """
    if block.kept_by is not None and not is_shared(block.kept_by.ledger.store.url):
        carrier_of(block, block.scope)


def _named(words: Mapping[str, str]) -> tuple[Block, Scope] | None:
    """
    The open block that an environment names by itself.
    """
    named = words.get(SCOPE_VARIABLE, "")
    return next(
        ((each, each.scope) for each in _known() if Carrier.of(each.scope, {}) == named.partition(";")[0]), None
    )


def _known() -> Iterator[Block]:
    block = innermost()
    while block is not None:
        yield block
        block = block.outer
    yield from OPEN.blocks()


def _inherited() -> Mapping[str, str] | None:
    """
    What this process has from its own environment, where the one that is given for another leaves it out.
    """
    if outer_gateway() is not None:
        return None
    return {name: os.environ[name] for name in (SCOPE_VARIABLE, LEDGER_VARIABLE) if name in os.environ} or None


def _by_ledger(block: Block, scope: Scope) -> Mapping[str, str] | None:
    carrier = carrier_of(block, scope)
    return None if carrier is None else carrier.environ


def _in_run(words: Mapping[str, str], block: Block, scope: Scope) -> Mapping[str, str] | None:
    if block.below is None:
        _unreached(
            SettingsError(
                where=f"the ledger of {block.scope}",
                expected="that of the `solvent run` around this process, whose gateway holds what is started here",
                got=block.runtime.ledger.store.url,
                hint="leave ledger out, or run the program outside of `solvent run`",
            )
        )
        return None
    inner = next((way_in(each) for each in _known() if each.scope == scope), "")
    outer = outer_gateway()
    if not inner or outer is None:  # What several budgets have in common is the run, whose address it has already.
        return None
    led = {name: word.replace(outer, inner) for name, word in words.items() if outer in word}
    ledger = os.environ.get(LEDGER_VARIABLE)
    return led | {GATEWAY: inner, SCOPE_VARIABLE: str(scope)} | ({LEDGER_VARIABLE: ledger} if ledger else {})


def _unreached(error: SettingsError) -> None:
    if PROCESS.is_strict:
        raise error
    if error.got not in _told:
        _told.add(error.got)
        _log.warning("a process that is started in a budget is not held to it: %s", error)
