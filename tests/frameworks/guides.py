"""
The page of ``docs/guides`` about a framework, followed from its top to its end.
"""

import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from aimock import Aimock
from doc_programs import masked, run_programs
from scenario import Framework, Models, Role, Turn

import solvent
from solvent._runtime import PROCESS

GUIDES = Path(__file__).parents[2] / "docs" / "guides"
MODELS = Models("gpt-5-mini", "gpt-5-nano")


def follow(
    name: str,
    framework: Framework,
    script: dict[Role, tuple[Turn, ...]],
    aimock: Aimock,
    folder: Path,
    models: Models = MODELS,
) -> None:
    """
    Its programs print what the page shows, and the first of them makes the calls that it shows.

    Args:
        script: What the models answer.
        folder: An empty one, for the page's policy.
        models: The page's.
    """
    page = (GUIDES / name).read_text()
    (policy,) = re.findall(r"`(agent:\w+: \{.*?\})`", page)
    (shown,) = re.findall(r"^```\n(run:.*?)^```", page, flags=re.M | re.S)
    framework.models = models
    aimock.plays(framework.fixtures(script, output_tokens=500))
    (folder / "solvent.yaml").write_text(f"budgets:\n  {policy}\n")
    with _process(folder / "solvent.yaml", aimock.url):
        run_programs(page)
        calls = [entry.scope for entry in PROCESS.runtime().ledger.store.entries() if entry.kind == "settle"]
    run = calls[0].partition("/")[0]
    made = Counter(masked(scope) for scope in calls if scope.partition("/")[0] == run)
    assert made == {scope: int(count) for scope, count in re.findall(r"^(\S+) +(\d+) calls?$", shown, flags=re.M)}


@contextmanager
def _process(policy: Path, url: str) -> Iterator[None]:
    """
    A process that nothing but the environment leads.
    """
    with pytest.MonkeyPatch.context() as patch:
        for variable in ("SOLVENT_GATEWAY", "SOLVENT_SCOPE"):
            patch.delenv(variable, raising=False)
        patch.setenv("SOLVENT_LEDGER", "memory://")
        patch.setenv("OPENAI_BASE_URL", f"{url}/v1")
        patch.setenv("OPENAI_API_KEY", "sk-test")
        patch.setenv("SOLVENT_POLICY", str(policy))
        PROCESS.close()
        try:
            yield
        finally:
            solvent.uninstall()
            PROCESS.close()
