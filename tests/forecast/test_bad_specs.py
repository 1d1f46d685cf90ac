"""
Files that are no workflow: each with the whole of what is said about it, for a person to go on by.
"""

import pytest
from specs import CALL, spec

from solvent.errors import SettingsError
from solvent.forecast.spec import read_workflow

CLASSES = "size: {small: 60%, large: 40%}"


def block(text, **more):
    return spec(f"[{text}]", **more)


def call(**given):
    """
    One call whose named settings are these.
    """
    settings = {"model": "m", "prompt": "10", "output": "5", **given}
    return "{call: c, " + ", ".join(f"{name}: {value}" for name, value in settings.items() if value) + "}"


def loop(**given):
    settings = {"again": "50%", "max": "3", "do": f"[{CALL}]", **given}
    return "{loop: l, " + ", ".join(f"{name}: {value}" for name, value in settings.items() if value) + "}"


def nested(depth):
    return f"{{map: b, over: 2, do: [{nested(depth - 1)}]}}" if depth else CALL


BAD = [
    # The file itself.
    ("", "flow.yaml: expected settings such as `workflow:`, got an empty file"),
    ("workflow", "flow.yaml:1: the file: expected settings by name (`name: value`), got one value"),
    ("workflow: w",
     "flow.yaml:1: the file: expected `workflow:` with a name, and `graph:` with blocks, got no `graph:`"),
    ("workflow: w\ngraf: []",
     "flow.yaml:2: graf: expected one of envelope, graph, limits, models, volume, workflow, got graf; did you "
     "mean graph?"),
    ("workflow: w\nworkflow: w", "flow.yaml:2: workflow: expected each name once, got it a second time"),
    ("workflow: run:*\ngraph: []",
     "flow.yaml:1: workflow: expected a name without `*`, which stands for any name in a policy, got run:*"),
    (f"workflow: {'w' * 201}\ngraph: []",
     "flow.yaml:1: workflow: expected text of at most 200 bytes, as a scope holds it, got 201"),
    ("workflow: w\ngraph: []", "flow.yaml:2: graph: expected a list of blocks, got an empty list"),
    ("workflow: w\ngraph: {call: c}", "flow.yaml:2: graph: expected a list of blocks, got settings by name"),
    ("workflow: w\ngraph:\n  - *nobody", "flow.yaml:3: expected `&nobody` above, got `*nobody` alone"),
    ("workflow: &w w\ngraph: &w []", "flow.yaml:2: expected each anchor once, got `&w` a second time"),
    ("workflow: w\ngraph: &g\n  - *g", "flow.yaml:3: expected no alias inside of what it stands for, got `*g`"),
    ("workflow: w\ngraph: [" + "[" * 70, "flow.yaml:2: expected at most 64 levels, one in the other"),
    ("workflow: !!str w", "flow.yaml:1: expected no tags (`!name`)"),
    ("a: &a [x, x, x, x, x, x, x, x, x, x]\nb: &b [*a, *a, *a, *a, *a, *a, *a, *a, *a, *a]\n"
     "c: &c [*b, *b, *b, *b, *b, *b, *b, *b, *b, *b]\nd: [*c, *c, *c, *c, *c, *c, *c, *c, *c, *c]",
     "flow.yaml:4: expected at most 10,000 names and values, each alias with what it stands for"),
    # Models.
    (spec(models="m: {input: 1.00}"),
     "flow.yaml:2: models.m: expected `input:` and `output:` in USD per million tokens, or `is:` with a model "
     "that has a price, got no `output:`"),
    (spec(models="m: {input: 1.00, output: -2}"),
     "flow.yaml:2: models.m.output: expected an amount of dollars from 0 up, got '-2'"),
    (spec(models="m: {input: 1.0000001, output: 2}"),
     "flow.yaml:2: models.m.input: expected at most six decimals (whole picodollars a token), got '1.0000001'"),
    (spec(models="m: {input: 1, output: 2, cached: 0.9}"),
     "flow.yaml:2: models.m.cached: expected true, false or a percent such as 90%, got '0.9'"),
    (spec(models="m: {input: 1, output: 2, cached: 120%}"),
     "flow.yaml:2: models.m.cached: expected at most 100%, got 120%"),
    (spec(models="m: {input: 1, output: 2, window: 0}"), "flow.yaml:2: models.m.window: expected 1 or more, got 0"),
    (spec(models="m: {input: 1, output: 2, cache_reads: 1}"),
     "flow.yaml:2: models.m.cache_reads: expected one of cache_read, cache_write, cached, input, output, window, "
     "got cache_reads; did you mean cache_read?"),
    (spec(models="m: {is: gpt-5-mini, input: 1}"),
     "flow.yaml:2: models.m.input: expected one of cached, is, window, got input"),
    (spec(models="m: {is: gpt-5-mno}"),
     "flow.yaml:2: models.m.is: expected a model of `models:`, or one that has a price, got gpt-5-mno; did you "
     "mean gpt-5-nano or gpt-5-mini or gpt-5-pro?\nTo go on: give it one under `models:`, as in `gpt-5-mno: "
     "{input: 1.00, output: 5.00}` (USD per million tokens)."),
    (spec(models="m: gpt-5-mno"),
     "flow.yaml:2: models.m: expected a model of `models:`, or one that has a price, got gpt-5-mno; did you mean "
     "gpt-5-nano or gpt-5-mini or gpt-5-pro?\nTo go on: give it one under `models:`, as in `gpt-5-mno: {input: "
     "1.00, output: 5.00}` (USD per million tokens)."),
    (spec(models="m: sonar-pro"),
     "flow.yaml:2: models.m: expected a model that is paid by its tokens alone, or a price under `models:`, got "
     "sonar-pro, which has a fee for each request"),
    (spec(models="m: "),
     "flow.yaml:2: models.m: expected the name of a model that has a price, or `input:` and `output:`, got nothing"),
    (spec(models="m: text-embedding-3-small"),
     "flow.yaml:4: c.output: expected 0, for the output of m has no price, got more"),
    (spec(models="big: {input: 1, output: 2}, small: {input: 1, output: 2}", graph=f"[{call(model='bigg')}]"),
     "flow.yaml:4: c.model: expected a model of `models:`, or one that has a price, got bigg; did you mean "
     "big?\nTo go on: give it one under `models:`, as in `bigg: {input: 1.00, output: 5.00}` (USD per million "
     "tokens)."),
    (block(call(model="no-such-model-anywhere")),
     "flow.yaml:4: c.model: expected a model of `models:`, or one that has a price, got "
     "no-such-model-anywhere\nTo go on: give it one under `models:`, as in `no-such-model-anywhere: {input: 1.00, "
     "output: 5.00}` (USD per million tokens)."),
    # The envelope.
    (spec(envelope="size: {small: 60%, large: 30%}"),
     "flow.yaml:3: envelope.size: expected percents that add up to 100%, got 90%"),
    (spec(envelope="size: {small: 0.6, large: 0.4}"),
     "flow.yaml:3: envelope.size.small: expected a percent with its `%`, such as 85%, got 0.6"),
    (spec(envelope="size: {small: 60%, large: 0.4}"),
     "flow.yaml:3: envelope.size.large: expected a percent with its `%`, such as 85%, got 0.4"),
    (spec(envelope="size: {small: 100%, large: 0%}"), "flow.yaml:3: envelope.size.large: expected above 0%, got 0%"),
    (spec(envelope="size: {p50: 60%, large: 40%}"),
     "flow.yaml:3: envelope.size.large: expected one of max, mean, min, one_of, p50, p95, rare, got large; did "
     "you mean rare?"),
    (spec(envelope="size: {max: 60%, min: 40%}"),
     "flow.yaml:3: envelope.size: expected `p50:` and `p95:`, `mean:`, or `one_of:`, got none of them"),
    (spec(envelope=f"{CLASSES}, kind: {{a: 50%, b: 50%}}"),
     "flow.yaml:3: envelope.kind: expected one set of classes of inputs, got size and kind"),
    (spec(envelope="documents: 8"),
     "flow.yaml:3: envelope.documents: expected an input that a map is `over:`, got one that none is"),
    (spec(envelope="8: 8"), "flow.yaml:3: envelope.8: expected a name that begins with no digit, got 8"),
    (spec(envelope="documents: {median: 8, max: 60}"),
     "flow.yaml:3: envelope.documents.median: expected one of max, mean, min, one_of, p50, p95, rare, got median; "
     "did you mean mean?"),
    # Counts.
    (block(call(prompt="-1")), "flow.yaml:4: c.prompt: expected a whole number such as 200, 500k or 2M, got '-1'"),
    (block(call(prompt="2.5")), "flow.yaml:4: c.prompt: expected a whole number, got '2.5'"),
    (block(call(prompt="1e3")), "flow.yaml:4: c.prompt: expected a number without an exponent, got 1e3"),
    (block(call(prompt="1_000")), "flow.yaml:4: c.prompt: expected a number without `_`, got 1_000"),
    (block(call(prompt="5M")), "flow.yaml:4: c.prompt: expected at most 4,000,000, got 5M"),
    (block(call(prompt="many")), "flow.yaml:4: c.prompt: expected a whole number such as 200, 500k or 2M, got 'many'"),
    (block(call(prompt="{}")),
     "flow.yaml:4: c.prompt: expected `p50:` and `p95:`, `mean:`, or `one_of:`, got none of them"),
    (block(call(prompt="{p50: 10, p95: 20}")),
     "flow.yaml:4: c.prompt: expected `p50:`, `p95:` and `max:` (a number, or `none`), got no `max:`"),
    (block(call(prompt="{p50: 10, max: 20}")),
     "flow.yaml:4: c.prompt: expected `p50:`, `p95:` and `max:` (a number, or `none`), got no `p95:`"),
    (block(call(prompt="{p50: 10, p95: 20, max: nope}")),
     "flow.yaml:4: c.prompt.max: expected a number such as 25 or 2k, or `none`, got 'nope'"),
    (block(call(prompt="{p50: 0, p95: 20, max: 30}")), "flow.yaml:4: c.prompt.p50: expected 1 or more, got 0"),
    (block(call(prompt="{p50: 10, p95: 9, max: 30}")),
     "flow.yaml:4: c.prompt.p95: expected at least its p50, 10, got 9"),
    (block(call(prompt="{p50: 2.5M, p95: 1234567, max: 3M}")),
     "flow.yaml:4: c.prompt.p95: expected at least its p50, 2,500,000, got 1,234,567"),
    (block(call(prompt="{p50: 10, p95: 20, max: 19}")),
     "flow.yaml:4: c.prompt.max: expected at least its p95, 20, got 19"),
    (block(call(prompt="{p50: 10, p95: 20, p99: 30, max: 40}")),
     "flow.yaml:4: c.prompt.p99: expected one of max, mean, min, one_of, p50, p95, rare, got p99; did you mean "
     "p95?"),
    (block(call(prompt="{p50: 10, p95: 20, max: 40, min: 1}")),
     "flow.yaml:4: c.prompt.min: expected one of max, p50, p95, rare, got min"),
    (block(call(prompt="{mean: 8}")),
     "flow.yaml:4: c.prompt: expected `max:` (a number, or `none`) with `mean:`, got no `max:`"),
    (block(call(prompt="{mean: 8, max: 7}")), "flow.yaml:4: c.prompt.max: expected at least its mean, 8, got 7"),
    (block(call(prompt="{mean: 8, min: 9, max: 70}")),
     "flow.yaml:4: c.prompt.mean: expected at least its min, 9, got 8"),
    (block(call(prompt="{mean: 8, p95: 71, max: 70}")),
     "flow.yaml:4: c.prompt.max: expected at least its p95, 71, got 70"),
    (block(call(prompt="{mean: 8, min: 3, p95: 2, max: 70}")),
     "flow.yaml:4: c.prompt.p95: expected at least its min, 3, got 2"),
    (block(call(prompt="{mean: 8, p95: 9, max: 70}")),
     "flow.yaml:4: c.prompt.p95: expected further above the mean, 8: a count scatters at least so much, got 9"),
    (block(call(prompt="{mean: 8, p95: 200, max: 700}")),
     "flow.yaml:4: c.prompt.p95: expected nearer to the mean, 8, got 200"),
    (block(call(prompt="{mean: 20k, max: 1M}")),
     "flow.yaml:4: c.prompt.mean: expected at most 10,000 (`p50:` and `p95:` go further), got 20k"),
    (block(call(prompt="{mean: 20, p95: 20k, max: 1M}")),
     "flow.yaml:4: c.prompt.p95: expected at most 10,000 beside a mean (`p50:` and `p95:` go further), got 20k"),
    (block(call(prompt="{mean: eight, max: 70}")),
     "flow.yaml:4: c.prompt.mean: expected a number such as 8 or 2.5, got 'eight'"),
    (block(call(prompt="{one_of: {1: 50%, 3: 40%}}")),
     "flow.yaml:4: c.prompt.one_of: expected percents that add up to 100%, got 90%"),
    (block(call(prompt="{one_of: {1: 50%, 3: 0.5}}")),
     "flow.yaml:4: c.prompt.one_of.3: expected a percent with its `%`, such as 85%, got 0.5"),
    (block(call(prompt="{one_of: {1000: 50%, 1k: 50%}}")),
     "flow.yaml:4: c.prompt.one_of.1k: expected each value once, got 1000 a second time"),
    (block(call(prompt="{one_of: {1: 100%, x: 0%}}")),
     "flow.yaml:4: c.prompt.one_of.x: expected a whole number such as 200, 500k or 2M, got 'x'"),
    (block(call(prompt="{one_of: {1: 100%}, max: 3}")),
     "flow.yaml:4: c.prompt.max: expected one of one_of, rare, got max"),
    (block(call(prompt="{one_of: []}")),
     "flow.yaml:4: c.prompt.one_of: expected settings by name (`name: value`), got an empty list"),
    (block(call(prompt="[10, 20]")),
     "flow.yaml:4: c.prompt: expected one value, for the envelope has no classes, got a list"),
    (block(call(prompt="[10, 20, 30]"), envelope=CLASSES),
     "flow.yaml:4: c.prompt: expected one value for each class, small, large, got a list of 3"),
    (block(call(prompt="{small: 10}"), envelope=CLASSES),
     "flow.yaml:4: c.prompt: expected one value for each class, small, large, got no `large:`"),
    (block(call(prompt="{small: 10, large: 20, huge: 30}"), envelope=CLASSES),
     "flow.yaml:4: c.prompt.huge: expected one of large, small, got huge"),
    (block(call(prompt="{small: [10, 20], large: 20}"), envelope=CLASSES),
     "flow.yaml:4: c.prompt.small: expected one value, got a list"),
    (block(call(prompt="{small: {p50: [10, 20], p95: 30, max: 40}, large: 20}"), envelope=CLASSES),
     "flow.yaml:4: c.prompt.small.p50: expected one value, got a list"),
    (block(call(prompt="{p50: [10, 20], p95: [30, 15], max: 40}"), envelope=CLASSES),
     "flow.yaml:4: c.prompt.p95: expected at least its p50, 20, got 15"),
    (block(call(prompt="{p50: {small: 10}, p95: 30, max: 40}"), envelope=CLASSES),
     "flow.yaml:4: c.prompt.p50: expected one value for each class, small, large, got no `large:`"),
    # What is rare.
    (block(call(prompt="{mean: 8, max: 60, rare: {share: 1%, from: 200}}")),
     "flow.yaml:4: c.prompt.rare: expected `share:`, `from:` and `to:`, got no `to:`"),
    (block(call(prompt="{mean: 8, max: 60, rare: {share: 1%, from: 200, to: 100}}")),
     "flow.yaml:4: c.prompt.rare.to: expected at least its from, 200, got 100"),
    (block(call(prompt="{mean: 8, max: 60, rare: {share: 1%, from: 60, to: 100}}")),
     "flow.yaml:4: c.prompt.rare.from: expected more than what is usual, which is up to 60, got 60"),
    (block(call(prompt="{mean: 8, max: none, rare: {share: 1%, from: 60, to: 100}}")),
     "flow.yaml:4: c.prompt.rare: expected a `max:` of what is usual, which the rare is above, got none"),
    (block(call(prompt="{mean: 8, max: 60, rare: {share: 0.01, from: 61, to: 100}}")),
     "flow.yaml:4: c.prompt.rare.share: expected a percent with its `%`, such as 85%, got 0.01"),
    (block(call(prompt="{mean: 8, max: 60, rare: {chance: 1%, from: 61, to: 100}}")),
     "flow.yaml:4: c.prompt.rare.chance: expected one of from, share, to, got chance"),
    # Blocks.
    (block("{}"),
     "flow.yaml:4: graph[0]: expected a block that begins with its kind, one of branch, call, loop, map, par, "
     "retry, spawn, tool, got nothing"),
    (block("c"), "flow.yaml:4: graph[0]: expected settings by name (`name: value`), got one value"),
    (block("{model: m, call: c}"),
     "flow.yaml:4: graph[0]: expected a block that begins with its kind, one of branch, call, loop, map, par, "
     "retry, spawn, tool, got model"),
    (block("{cal: c}"),
     "flow.yaml:4: graph[0]: expected a block that begins with its kind, one of branch, call, loop, map, par, "
     "retry, spawn, tool, got cal; did you mean call?"),
    (block("{call: }"), "flow.yaml:4: graph[0].call: expected the name of the block, got nothing"),
    (block("{call: 'a*'}"),
     "flow.yaml:4: graph[0].call: expected a name without `*`, which stands for any name in a policy, got a*"),
    (block(f"{{call: {'x' * 300}}}"), "flow.yaml:4: graph[0].call: expected at most 256 characters, got 300"),
    (block("{call: c, model: m}"),
     "flow.yaml:4: c: expected `model:`, `prompt:` and `output:`, got no `prompt:` and no `output:`"),
    (block(call(promt="10")),
     "flow.yaml:4: c.promt: expected one of call, history, model, output, prompt, seconds, got promt; did you "
     "mean prompt?"),
    (block(f"{CALL}, {CALL}"), "flow.yaml:4: c: expected each name once in one place, got it a second time"),
    (block(f"{{branch: b, 50%: [{CALL}], 30%: [{CALL}]}}"),
     "flow.yaml:4: b.c: expected each name once in one place, got it a second time"),
    (block(f"{{par: p, parts: [[{CALL}], [{CALL}]]}}"),
     "flow.yaml:4: p.c: expected each name once in one place, got it a second time"),
    (block(f"{{branch: c, 50%: [{CALL}]}}"),
     "flow.yaml:4: c.c: expected each name once in one place, got it a second time"),
    (block(nested(15)),
     "flow.yaml:4: b.b.b.b.b.b.b.b.b.b.b.b.b.b.b.do[0].call: expected at most 15 scopes, one in the other, each "
     "level of agents one, got 16"),
    (block(call(history="grows")), "flow.yaml:4: c.history: expected `none`, or no `history:`, got grows"),
    (block("{tool: t, result: 10}"),
     "flow.yaml:4: t.result: expected a loop with `history: grows` directly around it, got none"),
    (block(loop(history="grows", do=f"[{CALL}, {{map: f, over: 2, do: [{{tool: t, result: 10}}]}}]")),
     "flow.yaml:4: l.f.t.result: expected a loop with `history: grows` directly around it, got none"),
    (block("{tool: t, cost: free}"),
     "flow.yaml:4: t.cost: expected an amount of dollars such as 2 or 0.50, got 'free'"),
    (block("{tool: t, costs: 1}"),
     "flow.yaml:4: t.costs: expected one of cost, result, seconds, tool, got costs; did you mean cost?"),
    # Branches and parts.
    (block("{branch: b}"), "flow.yaml:4: b: expected options such as `25%: [BLOCKS]`, or `either:`, got none"),
    (block(f"{{branch: b, 0.5: [{CALL}]}}"),
     'flow.yaml:4: b."0.5": expected a percent with its `%`, such as 85%, got 0.5'),
    (block(f"{{branch: b, half: [{CALL}]}}"), "flow.yaml:4: b.half: expected a percent such as 85%, got 'half'"),
    (block(f"{{branch: b, 150%: [{CALL}]}}"), 'flow.yaml:4: b."150%": expected at most 100%, got 150%'),
    (block("{branch: b, 50%: []}"), 'flow.yaml:4: b."50%": expected a list of blocks, got an empty list'),
    (block(f"{{branch: b, 60%: [{CALL}], 50%: [{{tool: t}}]}}"),
     "flow.yaml:4: b: expected percents that add up to at most 100%, got 110%"),
    (block(f"{{branch: b, either: [{{share: 50%, do: [{CALL}]}}], 50%: [{{tool: t}}]}}"),
     'flow.yaml:4: b."50%": expected one of branch, either, got 50%'),
    (block(f"{{branch: b, either: [{{share: [50%], do: [{CALL}]}}]}}", envelope=CLASSES),
     "flow.yaml:4: b.either[0].share: expected one value for each class, small, large, got a list of 1"),
    (block(f"{{branch: b, either: [{{share: 0.5, do: [{CALL}]}}]}}"),
     "flow.yaml:4: b.either[0].share: expected a percent with its `%`, such as 85%, got 0.5"),
    (block("{branch: b, either: [{share: 50%}]}"),
     "flow.yaml:4: b.either[0]: expected `share:` and `do:`, got no `do:`"),
    (block("{branch: b, either: []}"),
     "flow.yaml:4: b.either: expected a list of options (`share:` and `do:`), got an empty list"),
    (block(f"{{branch: b, either: [{{share: [60%, 50%], do: [{CALL}]}}, {{share: 45%, do: [{{tool: t}}]}}]}}",
           envelope=CLASSES), "flow.yaml:4: b: expected percents that add up to at most 100%, got 105%"),
    (block("{par: p}"), "flow.yaml:4: p: expected `parts:`, got no `parts:`"),
    (block(f"{{par: p, parts: [[{CALL}]]}}"), "flow.yaml:4: p.parts: expected two lists of blocks or more, got 1"),
    (block(f"{{par: p, parts: [{CALL}, {CALL}]}}"),
     "flow.yaml:4: p.parts[0]: expected a list of blocks, got settings by name"),
    (block(f"{{par: p, concurrency: 2, parts: [[{CALL}], [{CALL}]]}}"),
     "flow.yaml:4: p.concurrency: expected one of par, parts, got concurrency"),
    # Retries and loops.
    (block(f"{{retry: r, fail: 5%, do: [{CALL}]}}"),
     "flow.yaml:4: r: expected `fail:`, `max:` (a number, or `none`) and `do:`, got no `max:`"),
    (block(f"{{retry: r, max: 3, do: [{CALL}]}}"),
     "flow.yaml:4: r: expected `fail:`, `max:` (a number, or `none`) and `do:`, got no `fail:`"),
    (block("{retry: r, fail: 5%, max: 3}"),
     "flow.yaml:4: r: expected `fail:`, `max:` (a number, or `none`) and `do:`, got no `do:`"),
    (block(f"{{retry: r, fail: 0.05, max: 3, do: [{CALL}]}}"),
     "flow.yaml:4: r.fail: expected a percent with its `%`, such as 85%, got 0.05"),
    (block(f"{{retry: r, fail: [5%, 90], max: 3, do: [{CALL}]}}"),
     "flow.yaml:4: r.fail[1]: expected a percent with its `%`, such as 85%, got 90"),
    (block(f"{{retry: r, fail: [], max: 3, do: [{CALL}]}}"),
     "flow.yaml:4: r.fail: expected a percent or a list of them, got an empty list"),
    (block(f"{{retry: r, fail: 5%, max: 0, do: [{CALL}]}}"), "flow.yaml:4: r.max: expected 1 or more, got 0"),
    (block(f"{{retry: r, fail: [50%, 100%], max: none, do: [{CALL}]}}"),
     "flow.yaml:4: r.fail: expected less than 100% at last, or a `max:` that ends it, got 100%"),
    (block(loop(max="")), "flow.yaml:4: l: expected `again:`, `max:` (a number, or `none`) and `do:`, got no `max:`"),
    (block(loop(max="unlimited")),
     "flow.yaml:4: l.max: expected a number such as 25 or 2k, or `none`, got 'unlimited'"),
    (block(loop(again="{small: 50%}"), envelope=CLASSES),
     "flow.yaml:4: l.again: expected one value for each class, small, large, got no `large:`"),
    (block(loop(again="{small: 50%, large: 20%}")),
     "flow.yaml:4: l.again: expected a percent or a list of them, got settings by name"),
    (block(loop(again="")),
     "flow.yaml:4: l: expected `again:`, `max:` (a number, or `none`) and `do:`, got no `again:`"),
    (block(loop(again="100%", max="none")),
     "flow.yaml:4: l.again: expected less than 100% at last, or a `max:` that ends it, got 100%"),
    (block(loop(history="none")), "flow.yaml:4: l.history: expected `grows`, or no `history:`, got none"),
    (block(loop(history="grows", do="[{tool: t, result: 10}]")),
     "flow.yaml:4: l.history: expected a call, directly in the loop, that reads its history, got none"),
    (block(loop(history="grows", do=f"[{call(history='none')}]")),
     "flow.yaml:4: l.history: expected a call, directly in the loop, that reads its history, got none"),
    (block(loop(compact="{at: 10k, to: 500}")),
     "flow.yaml:4: l.compact: expected `history: grows` beside it, got none"),
    (block(loop(history="grows", compact="{at: 10k}")),
     "flow.yaml:4: l.compact: expected `at:` and `to:` with tokens, got no `to:`"),
    (block(loop(history="grows", compact="{at: 10k, to: 10k}")),
     "flow.yaml:4: l.compact.to: expected fewer tokens than those at which it is done, 10,000, got up to 10,000"),
    # Maps and agents.
    (block(f"{{map: f, do: [{CALL}]}}"), "flow.yaml:4: f: expected `over:` and `do:`, got no `over:`"),
    (block(f"{{map: f, over: documents, do: [{CALL}]}}"),
     "flow.yaml:4: f.over: expected a count, or an input of the envelope: it has none, got documents"),
    (block(f"{{map: f, over: document, do: [{CALL}]}}", envelope="documents: 8"),
     "flow.yaml:4: f.over: expected a count, or an input of the envelope: documents, got document; did you mean "
     "documents?"),
    (block(f"{{map: f, over: documents, do: [{CALL}]}}", envelope="documents: {mean: 8, max: none}"),
     "flow.yaml:4: f: expected `max:` (a number, or `none`), got no `max:`"),
    (block(f"{{map: f, over: 8, concurrency: 0, do: [{CALL}]}}"),
     "flow.yaml:4: f.concurrency: expected 1 or more, got 0"),
    (block(f"{{spawn: s, children: 2, do: [{CALL}]}}"),
     "flow.yaml:4: s: expected `children:`, `max:` (a number, or `none`) and `do:`, got no `max:`"),
    (block(f"{{spawn: s, children: 1, max: none, do: [{CALL}]}}"),
     "flow.yaml:4: s.children: expected less than one child on average, or a `max:` of levels, got agents without "
     "end"),
    (block(f"{{spawn: s, children: 2, max: 15, do: [{CALL}]}}"),
     "flow.yaml:4: s.do[0].call: expected at most 15 scopes, one in the other, each level of agents one, got 16"),
    (block(f"{{spawn: s, children: 2, max: 16, do: [{CALL}]}}"),
     "flow.yaml:4: s.max: expected at most 15 scopes, one in the other, each level of agents one, got 16"),
    # Times.
    (block(call(seconds="soon")),
     "flow.yaml:4: c.seconds: expected a length of time such as 30s, 10m or 1h30m, got 'soon'"),
    (block(call(seconds="{p50: 1}")), "flow.yaml:4: c.seconds: expected `p50:` and `p95:`, got no `p95:`"),
    (block(call(seconds="{p50: 2, p95: 1}")), "flow.yaml:4: c.seconds.p95: expected at least its p50, 2, got 1"),
    (block(call(seconds="{p50: 0, p95: 1}")), "flow.yaml:4: c.seconds.p50: expected above 0, got 0"),
    (block(call(seconds="{first_token: 1}")),
     "flow.yaml:4: c.seconds: expected `first_token:` and `per_output_token:`, or `p50:` and `p95:`, got no "
     "`per_output_token:`"),
    (block(call(seconds="{first_token: 1, p50: 1, p95: 2}")),
     "flow.yaml:4: c.seconds.first_token: expected one of max, p50, p95, got first_token"),
    (block("{tool: t, seconds: {first_token: 1, per_output_token: 0.1}}"),
     "flow.yaml:4: t.seconds.first_token: expected one of max, p50, p95, got first_token"),
    # Volume and limits.
    (spec(more="volume: {}"),
     "flow.yaml:5: volume: expected `runs_per_month:` with a number, got no `runs_per_month:`"),
    (spec(more="volume: {runs_per_month: 0}"), "flow.yaml:5: volume.runs_per_month: expected 1 or more, got 0"),
    (spec(more="volume: {runs_per_month: 40k, uncertainty: 0.1}"),
     "flow.yaml:5: volume.uncertainty: expected a percent with its `%`, such as 85%, got 0.1"),
    (spec(more="volume: {runs: 40k}"),
     "flow.yaml:5: volume.runs: expected one of measured_runs, runs_per_month, uncertainty, got runs"),
    (spec(more="limits: {may_block: 0.01}"),
     "flow.yaml:5: limits.may_block: expected a percent with its `%`, such as 85%, got 0.01"),
    (spec(more="limits: {may_block: 0%}"), "flow.yaml:5: limits.may_block: expected above 0%, got 0%"),
    (spec(more="limits: {may_block: 100%}"), "flow.yaml:5: limits.may_block: expected less than 100%, got 100%"),
    (spec(more="limits: {usd: 0}"), "flow.yaml:5: limits.usd: expected above $0, got 0"),
    (spec(more="limits: {usd: 5/day}"),
     "flow.yaml:5: limits.usd: expected an amount of dollars such as 2 or 0.50, got '5/day'"),
    (spec(more="limits: {input_bound: 0.5}"),
     "flow.yaml:5: limits.input_bound: expected a number from 1 to 1,000 such as 4.5, got '0.5'"),
    (spec(more="limits: {legitimate: [small]}"),
     "flow.yaml:5: limits.legitimate: expected classes of the envelope: it has none, got small"),
    (spec(envelope=CLASSES, more="limits: {legitimate: [smal]}"),
     "flow.yaml:5: limits.legitimate: expected classes of the envelope: small, large, got smal; did you mean "
     "small?"),
    (spec(envelope=CLASSES, more="limits: {legitimate: [small, small]}"),
     "flow.yaml:5: limits.legitimate: expected each class once, got small a second time"),
    (spec(more="limits: {legitimate: []}"),
     "flow.yaml:5: limits.legitimate: expected a list of classes of inputs, got an empty list"),
    (spec(more="limits: {at: {80%: stop}}"),
     'flow.yaml:5: limits.at."80%": expected `degrade MODEL to MODEL`, or `stop` at 100%, got stop'),
    (spec(more="limits: {at: {0.8: degrade m to gpt-5-mini}}"),
     'flow.yaml:5: limits.at."0.8": expected a percent with its `%`, such as 85%, got 0.8'),
    (spec(more="limits: {at: {80%: downgrade m to gpt-5-mini}}"),
     'flow.yaml:5: limits.at."80%": expected `degrade MODEL to MODEL`, or `stop` at 100%, got downgrade m to '
     'gpt-5-mini'),
    (spec(more="limits: {at: {80%: degrade mm to gpt-5-mini}}"),
     'flow.yaml:5: limits.at."80%": expected a model that a call uses: m, got mm; did you mean m?'),
    (spec(more="limits: {at: {80%: degrade m to gpt-5-mno}}"),
     'flow.yaml:5: limits.at."80%": expected a model of `models:`, or one that has a price, got gpt-5-mno; did '
     'you mean gpt-5-nano or gpt-5-mini or gpt-5-pro?\nTo go on: give it one under `models:`, as in `gpt-5-mno: '
     '{input: 1.00, output: 5.00}` (USD per million tokens).'),
    (spec(more="limits: {at: {80%: degrade m to m}}"),
     'flow.yaml:5: limits.at."80%": expected a way to other models, got one from m back to m'),
    (spec(more="limits: {at: {80%: degrade m to gpt-5-mini, 90%: degrade m to gpt-5-nano}}"),
     'flow.yaml:5: limits.at."90%": expected one step from each model, got two from one'),
    (spec(more="limits: {at: {80%: degrade m to gpt-5-mini, 80.0%: stop}}"),
     'flow.yaml:5: limits.at."80.0%": expected each share once, got 80.0% a second time'),
    (spec(more="limits: {on: {80%: stop}}"),
     "flow.yaml:5: limits.on: expected one of at, input_bound, legitimate, may_block, usd, got on"),
]  # fmt: skip


