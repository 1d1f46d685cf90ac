"""
Step by step through runs side by side: each call is made when it is known what was spent before.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import numpy as np

from solvent.forecast._chances import Floats
from solvent.forecast._simulate._account import Account, Flags
from solvent.forecast._simulate._draws import Chunk, Ints, Lanes, Number, by_lane, seconds
from solvent.forecast._simulate._ladder import Ladder
from solvent.forecast._simulate._notes import Notes
from solvent.forecast._simulate._runs import Rules
from solvent.forecast._simulate._sites import (
    BranchSite,
    CallSite,
    LoopSite,
    MapSite,
    ParSite,
    Plan,
    RetrySite,
    Site,
    Sites,
    SpawnSite,
    ToolSite,
)
from solvent.forecast._simulate._spent import Entry, Spent
from solvent.forecast._simulate._talk import Talk
from solvent.forecast._simulate._turns import children_of, items_of, rounds_of
from solvent.forecast._simulate._workers import Workers


class Walk:
    """
    Places that go the same way, each until its end or a limit.

    Attributes:
        blocked: Those that a limit ended.
    """

    def __init__(self, plan: Plan, chunk: Chunk, lanes: Lanes, notes: Notes, rules: Rules | None = None) -> None:
        self._chunk, self._lanes, self._notes = chunk, lanes, notes
        self._rules = rules or Rules()
        self._accounts = {"": self._account(self._rules.run)}
        self._scopes = {*plan.scopes, *self._rules.steps}
        self._open = [self._accounts[""]]
        self._ladder = Ladder(self._rules.degrade, plan.prices, len(lanes))
        self._clock, self._input = np.zeros(len(lanes)), np.zeros(len(lanes))
        self.blocked: Flags = np.zeros(len(lanes), np.bool_)

    @property
    def degraded(self) -> Flags:
        return self._ladder.degraded

    def spent(self) -> Spent:
        """
        What they spent until now.
        """
        spent, run = Spent(), self._accounts[""]
        spent.usd, spent.usd_peak, spent.tokens, spent.tokens_peak = run.usd, run.usd_peak, run.tokens, run.tokens_peak
        spent.input, spent.seconds = self._input, self._clock
        spent.calls, spent.retries, spent.branches = run.calls, run.retries, run.branches
        spent.scopes = [
            Entry(path, np.arange(len(self._lanes)), a.usd, a.usd_peak, a.tokens, a.tokens_peak, a.calls, a.retries)
            for path, a in self._accounts.items()
            if path
        ]
        return spent

    def all_of(self, sites: Sites, at: Ints, talk: Talk | None = None, *, repeats: bool = False) -> None:
        """
        Go through a sequence.

        Args:
            talk: Of the growing loop that it is part of.
            repeats: It is part of a further attempt.
        """
        for site in sites:
            at = self._going(at)
            if not len(at):
                return
            self._step(site, at, talk, repeats)

    def _going(self, at: Ints) -> Ints:
        return at[~self.blocked[at]] if self._rules.act else at

    def _step(self, site: Site, at: Ints, talk: Talk | None, repeats: bool) -> None:
        match site:
            case CallSite():
                with self._in(site.path):
                    self._call(site, at, talk, repeats)
            case ToolSite():
                with self._in(site.path):
                    self._tool(site, at, talk, repeats)
            case BranchSite():
                self._branch(site, at, talk, repeats)
            case RetrySite():
                with self._in(site.path):
                    self._retry(site, at, talk, repeats)
            case LoopSite():
                rounds = rounds_of(site, self._chunk, self._lanes.at(at))
                self._notes.turns(site.path, self._lanes.at(at), rounds, rounds)
                with self._in(site.path):
                    self.turns(site, at, rounds, repeats=repeats)
            case MapSite():
                with self._in(site.path):
                    self._map(site, at, repeats)
            case ParSite():
                self._par(site, at, repeats)
            case SpawnSite():
                with self._in(site.path):
                    self._agents(site, at, 1, repeats)

    @contextmanager
    def _in(self, path: str) -> Iterator[None]:
        if path not in self._scopes:
            yield
            return
        if path not in self._accounts:
            self._accounts[path] = self._account(self._rules.steps.get(path, {}))
        self._open.append(self._accounts[path])
        yield
        self._open.pop()

    def _call(self, site: CallSite, at: Ints, talk: Talk | None, repeats: bool) -> None:
        if not site.history or talk is None:
            prompt = self._drawn(site.prompt, at)
            self._made(site, at, prompt, np.zeros(len(at)), site.output, repeats)
            return
        prompt = talk.prompt(site, at, self._chunk, self._lanes)
        too_long = talk.too_long(at, prompt)
        if len(too_long) and talk.compact_to is not None:
            some = at[too_long]
            done, written = self._made_in(talk, site, some, prompt[too_long], talk.compact_to, repeats)
            talk.sum_up(done, written)
            left = ~self.blocked[at]
            at, prompt = at[left], prompt[left]
        done, written = self._made_in(talk, site, at, prompt, site.output, repeats)
        talk.add(done, written)

    def _made_in(
        self, talk: Talk, site: CallSite, at: Ints, prompt: Floats, output: Number, repeats: bool
    ) -> tuple[Ints, Floats]:
        history, again = talk.history[at], talk.again(site, at, prompt)
        made, written = self._made(site, at, prompt + history, again, output, repeats, talk)
        talk.was_sent(site, made)
        return made, written

    def _made(
        self,
        site: CallSite,
        at: Ints,
        reads: Floats,
        again: Floats,
        number: Number,
        repeats: bool,
        talk: Talk | None = None,
    ) -> tuple[Ints, Floats]:
        """
        Make calls as far as the limits let them through: where they were made, and what they wrote.
        """
        lanes = self._lanes.at(at)
        output = self._drawn(number, at)
        asked = self._ladder.asked(
            site, at, reads, again, np.broadcast_to(number.most(lanes), len(at)), talk, self._open
        )
        fits = self._in_time(at)
        for account in self._open:
            fits = fits & account.usd_fits(at, asked.bound_usd)
            fits = fits & account.rest_fits(at, asked.bound_tokens, 1, int(repeats))
        self.blocked[at] = ~fits
        made = np.flatnonzero(fits)
        if len(made) < len(at):
            at, reads, output, lanes, asked = at[made], reads[made], output[made], lanes.at(made), asked.at(made)
        if not len(at):
            return at, output
        usd = self._ladder.usd(site, at, asked, reads, output, self._chunk.random, talk)
        for account in self._open:
            account.spend(at, usd, asked.bound_usd, reads + output, asked.bound_tokens)
            account.calls[at] += 1
            account.retries[at] += repeats
        self._input[at] += reads
        self._clock[at] += seconds(site.seconds, self._chunk, len(at), output)
        self._notes.cost(site.path, lanes, usd)
        self._notes.call(asked.bound_usd, reads)
        return at, output

    def _tool(self, site: ToolSite, at: Ints, talk: Talk | None, repeats: bool) -> None:
        if site.usd:
            fits = self._in_time(at)
            for account in self._open:
                fits = fits & account.usd_fits(at, site.usd) & account.rest_fits(at, 0.0, 1, int(repeats))
            self.blocked[at] = ~fits
            at = at[fits]
            for account in self._open:
                account.spend(at, site.usd, site.usd, 0.0, 0.0)
                account.calls[at] += 1
                account.retries[at] += repeats
            self._notes.cost(site.path, self._lanes.at(at), site.usd)
        self._clock[at] += seconds(site.seconds, self._chunk, len(at), 0.0)
        if talk is not None and site.result is not None:
            talk.add(at, self._drawn(site.result, at))

    def _in_time(self, at: Ints) -> Flags:
        if self._rules.seconds is None:
            return np.ones(len(at), np.bool_)
        return self._clock[at] < self._rules.seconds

    def _branch(self, site: BranchSite, at: Ints, talk: Talk | None, repeats: bool) -> None:
        lanes = self._lanes.at(at)
        drawn, before = self._chunk.uniform(lanes, site.row), np.zeros(len(at))
        for reached, do in zip(site.reached, site.options, strict=True):
            here = np.broadcast_to(by_lane(reached, lanes), len(at))
            self.all_of(do, at[(drawn >= before) & (drawn < here)], talk, repeats=repeats)
            before = here

    def _retry(self, site: RetrySite, at: Ints, talk: Talk | None, repeats: bool) -> None:
        attempt = 1
        self.all_of(site.do, at, talk, repeats=repeats)
        while attempt != site.most and len(at := self._going(at)):
            fail = by_lane(site.fail[min(attempt, len(site.fail)) - 1], self._lanes.at(at))
            at = at[self._chunk.random.random(len(at)) < fail]
            self.all_of(site.do, at, talk, repeats=True)
            attempt += 1

    def turns(self, site: LoopSite, at: Ints, rounds: Ints, *, repeats: bool = False) -> None:
        """
        The rounds of a loop.
        """
        talk = Talk(site, len(self._lanes)) if site.grows else None
        for number in range(int(rounds.max(initial=0))):
            self.all_of(site.do, at[rounds > number], talk, repeats=repeats)

    def _map(self, site: MapSite, at: Ints, repeats: bool) -> None:
        items = items_of(site, self._chunk, self._lanes.at(at))
        self._notes.turns(site.path, self._lanes.at(at), items, items)
        at, items = self._side_by_side(at, items)
        workers = Workers(self._clock, at, site.concurrency, items)
        for number in range(int(items.max(initial=0))):
            some = np.flatnonzero(items > number)
            workers.begin(some)
            self.all_of(site.do, at[some], repeats=repeats)
            workers.end(some)
        workers.join()

    def _side_by_side(self, at: Ints, counts: Ints) -> tuple[Ints, Ints]:
        """
        Those that the limits of branches let through, with how many they have.
        """
        fits = np.ones(len(at), np.bool_)
        for account in self._open:
            fits &= account.branches_fit(at, counts)
        self.blocked[at] = ~fits
        at, counts = at[fits], counts[fits]
        for account in self._open:
            account.branches[at] += counts
        return at, counts

    def _par(self, site: ParSite, at: Ints, repeats: bool) -> None:
        at, _ = self._side_by_side(at, np.full(len(at), len(site.parts)))
        workers, all_of_them = Workers(self._clock, at, None, at), np.arange(len(at))
        for part in site.parts:
            workers.begin(all_of_them)
            self.all_of(part, at, repeats=repeats)
            workers.end(all_of_them)
        workers.join()

    def _agents(self, site: SpawnSite, at: Ints, level: int, repeats: bool) -> None:
        self.all_of(site.do, at, repeats=repeats)
        at = self._going(at)
        lanes, children = self._lanes.at(at), np.zeros(len(at), np.intp)
        if level != site.most and len(at):
            children = children_of(site, self._chunk, lanes, level)
        self._notes.turns(site.path, lanes, np.ones(len(at), np.intp), children)
        at, children = self._side_by_side(at, children)
        workers = Workers(self._clock, at, site.concurrency, children)
        for number in range(int(children.max(initial=0))):
            some = np.flatnonzero(children > number)
            workers.begin(some)
            self._agents(site, self._going(at[some]), level + 1, repeats)
            workers.end(some)
        workers.join()

    def _drawn(self, number: Number, at: Ints) -> Floats:
        return np.array(np.broadcast_to(number.draw(self._chunk, self._lanes.at(at)), len(at)))

    def _account(self, limits: Mapping[str, float]) -> Account:
        return Account(len(self._lanes), limits, reserve=self._rules.reserve)
