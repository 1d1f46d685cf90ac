"""
The table of what is covered says what is so: each claim of it is one that a test runs.
"""

import importlib
import re
import sys
from importlib import metadata
from pathlib import Path

import pytest
from bedrock_ways import BOTO3, SIGNED
from blind_ways import BLIND
from google_ways import GOOGLE
from sdk_ways import WAYS

import solvent
from solvent import instrument
from solvent.cli._doctor_look import libraries
from solvent.instrument import HOOKS, Hook
from solvent.instrument._coverage import COVERAGE, by_module, by_name
from solvent.instrument._frameworks import FRAMEWORKS

sys.path.append(str(Path(__file__).parents[1] / "sdks"))
from run import ENVIRONMENTS
from sdks import BY_SDK

pytestmark = pytest.mark.slow

# Hooks that keep threads in the budget of whoever starts them, and send nothing.
STARTERS = {"concurrent.futures", "multiprocessing", "os", "subprocess", "threading", "uvloop"}
ALL = [*WAYS, *GOOGLE, *BOTO3, *SIGNED, *(way for ways in BY_SDK.values() for way in ways)]
HERE = [way for way in ALL if way.sdk in {way.sdk for way in (*WAYS, *GOOGLE, *BOTO3)} and way not in SIGNED]
ONE_OF_EACH = list({(way.sdk, way.asynchronous, way.streamed): way for way in HERE}.values())
INSTALLED = {one.library.name: one for one in libraries()}
HELD = [library for library in COVERAGE if library.state == "held"]
SENDERS = {"aiohttp", "botocore", "dspy", "httpx", "httpx2", "requests"}
NOWHERE = "http://127.0.0.1:9"


def sdk_of(environment):
    return environment.settings["SOLVENT_SDK"]


def in_environment(name):
    return {"grpc": "grpcio"}.get(name, name)


def test_names_and_modules_are_each_of_one_row():
    names = [library.name for library in COVERAGE]
    modules = [module for library in COVERAGE for module in library.modules]
    assert names == sorted(set(names))
    assert len(modules) == len(set(modules))
    assert by_module("google.genai.models") is by_name("google-genai")
    assert by_module("google.auth") is by_module("json") is None


def test_every_hook_belongs_to_a_row():
    rows = {row.name for row in (*COVERAGE, *FRAMEWORKS) if row.hooks}
    assert {hook.package for hook in HOOKS} - STARTERS == rows


def test_every_framework_has_a_hook():
    assert all(framework.hooks for framework in FRAMEWORKS)


def test_a_call_that_is_held_is_held_where_it_is_sent():
    assert {library.name for library in HELD if not library.over} == SENDERS
    for library in HELD:
        assert library.hooks or library.over == ("botocore",), library.name
        assert set(library.over) <= SENDERS, library.name


@pytest.mark.parametrize("hook", HOOKS, ids=lambda hook: hook.module)
def test_every_hook_has_its_file(hook):
    assert (Path(instrument.__file__).parent / f"{hook.file}.py").exists()


def fits(hook):
    """
    Whether a hook is on once its module is loaded.
    """
    try:
        importlib.import_module(hook.module)
    except ModuleNotFoundError:
        return False
    solvent.install()
    return hook in instrument.active()


@pytest.mark.usefixtures("guarded")
@pytest.mark.parametrize("name", [library.name for library in COVERAGE if library.hooks and library.name in INSTALLED])
def test_a_hook_finds_its_place_in_what_is_installed(name):
    assert any(fits(hook) for hook in by_name(name).hooks)
    assert INSTALLED[name].has_place


@pytest.mark.usefixtures("guarded")
@pytest.mark.parametrize("file", ["openai_agents", "stainless"])  # One looks whether its place is there first.
def test_a_hook_without_a_place_would_be_noticed(file, monkeypatch):
    monkeypatch.setattr(instrument, "HOOKS", (*HOOKS, Hook("ruled", "colorsys", file)))
    assert not fits(instrument.HOOKS[-1])


