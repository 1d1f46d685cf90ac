import hashlib
import importlib.resources
import json
import re
from typing import Any

import pytest
from clocks import ManualClock
from run_journal import CENT, RunJournal

from solvent.report import Report, list_json, summarize, to_json
from solvent.report._json import SCHEMA_VERSION

SCHEMA_TEXT = importlib.resources.files("solvent.report").joinpath("schema.json").read_text()
SCHEMA: dict[str, Any] = json.loads(SCHEMA_TEXT)
DIGESTS = {1: "a7ab74e0897f0d8e"}
_TYPES = {"object": dict, "array": list, "string": str, "integer": int, "null": type(None)}


def problems(value: Any, schema: dict[str, Any], at: str = "report") -> list[str]:
    """
    Where a value is not what the schema says; of JSON Schema only the words that ours uses, and no others.
    """
    known = {"$ref", "type", "const", "enum", "required", "properties", "additionalProperties", "items", "pattern"}
    assert not schema.keys() - known - {"$schema", "$defs", "title", "description", "minimum"}, at
    found = []
    if "$ref" in schema:
        found += problems(value, SCHEMA["$defs"][schema["$ref"].removeprefix("#/$defs/")], at)
    if "type" in schema:
        names = [schema["type"]] if isinstance(schema["type"], str) else schema["type"]
        if type(value) not in [_TYPES[name] for name in names]:
            return [*found, f"{at}: {value!r} is not {names}"]
    if "const" in schema and value != schema["const"]:
        found.append(f"{at}: {value!r}")
    if "enum" in schema and value not in schema["enum"]:
        found.append(f"{at}: {value!r}")
    if "minimum" in schema and value < schema["minimum"]:
        found.append(f"{at}: {value!r}")
    if isinstance(value, str) and "pattern" in schema and not re.search(schema["pattern"], value):
        found.append(f"{at}: {value!r}")
    if isinstance(value, list) and "items" in schema:
        found += [problem for i, item in enumerate(value) for problem in problems(item, schema["items"], f"{at}[{i}]")]
    if isinstance(value, dict):
        properties = schema.get("properties", {})
        found += [f"{at}.{name} is missing" for name in schema.get("required", []) if name not in value]
        for name, part in value.items():
            rule = properties.get(name, schema.get("additionalProperties", True))
            if rule is False:
                found.append(f"{at}.{name} is unknown")
            elif rule is not True:
                found += problems(part, rule, f"{at}.{name}")
    return found


@pytest.fixture
def full(journal: RunJournal, clock: ManualClock) -> Report:
    """
    A report in which nothing is empty.
    """
    other = {"scope": "run:triage", "meter": "usd", "window": "", "limit": "5", "on_exceed": "warn"}
    journal.open(bound_parts=[other, {**other, "meter": "seconds", "limit": "1.5", "on_exceed": "block"}])
    clock.advance(seconds=1.5)
    journal.call(2 * CENT + 1, usage={"input_tokens": 100, "output_tokens": 7}, rungs=["shrink 513"])
    journal.call(None, model_used="o9", estimated="cut")
    journal.reserve(3 * CENT)
    clock.advance(seconds=121)
    journal.store.expire()
    journal.reserve(4 * CENT)
    journal.call(5 * CENT, status="503")
    journal.refuse("budget_exceeded", "run:triage has $0.01 left.", meter="usd")
    journal.refuse("price_unknown", "'o8' has no price.", model="o8")
    journal.release(journal.reserve(6 * CENT))
    journal.close("budget", 3, usage={"denied": 2})
    return summarize(journal.store, "run:triage", clock=clock)


def test_a_report_is_what_the_schema_says(full: Report) -> None:
    assert problems(to_json(full), SCHEMA) == []
    assert problems(to_json(Report(scope="run:empty")), SCHEMA) == []
    assert problems(list_json([full, Report(scope="run:empty")], 7), SCHEMA["$defs"]["list"]) == []


def test_the_schema_knows_a_wrong_report(full: Report) -> None:
    wrong: Any = to_json(full)
    wrong["limits"][0]["spent"] = 1
    wrong["total"]["extra"] = 0
    del wrong["scope"]

    assert problems(wrong, SCHEMA) == [
        "report.scope is missing",
        "report.limits[0].spent: 1 is not ['string']",
        "report.total.extra is unknown",
    ]


def test_amounts_are_exact_strings(full: Report) -> None:
    written: Any = json.loads(json.dumps(to_json(full)))

    assert written["schema_version"] == 1
    assert written["limits"][0] == {
        "scope": "run:triage",
        "meter": "usd",
        "window": "",
        "unit": "nanodollars",
        "limit": "1000000000",
        "spent": "100000001",
        "reserved": "40000000",
        "remaining": "859999999",
        "overrun": "20000000",
        "dollars": {
            "limit": "1.000000000",
            "spent": "0.100000001",
            "reserved": "0.040000000",
            "remaining": "0.859999999",
            "overrun": "0.020000000",
        },
    }
    assert (written["limits"][1]["unit"], written["limits"][1]["dollars"]) == ("count", None)
    assert written["total"] == {
        "calls": 4,
        "cost_nanodollars": "100000001",
        "cost_dollars": "0.100000001",
        "unpriced": 1,
        "tokens": {"input_tokens": 100, "output_tokens": 7},
    }
    assert written["refused"] == [
        {
            "code": "budget_exceeded",
            "account": {"scope": "run:triage", "meter": "usd", "window": ""},
            "limit": "1000000000",
            "model": None,
            "count": 1,
            "reason": "run:triage has $0.01 left.",
        },
        {
            "code": "price_unknown",
            "account": None,
            "limit": None,
            "model": "o8",
            "count": 1,
            "reason": "'o8' has no price.",
        },
    ]
    assert written["estimated"] == [
        {"reason": "cut", "count": 1, "nanodollars": "0", "dollars": "0.000000000"},
        {"reason": "expired", "count": 1, "nanodollars": "30000000", "dollars": "0.030000000"},
    ]
    assert (written["started"], written["ended"], written["elapsed_milliseconds"]) == (
        "2026-03-02T10:15:00.000000000Z",
        "2026-03-02T10:17:02.500000000Z",
        122_500,
    )
    assert (written["state"], written["exit_reason"], written["exit_code"]) == ("ended", "budget", 3)
    assert written["also_in_force"] == [
        {"scope": "run:triage", "meter": "usd", "window": "", "limit": "5", "on_exceed": "warn", "spent": "100000001"},
        {
            "scope": "run:triage",
            "meter": "seconds",
            "window": "",
            "limit": "1.5",
            "on_exceed": "block",
            "spent": None,
        },
    ]
    assert (written["failed"], written["turned_away"], written["unsent"]) == (
        {"503": 1},
        {"denied": 2},
        {"not_sent": 1},
    )


def test_the_schema_of_a_version_never_changes() -> None:
    # Whoever has to change a digest here raises SCHEMA_VERSION, or has broken every reader of reports. Only until the
    # first release may a version gain fields.
    meaning = json.dumps(SCHEMA, sort_keys=True).encode()

    assert hashlib.blake2b(meaning, digest_size=8).hexdigest() == DIGESTS[SCHEMA_VERSION]
