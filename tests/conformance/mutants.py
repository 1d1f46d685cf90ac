"""
Stores that break one promise each, and the promise that has to notice.
"""

import threading
from collections.abc import Callable
from contextlib import nullcontext
from typing import NamedTuple

from msgspec.structs import replace

from solvent._limits import GAUGES
from solvent._operations import Refusal, Release, Reserve, Reserved, Settle, TopUp
from solvent._records import Terms
from solvent.stores._lanes import pack
from solvent.stores.memory import MemoryStore


class CheckThenAdd(MemoryStore):
    """
    Looks outside its lock whether a request fits, and adds inside.
    """

    def __init__(self, **options):
        super().__init__(**options)
        self._never = threading.Event()

    def apply(self, operations):
        return [
            answer for operation in operations for answer in super(CheckThenAdd, self).apply([self._checked(operation)])
        ]

    def _checked(self, operation):
        if not isinstance(operation, Reserve) or not self._books.plan(operation.terms).fits(pack(operation.amounts)):
            return operation
        self._never.wait(0.1)  # Long enough for all that come together to look before one of them adds.
        accounts = operation.terms.accounts
        return replace(operation, terms=Terms(accounts, (None,) * len(accounts)))


class NoLock(MemoryStore):
    """
    Lets threads in as they come. ``test_linearizable`` finds it, in many histories.
    """

    def __init__(self, **options):
        super().__init__(**options)
        self._lock = nullcontext()


class TornWrite(MemoryStore):
    """
    Is cut off between two places of a reservation.
    """

    def _reserve(self, operation):
        answer = super()._reserve(operation)
        if isinstance(answer, Reserved) and len(self._books.plan(operation.terms).tallies) > 1:
            self._books.plan(operation.terms).tallies[-1].used -= pack(operation.amounts)
        return answer


class TornJournal(MemoryStore):
    """
    Is cut off between a balance and its entry.
    """

    def _write(self, line, *about):
        super()._write(line, *about)
        if line.kind == "settle":
            self._journal.lines.pop()


class ReleasedOnExpiry(MemoryStore):
    """
    Takes what nobody closed for what nobody sent.
    """

    def expire(self, told=None):  # noqa: ARG002  # It has nothing to tell.
        now = self._clock.uptime_ns()
        due = [id for id, known in self._open.items() if known.deadline_ns < now]
        self.apply([Release(id=id, reason="expired") for id in due])
        return len(due)


class ForgetsBefore(MemoryStore):
    """
    Says of a closing how its accounts stood only after it.
    """

    def _answer(self, id, known, before=()):
        answer = super()._answer(id, known, before)
        return replace(answer, before=answer.balances) if before else answer


class RepeatedReserve(MemoryStore):
    """
    Counts a repeated reservation twice.
    """

    def _repeated(self, operation, known):
        known.plan.post(known.numbers, known.held)
        return super()._repeated(operation, known)


class RepeatedSettle(MemoryStore):
    """
    Counts a repeated settlement twice.
    """

    def _close_again(self, operation):
        known = self._closed.get(operation.id)
        if known is not None and known.state == "settled" and isinstance(operation, Settle):
            booked = pack(operation.actual)
            known.plan.post(known.numbers, booked, booked)
        return super()._close_again(operation)


class RepeatedCorrection(MemoryStore):
    """
    Corrects an expiry as often as it is told the truth.
    """

    def _close_again(self, operation):
        known = self._closed.get(operation.id)
        if known is not None and known.state == "corrected":
            known.state = "expired"
        return super()._close_again(operation)


class BorrowingLanes(MemoryStore):
    """
    Takes what does not fit into a meter's lane from the lane beside it, as integers do that have no guard between.
    """

    def _close_as(self, kind, id, known, reserved, spent, above, overrun, call):
        return super()._close_as(kind, id, known, reserved, spent - (above << 80), above, overrun, call)


class RefusedCounts(MemoryStore):
    """
    Adds to each account before it looks at the next.
    """

    def _reserve(self, operation):
        answer = super()._reserve(operation)
        if isinstance(answer, Refusal):
            self._books.plan(operation.terms).tallies[0].used += pack(operation.amounts)
        return answer


class RefusalBindsId(MemoryStore):
    """
    Remembers a refused id.
    """

    def __init__(self, **options):
        super().__init__(**options)
        self._refused = {}

    def _reserve(self, operation):
        known = self._refused.get(operation.id)
        if known is not None:
            return known
        answer = super()._reserve(operation)
        if isinstance(answer, Refusal):
            self._refused[operation.id] = answer
        return answer


class WallClock(MemoryStore):
    """
    Goes by the clock that people set.
    """

    def __init__(self, *, clock, **options):
        super().__init__(clock=_Wall(clock), **options)


