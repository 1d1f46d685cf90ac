"""
What the calls of a growing loop have in common, as far as the least and the most of it are known.
"""

import math

from msgspec import Struct
from msgspec.structs import replace

from solvent.forecast._intervals import NOTHING, Interval, product
from solvent.forecast._model import Call, Compaction
from solvent.forecast._weights import Measure, Weight, weights


class Talk(Struct, frozen=True, kw_only=True):
    """
    Attributes:
        history: Tokens.
        new: Those of them that no call has sent.
        sent, maybe_sent: The calls by path whose prompt was sent, for sure or perhaps.
    """

    compaction: Compaction | None = None
    history: Interval = NOTHING
    new: Interval = NOTHING
    sent: frozenset[str] = frozenset()
    maybe_sent: frozenset[str] = frozenset()

    def added(self, tokens: Interval) -> "Talk":
        return replace(self, history=self.history + tokens, new=self.new + tokens)

    def called(self, path: str) -> "Talk":
        return replace(self, new=NOTHING, sent=self.sent | {path}, maybe_sent=self.maybe_sent | {path})

    def summed_up(self, path: str, summary: Interval) -> "Talk":
        return replace(self.called(path), history=summary, new=summary)

    def up_to(self, most: float) -> "Talk":
        cap = Interval(most, most)
        return replace(self, history=self.history.at_most(cap), new=self.new.at_most(cap))

    def endless(self) -> "Talk":
        history = Interval(self.history.low, math.inf)
        return replace(self, history=history, new=history)

    def moved(self, tokens: tuple[Interval, Interval], times: int) -> "Talk":
        """
        With so many more in the history, and among the new ones, so many times.
        """
        of_history, of_new = tokens
        return replace(self, history=self.history.moved(of_history, times), new=self.new.moved(of_new, times))

    def until(self, later: "Talk") -> tuple[Interval, Interval]:
        return self.history.until(later.history), self.new.until(later.new)

    def or_else(self, other: "Talk") -> "Talk":
        return replace(
            self,
            history=self.history.or_else(other.history),
            new=self.new.or_else(other.new),
            sent=self.sent & other.sent,
            maybe_sent=self.maybe_sent | other.maybe_sent,
        )

    def written(self, path: str, prompt: Interval) -> Interval:
        """
        What a call sends that was not sent before.
        """
        least = 0.0 if path in self.maybe_sent else prompt.low
        most = 0.0 if path in self.sent else prompt.high
        return self.new + Interval(least, most)


class Reading(Struct, frozen=True):
    """
    What a call reads, and how much of it for the first time; ``None`` where it sends no history.
    """

    all: Interval
    written: Interval | None = None


def cost(call: Call, measure: Measure, reading: Reading, output: Interval) -> Interval:
    """
    The least and the most that a call costs.
    """
    rates = weights(call.model, measure)
    found = []
    for at, rate in enumerate(rates):
        most = rates[at + 1].above if at + 1 < len(rates) else math.inf
        reads = Interval(max(reading.all.low, rate.above + 1 if at else 0), min(reading.all.high, most))
        if reads.low <= reads.high:
            found.append(_at_rate(call, rate, Reading(reads, reading.written), output))
    return Interval(min(one.low for one in found), max(one.high for one in found))


def _at_rate(call: Call, rate: Weight, reading: Reading, output: Interval) -> Interval:
    written = Interval(rate.call, rate.call) + _priced(output, rate.output)
    if reading.written is None or call.model.cached == 0:
        return written + _priced(reading.all, rate.input)
    new = reading.written.at_most(reading.all)
    cheaper = rate.cache_write - rate.cache_read
    more = new if cheaper >= 0 else Interval(min(new.high, reading.all.low), new.low)
    read = _priced(reading.all, rate.cache_read) + _priced(more, cheaper)
    if call.model.cached < 1:
        read = read.or_else(_priced(reading.all, rate.cache_write))
    return written + read


def _priced(tokens: Interval, price: float) -> Interval:
    return Interval(product(tokens.low, price), product(tokens.high, price))
