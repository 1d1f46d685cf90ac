"""
Derived limits as a policy: a ``solvent.yaml`` that says of every line what it is derived from.
"""

import json
import re
from collections.abc import Iterator, Sequence
from decimal import Decimal
from fractions import Fraction
from textwrap import wrap

from solvent._amounts import exact_dollars
from solvent._limits import Meter
from solvent.errors import SettingsError
from solvent.forecast._caps import Cap
from solvent.forecast._derived import GIVEN, DerivedLimit
from solvent.forecast._limited import Layer
from solvent.forecast._model import Model, Workflow
from solvent.forecast._refused import own_prices
from solvent.forecast.limits import Limits
from solvent.policy import SHRINK_TOKENS_MIN
from solvent.policy._fallback import Fallback, check_step
from solvent.policy._words import written
from solvent.prices import Prices

_PLAIN = re.compile(r"[A-Za-z_][\w.-]*(?:[:/][A-Za-z_][\w.%-]*)*\*?", re.ASCII)  # Means itself in all of YAML.
_WIDTH = 120
_COLUMN = 32  # In which what is said ends, and comments begin.
_TOKEN_METERS: tuple[Meter, ...] = ("tokens", "output_tokens")
_PICODOLLARS = 10**6  # A token, in a dollar for a million.


def policy_text(workflow: Workflow, limits: Limits) -> str:
    """
    A whole policy with the limits of a workflow, each with a comment that says what it is derived from.
    """
    prices = Prices.load(dict(own_prices(workflow)))
    lines = [*_head(workflow, limits), "", "budgets:", *_budgets(workflow, limits), *_call(limits)]
    lines += [*_fallback(workflow, prices), *_prices(workflow)]
    return "\n".join(lines) + "\n"


def _head(workflow: Workflow, limits: Limits) -> Iterator[str]:
    yield from _said(f"Limits of {workflow.name}, derived from {workflow.source or 'its workflow file'}.")
    yield from _said(_together(limits))
    if any(limit.sure_amount > limit.amount for limit in limits.all):
        yield from _said('The amounts keep that on average, those "to be sure" in 95 of 100 cases.')
    if own_prices(workflow):
        yield from _said("It has prices, so programs are to be told where it is: SOLVENT_POLICY=solvent.yaml.")
    for sentence in limits.remarks:
        yield from _said(f"{sentence[:1].upper()}{sentence[1:]}.")
    for cap in limits.caps:
        if cap.kind == "attempts" or cap.declared is None:  # That a reply could be shorter is no reason to cut it.
            yield from _said(_of_cap(cap))


def _together(limits: Limits) -> str:
    if limits.too_few is not None:
        return (
            f"Whether they end at most {_percent(limits.may_block)} of legitimate runs (may_block) is not known: "
            f"{limits.too_few}. They end {_percent(limits.blocks)} of {limits.runs:,} simulated ones, and maybe more "
            "of further ones."
        )
    low, high = limits.blocks_interval
    return (
        f"Together they may end {_percent(limits.may_block)} of legitimate runs (may_block). They end "
        f"{_percent(limits.blocks)} of {limits.runs:,} simulated ones, and of all of them {_percent(low)} to "
        f"{_percent(high)}, in 95 of 100 cases."
    )


def _of_cap(cap: Cap) -> str:
    declared = "" if cap.declared is None else f", in the place of {cap.declared:,}"
    kind = cap.kind.replace("_", " ").removesuffix("s" if cap.enough == 1 else "")
    return f"In the program: {cap.path} could do with {cap.enough:,} {kind}{declared}; {cap.why}."


def _budgets(workflow: Workflow, limits: Limits) -> Iterator[str]:
    name = json.dumps(workflow.name, ensure_ascii=False)
    run = _of_layer(limits, "orchestration")
    yield from _entry(run, f"each run that budget({name}) opens")
    yield _line("  run:*:", "any other one, such as that of calls outside of a budget")
    for one in run:
        if one.meter != "depth":  # A run may stand below another one, and be a step of it.
            yield _line(f"    {_setting(one)}", f"as that of {one.pattern}")
    scopes = _of_layer(limits, "agent loop")
    for path in dict.fromkeys(one.path for one in scopes):
        yield from _entry([one for one in scopes if one.path == path], f"all that is in {path}")
    for one in _of_layer(limits, "platform"):
        yield from _entry([one], f"of its runs by budget({name}, scope={json.dumps(one.pattern, ensure_ascii=False)})")


