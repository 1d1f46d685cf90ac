"""
Runs the tests of this folder in an environment for each SDK, which it makes: SDKs do not live together, nor with all
versions of what they stand on.

    python tests/sdks/run.py [ENVIRONMENT…]
"""

import os
import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
HOME = ROOT / ".venv-sdks"
OFFLINE = {"LITELLM_LOCAL_MODEL_COST_MAP": "True"}  # Else litellm asks for its prices when it is loaded.
TOOLS = ("pytest>=8.3", "pytest-timeout>=2.3")
BLIND = ("curl_cffi", "httplib2", "niquests", "pycurl", "tornado", "websocket-client")  # What no hook sees.


@dataclass(frozen=True)
class Environment:
    """
    Attributes:
        sdk: Whose ways of calling are tested; its name in ``sdks.py``.
        needs: What is installed beside Solvent.
        tests: The files of tests.
    """

    name: str
    sdk: str
    needs: tuple[str, ...]
    tests: tuple[str, ...] = ("test_at_aimock.py", "test_sdk.py")

    def make(self) -> Path:
        """
        The environment's interpreter; made anew when what it needs has changed.
        """
        folder = HOME / self.name
        python, made_of = folder / "bin" / "python", folder / "made-of"
        wanted = "\n".join((*self.needs, *TOOLS, (ROOT / "pyproject.toml").read_text()))
        if not made_of.exists() or made_of.read_text() != wanted:
            print(f"{self.name}: installing {', '.join(self.needs)}", flush=True)
            venv.create(folder, with_pip=True, clear=True)
            pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
            subprocess.run([*pip, "--editable", ROOT, *TOOLS, *self.needs], check=True)
            made_of.write_text(wanted)
        return python

    def passes(self) -> bool:
        files = [Path(__file__).parent / test for test in self.tests]
        test = [self.make(), "-m", "pytest", "-q", "-p", "no:cacheprovider", *files]
        print(f"{self.name}:", flush=True)
        return not subprocess.run(
            test, cwd=ROOT, env={**os.environ, **OFFLINE, "SOLVENT_SDK": self.sdk}, check=False
        ).returncode


ENVIRONMENTS = (
    Environment("aiobotocore", "aiobotocore", ("aiobotocore",), ("test_aiobotocore.py",)),
    Environment("anthropic-0", "anthropic", ("anthropic<1",)),
    Environment("anthropic-1", "anthropic", ("anthropic<2",)),
    Environment("blind", "blind", BLIND, ("test_blind.py",)),
    Environment("blind-sdks", "blind", ("dspy", "xai-sdk"), ("test_blind.py",)),
    Environment("cohere", "cohere", ("cohere",)),
    Environment("groq", "groq", ("groq",)),
    Environment("grpc", "grpc", ("grpcio", "httpx-ws"), ("test_other_transports.py",)),
    Environment("litellm", "litellm", ("litellm", "mcp")),
    Environment("mistralai", "mistralai", ("mistralai",)),
    Environment("mistralai-1", "mistralai", ("mistralai<2",)),
    Environment("mistralai-2", "mistralai", ("mistralai<3",)),
    Environment("ollama", "ollama", ("ollama",)),
    Environment("openai-1", "openai", ("openai<2",)),
    Environment("openai-1.0", "openai", ("openai==1.0.0", "httpx<0.28")),
    Environment("openai-2", "openai", ("openai<3",)),
    Environment("together", "together", ("together",)),
)


def main(names: list[str]) -> int:
    unknown = set(names) - {environment.name for environment in ENVIRONMENTS}
    if unknown:
        print(f"no such environment: {', '.join(sorted(unknown))}", file=sys.stderr)
        return 2
    wanted = [environment for environment in ENVIRONMENTS if not names or environment.name in names]
    failed = [environment.name for environment in wanted if not environment.passes()]
    print(f"failed: {', '.join(failed)}" if failed else f"all {len(wanted)} environments pass")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