@pytest.fixture
def refused(tmp_path):
    def refused(text, *changes):
        path = tmp_path / "flow.yaml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        with pytest.raises(SettingsError) as error:
            read_workflow(path, changes=changes)
        return str(error.value).replace(f"{tmp_path}/", "")

    return refused


@pytest.mark.parametrize(("text", "message"), BAD, ids=lambda value: repr(value)[:40])
def test_what_is_not_understood_is_told_with_its_line(refused, text, message):
    assert refused(text) == message


def test_an_error_names_the_line_of_what_is_wrong(refused):
    text = """\
workflow: w
models: {m: {input: 1, output: 2}}
graph:
  - loop: l
    again: 50%
    max: 3
    do:
      - &one
        call: c
        model: m
        prompt: {p50: 10, p95: 20, max: 30}
        output:
          p50: 50
          p95: 20
          max: 100
"""
    assert refused(text) == "flow.yaml:14: l.c.output.p95: expected at least its p50, 50, got 20"
    aliased = text.replace("p50: 50", "p50: 5") + "  - retry: r\n    fail: 5%\n    max: 3\n    do: [*one, *one]\n"
    assert refused(aliased) == "flow.yaml:9: r.c: expected each name once in one place, got it a second time"


def test_a_file_that_cannot_be_read_is_told(tmp_path):
    with pytest.raises(SettingsError) as error:
        read_workflow(tmp_path / "none.yaml")
    assert str(error.value) == (
        f"{tmp_path}/none.yaml: expected a workflow's file that can be read, got an error: No such file or directory"
    )


