"""
``solvent doctor``: what calls past the hooks is found, by the library that it calls with; what does not is left alone.
"""

import json
import os
import pty
import signal
import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path

import pytest

from solvent.instrument._watch import _is_solvent
from solvent.stores import open_store

pytestmark = pytest.mark.slow

CHAT = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Say something."}], "max_tokens": 50}
HEAD = f"""
import asyncio, json, os, sys
BASE = os.environ["OPENAI_BASE_URL"]
HOST, PORT = BASE.removeprefix("http://").removesuffix("/v1").split(":")
BODY = {json.dumps(CHAT)!r}
JSON = {{"content-type": "application/json"}}
"""
OPENAI = """
import openai
openai.OpenAI(api_key="x").chat.completions.create(**json.loads(BODY))
"""
RAW = """
REQUEST = f"POST /v1/chat/completions HTTP/1.1\\r\\nHost: {HOST}:{PORT}\\r\\nContent-Type: application/json\\r\\n"
REQUEST = f"{REQUEST}Content-Length: {len(BODY)}\\r\\nConnection: close\\r\\n\\r\\n{BODY}".encode()
"""
# By name: what is found of it, and the program. Each makes one call.
PAST = {
    "urllib.request": (
        "urllib.request sent 1 request to openai",
        "import urllib.request\n"
        'urllib.request.urlopen(urllib.request.Request(BASE + "/chat/completions", BODY.encode(), JSON)).read()',
    ),
    "urllib.request in a pool": (
        "urllib.request sent 1 request to openai",
        "import urllib.request\n"
        'asked = urllib.request.Request(BASE + "/chat/completions", BODY.encode(), JSON)\n'
        "asyncio.run(asyncio.to_thread(urllib.request.urlopen, asked))",
    ),
    "http.client": (
        "http.client sent 1 request to openai",
        "import http.client\n"
        "connection = http.client.HTTPConnection(HOST, PORT)\n"
        'connection.request("POST", "/v1/chat/completions", BODY, JSON)\n'
        "connection.getresponse().read()",
    ),
    "urllib3": (
        "urllib3 sent 1 request to openai",
        'import urllib3\nurllib3.PoolManager().request("POST", BASE + "/chat/completions", body=BODY, headers=JSON)',
    ),
    "a socket": (
        "a socket of __main__ opened 1 connection to openai",
        f"import socket\n{RAW}\n"
        "with socket.create_connection((HOST, PORT)) as connection:\n"
        "    connection.sendall(REQUEST)\n"
        "    while connection.recv(9999): pass",
    ),
    "asyncio": (
        "a socket of __main__ opened 1 connection to openai",
        f"{RAW}\n"
        "async def main():\n"
        "    reader, writer = await asyncio.open_connection(HOST, PORT)\n"
        "    writer.write(REQUEST)\n"
        "    await reader.read()\n"
        "    writer.close()\n"
        "asyncio.run(main())",
    ),
}
CALLED = {
    "openai": (OPENAI, "openai", 1),
    "openai twice, and in a thread": (
        f"{OPENAI}\nimport threading\n"
        "def work(): openai.OpenAI(api_key='x').chat.completions.create(**json.loads(BODY))\n"
        "thread = threading.Thread(target=work); thread.start(); thread.join()",
        "openai",
        2,
    ),
    "async openai": (
        "import openai\n"
        "async def main():\n"
        "    async with openai.AsyncOpenAI(api_key='x') as client:\n"
        "        await client.chat.completions.create(**json.loads(BODY))\n"
        "asyncio.run(main())",
        "openai",
        1,
    ),
    "requests": (
        "import requests\nrequests.post(BASE + '/chat/completions', data=BODY, timeout=9)\n"
        "requests.get(BASE + '/models', timeout=9)",
        "requests",
        1,
    ),
    "httpx": (
        "import httpx\nhttpx.get(BASE + '/models')\nhttpx.post(BASE + '/chat/completions', json=json.loads(BODY))",
        "httpx",
        1,
    ),
    "async httpx2": (
        "import httpx2\n"
        "async def main():\n"
        "    async with httpx2.AsyncClient() as client:\n"
        "        await client.get(BASE.replace('127.0.0.1', 'localhost') + '/models')\n"
        "        await client.post(BASE + '/chat/completions', json=json.loads(BODY))\n"
        "asyncio.run(main())",
        "httpx2",
        1,
    ),
    "aiohttp": (
        "import aiohttp\n"
        "async def main():\n"
        "    async with aiohttp.ClientSession() as session:\n"
        "        await session.get(BASE.replace('127.0.0.1', 'localhost') + '/models')\n"
        "        await session.post(BASE + '/chat/completions', json=json.loads(BODY))\n"
        "asyncio.run(main())",
        "aiohttp",
        1,
    ),
    "free requests": (
        "import urllib.error, urllib.request, urllib3\n"
        "urllib3.PoolManager().request('GET', BASE + '/models')\n"
        "try: urllib.request.urlopen(BASE + '/models')\n"
        "except urllib.error.HTTPError: pass",
        "openai",
        0,
    ),
}


