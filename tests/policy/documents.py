"""
Policies as data: read apart from the reader, and made at random.
"""

import re
from typing import Any

import yaml
from hypothesis import strategies as st

METERS = ("usd", "tokens", "input_tokens", "output_tokens", "calls", "branches", "parallel", "tool_calls", "retries")
WINDOWLESS = ("parallel", "depth", "seconds")
WINDOWS = ("minute", "hour", "day", "week", "month")
NAMES = st.from_regex(r"[a-z]-[a-z0-9.-]{0,8}", fullmatch=True)  # No word that a reader takes for something else.


class CoreLoader(yaml.SafeLoader):
    """
    YAML 1.2's core schema, as editors read it.
    """

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012  # As in the class above it.


def _number(loader: CoreLoader, node: yaml.ScalarNode) -> float:
    text = loader.construct_scalar(node)
    if text[:2] in ("0o", "0x"):
        return int(text, 0)
    found = float(text.replace(".inf", "inf").replace(".nan", "nan").replace(".Inf", "inf").replace(".NaN", "nan"))
    return int(text) if re.fullmatch("[-+]?[0-9]+", text) else found


for _tag, _pattern, _first in (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("number", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", list("-+0123456789")),
    ("number", r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?", list("-+0123456789.")),
    ("number", r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)", list("-+.")),
):
    CoreLoader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern})$"), _first)
CoreLoader.add_constructor("tag:yaml.org,2002:number", _number)


def as_texts(document: str | bytes) -> Any:
    """
    A document whose every scalar is a text.
    """
    return yaml.load(document, Loader=yaml.BaseLoader)


def as_editors_see(document: str | bytes) -> Any:
    return _with_names(yaml.load(document, Loader=CoreLoader))


def _with_names(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(name): _with_names(below) for name, below in value.items()}
    return [_with_names(one) for one in value] if isinstance(value, list) else value


def written(document: Any) -> str:
    """
    A document of dicts, lists and texts on one line, plain wherever that says the same.
    """
    if isinstance(document, dict):
        return "{" + ", ".join(f"{written(name)}: {written(value)}" for name, value in document.items()) + "}"
    if isinstance(document, list):
        return "[" + ", ".join(map(written, document)) + "]"
    if re.fullmatch(r"[A-Za-z0-9$./][A-Za-z0-9$./:*% -]*", document) and not re.search(r": |[: ]$", document):
        return str(document)
    return "'" + document.replace("'", "''") + "'"


DOLLARS = st.from_regex(r"\$?(0|[1-9][0-9]{0,5})(\.[0-9]{1,9})?", fullmatch=True)
RATE = st.from_regex(r"\$?(0|[1-9][0-9]{0,3})(\.[0-9]{1,6})?", fullmatch=True)
COUNT = st.from_regex(r"0|[1-9][0-9]{0,9}|[1-9][0-9]{0,3}(\.[0-9]{1,3})?[kKmMgG]", fullmatch=True)
TIME = st.from_regex(r"[1-9][0-9]{0,5}s?|[1-9][0-9]{0,3}m|[1-9]h[0-9]{1,2}m|[1-9][0-9]?d", fullmatch=True)
SHARE = st.from_regex(r"[1-9][0-9]?(\.[0-9]{1,3})? ?%|100%", fullmatch=True)
ON_EXCEED = st.sampled_from(["block", "warn", "log"])


@st.composite
def limits(draw, meter: str, *, windows: bool = True) -> Any:
    def one() -> Any:
        text: str = draw({"usd": DOLLARS, "seconds": TIME}.get(meter, COUNT))
        if windows and meter not in WINDOWLESS and draw(st.booleans()):
            text += f"/{draw(st.sampled_from(WINDOWS))}"
        if draw(st.integers(0, 3)):
            return text
        return {"limit": text} | ({"on_exceed": draw(ON_EXCEED)} if draw(st.booleans()) else {})

    return [one() for _ in range(draw(st.integers(1, 3)))] if draw(st.booleans()) else one()


def _limited(*meters: str, windows: bool = True) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional={meter: limits(meter, windows=windows) for meter in meters})


@st.composite
def patterns(draw) -> str:
    kinds = [kind for kind in ("org", "team", "user", "run") if draw(st.booleans())]
    kinds += draw(st.lists(st.sampled_from(["agent", "step"]), min_size=0 if kinds else 1, max_size=3))
    names = st.one_of(st.just("*"), NAMES, NAMES.map(lambda name: f"{name}*"), st.just("a%2Fb"), st.just("a:b"))
    return "/".join(f"{kind}:{draw(names)}" for kind in kinds)


@st.composite
def steps(draw) -> list[Any]:
    return [
        {"from": f"from-{place}", "to": draw(st.sampled_from(["gpt-4o", "gpt-4o-mini"]))}
        | ({"at": draw(SHARE)} if draw(st.booleans()) else {})
        for place in range(draw(st.integers(0, 3)))
    ]


_PRICE = st.fixed_dictionaries(
    {"input": RATE, "output": RATE},
    optional=dict.fromkeys(("cache_read", "cache_write", "cache_write_1h", "audio_input", "audio_output"), RATE),
)
_ALERT = st.fixed_dictionaries(
    {"at": st.lists(SHARE, min_size=1, max_size=3, unique_by=lambda share: float(share.rstrip(" %")))},
    optional={
        "webhook": st.sampled_from(
            ["https://example.com/alerts", "https://[2001:db8::1]:8443", "http://127.0.0.1:9000/a", "http://[::1]/x"]
        )
    },
)
DOCUMENTS = st.fixed_dictionaries(
    {},
    optional={
        "alert": _ALERT,
        "budgets": st.dictionaries(patterns(), _limited(*METERS, "depth", "seconds"), max_size=3),
        "call": _limited("usd", "tokens", "input_tokens", "output_tokens", windows=False),
        "fallback": steps(),
        "ledger": st.sampled_from(
            ["memory://", "books.db", "sqlite:///a/b.db", "sqlite:////a/b.db?synchronous=normal"]
        ),
        "loops": st.fixed_dictionaries(
            {"same_call": st.integers(1, 1_000).map(str)}, optional={"within": TIME, "on_exceed": ON_EXCEED}
        ),
        "prices": st.dictionaries(
            NAMES.map(lambda name: f"m-{name}"), st.one_of(_PRICE, st.just("gpt-4o")), max_size=2
        ),
        "shrink": st.one_of(
            st.just("off"),
            st.fixed_dictionaries(
                {},
                optional={
                    "output_tokens_min": st.integers(1, 10**6).map(str),
                    "explicit": st.sampled_from(["true", "false"]),
                },
            ),
        ),
        "store_down": st.one_of(st.just("refuse"), st.fixed_dictionaries({"open": DOLLARS})),
        "tighten": st.lists(st.sampled_from(["prefix", "tokenizer", "count"]), unique=True),
        "time_zone": st.sampled_from(["UTC", "Europe/Berlin", "Etc/GMT+1"]),
        "unpriced": st.one_of(st.just("refuse"), st.just({"price_as": "gpt-4o"})),
        "wait": TIME,
    },
)
