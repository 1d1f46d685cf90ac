"""
Environments of their own for tests of what does not live in the project's: each is a virtual environment that is made
when it is first needed.
"""

import os
import subprocess
import sys
import tomllib
import venv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[1]
TOOLS = ("pytest>=8.3", "pytest-timeout>=2.3")


@dataclass(frozen=True, kw_only=True)
class Environment:
    """
    Attributes:
        folder: Where it is made.
        needs: What is installed beside Solvent.
        tests: The files of tests that run in it.
        settings: What they find in the environment of their process.
    """

    folder: Path
    needs: tuple[str, ...]
    tests: tuple[Path, ...]
    settings: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.folder.name

    def make(self) -> Path:
        """
        The environment's interpreter; made anew when what it needs has changed.
        """
        python, made_of = self.folder / "bin" / "python", self.folder / "made-of"
        project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
        wanted = "\n".join((*self.needs, *TOOLS, *project["dependencies"]))
        if not made_of.exists() or made_of.read_text() != wanted:
            print(f"{self.name}: installing {', '.join(self.needs)}", flush=True)
            venv.create(self.folder, with_pip=True, clear=True)
            pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
            subprocess.run([*pip, "--editable", ROOT, *TOOLS, *self.needs], check=True)
            made_of.write_text(wanted)
        return python

    def passes(self, options: Sequence[str] = ()) -> bool:
        """
        Whether its tests pass.
        """
        test = [self.make(), "-m", "pytest", "-q", "-p", "no:cacheprovider", *options, *self.tests]
        print(f"{self.name}:", flush=True)
        return not subprocess.run(test, cwd=ROOT, env={**os.environ, **self.settings}, check=False).returncode


def run(environments: Sequence[Environment], words: Sequence[str]) -> int:
    """
    Run the tests of environments, of all where none is named.

    Args:
        words: Of the command's line: names, and what follows from the first option on, which is for pytest.

    Returns:
        What the command exits with.
    """
    first = next((place for place, word in enumerate(words) if word.startswith("-")), len(words))
    names, options = words[:first], words[first:]
    unknown = set(names) - {environment.name for environment in environments}
    if unknown:
        print(f"no such environment: {', '.join(sorted(unknown))}", file=sys.stderr)
        return 2
    wanted = [environment for environment in environments if not names or environment.name in names]
    failed = [environment.name for environment in wanted if not environment.passes(options)]
    print(f"failed: {', '.join(failed)}" if failed else f"all {len(wanted)} environments pass")
    return 1 if failed else 0
