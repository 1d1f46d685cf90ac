"""
The page about prices: its examples run and print what is shown, and what it says of the data is so.
"""

import contextlib
import io
import json
import re
from pathlib import Path

import pytest

from solvent.policy._read import read_policy
from solvent.prices import Prices
from solvent.prices._card import DATA, newest_card
from solvent.prices._rates import UNITS

PAGE = Path(__file__).parent.parent / "docs" / "reference" / "prices.md"


@pytest.mark.slow
def test_the_examples_print_what_is_shown(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr("platformdirs.user_config_path", lambda name: tmp_path / ".config" / name)
    monkeypatch.setattr("platformdirs.user_data_dir", lambda name: str(tmp_path / "data" / name))
    newest_card.cache_clear()
    text, names = PAGE.read_text(), {}
    pairs = re.findall(r"^```python\n(.*?)^```\n\n```text\n(.*?)^```", text, flags=re.M | re.S)
    assert len(pairs) == text.count("```python") == text.count("```text") > 0
    for program, shown in pairs:
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(program, names)
        assert printed.getvalue() == shown
    newest_card.cache_clear()


def test_the_policy_that_is_shown_is_read(tmp_path):
    (text,) = re.findall(r"^```yaml\n(.*?)^```", PAGE.read_text(), flags=re.M | re.S)
    (tmp_path / "solvent.yaml").write_text(text)
    policy = read_policy(tmp_path / "solvent.yaml")
    prices = Prices.load(policy.prices)
    assert policy.price_as == "gpt-4o"
    for provider, model in (
        ("x", "my-model"),
        ("ollama", "llama3.2"),
        ("azure", "my-deployment"),
        ("azure", "tuned-9"),
    ):
        assert prices.find(provider, model) is not None


def test_every_unit_has_its_line():
    section = PAGE.read_text().partition("## What is priced")[2].partition("\n## ")[0]
    cells = re.findall(r"^\| (`.+?) \|", section, flags=re.M)
    assert [name for cell in cells for name in re.findall(r"`(\w+)`", cell)] == list(UNITS)


def test_the_data_is_of_the_versions_that_are_named():
    text = PAGE.read_text()
    rates = json.loads((DATA / "rates.jsonl").read_bytes().partition(b"\n")[0])
    card = Prices.load().card
    assert f"prices of {sum(1 for _ in card.every_price()):,} models of {len(card.providers)} providers" in text
    assert f"| `genai-prices` {rates['version']} |" in text
    limits, overlay = (json.loads((DATA / name).read_bytes()) for name in ("limits.json", "overlay.json"))
    assert f"`{limits['source'].replace(' ', '` ')} |" in text
    assert (
        {fact["read"] for fact in overlay["facts"]} == {overlay["source"].removeprefix("overlay of ")} == {"2026-11-22"}
    )