@pytest.mark.parametrize(
    "name", sorted({way.sdk for way in ALL} | {in_environment(sdk_of(one)) for one in ENVIRONMENTS})
)
def test_every_sdk_of_the_tests_has_its_row(name):
    assert name in {library.name for library in COVERAGE} | {"blind"}


def run(ways):
    return {"async" if way.asynchronous else "sync" for way in ways} | {"streamed" for way in ways if way.streamed}


# The ways of aiobotocore are in no table that can be read without it.
@pytest.mark.parametrize(
    "library", [one for one in HELD if one.name != "aiobotocore"], ids=lambda library: library.name
)
def test_the_ways_that_are_claimed_are_those_that_are_tested(library):
    own = run([way for way in ALL if way.sdk == library.name])
    above = run([way for way in ALL if library.name in by_name(way.sdk).over])
    assert own <= set(library.ways) <= own | above


def lines_that_run(name):
    """
    The release lines of a library that tests run, by their first number; ``newest`` is whichever is out.
    """
    yield from [INSTALLED[name].version.partition(".")[0]] if name in INSTALLED else []
    for need in (need for environment in ENVIRONMENTS for need in environment.needs):
        named, sign, number = re.fullmatch(r"([\w-]+)(==|<)?([\d.]+)?", need).groups()
        if named == name:
            first = (number or "").partition(".")[0]
            yield "newest" if not sign else first if sign == "==" or first == "0" else str(int(first) - 1)


@pytest.mark.parametrize(
    "library", [one for one in COVERAGE if not one.is_pythons_own and one.tested], ids=lambda library: library.name
)
def test_the_release_lines_that_are_claimed_are_those_that_are_tested(library):
    lines = set(lines_that_run(library.name))
    assert lines - {"newest"} <= set(library.tested)
    assert len(library.tested) == len(lines - {"newest"}) + ("newest" in lines and library.name not in INSTALLED)


@pytest.mark.parametrize("environment", ENVIRONMENTS, ids=lambda environment: environment.name)
def test_what_an_environment_of_its_own_has_is_what_is_claimed(environment):
    home = environment.folder
    if not (home / "made-of").exists():
        pytest.skip("not made yet: make test-sdks")
    folders = [str(folder) for folder in home.glob("lib/python*/site-packages")]
    there = {one.name: one.version for one in metadata.distributions(path=folders)}
    needed = {re.split("[=<]", need)[0] for need in environment.needs}
    for library in COVERAGE:
        if library.name in needed:
            assert there[library.name].partition(".")[0] in library.tested


@pytest.mark.parametrize("way", ONE_OF_EACH, ids=str)
def test_what_a_refusal_is_is_what_the_table_says(way, guarded):
    with solvent.budget(usd="0"):
        if by_name(way.sdk).answers:
            (reply, *_) = way.take(NOWHERE, 500)
            assert b'"code":"budget_exceeded"' in (reply if way.streamed else reply.content)
            assert way.streamed or reply.status_code == 402
        else:
            with pytest.raises(solvent.BudgetExceeded):
                way.take(NOWHERE, 500)
    assert guarded.count("refuse") == 1


@pytest.mark.parametrize("name", [name for name in BLIND if name in INSTALLED])
def test_what_is_said_to_be_blind_is_not_held(name, guarded, fake_provider):
    fake = fake_provider()
    with solvent.budget(usd="0", calls=0):
        BLIND[name](f"{fake.url}/v1/chat/completions")
    assert len(fake.seen) == 1
    assert guarded.spent("calls") == 0


def test_everything_that_is_not_held_says_what_and_how_to_mend_it():
    for library in COVERAGE:
        assert bool(library.uncovered) == bool(library.mend)
        assert library.state == "held" or library.uncovered, library.name
        assert set(library.ways) <= {"sync", "async", "streamed"}


def test_every_blind_way_has_its_row():
    assert {name for name in BLIND if by_name(name).state != "blind"} == set()
