"""
All that a run of a small workflow can spend, with its chance: every outcome is followed, none is drawn.

    spends(workflow, "usd")  # {picodollars: chance}; tokens and calls are counted in 10**12 of one, too
"""

from collections import defaultdict
from dataclasses import dataclass, replace

from solvent.forecast._chances import chances
from solvent.forecast._model import Branch, Call, Compaction, Loop, Map, Par, Retry, Spawn, Tool

ONE = 10**12


@dataclass(frozen=True)
class Talk:
    """
    What the calls of a growing loop have in common; what was ``sent`` of its history is a beginning of it.
    """

    history: int = 0
    sent: int = 0
    prompts: tuple = ()  # (path, tokens)
    compaction: Compaction | None = None


def spends(workflow, measure="usd"):
    found = defaultdict(float)
    for index, share in enumerate(workflow.shares):
        for inputs, chance in _inputs(workflow, index):
            for (spent, _), part in (
                _Run(workflow, measure, index, inputs).all(workflow.graph, {(0, None): 1.0}).items()
            ):
                found[spent] += share * chance * part
    return {spent: chance for spent, chance in sorted(found.items()) if chance > 0}


def mean_of(found):
    return sum(spent * chance for spent, chance in found.items()) / ONE


def sd_of(found):
    mean = mean_of(found)
    return sum((spent / ONE - mean) ** 2 * chance for spent, chance in found.items()) ** 0.5


def _values(count):
    table = chances(count)
    return [(table.least + at, float(chance)) for at, chance in enumerate(table.of) if chance > 0]


def _inputs(workflow, index):
    found = [({}, 1.0)]
    for name, counts in workflow.inputs.items():
        found = [({**known, name: value}, p * q) for known, p in found for value, q in _values(counts[index])]
    return found


class _Run:
    """
    Every step takes all states that a run can be in, each with its chance, to those after it.
    """

    def __init__(self, workflow, measure, index, inputs):
        self.workflow, self.measure, self.index, self.inputs = workflow, measure, index, inputs

    def all(self, blocks, states):
        for block in blocks:
            states = self.block(block, states)
        return states

    def block(self, block, states):
        found = defaultdict(float)
        for (spent, talk), chance in states.items():
            for (more, after), part in self.ends(block, talk).items():
                found[spent + more, after] += chance * part
        return found

    def ends(self, block, talk):
        match block:
            case Call(history=True):
                return self.growing(block, talk)
            case Call():
                return self.sum_up(
                    [
                        ((self.cost(block, prompt, 0, prompt, output, False), talk), p * q)
                        for prompt, p in _values(block.prompt[self.index])
                        for output, q in _values(block.output[self.index])
                    ]
                )
            case Tool():
                counted = {"usd": block.cost_nanodollars * 1_000, "calls": ONE * (block.cost_nanodollars > 0)}
                cost = counted.get(self.measure, 0)
                if talk is None or block.result is None:
                    return {(cost, talk): 1.0}
                results = _values(block.result[self.index])
                return {(cost, replace(talk, history=talk.history + result)): p for result, p in results}
            case Branch():
                options = [(option.chance[self.index], option.do) for option in block.options]
                options.append((1 - sum(share for share, _ in options), ()))
                return self.sum_up(
                    [(end, share * p) for share, do in options for end, p in self.all(do, {(0, talk): 1.0}).items()]
                )
            case Retry():
                return self.rounds(block, block.fail[self.index], talk)
            case Loop():
                ends = self.rounds(
                    block, block.again[self.index], Talk(compaction=block.compaction) if block.grows else None
                )
                return self.sum_up([((spent, talk), p) for (spent, _), p in ends.items()])
            case Map():
                if isinstance(block.over, str):
                    counts = [(self.inputs[block.over], 1.0)]
                else:
                    counts = _values(block.over[self.index])
                found = []
                for items, share in counts:
                    blocks = block.do * (items if block.most is None else min(items, block.most))
                    found += [
                        ((spent, talk), share * p) for (spent, _), p in self.all(blocks, {(0, None): 1.0}).items()
                    ]
                return self.sum_up(found)
            case Par():
                blocks = [block for part in block.parts for block in part]
                ends = self.all(blocks, {(0, None): 1.0})
                return self.sum_up([((spent, talk), p) for (spent, _), p in ends.items()])
            case Spawn():
                ends = self.agents(block, 1)
                return self.sum_up([((spent, talk), p) for (spent, _), p in ends.items()])

    def agents(self, block, level):
        own = self.all(block.do, {(0, None): 1.0})
        if level == block.most:
            return own
        below, found = self.agents(block, level + 1), []
        for children, share in _values(block.children[self.index]):
            ends = own
            for _ in range(children):
                ends = self.sum_up(
                    [((a + b, None), p * q) for (a, _), p in ends.items() for (b, _), q in below.items()]
                )
            found += [(end, share * p) for end, p in ends.items()]
        return self.sum_up(found)

    def rounds(self, block, again, talk):
        states, found, number = {(0, talk): 1.0}, [], 0
        while states:
            states = self.all(block.do, states)
            number += 1
            share = 0.0 if number == block.most else again[min(number, len(again)) - 1]
            found += [(end, (1 - share) * p) for end, p in states.items()]
            states = {end: share * p for end, p in states.items() if share * p > 0}
        return self.sum_up(found)

    def growing(self, call, talk):
        known = dict(talk.prompts)
        prompts = [(known[call.path], 1.0)] if call.path in known else _values(call.prompt[self.index])
        found = []
        for prompt, p in prompts:
            too_long = talk.compaction and talk.history and prompt + talk.history > talk.compaction.at
            for (spent, before), q in (self.summing_up(call, talk, prompt) if too_long else {(0, talk): 1.0}).items():
                ends = self.sending(call, before, prompt, call.output).items()
                found += [((spent + more, after), p * q * part) for (more, after), part in ends]
        return self.sum_up(found)

    def summing_up(self, call, talk, prompt):
        ends = self.sending(call, talk, prompt, talk.compaction.to).items()
        # What is left of the history is what was written, and nothing of that was sent.
        return {
            (spent, replace(after, history=after.history - talk.history, sent=0)): chance
            for (spent, after), chance in ends
        }

    def sending(self, call, talk, prompt, outputs):
        again = talk.sent + (prompt if call.path in dict(talk.prompts) else 0)
        prompts = tuple(sorted({**dict(talk.prompts), call.path: prompt}.items()))
        found = []
        for output, p in _values(outputs[self.index]):
            after = replace(talk, history=talk.history + output, sent=talk.history, prompts=prompts)
            for finds, q in ((True, call.model.cached), (False, 1 - call.model.cached)):
                if q > 0:
                    cost = self.cost(call, prompt + talk.history, again, prompt + talk.history - again, output, finds)
                    found.append(((cost, after), p * q))
        return self.sum_up(found)

    def cost(self, call, reads, again, new, output, finds):
        if self.measure != "usd":
            counted = {"calls": 1, "input_tokens": reads, "output_tokens": output, "tokens": reads + output}
            return counted[self.measure] * ONE
        rate = [rate for rate in call.model.rates if reads > rate.above or rate.above == 0][-1]
        if not call.history or call.model.cached == 0:
            return reads * rate.input + output * rate.output
        read = again * rate.cache_read + new * rate.cache_write if finds else reads * rate.cache_write
        return read + output * rate.output

    @staticmethod
    def sum_up(ends):
        found = defaultdict(float)
        for end, chance in ends:
            found[end] += chance
        return found
