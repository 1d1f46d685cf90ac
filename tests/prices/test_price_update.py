"""
A newer rate card than the one that ships: from a package or a file, whole or not at all, and never older unasked.
"""

import json
import stat
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from solvent._amounts import Usage
from solvent.errors import SettingsError
from solvent.prices import Prices, _update
from solvent.prices._card import RATES, Card, newest_card
from solvent.prices._card_file import read_card_file
from solvent.prices._data import read_package
from solvent.prices._update import reset, update

pytestmark = pytest.mark.slow  # Most read the whole data, some more than once.

AT = datetime(2026, 11, 21, 12, tzinfo=UTC)
SHIPPED = "genai-prices 0.2.3"


@pytest.fixture(scope="module")
def data() -> list[dict[str, object]]:
    pytest.importorskip("genai_prices", reason="genai-prices is not installed")
    return msgspec.json.decode(msgspec.json.encode(read_package()))


@pytest.fixture
def into(tmp_path, monkeypatch) -> Path:
    """
    Where the updated card is to be, for this test alone.
    """
    monkeypatch.setattr("platformdirs.user_data_dir", lambda name: str(tmp_path / "data" / name))
    newest_card.cache_clear()
    yield tmp_path / "data" / "solvent" / "rates-2.jsonl"
    newest_card.cache_clear()


def written(tmp_path, data, name="data.json") -> Path:
    path = tmp_path / name
    path.write_text(json.dumps(data), encoding="utf-8")
    return path


def provider(id, data):
    return next(one for one in data if one["id"] == id)


def newer(data, *, price="9"):
    """
    The same data with a price of gpt-4o that begins later than any other.
    """
    data = json.loads(json.dumps(data))
    model = next(one for one in provider("openai", data)["models"] if one["id"] == "gpt-4o")
    later = {"constraint": {"start_date": "2026-11-20"}, "prices": {**model["prices"], "input_mtok": price}}
    future = {"constraint": {"start_date": "2027-02-01"}, "prices": model["prices"]}
    model["prices"] = [{"prices": model["prices"]}, later, future]
    return data


def cost(prices) -> int:
    return prices.find("openai", "gpt-4o").cost(Usage(input_tokens=1_000), tier=None, region=None, at=AT)


def test_newer_data_is_in_force_from_the_next_start(tmp_path, data, into):
    running = Prices.load()
    assert cost(running) == 2_500_000
    report = update(written(tmp_path, newer(data)))
    assert report.path == into
    assert report.before == SHIPPED
    assert report.source.startswith("genai-prices data ")
    assert (report.added, report.gone, report.changed) == ((), (), ("openai/gpt-4o",))
    assert report.models == 2_125
    assert cost(running) == 2_500_000
    assert cost(Prices.load()) == 9_000_000
    assert Prices.load().find("openai", "gpt-4o").source == f"{report.source}, overlay of 2026-11-22"


def test_slim_data_with_numbers_does_as_well(tmp_path, data, into):  # noqa: ARG001
    slim = [{key: value for key, value in one.items() if key != "model_match"} for one in newer(data, price=0.1)]
    update(written(tmp_path, slim))
    assert cost(Prices.load()) == 100_000


def test_the_installed_package_is_the_data_where_no_file_is_named(into, data):  # noqa: ARG001  # It must be installed.
    report = update()
    assert (report.path, report.source) == (None, SHIPPED)  # It is what ships already.
    assert not into.exists()
    assert update(force=True).path == into
    assert Card(into).header.version == "0.2.3"


def test_the_card_that_ships_is_read_where_no_other_is(into):  # noqa: ARG001
    assert Prices.load().card.path == RATES


def test_the_same_data_again_changes_nothing(tmp_path, data, into):
    path = written(tmp_path, newer(data))
    update(path)
    before = into.read_bytes()
    assert update(path).path is None
    assert into.read_bytes() == before


def test_older_data_is_refused_unless_it_is_forced(tmp_path, data, into):
    old = json.loads(json.dumps(data))
    for one in old:
        for model in one["models"]:
            model["price_variants"] = None
            if isinstance(model["prices"], list):
                model["prices"] = model["prices"][0]["prices"]
    path = written(tmp_path, old)
    with pytest.raises(SettingsError) as refused:
        update(path)
    assert str(refused.value).startswith(
        f"{path}: expected data that is not older than {SHIPPED}, got genai-prices data"
    )
    assert str(refused.value).endswith("To go on: take it all the same with --force.")
    assert not into.exists()
    assert update(path, force=True).path == into
    assert Prices.load().card.path == into
    header, lines = read_card_file(into)
    header.forced_over = "the card of a version before"
    into.write_bytes(b"\n".join([msgspec.json.encode(header), *lines, b""]))
    newest_card.cache_clear()
    assert Prices.load().card.path == RATES  # It was forced over another card than the one that ships now.


def test_a_card_of_before_an_upgrade_gives_way_to_the_one_that_ships(tmp_path, data, into):
    update(written(tmp_path, newer(data)))
    header, lines = read_card_file(into)
    for version, path in (("0.2.2", RATES), ("0.2.10", into)):
        header.version = version
        into.write_bytes(b"\n".join([msgspec.json.encode(header), *lines, b""]))
        newest_card.cache_clear()
        assert Prices.load().card.path == path


