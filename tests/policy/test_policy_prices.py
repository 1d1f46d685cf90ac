"""
Prices in ``solvent.yaml``: figures, or another model's price, which must be known when the file is read.
"""

import pytest

from solvent.errors import SettingsError
from solvent.policy._read import read_policy
from solvent.prices import PriceAs, Prices, UserPrice


@pytest.fixture
def read(tmp_path):
    def read(text, **given):
        path = tmp_path / "solvent.yaml"
        path.write_text(text)
        return read_policy(path, **given)

    return read


def test_a_model_has_figures_or_the_name_of_another_model(read):
    policy = read("prices:\n  mine: {input: 3.00, output: 15.00}\n  my-deployment: gpt-4o\n")
    assert policy.prices == {
        "mine": UserPrice(input=3_000_000, output=15_000_000, source="solvent.yaml:2"),
        "my-deployment": PriceAs(model="gpt-4o", source="solvent.yaml:3"),
    }
    price = Prices.load(policy.prices).find("azure", "my-deployment")
    assert price.source.startswith("solvent.yaml:3, as azure/gpt-4o: genai-prices 0.2.3")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "wait: 1s\nunpriced: {price_as: gpt-77}",
            "solvent.yaml:2: unpriced.price_as: expected a model that has a price, got gpt-77; did you mean gpt-",
        ),
        (
            "prices:\n  my-deployment: gpt-4oo",
            "solvent.yaml:2: prices.my-deployment: expected a model that has a price, got gpt-4oo; did you mean gpt-4o",
        ),
        (
            "prices:\n  a: gpt-4o\n  b: a",  # A name for a name could be a name for itself.
            "solvent.yaml:3: prices.b: expected a model that has a price",
        ),
    ],
)
def test_another_models_price_must_be_known_when_the_file_is_read(read, text, message):
    with pytest.raises(SettingsError) as refused:
        read(text)
    assert message in str(refused.value)


@pytest.mark.parametrize("other", ["gpt-4o", "openai/gpt-4o", "mine", "flagged", "claude-opus-5-5"])
def test_a_price_that_the_file_or_a_flag_gives_is_known(read, other):
    text = f"unpriced: {{price_as: {other}}}\nprices: {{mine: {{input: 1, output: 2}}, my-deployment: {other}}}"
    policy = read(text, prices={"flagged": UserPrice(input=1, output=2)})
    assert policy.price_as == other
    assert set(policy.prices) == {"mine", "my-deployment", "flagged"}


def test_a_price_has_every_kind_of_token(read):
    rates = (
        "input: 3, output: 15, cache_read: 0.3, cache_write: 3.75, cache_write_1h: 6, audio_input: 40, audio_output: 80"
    )
    given = read(f"prices: {{mine: {{{rates}}}}}").prices["mine"]

    assert (given.cache_write, given.cache_write_1h) == (3_750_000, 6_000_000)
    assert (given.audio_input, given.audio_output) == (40_000_000, 80_000_000)


def test_a_flag_wins_over_the_file(read):
    policy = read("prices: {mine: {input: 1, output: 2}}", prices={"mine": UserPrice(input=7, output=7)})
    assert policy.prices["mine"].input == 7
