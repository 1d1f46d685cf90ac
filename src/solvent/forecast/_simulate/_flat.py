"""
All steps of all runs at once: what is drawn does not hang on what was spent before.
"""

import numpy as np

from solvent.forecast._chances import Floats
from solvent.forecast._simulate._draws import Chunk, Ints, Lanes, Value, by_lane, seconds
from solvent.forecast._simulate._notes import Notes
from solvent.forecast._simulate._side_by_side import side_by_side
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
from solvent.forecast._simulate._spent import Groups, Spent, in_pieces, plus
from solvent.forecast._simulate._turns import children_of, items_of, rounds_of
from solvent.forecast._simulate._walk import Walk


class Flat:
    """
    One chunk of runs.
    """

    def __init__(self, plan: Plan, chunk: Chunk, runs: int) -> None:
        self._plan, self._chunk = plan, chunk
        self.notes = Notes(plan, runs)

    def all_of(self, sites: Sites, lanes: Lanes) -> Spent:
        """
        What a sequence spends at each place.
        """
        spent = Spent()
        if len(lanes):
            for site in sites:
                self._add(site, lanes, spent)
        return spent

    def _add(self, site: Site, lanes: Lanes, spent: Spent) -> None:
        match site:
            case CallSite():
                spent.then(self._call(site, lanes))
            case ToolSite():
                spent.then(self._tool(site, lanes))
            case BranchSite():
                self._branch(site, lanes, spent)
            case RetrySite():
                self._retry(site, lanes, spent)
            case LoopSite():
                spent.then(self._loop(site, lanes))
            case MapSite():
                spent.then(self._map(site, lanes))
            case ParSite():
                self._par(site, lanes, spent)
            case SpawnSite():
                spent.then(self._spawn(site, lanes))

    def _call(self, site: CallSite, lanes: Lanes) -> Spent:
        prompt, output = site.prompt.draw(self._chunk, lanes), site.output.draw(self._chunk, lanes)
        return self._priced(site, lanes, prompt, 0.0, output, site.price.usd(prompt, output))

    def _priced(self, site: CallSite, lanes: Lanes, reads: Value, again: Value, output: Value, usd: Value) -> Spent:
        most, price, spent = site.output.most(lanes), site.price, Spent()
        bound = price.bound_tokens(reads, again)
        spent.usd, spent.usd_peak = usd, price.bound_usd(bound, most)
        spent.tokens, spent.tokens_peak = reads + output, plus(bound, most)
        spent.input, spent.calls = reads, 1.0
        spent.seconds = seconds(site.seconds, self._chunk, len(lanes), output)
        self.notes.cost(site.path, lanes, usd)
        self.notes.call(spent.usd_peak, reads)
        return spent

    def _tool(self, site: ToolSite, lanes: Lanes) -> Spent:
        spent = Spent()
        spent.usd = spent.usd_peak = site.usd
        spent.calls = float(site.usd > 0)
        spent.seconds = seconds(site.seconds, self._chunk, len(lanes), 0.0)
        self.notes.cost(site.path, lanes, site.usd)
        return spent

    def _branch(self, site: BranchSite, lanes: Lanes, spent: Spent) -> None:
        drawn = self._chunk.uniform(lanes, site.row)
        before: Value = 0.0
        for reached, do in zip(site.reached, site.options, strict=True):
            here = by_lane(reached, lanes)
            at = (
                np.flatnonzero((drawn >= before) & (drawn < here))
                if do is not site.options[0]
                else np.flatnonzero(drawn < here)
            )
            before = here
            if len(at):
                spent.then_at(at, self.all_of(do, lanes.at(at)), len(lanes))

    def _retry(self, site: RetrySite, lanes: Lanes, spent: Spent) -> None:
        """
        The first attempt of all, and further ones of the few that failed.
        """
        count, left, attempt = len(lanes), None, 1
        spent.then(self.all_of(site.do, lanes))
        while attempt != site.most:
            fail = by_lane(site.fail[min(attempt, len(site.fail)) - 1], lanes)
            failed = np.flatnonzero(self._chunk.random.random(len(lanes)) < fail)
            if not len(failed):
                break
            lanes, left = lanes.at(failed), failed if left is None else left[failed]
            again = self.all_of(site.do, lanes)
            again.retries = again.calls.copy() if isinstance(again.calls, np.ndarray) else again.calls
            again.scopes = [entry._replace(retries=entry.calls) for entry in again.scopes]
            spent.then_at(left, again, count)
            attempt += 1

    def _par(self, site: ParSite, lanes: Lanes, spent: Spent) -> None:
        longest: Value = 0.0
        for part in site.parts:
            done = self.all_of(part, lanes)
            longest, done.seconds = np.maximum(longest, done.seconds), 0.0
            spent.then(done)
        whole = Spent()
        whole.branches, whole.seconds = float(len(site.parts)), longest if np.ndim(longest) else float(longest)
        spent.then(whole)

    def _loop(self, site: LoopSite, lanes: Lanes) -> Spent:
        rounds = rounds_of(site, self._chunk, lanes)
        self.notes.turns(site.path, lanes, rounds, rounds)

        def body(lanes: Lanes, rounds: Ints) -> Spent:
            if site.grows and not site.is_plain:
                walk = Walk(self._plan, self._chunk, lanes, self.notes)
                walk.turns(site, np.arange(len(lanes)), rounds)
                return walk.spent()
            groups, places = Groups(rounds), lanes.repeat(rounds)
            each = self._talk(site, groups, places, lanes) if site.grows else self.all_of(site.do, places)
            spent = groups.fold(each)
            spent.seconds = groups.sum(each.seconds)
            return spent

        spent = in_pieces(lanes, rounds, body)
        spent.enter(site.path, len(lanes))
        return spent

    def _talk(self, site: LoopSite, groups: Groups, places: Lanes, lanes: Lanes) -> Spent:
        """
        All rounds of a loop with a growing history, every one of which adds to it at the same places.
        """
        chunk = self._chunk
        before: list[Value] = []
        drawn: list[Value] = []
        added: Value = 0.0
        for inner in site.do:
            tokens: Value = 0.0
            if isinstance(inner, CallSite) and inner.history:
                tokens = inner.output.draw(chunk, places)
            elif isinstance(inner, ToolSite) and inner.result is not None:
                tokens = inner.result.draw(chunk, places)
            before.append(added)
            drawn.append(tokens)
            added = added + tokens
        history = groups.before_in(added)
        talking = [number for number, inner in enumerate(site.do) if isinstance(inner, CallSite) and inner.history]
        spent, sent = Spent(), np.zeros(groups.total)
        if talking:
            sent[1:] = (history + before[talking[-1]])[:-1]
            sent[groups.starts] = 0
        for number, inner in enumerate(site.do):
            if isinstance(inner, CallSite) and inner.history:
                prompt = groups.repeat(inner.prompt.draw(chunk, lanes))
                again = sent + prompt
                again[groups.starts] = sent[groups.starts]
                sent = history + before[number]
                reads = sent + prompt
                spent.then(self._again(inner, places, reads, again, drawn[number]))
            else:
                self._add(inner, places, spent)
        return spent

    def _again(self, site: CallSite, places: Lanes, reads: Floats, again: Floats, output: Value) -> Spent:
        found: Value = 1.0
        if 0 < site.price.cached < 1:
            found = (self._chunk.random.random(len(places)) < site.price.cached).astype(np.float64)
        usd = site.price.usd_of_history(reads, again, output, found)
        return self._priced(site, places, reads, again, output, usd)

    def _map(self, site: MapSite, lanes: Lanes) -> Spent:
        items = items_of(site, self._chunk, lanes)
        self.notes.turns(site.path, lanes, items, items)

        def body(lanes: Lanes, items: Ints) -> Spent:
            return _branched(Groups(items), self.all_of(site.do, lanes.repeat(items)), site.concurrency)

        spent = in_pieces(lanes, items, body)
        spent.enter(site.path, len(lanes))
        return spent

    def _spawn(self, site: SpawnSite, lanes: Lanes) -> Spent:
        spent = self._agents(site, lanes, 1)
        spent.enter(site.path, len(lanes))
        return spent

    def _agents(self, site: SpawnSite, lanes: Lanes, level: int) -> Spent:
        """
        Agents of one level, and all below them.
        """
        spent = self.all_of(site.do, lanes)
        children = np.zeros(len(lanes), np.intp)
        if level != site.most:
            children = children_of(site, self._chunk, lanes, level)
        self.notes.turns(site.path, lanes, np.ones(len(lanes), np.intp), children)

        def body(lanes: Lanes, children: Ints) -> Spent:
            below = self._agents(site, lanes.repeat(children), level + 1)
            return _branched(Groups(children), below, site.concurrency)

        if children.any():
            spent.then(in_pieces(lanes, children, body))
        return spent


def _branched(groups: Groups, each: Spent, workers: int | None) -> Spent:
    """
    What is done side by side.
    """
    spent = groups.fold(each)
    spent.seconds = side_by_side(groups, each.seconds, workers)
    spent.branches = np.add(spent.branches, groups.counts, dtype=np.float64)
    return spent