def _entry(limits: Sequence[DerivedLimit], what: str) -> Iterator[str]:
    yield _line(f"  {_quoted(limits[0].pattern)}:", what)
    for one in limits:
        yield _line(f"    {_setting(one)}", _why(one))


def _call(limits: Limits) -> Iterator[str]:
    found = _of_layer(limits, "invocation")
    if found:
        yield _line("call:", "each single call")
        for one in found:
            yield _line(f"  {_setting(one)}", _why(one))
    least = min([one.amount for one in limits.all if one.meter in _TOKEN_METERS], default=SHRINK_TOKENS_MIN)
    if least < SHRINK_TOKENS_MIN:
        yield _line(
            f"shrink: {{output_tokens_min: {max(least, 1)}}}", "no output is cut below, for so small is a limit"
        )


def _setting(limit: DerivedLimit) -> str:
    return f"{limit.meter}: {written([limit.placed[1]])}"


def _why(limit: DerivedLimit) -> str:
    if not limit.can_block:
        return f"{limit.derived_from}; no run can pass it"
    if limit.layer in ("platform", "invocation"):
        return limit.derived_from
    ends = f"ends {_percent(limit.blocks)} of runs by itself" if limit.blocks else "ended none of the runs by itself"
    sure = ""
    if limit.sure_amount != limit.amount and limit.derived_from != GIVEN:
        sure = f"; {written([limit.sure])} to be sure"
    return f"{limit.derived_from}; {ends}{sure}"


def _fallback(workflow: Workflow, prices: Prices) -> Iterator[str]:
    own = dict(own_prices(workflow))
    lines = []
    for step in workflow.wishes.degrade:
        model, to = (_named(workflow.models[name]) for name in (step.model, step.to))
        share = f"{(Decimal(repr(step.at)) * 100).normalize():f}"
        taken = Fallback(model=model, to=to, at=Fraction(share) / 100)
        try:
            check_step(taken, prices, own, where="")
        except SettingsError as error:
            lines += [f"  # No step from {model} to {to}: expected {error.expected}."]
            continue
        if model != to:
            lines.append(f"  - {{at: {share}%, from: {_quoted(model)}, to: {_quoted(to)}}}")
    if any(not line.startswith("  #") for line in lines):
        yield _line("fallback:", "from these shares of a limit of money or tokens on")
        yield from lines
    else:
        yield from [line.strip() for line in lines]


def _prices(workflow: Workflow) -> Iterator[str]:
    found = list(own_prices(workflow))
    if found:
        yield _line("prices:", "of the workflow, in USD for a million tokens")
    for name, price in found:
        rates = ("input", "output", "cache_read", "cache_write")
        texts = [f"{rate}: {exact_dollars(getattr(price, rate) * 1_000)}" for rate in rates]
        short = [re.sub(r"(\.\d\d\d*?)0+$", r"\1", text) for text in texts]
        yield f"  {_quoted(name)}: {{{', '.join(short)}}}"


def _named(model: Model) -> str:
    """
    As a request names it.
    """
    return model.billed_as.partition("/")[2] or model.name


def _of_layer(limits: Limits, layer: Layer) -> list[DerivedLimit]:
    return [one for one in limits.all if one.layer == layer]


def _quoted(text: str) -> str:
    if _PLAIN.fullmatch(text):
        return text
    letters = json.dumps(text, ensure_ascii=False)
    return "".join(letter if letter.isprintable() else f"\\U{ord(letter):08x}" for letter in letters)


def _line(text: str, comment: str) -> str:
    return f"{text:<{_COLUMN}}  # {_one_line(comment)}"


def _said(text: str) -> Iterator[str]:
    yield from wrap(_one_line(text), _WIDTH, initial_indent="# ", subsequent_indent="# ", break_long_words=False)


def _one_line(text: str) -> str:
    """
    A comment ends with its line, whatever a name has in it.
    """
    return "".join(letter if letter.isprintable() else " " for letter in text)


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"
