"""
The guide to forecasts: does all that it tells, from its top to its end, and puts in what comes of it.

    python tests/forecast/forecast_guide.py
"""

import contextlib
import io
import os
import re
import shlex
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

TESTS = Path(__file__).parent.parent
sys.path.insert(0, str(TESTS))

from doc_programs import masked  # noqa: E402  # Of the folder above, where this runs by itself.
from fake_provider import Answer, fake_provider  # noqa: E402
from typer.testing import CliRunner  # noqa: E402

import solvent  # noqa: E402
from solvent._runtime import PROCESS  # noqa: E402
from solvent.cli import app  # noqa: E402

PAGE = TESTS.parent / "docs" / "guides" / "forecast.md"
LEFT_OUT = "  ⋮\n"
_BLOCK = re.compile(r"^```([^\n]*)\n(.*?)^```", flags=re.M | re.S)


class Reader:
    """
    Somebody who follows the page in a folder of their own.
    """

    def __init__(self) -> None:
        self.names: dict[str, object] = {"__name__": "docs"}
        self.shown = ""  # What was printed last, or written into a file.

    def block(self, found: re.Match[str]) -> str:
        """
        Do what a block says; one that shows something comes back with what there is to be shown.
        """
        kind, content = found.groups()
        if kind in ("text", "yaml"):
            return f"```{kind}\n{ending(self.shown, content)}```"
        if kind == "python":
            self.shown = self.program(content)
        elif kind.startswith("yaml title="):
            Path(kind.partition("=")[2].strip('"')).write_text(content)
        else:
            self.shown = self.command(content.removeprefix("$ solvent ").strip())
        return found[0]

    def program(self, text: str) -> str:
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(text, self.names)
        return shown(printed.getvalue())

    def command(self, words: str) -> str:
        words, _, file = words.partition(" > ")
        done = CliRunner().invoke(app, shlex.split(words), env={"COLUMNS": "80"})
        assert done.exit_code == 0, (done.output, done.exception)
        if file:
            Path(file).write_text(done.stdout)
        return done.stdout if file else shown(done.stdout)


def shown(printed: str) -> str:
    lines = [line.rstrip() for line in masked(printed).strip("\n").splitlines()]
    return "\n".join(lines) + "\n"


def ending(printed: str, page: str) -> str:
    """
    What was printed; where the page leaves its beginning out, from the line on that the page begins with.
    """
    if not page.startswith(LEFT_OUT):
        return printed
    first = page.removeprefix(LEFT_OUT).partition("\n")[0]
    return LEFT_OUT + printed[printed.index(f"\n{first}\n") + 1 :]


def written(text: str) -> str:
    """
    The page with what it shows as it comes out now. In a process whose calls go to ``led``'s provider.
    """
    return _BLOCK.sub(Reader().block, text)


@contextlib.contextmanager
def led() -> Iterator[None]:
    """
    A folder of its own with a ledger, and a provider that writes 500 tokens.
    """
    before, environment = Path.cwd(), dict(os.environ)
    with tempfile.TemporaryDirectory() as folder, fake_provider(Answer(output_tokens=500)) as fake:
        for name in ("SOLVENT_GATEWAY", "SOLVENT_POLICY", "SOLVENT_SCOPE"):
            os.environ.pop(name, None)
        os.environ |= {
            "OPENAI_API_KEY": "sk-test",
            "OPENAI_BASE_URL": f"{fake.url}/v1",
            "SOLVENT_LEDGER": f"sqlite:///{folder}/ledger.db",
            "XDG_CONFIG_HOME": folder,
        }
        os.chdir(folder)
        PROCESS.close()
        try:
            yield
        finally:
            solvent.uninstall()
            PROCESS.close()
            os.chdir(before)
            os.environ.clear()
            os.environ |= environment


if __name__ == "__main__":
    with led():
        page = written(PAGE.read_text())
    PAGE.write_text(page)