class _Wall:
    def __init__(self, clock):
        self._clock = clock
        self.now_ns = self.uptime_ns = clock.now_ns
        self.boot_id = clock.boot_id


class ClampedOverrun(MemoryStore):
    """
    Books no more than was reserved.
    """

    def _close(self, operation):
        known = self._open.get(operation.id)
        if known is not None and isinstance(operation, Settle):
            held = known.request.amounts
            actual = {meter: min(amount, held.get(meter, amount)) for meter, amount in operation.actual.items()}
            operation = replace(operation, actual=actual)
        return super()._close(operation)


class SettlesToday(MemoryStore):
    """
    Books a settlement into the window that counts now.
    """

    def _close_as(self, kind, id, known, reserved, *rest):
        known.plan.move(self._now_ns())
        known.plan.post(known.numbers, reserved)
        known.numbers = known.plan.numbers
        return super()._close_as(kind, id, known, 0, *rest)


class OpenGauge(MemoryStore):
    """
    Leaves a call in the gauge when its reservation expires.
    """

    def expire(self, told=None):
        open = dict(self._open)
        count = super().expire(told)
        for id, known in open.items():
            if id not in self._open:
                gauge = pack({meter: known.request.amounts.get(meter, 0) for meter in GAUGES})
                known.plan.post(known.numbers, gauge)
        return count


class EndlessTopUp(MemoryStore):
    """
    Raises a limit for good, where only this window was meant.
    """

    def _adjust(self, operation):
        tally = self._books.tally(operation.account.place)
        if isinstance(operation, TopUp) and operation.account.window:
            tally.set_limit(operation.account.meter, 100 + operation.amount)
        return super()._adjust(operation)


class ResetByLimit(MemoryStore):
    """
    Begins to count anew when a limit changes.
    """

    def _adjust(self, operation):
        answer = super()._adjust(operation)
        tally = self._books.tally(operation.account.place)
        tally.used = tally.spent = 0
        return answer


class BrokenBatch(MemoryStore):
    """
    Gives the rest of a batch up when one operation fails.
    """

    def apply(self, operations):
        answers = super().apply(operations[:1])
        if len(operations) == 1:
            return answers
        if isinstance(answers[0], Exception):
            return answers * len(operations)
        return answers + self.apply(operations[1:])


class Row(NamedTuple):
    """
    Attributes:
        promises: Tests of ``StorePromises`` that fail on it.
        is_found_by_machine: Whether the state machine finds it too; it has one thread.
    """

    mutant: Callable[..., MemoryStore]
    promises: tuple[str, ...]
    is_found_by_machine: bool = True


MUTANTS = (
    Row(BorrowingLanes, ("test_an_overrun_takes_nothing_from_another_meter",)),
    Row(BrokenBatch, ("test_an_operation_that_fails_costs_no_other",)),
    Row(
        CheckThenAdd,
        ("test_threads_together_pass_no_limit", "test_concurrent_answers_are_those_of_one_order"),
        is_found_by_machine=False,
    ),
    Row(ClampedOverrun, ("test_what_was_spent_is_booked_above_the_limit_and_admits_nothing_more",)),
    Row(EndlessTopUp, ("test_a_top_up_is_for_the_window_that_counts_now",)),
    Row(
        ForgetsBefore,
        ("test_a_closing_tells_how_its_accounts_stood_right_before", "test_what_expires_is_told_as_it_was_closed"),
    ),
    Row(OpenGauge, ("test_the_gauge_of_open_calls_closes_at_0_on_every_path",)),
    Row(RefusalBindsId, ("test_a_refusal_binds_no_id",)),
    Row(RefusedCounts, ("test_all_limits_hold_or_no_balance_changes",)),
    Row(ReleasedOnExpiry, ("test_what_expires_is_charged_in_full",)),
    Row(RepeatedCorrection, ("test_the_truth_that_comes_after_an_expiry_is_one_correction",)),
    Row(RepeatedReserve, ("test_the_same_id_gives_the_same_answer_and_counts_once",)),
    Row(RepeatedSettle, ("test_closing_twice_gives_the_first_answer_again",)),
    Row(ResetByLimit, ("test_a_change_of_a_limit_resets_no_use",)),
    Row(SettlesToday, ("test_a_reservation_belongs_to_the_window_it_was_made_in",)),
    Row(TornJournal, ("test_sums_over_the_journal_equal_the_balances",)),
    Row(TornWrite, ("test_every_meter_of_every_account_changes_or_none",)),
    Row(
        WallClock,
        ("test_a_step_of_the_wall_clock_expires_nothing_and_refills_nothing", "test_a_calendar_window_never_goes_back"),
    ),
)