def one_model(**model) -> str:
    return json.dumps([{"id": "openai", "models": [{"id": "m", "match": {"equals": "m"}, "prices": {}, **model}]}])


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "truncated"),
        ("{}", "Expected `array`, got `object`"),
        ('[{"id": "openai"}]', "missing required field `models`"),
        (one_model(prices={"input_mtok": "two"}), "decimal"),
        (one_model(prices={"input_mtok": -1}), "from 0 up"),
        (one_model(prices={"input_mtok": {"base": 2, "tiers": [{"start": 1_000, "price": 1}]}}), "cheaper"),
        (one_model(match={"sounds_like": "m"}), "a known kind"),
        (one_model(match={}), "one condition"),
        (
            one_model(
                prices=[
                    {"prices": {"input_mtok": 1}},
                    {"prices": {"input_mtok": 1}, "constraint": {"start_time": "00:10:00", "end_time": "05:00:00"}},
                ]
            ),
            "half hours",
        ),
    ],
)
def test_damaged_data_is_refused_and_nothing_is_written(tmp_path, into, text, what):
    path = tmp_path / "data.json"
    path.write_text(text)
    with pytest.raises(SettingsError) as refused:
        update(path)
    assert str(refused.value).startswith(f"{path}: expected price data in the form of genai-prices's data.json, got ")
    assert what in str(refused.value)
    assert not into.parent.exists()


def test_data_without_a_price_is_refused_even_if_it_is_forced(tmp_path, into):
    for text in ("[]", '[{"id": "openai", "models": []}]', one_model()):
        path = tmp_path / "data.json"
        path.write_text(text)
        with pytest.raises(SettingsError, match=r"data\.json: expected data with the price of a model, got none"):
            update(path, force=True)
        assert not into.exists()


def test_an_update_can_be_taken_back(tmp_path, data, into):
    update(written(tmp_path, newer(data)))
    assert cost(Prices.load()) == 9_000_000
    report = reset()
    assert (report.path, report.source, report.models, report.changed) == (into, SHIPPED, 2_125, ("openai/gpt-4o",))
    assert cost(Prices.load()) == 2_500_000
    assert reset().path is None
    into.write_text("damaged")
    newest_card.cache_clear()
    assert reset().path == into
    assert cost(Prices.load()) == 2_500_000


def test_a_package_that_cannot_be_imported_is_told_from_data_that_cannot_be_read(monkeypatch, into):  # noqa: ARG001
    monkeypatch.setattr(_update, "package_version", lambda: "9.9")
    monkeypatch.setattr(_update, "read_package", lambda: __import__("no_such_module_of_genai_prices"))
    with pytest.raises(SettingsError) as refused:
        update()
    assert str(refused.value) == (
        "genai-prices 9.9: expected a whole package, got one that cannot be imported: No module named "
        "'no_such_module_of_genai_prices'\nTo go on: `pip install -U genai-prices`, or name a data.json of it."
    )


def test_a_file_that_is_not_there_is_named(tmp_path, into):  # noqa: ARG001
    with pytest.raises(
        SettingsError, match=r"nothing\.json: expected a file that can be read, got an error: No such file"
    ):
        update(tmp_path / "nothing.json")


def test_without_the_package_a_file_is_asked_for(monkeypatch, into):  # noqa: ARG001
    monkeypatch.setattr(_update, "package_version", lambda: None)
    with pytest.raises(SettingsError) as refused:
        update()
    assert str(refused.value) == (
        "genai-prices: expected the package to be installed, or a data.json of it to be named, got neither\n"
        "To go on: `pip install -U genai-prices`, or name a file."
    )


def test_a_unit_that_is_new_counts_where_it_can_and_is_named(tmp_path, data, into):  # noqa: ARG001
    later = newer(data)
    model = next(one for one in provider("openai", later)["models"] if one["id"] == "gpt-4o")
    model["prices"][1]["prices"] |= {"input_smell_mtok": 12, "output_smell_mtok": 1, "sniffs_kcount": 5}
    assert update(written(tmp_path, later)).unknown_units == ("input_smell_mtok", "output_smell_mtok", "sniffs_kcount")
    assert cost(Prices.load()) == 12_000_000


def test_a_damaged_card_is_refused_by_name_until_it_is_made_anew(tmp_path, data, into):
    path = written(tmp_path, newer(data))
    update(path)
    whole = into.read_bytes()
    for damaged in (whole[:-1], b"", b"{}", whole.replace(b"gpt-4o", b"gpt-9o"), b"\xff" + whole):
        into.write_bytes(damaged)
        newest_card.cache_clear()
        for asks in (lambda: Prices.load().find("openai", "gpt-4o"), lambda: update(path)):
            with pytest.raises(SettingsError) as refused:
                asks()
            assert str(refused.value).startswith(f"{into}: expected a whole rate card, got ")
            assert str(refused.value).endswith("or take it away with `solvent prices reset`.")
    assert update(path, force=True).path == into
    assert into.read_bytes() == whole


def test_a_folder_that_cannot_be_written_is_named_and_keeps_what_it_has(tmp_path, data, into):
    path = written(tmp_path, newer(data))
    into.parent.parent.mkdir(parents=True)
    into.parent.write_text("a file where a folder should be")
    with pytest.raises(SettingsError, match="expected a file that can be written"):
        update(path)
    assert into.parent.read_text() == "a file where a folder should be"


def test_nothing_but_the_card_is_left_in_the_folder(tmp_path, data, into):
    update(written(tmp_path, newer(data)))
    assert [file.name for file in into.parent.iterdir()] == [into.name]
    assert stat.S_ISREG(into.stat().st_mode)


def test_a_disk_that_fills_up_leaves_the_card_as_it_was(tmp_path, data, into):
    path = written(tmp_path, newer(data))
    update(path)
    before = into.read_bytes()
    program = f"""
import resource
from pathlib import Path
from solvent.errors import SettingsError
from solvent.prices._update import update
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    update(Path({str(written(tmp_path, newer(data, price="8"), "more.json"))!r}), into=Path({str(into)!r}))
except SettingsError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == f"{into}: expected a file that can be written, got File too large\n"
    assert into.read_bytes() == before
    assert [file.name for file in into.parent.iterdir()] == [into.name]
