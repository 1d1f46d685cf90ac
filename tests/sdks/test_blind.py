"""
Libraries that no hook sees: their calls pass whatever budget there is, and ``solvent doctor`` finds them.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from blind_ways import BLIND

import solvent
from solvent.instrument._coverage import COVERAGE, by_name

HERE = Path(__file__).parents[1] / "instrument"
OTHERS = [name for name in BLIND if not by_name(name).is_pythons_own]
WEBSOCKET = """
import os, websocket
try:
    websocket.create_connection(os.environ["MISTRAL_BASE_URL"].replace("http:", "ws:") + "/realtime")
except websocket.WebSocketException:
    pass
"""


def doctor(program, url):
    words = [sys.executable, "-m", "solvent", "doctor", "--strict", "--json", "--", sys.executable, "-c", program]
    env = {
        **os.environ,
        "MISTRAL_BASE_URL": f"{url}/v1",
        "PYTHONPATH": os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")]),
        "SOLVENT_LEDGER": "memory://",
    }
    done = subprocess.run(words, capture_output=True, text=True, env=env, timeout=90, check=False)
    assert done.returncode == 4, done.stderr
    return [one["what"] for one in json.loads(done.stderr[done.stderr.index("{\n") :])["uncovered"]]


@pytest.mark.parametrize("name", OTHERS)
def test_no_budget_holds_its_calls(name, guarded, fake_provider):
    pytest.importorskip(by_name(name).modules[0])
    fake = fake_provider()
    with solvent.budget(usd="0", calls=0):
        assert BLIND[name](f"{fake.url}/v1/chat/completions") is not False
    assert len(fake.seen) == 1
    assert guarded.spent("calls") == 0


@pytest.mark.parametrize("name", OTHERS)
def test_doctor_finds_it(name, fake_provider):
    library = by_name(name)
    pytest.importorskip(library.modules[0])
    fake = fake_provider()
    found = doctor(f"from blind_ways import BLIND\nBLIND[{name!r}]('{fake.url}/v1/chat/completions')", fake.url)
    assert len(fake.seen) == 1
    if library.is_native:
        assert f"{name} was loaded, and nobody can see whom it calls" in found
    else:
        assert [what.split(" 1 ")[0] for what in found if " mistral (" in what] in (
            [f"{name} sent"],
            [f"{name} opened"],
        )


def test_doctor_finds_a_websocket_of_websocket_client(fake_provider):
    pytest.importorskip("websocket")
    assert "websocket-client opened 1 connection to mistral" in doctor(WEBSOCKET, fake_provider().url)[0]


def test_doctor_finds_the_channel_of_xai_sdk(fake_provider):
    pytest.importorskip("xai_sdk")
    found = doctor("import xai_sdk\nxai_sdk.Client(api_key='x')", fake_provider().url)
    assert found == ["xai-sdk opened a gRPC channel to api.x.ai"]


def test_what_is_not_held_is_installed_in_a_version_that_the_table_names():
    from solvent.cli._doctor_look import libraries

    there = {one.library.name: one for one in libraries() if one.library in COVERAGE}
    assert all(there[name].is_tested for name in OTHERS if name in there)
