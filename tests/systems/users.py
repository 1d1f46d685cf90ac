"""
A user of Solvent: a folder, a ledger and a policy of their own, programs, the command, a real client. Nothing here or
in the tests beside it reaches behind the public names.

    def test_…(user, hooked, fake_provider):
        with solvent.budget("triage", usd="0.50", ledger=user.ledger):
            user.client(fake_provider()).chat.completions.create(…)

A process reads its policy once; so what a policy says is tried in a program of its own: ``user.policy(…)``, then
``user.runs(…)``.
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from itertools import count
from pathlib import Path
from typing import Any

import openai
from fake_provider import Fake

DOLLAR = 1_000_000_000
CENT = DOLLAR // 100
PATIENCE_SECONDS = 60
# Nothing of the machine's own settings may reach a provider or a ledger.
PASSED_ON = ("LANG", "LC_ALL", "PATH", "TMPDIR")


_WAIT = """
def wait():
    print("ready", flush=True)
    input()
"""


class User:
    """
    Attributes:
        folder: Where their programs run; empty at first.
        ledger: A file of their own, beside it.
        env: What their programs and commands find in the environment.
    """

    def __init__(self, home: Path) -> None:
        self.folder = home / "work"
        self.folder.mkdir()
        self.ledger = f"sqlite:///{home}/ledger.db"
        self._home = home
        self._numbers = count(1)
        self.env = {name: os.environ[name] for name in PASSED_ON if name in os.environ} | {
            "HOME": str(home),
            "OPENAI_API_KEY": "sk-test",
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONPATH": str(Path(__file__).parents[1]),  # For the fakes.
            "SOLVENT_LEDGER": self.ledger,
            "XDG_CONFIG_HOME": str(home / "config"),
            "XDG_STATE_HOME": str(home / "state"),
        }

    def policy(self, text: str) -> Path:
        """
        Write the policy of their programs and commands.
        """
        path = self._home / "solvent.yaml"
        path.write_text(text)
        self.env["SOLVENT_POLICY"] = str(path)
        return path

    def starts(self, program: str, *arguments: str, **env: str) -> "subprocess.Popen[str]":
        """
        Start a program, given as its text.
        """
        path = self._home / f"program{next(self._numbers)}.py"
        path.write_text(program)
        return subprocess.Popen(
            [sys.executable, str(path), *arguments],
            cwd=self.folder,
            env={**self.env, **env},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def starts_together(self, program: str, *environments: Mapping[str, str]) -> "list[subprocess.Popen[str]]":
        """
        Start a program several times, all of which begin when the last one is there: it has to ``wait()`` for that.
        """
        started = [self.starts(_WAIT + program, **env) for env in environments]
        for each in started:
            assert each.stdout is not None
            assert each.stdout.readline() == "ready\n"
        for each in started:
            assert each.stdin is not None
            each.stdin.write("go\n")
            each.stdin.flush()
        return started

    def runs(self, program: str, *arguments: str, **env: str) -> Any:
        """
        Run a program to its end; the JSON that it printed, and nothing else.
        """
        return said(self.starts(program, *arguments, **env))

    def solvent(self, *words: str, code: int = 0) -> str:
        """
        What the command prints, which ends with this code.
        """
        done = subprocess.run(
            [sys.executable, "-m", "solvent", *words],
            cwd=self.folder,
            env=self.env,
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )
        assert done.returncode == code, done.stderr
        return done.stdout

    def journal(self) -> str:
        """
        Its lines, byte for byte.
        """
        return self.solvent("ledger", "export")

    def entries(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.journal().splitlines()]

    def client(self, fake: Fake, **options: Any) -> openai.OpenAI:
        """
        The real client, led to a fake provider.
        """
        return openai.OpenAI(**{"base_url": f"{fake.url}/v1", "api_key": "sk-test", "max_retries": 0, **options})

    def async_client(self, fake: Fake, **options: Any) -> openai.AsyncOpenAI:
        return openai.AsyncOpenAI(**{"base_url": f"{fake.url}/v1", "api_key": "sk-test", "max_retries": 0, **options})


def said(process: "subprocess.Popen[str]") -> Any:
    """
    What a program that was started printed, as JSON, when it is over.
    """
    with process:
        try:
            out, err = process.communicate(timeout=PATIENCE_SECONDS)
        finally:
            process.kill()
    assert process.returncode == 0, err
    return json.loads(out)
