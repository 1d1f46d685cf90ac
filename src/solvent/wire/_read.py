"""
Strict reading of what requests and replies say: a count is a whole number, or it is refused in so many words.
"""

import json
import re
from collections.abc import Iterable, Mapping
from decimal import ROUND_CEILING, Decimal
from typing import Any

from solvent._amounts import AMOUNT_MAX, NANODOLLARS_PER_DOLLAR, check_amount

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}")
# ``models/NAME:verb`` at Google, ``model/NAME/verb`` at Amazon, where a name may have colons and slashes of its own.
# What a user has tuned or deployed keeps the word before it, for it is none of the models of that name.
_MODEL_IN_PATH = re.compile(r"(?:^|/)(?:models?/|(?=(?:endpoints|tunedModels)/))(.+?)(?::[A-Za-z]+|/[a-z-]+)$")
RETRY_HEADER = "x-stainless-retry-count"
_ATTEMPT = re.compile(r"attempt=([0-9]{1,6})\b")
_EMPTY: Mapping[str, Any] = {}


def mapping(value: object) -> Mapping[str, Any]:
    """
    ``value`` when it is a JSON object, else an empty one.
    """
    return value if isinstance(value, dict) else _EMPTY


def objects(value: object) -> Iterable[Mapping[str, Any]]:
    """
    The objects of a JSON list; nothing of anything else.
    """
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else ()


def text(value: object) -> str | None:
    """
    ``value`` when it is a text with something in it.
    """
    return value if isinstance(value, str) and value else None


def safe_name(value: object) -> str | None:
    """
    ``value`` when it can be a type or a code; never a sentence, for those may quote the prompt.
    """
    return value if isinstance(value, str) and _NAME.fullmatch(value) else None


def count(source: Mapping[str, Any], name: str) -> int:
    """
    A count that a reply tells; 0 when it is missing or null.

    Raises:
        ValueError: It is boolean, fractional, text, negative or above 2^53 - 1.
    """
    value = source.get(name)
    if type(value) is int and 0 <= value <= AMOUNT_MAX:
        return value
    return 0 if value is None else check_amount(name, value)


def dollars(source: Mapping[str, Any], name: str) -> int | None:
    """
    An amount of dollars that a reply tells, in nanodollars, rounded up; ``None`` when it is missing or null.

    Raises:
        ValueError: It is no amount: boolean, text, negative, or above what a ledger holds.
    """
    value = source.get(name)
    if value is None:
        return None
    if type(value) not in (int, float) or not 0 <= value <= AMOUNT_MAX // NANODOLLARS_PER_DOLLAR:
        raise ValueError(f"{name} must be an amount of dollars, got {_show(value)}")
    exact = Decimal(repr(value)) * NANODOLLARS_PER_DOLLAR  # A float by its shortest decimal text.
    return int(exact.to_integral_value(ROUND_CEILING))


def model_name(request: Mapping[str, Any], otherwise: str | None = None) -> str:
    """
    The model that a request names.

    Raises:
        ValueError: It names none.
    """
    name = request.get("model")
    if name is None and otherwise is not None:
        return otherwise
    if not isinstance(name, str) or not name:
        raise ValueError(f"model must be the name of a model, got {_show(name)}")
    return name


def path_model(path: str) -> str:
    """
    The model that a path names.

    Raises:
        ValueError: It names none.
    """
    found = _MODEL_IN_PATH.search(path)
    return model_name({"model": found[1] if found else None})


def path_with(path: str, model: str) -> str:
    """
    A path that names a model, under another one.
    """
    found = _MODEL_IN_PATH.search(path)
    return path if found is None else path[: found.start(1)] + model + path[found.end(1) :]


def cap(request: Mapping[str, Any], name: str) -> int | None:
    """
    An output cap that a request names; ``None`` when it names none.

    Raises:
        ValueError: It is no whole number, or larger than a number can be.
    """
    value = request.get(name)
    if value is None:
        return None
    if type(value) is not int:
        raise ValueError(f"{name} must be a whole number of tokens, got {_show(value)}")
    # Several hosts read -1 as "no cap", so a negative one must not bound anything.
    return None if value < 0 else check_amount(name, value)


def listed(request: Mapping[str, Any], name: str) -> list[Any]:
    """
    A list that a request may have; empty when it is missing or null.

    Raises:
        ValueError: It is something else.
    """
    value = request.get(name)
    if value is None:
        return []
    if not isinstance(value, list):
        raise ValueError(f"{name} must be a list, got {_show(value)}")
    return value


def retry_count(headers: Mapping[str, str]) -> int:
    """
    Which attempt this is by the client's own count, 0 for the first.

    Source:
        openai 3.54.0 and anthropic 2.12.0, ``_base_client.py``: header ``x-stainless-retry-count``, read 2026-11-21;
        botocore 1.44.5, ``handlers.py``: header ``amz-sdk-request``, which counts from 1, read 2026-11-22.
    """
    value = headers.get(RETRY_HEADER, "")
    attempt = _ATTEMPT.search(headers.get("amz-sdk-request", ""))
    if attempt is not None:
        return max(int(attempt[1]) - 1, 0)
    return int(value) if value.isascii() and value.isdigit() and len(value) < 7 else 0


def all_written(written: int, reasoning: int, *, read: int, total: int) -> tuple[int, int]:
    """
    Output with its reasoning, and the reasoning of it: Gemini and xAI leave it out of the output, not out of the total.

    Source:
        Recorded replies of Gemini and Grok, checked 2026-11-21.
    """
    if total > read:
        written = max(written, total - read)
    elif reasoning > written:
        written += reasoning
    return written, min(reasoning, written)


def merged(first: Any, second: Any) -> Any:
    """
    Two tellings of one usage as one: field by field the larger number, else the later word.
    """
    if isinstance(first, dict) and isinstance(second, dict):
        return {key: merged(first.get(key), second.get(key)) for key in {**first, **second}}
    if type(first) is int and type(second) is int:
        return max(first, second)
    return first if second is None else second


def kind_of(value: object) -> str:
    """
    What a value of JSON is, for people.
    """
    return "nothing" if value is None else _KINDS.get(type(value), "something else")


_KINDS = {bool: "true or false", dict: "an object", float: "a number", int: "a number", list: "a list", str: "a text"}


def _show(value: object) -> str:
    return "nothing" if value is None else f"{kind_of(value)}, {json.dumps(value, ensure_ascii=False, default=str):.60}"