@dataclass
class Done:
    code: int
    out: str
    err: str

    @property
    def found(self):
        text = self.err or self.out
        return json.loads(text[text.index("{") :])  # After what the program itself said.

    @property
    def uncovered(self):
        return [one["what"] for one in self.found["uncovered"]]

    def calls(self, name, kind="calls"):
        return sum(library[kind] for library in self.found["libraries"] if library["name"] == name)


class Doctor:
    """
    Types ``solvent doctor`` in an environment of its own.
    """

    def __init__(self, folder, url):
        self.folder = folder
        (folder / "here").mkdir()
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("SOLVENT_", "OPENAI_"))}
        self.environment = {
            **kept,
            "OPENAI_BASE_URL": f"{url}/v1",
            "SOLVENT_LEDGER": f"sqlite:///{folder}/ledger.db",
            "PYTHONPATH": f"{folder / 'here'}{os.pathsep}{os.environ.get('PYTHONPATH', '')}",
        }

    def words(self, *words):
        return [sys.executable, "-m", "solvent", "doctor", *words]

    def __call__(self, *words, **environment):
        ran = subprocess.run(
            self.words(*words),
            capture_output=True,
            text=True,
            env={**self.environment, **environment},
            timeout=60,
            check=False,
        )
        return Done(ran.returncode, ran.stdout, ran.stderr)

    def program(self, text, *options, **environment):
        """
        Run a program under it; what is found, as JSON.
        """
        path = self.folder / "app.py"
        path.write_text(HEAD + text)
        return self("--json", *options, "--", sys.executable, str(path), **environment)

    def installed(self, name, version, **modules):
        """
        Put a distribution there.
        """
        about = self.folder / "here" / f"{name.replace('-', '_')}-{version}.dist-info"
        about.mkdir()
        (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        for module, text in modules.items():
            path = self.folder / "here" / module
            path.mkdir()
            (path / "__init__.py").write_text(text)


@pytest.fixture
def fake(fake_provider):
    return fake_provider()


@pytest.fixture
def doctor(tmp_path, fake):
    return Doctor(tmp_path, fake.url)


@pytest.mark.parametrize("name", PAST)
def test_a_call_past_the_hooks_is_found_with_what_made_it(name, doctor, fake):
    what, text = PAST[name]
    done = doctor.program(text + "\nprint('done'); sys.exit(5)")
    assert (done.code, done.out) == (5, "done\n")
    assert len(fake.seen) == 1
    (uncovered,) = done.uncovered
    assert uncovered.startswith(f"{what} (")
    assert "call by httpx, aiohttp or requests" in done.found["uncovered"][0]["mend"]
    assert doctor.program(text, "--strict").code == 4


def test_a_provider_is_known_by_the_name_that_was_looked_up(doctor):
    base = doctor.environment["OPENAI_BASE_URL"].replace("127.0.0.1", "localhost")
    done = doctor.program(PAST["asyncio"][1], OPENAI_BASE_URL=base)
    assert [what.partition(" to ")[2] for what in done.uncovered] == [f"openai ({base.split('/')[2]})"]


@pytest.mark.parametrize("name", CALLED)
def test_a_call_that_is_held_is_counted_and_nothing_is_uncovered(name, doctor, fake):
    text, library, calls = CALLED[name]
    done = doctor.program(text, "--strict")
    assert (done.code, done.uncovered) == (0, [])
    assert done.calls(library) == calls
    assert sum(one["calls"] for one in done.found["libraries"]) == calls
    assert len([seen for seen in fake.seen if seen.body]) == calls


def test_the_limits_hold_as_always_and_a_refusal_is_counted(doctor, fake):
    policy = doctor.folder / "solvent.yaml"
    policy.write_text('budgets: {"run:*": {calls: 1}}\n')
    done = doctor.program(OPENAI + OPENAI, SOLVENT_POLICY=str(policy))
    assert done.code == 1
    assert "BudgetExceeded" in done.err.partition("\n{\n")[0]
    found = Done(done.code, done.out, "{\n" + done.err.partition("\n{\n")[2])
    assert (found.calls("openai"), found.calls("openai", "refused")) == (1, 1)
    assert len(fake.seen) == 1


@pytest.mark.parametrize(
    "start",
    [
        "child = os.fork()\nif child == 0:\n    call(); os._exit(0)\nos.waitpid(child, 0)",
        "import multiprocessing\nwork = multiprocessing.get_context('fork').Process(target=call)\n"
        "work.start(); work.join()",
        "import subprocess\nsubprocess.run([sys.executable, '-c', HERE], check=True)",
    ],
    ids=["fork", "multiprocessing", "subprocess"],
)
def test_what_a_programs_children_do_is_seen(start, doctor, fake):
    call = f"{HEAD}{PAST['urllib.request'][1]}\n{OPENAI}"
    done = doctor.program(f"HERE = {call!r}\ndef call():\n    exec(HERE, {{}})\n{start}")
    assert done.code == 0
    assert [what.partition(" (")[0] for what in done.uncovered] == ["urllib.request sent 1 request to openai"]
    assert done.calls("openai") == 1
    assert len(fake.seen) == 2


def test_what_a_program_did_before_it_was_killed_is_seen(doctor):
    done = doctor.program(f"{PAST['urllib3'][1]}\nimport signal\nos.kill(os.getpid(), signal.SIGKILL)")
    assert done.code == 128 + signal.SIGKILL
    assert len(done.uncovered) == 1


def test_a_websocket_to_a_provider_is_found(doctor):
    text = """
import websockets
async def main():
    await websockets.connect("ws://api.openai.com/v1/realtime", host=HOST, port=int(PORT))
try:
    asyncio.run(main())
except websockets.exceptions.InvalidStatus:
    pass
"""
    done = doctor.program(text, "--strict")
    assert (done.code, done.uncovered) == (4, ["websockets opened a WebSocket to api.openai.com"])
    assert "HTTP API" in done.found["uncovered"][0]["mend"]


def test_calls_through_the_gateway_of_a_run_are_held_there(doctor, fake):
    gateway = f"{fake.url}/secret"
    at = {"SOLVENT_GATEWAY": gateway, "OPENAI_BASE_URL": f"{gateway}/openai/v1"}
    text = (
        PAST["urllib.request"][1] + "\nimport socket\nsocket.create_connection(BASE.split('/')[2].split(':')).close()"
    )
    done = doctor.program(text.replace("HOST, PORT", "_"), "--strict", **at)
    assert (done.code, done.uncovered) == (0, [])
    assert len(fake.seen) == 1
    assert "secret" not in json.dumps(done.found["settings"])


def test_a_run_within_is_held_by_its_own_gateway_and_booked_once(doctor, fake):
    (doctor.folder / "app.py").write_text(HEAD + OPENAI + PAST["urllib.request"][1])
    run = [sys.executable, "-m", "solvent", "run", "--quiet", "--usd", "1", "--", sys.executable]
    done = doctor("--json", "--strict", "--", *run, str(doctor.folder / "app.py"), OPENAI_API_KEY="sk-x")
    assert (done.code, done.uncovered) == (0, [])
    assert len(fake.seen) == 2
    store = open_store(doctor.environment["SOLVENT_LEDGER"])
    assert [entry.kind for entry in store.entries()].count("settle") == 2
    store.close()


@pytest.mark.parametrize(
    ("words", "is_solvent"),
    [
        (["python", "-m", "solvent", "run", "--", "python", "app.py"], True),
        (["python", "-X", "dev", "-m", "solvent", "serve"], True),
        (["python", "/venv/bin/solvent", "run"], True),
        (["python", "app.py", "solvent"], False),
        (["python", "-m", "app", "solvent"], False),
        (["python"], False),
    ],
)
def test_solvents_own_commands_are_known_by_how_they_are_started(words, is_solvent):
    assert _is_solvent(words) is is_solvent


@pytest.mark.parametrize("command", [["sh", "-c", "exit 6"], [sys.executable, "-I", "-c", "raise SystemExit(6)"]])
def test_a_command_that_is_no_python_program_is_said_to_be_none(command, doctor):
    done = doctor("--json", "--", *command)
    assert (done.code, done.uncovered) == (6, ["no Python program ran that could be looked into"])
    assert f"solvent run -- {command[0]}" in done.found["uncovered"][0]["mend"]
    assert doctor("--strict", "--", *command).code == 4


def test_a_python_without_solvent_is_said_to_have_none(doctor, tmp_path):
    venv.create(tmp_path / "bare", symlinks=True)
    python = str(tmp_path / "bare" / "bin" / "python")
    done = doctor("--json", "--", python, "-c", "print('done')", PYTHONPATH="")
    assert (done.code, done.out) == (0, "done\n")
    assert done.uncovered == [f"{python} has no Solvent, so nothing in it is held"]
    assert done.found["uncovered"][0]["mend"] == f"{python} -m pip install solvent"


def test_a_command_that_is_not_there_is_127_and_one_that_cannot_run_126(doctor, tmp_path):
    (tmp_path / "app").write_text("")
    assert doctor("--", "no-such-command") == Done(127, "", "solvent: no-such-command: command not found\n")
    assert doctor("--", str(tmp_path / "app")) == Done(126, "", f"solvent: {tmp_path}/app: Permission denied\n")


def test_a_sitecustomize_of_ones_own_still_runs(doctor):
    (doctor.folder / "here" / "sitecustomize.py").write_text("MINE = 1")
    done = doctor.program("import sitecustomize\nprint(sitecustomize.MINE)")
    assert (done.code, done.out, done.uncovered) == (0, "1\n", [])
    (doctor.folder / "here" / "sitecustomize.py").write_text("import no_such_module")
    assert doctor.program("").err.count("'no_such_module'") == 2  # As Python itself says it, here and there.


def test_a_signal_reaches_the_program_which_decides_how_it_ends(doctor):
    path = doctor.folder / "app.py"
    path.write_text(
        "import signal, sys\nsignal.signal(signal.SIGTERM, lambda *_: sys.exit(7))\nprint(flush=True)\nsignal.pause()"
    )
    words = doctor.words("--report", "found.json", "--json", "--", sys.executable, str(path))
    with subprocess.Popen(words, stdout=subprocess.PIPE, env=doctor.environment, cwd=doctor.folder) as running:
        assert running.stdout.readline() == b"\n"
        running.send_signal(signal.SIGTERM)
        assert running.wait(30) == 7
    assert json.loads((doctor.folder / "found.json").read_text())["program"]["code"] == 7


def test_an_environment_is_told_with_its_versions(doctor):
    done = doctor("--json", "--strict")
    assert (done.code, done.err) == (0, "")
    libraries = {library["name"]: library for library in done.found["libraries"]}
    assert libraries["openai"]["state"] == "held"
    assert libraries["openai"]["is_tested"]
    assert libraries["websockets"]["state"] == "told"
    assert {libraries[name]["state"] for name in ("http.client", "urllib.request", "urllib3")} == {"blind"}
    assert "pycurl" not in libraries
    assert done.found["settings"]["OPENAI_BASE_URL"] == doctor.environment["OPENAI_BASE_URL"].removesuffix("/v1")
    assert done.found["settings"]["ledger"] == f"{doctor.environment['SOLVENT_LEDGER']} (not there yet)"


def test_an_sdk_that_no_hook_sees_is_uncovered(doctor):
    doctor.installed("claude-agent-sdk", "0.2.187")
    done = doctor("--json", "--strict")
    assert (done.code, done.uncovered) == (4, ["claude-agent-sdk 0.2.187: every call: a program of its own makes them"])


def test_a_version_whose_hook_has_no_place_is_uncovered(doctor):
    doctor.installed("cohere", "8.0.0", cohere="")
    done = doctor("--json", "--strict")
    assert (done.code, done.uncovered) == (4, ["cohere 8.0.0: the hook for it has no place in this version"])
    assert done.found["uncovered"][0]["mend"] == "install one that is tested: 7.x"


def test_a_version_that_is_not_tested_is_told_and_held_all_the_same(doctor):
    doctor.installed("openai", "9.1.0")
    done = doctor("--strict")
    assert done.code == 0
    assert "openai        9.1.0    only 1.x, 2.x, 3.x  sync, async, streamed\n" in done.out


def test_a_hook_that_does_not_fit_a_loaded_library_is_uncovered(doctor):
    text = "raise SystemExit(__import__('httpx2').post(BASE + '/chat/completions', content=BODY).status_code // 200)"
    doctor.installed("httpx2", "9.0", httpx2="import httpx\npost = httpx.post\nClient = object\nAsyncClient = object")
    done = doctor.program(text)
    assert done.code == 1
    assert "httpx2 9.0: the hook for it has no place in this version" in done.err


def test_a_framework_is_told_with_what_of_it_has_scopes(doctor):
    doctor.installed("crewai", "1.15.30", crewai="")
    agent = doctor.folder / "here" / "crewai" / "agent"
    agent.mkdir()
    (agent / "core.py").write_text("")
    done = doctor("--json")
    (found,) = [one for one in done.found["frameworks"] if one["name"] == "crewai"]
    assert found == {
        "name": "crewai",
        "version": "1.15.30",
        "names": ["agents", "tools"],
        "tested": ["1"],
        "is_tested": True,
        "guide": "docs/guides/crewai.md",
    }
    assert "crewai" not in " ".join(done.uncovered)
    (line,) = [line for line in doctor().out.splitlines() if "crewai" in line]
    assert line.split() == ["crewai", "1.15.30", "1.x", "agents,", "tools", "crewai.md"]


def test_a_framework_without_a_place_for_its_hook_is_uncovered(doctor):
    doctor.installed("crewai", "9.0", crewai="")
    done = doctor("--json", "--strict")
    assert done.code == 4
    assert [one["names"] for one in done.found["frameworks"] if one["name"] == "crewai"] == [[]]
    assert "crewai 9.0: its agents and tools have no scopes in this version" in " ".join(done.uncovered)


def test_a_framework_that_a_program_loads_is_told(doctor):
    doctor.installed("crewai", "1.15.30", crewai="")
    done = doctor.program("import crewai")
    assert [(one["name"], one["version"]) for one in done.found["frameworks"]] == [("crewai", "1.15.30")]


def test_a_policy_that_cannot_be_read_is_told(doctor):
    (doctor.folder / "solvent.yaml").write_text("budgest: {}")
    done = doctor("--json", "--strict", SOLVENT_POLICY=str(doctor.folder / "solvent.yaml"))
    assert done.code == 4
    assert "budgest" in done.uncovered[0]


def test_people_get_lines_of_80_columns_without_colors_where_nobody_looks(doctor):
    doctor.installed("xai-sdk", "1.19.0")
    done = doctor(SOLVENT_LEDGER="memory://")
    assert max(map(len, done.out.splitlines()[1:])) <= 80
    assert "\x1b" not in done.out
    assert "uncovered: 1\n  xai-sdk 1.19.0: every call\n    to mend: " in done.out
    path = doctor.folder / "app.py"
    path.write_text(HEAD + PAST["urllib3"][1])
    done = doctor("--", sys.executable, str(path), NO_COLOR="1")
    assert done.out == ""
    assert "\n\nuncovered: 1\n  urllib3 sent 1 request to openai (127.0.0.1:" in done.err


@pytest.mark.parametrize(("environment", "colored"), [({}, True), ({"NO_COLOR": "1"}, False)])
def test_colors_are_for_terminals_that_want_them(environment, colored, doctor):
    terminal, end = pty.openpty()
    env = {**doctor.environment, "TERM": "xterm", **environment}
    env.pop("NO_COLOR", None) if colored else None
    with subprocess.Popen(doctor.words(), stdout=end, env=env) as running:
        os.close(end)
        seen = b""
        try:
            while chunk := os.read(terminal, 65_536):
                seen += chunk
        except OSError:  # How a terminal ends on Linux.
            pass
        assert running.wait(30) == 0
    os.close(terminal)
    assert (b"\x1b[1m" in seen) is colored


def test_a_report_that_cannot_be_written_is_an_error(doctor):
    done = doctor("--report", str(Path("/no/such/folder/report")))
    assert (done.code, done.err) == (
        1,
        "solvent: what was found cannot be written to /no/such/folder/report: No such file or directory\n",
    )