def test_what_is_too_large_is_told_and_not_shown(refused):
    assert refused("workflow: w\n" + "#" * 1_000_000) == "flow.yaml: expected at most 1,000,000 bytes, got more"
    assert len(refused(block(call(model="x" * 250)))) < 500
    assert len(refused(f"workflow: w\ngraph: []\n{'x' * 1_000}: 1")) < 500
    many = ", ".join(f"c{number}: {share}" for number, share in enumerate(["4%"] * 25))
    expected = "flow.yaml:3: envelope.size: expected at most 20 classes, got 25"
    assert refused(spec(envelope=f"size: {{{many}}}")) == expected


TWO = f"""\
workflow: w
models: {{m: {{input: 1, output: 2}}, listed: gpt-5-mini}}
graph:
  - loop: first
    again: 50%
    max: 3
    do: [{CALL}]
  - loop: second
    again: 50%
    max: 3
    do: [{CALL}]
"""


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("first", "first: expected a change such as agent_loop.max=25"),
        ("first.max=", "first.max=: expected a change such as agent_loop.max=25"),
        ("first..max=3", "first..max=3: expected a change such as agent_loop.max=25"),
        ("=3", "=3: expected a change such as agent_loop.max=25"),
        ("first=3", "first=3: expected a setting after the name of a block, as in agent_loop.max=25, got none"),
        (
            "frist.max=3",
            "frist.max=3: expected a block or a setting of the file, got frist; did you mean first?",
        ),
        ("c.output=3", "c.output=3: expected the names of blocks around it before c, got 2 blocks of this name"),
        (
            "first.d.output=3",
            "first.d.output=3: expected a block or a setting that is there, got d; did you mean do?",
        ),
        (
            "first.max.p50=3",
            "first.max.p50=3: expected a value for max, which has no names in it, got p50",
        ),
        ("first.c.output=[", "first.c.output=[:1: expected a value, got the file's end"),
        ("first.c.output=*x", "first.c.output=*x:1: expected no anchors and aliases (`&name`, `*name`)"),
        ("first.max=0", "with first.max=0: flow.yaml:6: first.max: expected 1 or more, got 0"),
        (
            "first.again=101%",
            "with first.again=101%: flow.yaml:5: first.again: expected at most 100%, got 101%",
        ),
        (
            "first.maxx=3",
            "with first.maxx=3: flow.yaml:4: first.maxx: expected one of again, compact, do, history, loop, max, got "
            "maxx; did you mean max?",
        ),
        (
            "first.c.output={p50: 9, p95: 5, max: 20}",
            "with first.c.output={p50: 9, p95: 5, max: 20}: flow.yaml:7: first.c.output.p95: expected at least its "
            "p50, 9, got 5",
        ),
        (
            "models.listed.cached=often",
            "with models.listed.cached=often: flow.yaml:2: models.listed.cached: expected true, false or a percent "
            "such as 90%, got 'often'",
        ),
        ("limits.may_block=2", "with limits.may_block=2: flow.yaml:1: limits.may_block: expected a percent with its "
         "`%`, such as 85%, got 2"),
    ],
)  # fmt: skip
def test_an_error_about_a_change_names_it(refused, change, message):
    assert refused(TWO, change) == message


def test_what_is_wrong_without_changes_is_told_first(refused):
    assert refused(TWO.replace("max: 3", "max: 0", 1), "second.max=0") == (
        "flow.yaml:6: first.max: expected 1 or more, got 0"
    )
