"""
The guide about other processes and services: its programs run, with real ones of both, and print what is shown.
"""

import ast
import os
import re
import sys
from pathlib import Path

import pytest
from doc_programs import programs, run_programs
from fake_provider import Answer
from npm import found
from servers import server_process

import solvent
from solvent._runtime import PROCESS

GUIDE = Path(__file__).parent.parent / "docs" / "guides" / "carriers.md"


@pytest.mark.slow
def test_the_programs_of_the_guide_print_what_is_shown(monkeypatch, tmp_path, fake_provider):
    found("node")
    text = GUIDE.read_text()
    fake = fake_provider(Answer(output_tokens=500))
    shown = [program for program, _ in programs(text)] + re.findall(r"^```js\n(.*?)^```", text, flags=re.M | re.S)
    for program in shown:
        if named := re.match(r"(?:#|//) (\w+\.(?:py|mjs))\b", program):
            (tmp_path / named[1]).write_text(program)
    assert (tmp_path / "agent.mjs").exists()
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("SOLVENT_GATEWAY", "SOLVENT_POLICY", "SOLVENT_SCOPE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SOLVENT_LEDGER", f"sqlite:///{tmp_path}/ledger.db")
    monkeypatch.setenv("OPENAI_BASE_URL", f"{fake.url}/v1")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    PROCESS.close()
    try:
        with server_process(
            [sys.executable, "-m", "uvicorn", "--port", "0", "service:app"], ready="running on "
        ) as url:
            run_programs(text, service=url, __name__="__main__")
    finally:
        solvent.uninstall()
        PROCESS.close()
    assert len(fake.seen) == 11


def test_what_the_programs_import_is_what_the_guide_has_installed():
    text = GUIDE.read_text()
    (installed,) = re.findall(r"`pip install \. (.*?)`", text)
    own = {named[1] for program, _ in programs(text) if (named := re.match(r"# (\w+)\.py\b", program))}
    imported = {
        name.partition(".")[0]
        for program, _ in programs(text)
        for node in ast.walk(ast.parse(program))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in ([node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names])
    }
    assert set(installed.split()) == (imported - own - {"solvent"} - sys.stdlib_module_names) | {"uvicorn"}
