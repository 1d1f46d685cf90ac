"""
What a refusal knows beside its own fields: the history of its run, and what was finished by then.
"""

import pickle
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from solvent.report import Report


class RefusalHistory:
    """
    Of ``BudgetExceeded``; kept under names of its own, which no answer over HTTP tells.
    """

    @property
    def report(self) -> "Report | None":
        """
        What the run of the refused call spent until now, of what, on which models; ``None`` where no ledger of this
        process knows.

        Raises:
            StoreUnavailable, LedgerCorrupt: The journal cannot be read.
        """
        history: Callable[[], Report | None] | None = self.__dict__.get("_history")
        return self.__dict__.get("_report") if history is None else history()

    @property
    def results(self) -> Mapping[int, object]:
        """
        Of a fan-out that was refused, what its branches gave that had finished, by their place among its items.
        """
        found: Mapping[int, object] = self.__dict__.get("_results", {})
        return found

    def remember(self, *, history: "Callable[[], Report | None]") -> None:
        """
        Keep where the history of its run is to be had.
        """
        self.__dict__.setdefault("_history", history)

    def with_results(self, results: Mapping[int, object]) -> Self:
        """
        This refusal with what had finished by then; a new one, from this one, where it has results already.
        """
        if "_results" not in self.__dict__:
            self.__dict__["_results"] = dict(results)
            return self
        outer = type(self).__new__(type(self))
        outer.__dict__.update(self.__dict__, _results=dict(results))
        outer.__dict__.pop("__notes__", None)
        BaseException.__init__(outer, str(self))  # type: ignore[arg-type]  # It is one, by the class that it is mixed into.
        outer.__cause__ = self  # type: ignore[attr-defined]
        return outer

    def _kept(self) -> dict[str, Any]:
        """
        The fields that go with it to another process: the history as it is now in the place of where it is to be had,
        and no results that cannot be pickled.
        """
        fields = dict(self.__dict__)
        if fields.pop("_history", None) is not None:
            with suppress(Exception):  # Whatever is wrong with the ledger, the refusal itself goes on.
                fields["_report"] = self.report
        try:
            pickle.dumps(fields.get("_results"))
        except Exception:  # Programs' own objects raise anything.
            del fields["_results"]
        return fields
