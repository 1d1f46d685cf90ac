# ruff: noqa: E402  # The rewriting of assertions has to be asked for before the imports.
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

# Workers of xdist say that they are 80 columns wide, and commands then fold what they say.
os.environ.pop("COLUMNS", None)

# A policy of the developer's own would be found, and enter what tests and the processes that they start expect.
_NO_POLICY = tempfile.TemporaryDirectory(prefix="solvent-config-")
os.environ["XDG_CONFIG_HOME"] = _NO_POLICY.name
os.environ.pop("SOLVENT_POLICY", None)

# Before anything imports it, or its promises fail without saying what was found.
pytest.register_assert_rewrite("solvent.testing")

from aimock import Aimock
from aimock import aimock as run_aimock
from fake_provider import Answer, Answers, Fake
from fake_provider import fake_provider as run_fake_provider
from machine import Machine
from servers import RealModel, Recorder, why_no_real_model
from servers import llmock as run_llmock
from servers import real_model as run_real_model
from servers import recording_proxy as run_recording_proxy


@pytest.fixture
def eager_switching() -> Iterator[None]:
    """
    Threads take turns after a microsecond, which shows races that the usual five milliseconds hide.
    """
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(usual)


@pytest.fixture
def recording_proxy() -> Iterator[Callable[[str], Recorder]]:
    """
    Starts recording proxies: ``recording_proxy(upstream)``.
    """
    with ExitStack() as stack:
        yield lambda upstream: stack.enter_context(run_recording_proxy(upstream))


@pytest.fixture
def fake_provider() -> Iterator[Callable[..., Fake]]:
    """
    Starts fakes: ``fake_provider(Answer(…))``, with a list of answers, or with a function from request to answer.
    """
    with ExitStack() as stack:

        def start(answers: Answers | None = None) -> Fake:
            return stack.enter_context(run_fake_provider(Answer() if answers is None else answers))

        yield start


@pytest.fixture
def llmock() -> Iterator[Callable[..., str]]:
    """
    Starts ``llmock`` servers: ``llmock("--error-rate", "429=0.2")`` gives the address.
    """
    with ExitStack() as stack:
        yield lambda *options: stack.enter_context(run_llmock(*options))


@pytest.fixture(scope="session")
def aimock() -> Iterator[Aimock]:
    """
    The other fake by others; one server for all tests of a process, each of which tells it what to answer.
    """
    with run_aimock() as server:
        yield server


@pytest.fixture(scope="session")
def real_model() -> Iterator[RealModel]:
    """
    The small real model; one server for all tests of a process.
    """
    if reason := why_no_real_model():
        pytest.skip(reason)
    with run_real_model() as model:
        yield model


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    """
    A machine on which nothing is left running.
    """
    machine = Machine(tmp_path)
    try:
        yield machine
    finally:
        machine.close()
