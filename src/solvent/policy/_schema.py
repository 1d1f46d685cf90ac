"""
The JSON Schema of ``solvent.yaml``, for editors: what a setting means, and most of what it may be.

    python -m solvent.policy._schema > src/solvent/policy/schema.json

It refuses nothing that the reader takes. What it cannot say, such as that a model has a price, the reader alone checks.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from solvent._amounts import AMOUNT_MAX, NANODOLLARS_PER_DOLLAR
from solvent._limits import GAUGES, METERS, ON_EXCEED, PATH_METERS, SCOPE_KINDS, SEGMENTS_MAX, WINDOWS, Meter
from solvent.policy import SHRINK_TOKENS_MIN, TIGHTENINGS
from solvent.policy._alert import VARIABLE_NAME, WEBHOOK
from solvent.policy._fallback import SHARE
from solvent.policy._read_limits import CALL_METERS
from solvent.policy._texts import COUNT, DOLLARS, SAME_CALL_MAX, TIME, TIME_SECONDS_MAX
from solvent.prices._user import RATES
from solvent.stores import _SYNCHRONOUS as SYNCHRONOUS
from solvent.stores import STORES

Schema: TypeAlias = dict[str, Any]

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_COMMAND = "python -m solvent.policy._schema > src/solvent/policy/schema.json"
_DOLLARS_MAX = AMOUNT_MAX / NANODOLLARS_PER_DOLLAR  # JSON has no other numbers, and this one is written as it is.

_OTHER_STORES = "|".join(sorted(STORES.keys() - {"sqlite"}))
_OPTION = f"(?:{'|'.join(SYNCHRONOUS)})"

_METERS: Mapping[Meter, str] = {
    "usd": "Dollars, such as 2.00 or 20/day.",
    "tokens": "Tokens read and written, such as 500k or 2M/minute.",
    "input_tokens": "Tokens read, cached ones included.",
    "output_tokens": "Tokens written, reasoning included.",
    "calls": "Requests that reach a provider; a retry is another one.",
    "branches": "Branches that fan-outs open.",
    "parallel": "Calls open at the same time; takes no window.",
    "tool_calls": "Tool executions that models ask for.",
    "retries": "Requests that repeat a failed one.",
    "depth": "Agents and steps below one another; takes no window.",
    "seconds": "Time from each opening of the scope, such as 15m; takes no window.",
}
_RATES = {
    "input": "Of input.",
    "output": "Of output.",
    "cache_read": "Of input that comes out of a cache.",
    "cache_write": "Of input that goes into a cache of five minutes.",
    "cache_write_1h": "Of input that goes into a cache of an hour.",
    "audio_input": "Of input that is audio.",
    "audio_output": "Of output that is audio.",
}


def schema() -> Schema:
    """
    The whole schema, of draft 2020-12.
    """
    return {
        "$schema": _DIALECT,
        "$comment": f"Written by `{_COMMAND}`.",
        "title": "solvent.yaml",
        "description": "Limits of model calls, and what is done about calls that do not fit.",
        **_object(_SETTINGS),
        "$defs": {
            "limits": {**_object({meter: _limits(meter, windows=True) for meter in METERS + PATH_METERS})},
            "step": {
                **_object(
                    {
                        "from": _model("The model that is asked for."),
                        "to": _model("The model that is used where a call does not fit; it must have a price."),
                        "at": {
                            "description": "From this share of any limit on the path on, every call takes the step.",
                            **_share(),
                        },
                    },
                    required=("from", "to"),
                )
            },
            "price": {
                "description": "Dollars per million tokens, or the name of a model that costs the same.",
                "type": ["object", "string"],
                "minLength": 1,
                "properties": {
                    name: {"description": _RATES[name], **_amount(DOLLARS, most=_DOLLARS_MAX)} for name in RATES
                },
                "additionalProperties": False,
                "required": ["input", "output"],
            },
        },
    }


def _object(properties: Mapping[str, Schema], *, required: Sequence[str] = ()) -> Schema:
    found: Schema = {"type": "object", "properties": dict(properties), "additionalProperties": False}
    return {**found, "required": [*required]} if required else found


def _word_or(word: str, properties: Mapping[str, Schema], *, required: Sequence[str] = ()) -> Schema:
    return {**_object(properties, required=required), "type": ["object", "string"], "pattern": f"^{word}$"}


def _amount(grammar: str, *, kind: str = "number", least: int = 0, most: float) -> Schema:
    """
    A number, or its text: what is said of one says nothing of the other.
    """
    return {"type": [kind, "string"], "minimum": least, "maximum": most, "pattern": f"^(?:{grammar})$"}


def _time(*, kind: str = "number") -> Schema:
    return _amount(TIME, kind=kind, most=TIME_SECONDS_MAX)


def _share() -> Schema:
    return {"type": "string", "pattern": f"^{SHARE}$"}


def _model(description: str) -> Schema:
    return {"description": description, "type": "string", "minLength": 1}


def _limit(meter: Meter, *, windows: bool) -> Schema:
    if meter == "seconds":
        return _time(kind="integer")
    window = f"(?:/(?:{'|'.join(WINDOWS[1:])}))?" if windows and meter not in (*GAUGES, *PATH_METERS) else ""
    if meter == "usd":
        return _amount(f"(?:{DOLLARS}){window}", most=_DOLLARS_MAX)
    return _amount(f"(?:{COUNT}){window}", kind="integer", most=AMOUNT_MAX)


def _limits(meter: Meter, *, windows: bool) -> Schema:
    """
    A limit, a list of them, or one with what it does to the call that would pass it.
    """
    limit = _limit(meter, windows=windows)
    on_exceed = {
        "description": "Refuse the call that would pass it, or let it pass and tell.",
        "enum": [*ON_EXCEED],
        "default": "block",
    }
    one = {
        **limit,
        "type": [*limit["type"], "object"],
        **{name: value for name, value in _object({"limit": limit, "on_exceed": on_exceed}).items() if name != "type"},
        "required": ["limit"],
    }
    return {
        "description": _METERS[meter],
        **one,
        "type": [*one["type"], "array"],
        "items": one,
        "minItems": 1,
    }


def _scope_pattern() -> str:
    """
    Kinds in their order, each with a name that may end in ``*``.
    """
    name = r"(?:[^/*]+\*?|\*)(?:/|$)"
    *once, agent, step = SCOPE_KINDS
    first = "".join(f"(?:{kind}:{name})?" for kind in once)
    return rf"^(?=.)(?!.*/$)(?!(?:[^/]*/){{{SEGMENTS_MAX}}}){first}(?:(?:{agent}|{step}):{name})*$"


_SETTINGS: Mapping[str, Schema] = {
    "alert": {
        "description": "At which shares of a limit somebody is told, and where.",
        **_object(
            {
                "at": {
                    "description": "Shares of limits.",
                    "type": "array",
                    "items": _share(),
                    "minItems": 1,
                    "uniqueItems": True,
                    "examples": [["50%", "80%", "100%"]],
                },
                "webhook": {
                    "description": "An address over https, or over http on this machine.",
                    "type": "string",
                    "pattern": f"^{WEBHOOK}$",
                },
                "secret_env": {
                    "description": "The environment variable with the secret that what is sent is signed with.",
                    "type": "string",
                    "pattern": f"^{VARIABLE_NAME}$",
                },
            },
            required=("at",),
        ),
        "dependentRequired": {"secret_env": ["webhook"]},
    },
    "budgets": {
        "description": "Limits by scope, such as run:*, run:nightly-* or org:acme/team:*; all that match apply.",
        "type": "object",
        "propertyNames": {"pattern": _scope_pattern()},
        "additionalProperties": {"$ref": "#/$defs/limits"},
    },
    "call": {
        "description": "Limits of each single call, held against its bound.",
        **_object({meter: _limits(meter, windows=False) for meter in CALL_METERS}),
    },
    "fallback": {
        "description": "The model with which a call is made in the place of the one that it asks for.",
        "type": "array",
        "items": {"$ref": "#/$defs/step"},
    },
    "ledger": {
        "description": "Where the books are: a .db file, relative to this one, or a URL.",
        "type": "string",
        "pattern": rf"^(?:(?:{_OTHER_STORES})://.*|sqlite:///[^?]*[^/?](?:\?{_OPTION})?|(?!.*://).*\.db)$",
        "examples": ["sqlite:///ledger.db"],
    },
    "loops": {
        "description": "When the same request comes too often.",
        **_object(
            {
                "same_call": {
                    "description": "How often the same request may come.",
                    **_amount(COUNT, kind="integer", least=1, most=SAME_CALL_MAX),
                },
                "within": {"description": "In which time.", **_time(), "exclusiveMinimum": 0, "default": "60s"},
                "on_exceed": {
                    "description": "Refuse the call that comes too often, or let it pass and tell.",
                    "enum": [*ON_EXCEED],
                    "default": "warn",
                },
            },
            required=("same_call",),
        ),
    },
    "prices": {
        "description": "Your own prices by model, which win over the rate card; a name may end in *.",
        "type": "object",
        "propertyNames": {"minLength": 1},
        "additionalProperties": {"$ref": "#/$defs/price"},
    },
    "shrink": {
        "description": "How far the output of a call may be capped to make it fit; off caps none.",
        **_word_or(
            "off",
            {
                "output_tokens_min": {
                    "description": "The smallest output cap that a call may be given.",
                    **_amount(COUNT, kind="integer", least=1, most=AMOUNT_MAX),
                    "default": SHRINK_TOKENS_MIN,
                },
                "explicit": {
                    "description": "Whether a cap that the program named may be lowered, too.",
                    "enum": [True, False, "true", "false"],
                    "default": False,
                },
            },
        ),
    },
    "store_down": {
        "description": "Refuse every call while the ledger does not answer, or let each process go on.",
        **_word_or(
            "refuse",
            {
                "open": {
                    "description": "Up to so many dollars in each process.",
                    **_amount(DOLLARS, most=_DOLLARS_MAX),
                }
            },
            required=("open",),
        ),
        "default": "refuse",
    },
    "tighten": {
        "description": "Ways to a tighter bound that may be tried; count sends the prompt to its provider once more.",
        "type": "array",
        "items": {"enum": [*TIGHTENINGS]},
        "uniqueItems": True,
        "default": ["prefix", "tokenizer"],
    },
    "time_zone": {
        "description": "Where hours, days, weeks and months begin.",
        "type": "string",
        "pattern": "^[A-Za-z][A-Za-z0-9_+/-]*$",
        "default": "UTC",
        "examples": ["Europe/Berlin"],
    },
    "unpriced": {
        "description": "Refuse a model without a price under a limit in dollars, or price it as another one.",
        **_word_or("refuse", {"price_as": _model("A model that has a price.")}, required=("price_as",)),
        "default": "refuse",
    },
    "wait": {
        "description": "How long a call may wait for room that open calls hold.",
        **_time(),
        "default": "30s",
    },
}


if __name__ == "__main__":
    print(json.dumps(schema(), indent=2))
