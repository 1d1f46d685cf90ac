"""
The JSON Schema of ``solvent.yaml``: it refuses nothing that the reader takes, and most of what the reader refuses.
"""

import importlib.resources
import json
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import yaml
from documents import DOCUMENTS, as_editors_see, as_texts, written
from hatchling.builders.wheel import WheelBuilder
from hypothesis import given, settings
from jsonschema import Draft202012Validator
from test_malformed import MALFORMED

from solvent.policy._read import SETTINGS, read_policy
from solvent.policy._schema import schema

ROOT = Path(__file__).parent.parent.parent
PUBLISHED = importlib.resources.files("solvent.policy").joinpath("schema.json")
VALIDATOR = Draft202012Validator(json.loads(PUBLISHED.read_text()))

# What no schema can know, by what is then said of it.
UNSEEN = {
    "names that come twice": "each name once|each share once",
    "what readers of YAML have resolved before": "no anchors|no tags|no merge keys|text in UTF-8",
    "numbers that are written in another way": "number without|'(0o17|0x1F|5.|.nan|True|1.0005k)'$|most .+ decimals",
    "how long a time is that has units": "at most 366d|above 0",
    "the names of time zones": "^solvent.yaml:1: time_zone",
    "models": "model that has a price|model of the provider|one step from each model|a way to other models",
}


def test_what_is_published_is_what_is_written():
    written = [sys.executable, "-m", "solvent.policy._schema"]
    done = subprocess.run(written, capture_output=True, text=True, check=True)
    assert PUBLISHED.read_text() == done.stdout, "to mend: python -m solvent.policy._schema > …/policy/schema.json"
    Draft202012Validator.check_schema(schema())


def test_every_setting_is_in_it_and_says_what_it_means():
    assert schema()["properties"].keys() == SETTINGS.keys()

    def undescribed(part, path):
        for name, below in part.get("properties", {}).items():
            if "description" not in below and name != "limit":
                yield f"{path}.{name}"
            yield from undescribed(below, f"{path}.{name}")

    parts = {"": schema(), **schema()["$defs"]}
    assert [name for path, part in parts.items() for name in undescribed(part, path)] == []


def test_it_ships_with_the_package():
    files = {file.distribution_path for file in WheelBuilder(str(ROOT)).recurse_included_files()}
    assert "solvent/policy/schema.json" in files


@pytest.mark.parametrize("see", [as_texts, as_editors_see])
def test_the_documented_policy_is_in_it(see):
    [block] = re.findall(r"```yaml\n(ledger:.*?)```", (ROOT / "docs/reference/policy.md").read_text(), flags=re.S)
    VALIDATOR.validate(see(block))


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(document=DOCUMENTS)
def test_a_document_of_its_shapes_is_a_policy_and_in_it(tmp_path_factory, document):
    text = written(document)
    path = tmp_path_factory.getbasetemp() / "solvent.yaml"
    path.write_text(text)
    read_policy(path)
    assert as_texts(text) == document
    VALIDATOR.validate(document)
    VALIDATOR.validate(as_editors_see(text))


def test_what_the_reader_refuses_it_refuses_but_for_what_no_schema_can_know():
    passed = Counter()
    for text, message in MALFORMED:
        try:
            document = as_editors_see(text)
        except yaml.YAMLError:
            continue
        reasons = [reason for reason, pattern in UNSEEN.items() if re.search(pattern, message)]
        if VALIDATOR.is_valid(document):
            assert reasons, f"{text!r} is in it; the reader says {message}"
            passed.update(reasons)
    assert passed.keys() == UNSEEN.keys()
