"""
Programs that are not Python are stopped the same way.
"""

from collections.abc import Callable
from pathlib import Path

import pytest
from fake_provider import Answer, Fake, Rates
from npm import found, packages
from solvent_run import DOLLAR, PROGRAMS, Desk

pytestmark = pytest.mark.slow

Fakes = Callable[..., Fake]

# Four calls of 2.5 cents are the whole budget.
LIMITS = ("--usd", "0.10", "--price", "m=0/250")
RATES = Rates(input=0, output=250_000)


@pytest.fixture(scope="session")
def node_packages() -> Path:
    """
    The folder with the packages for Node, installed once.
    """
    return packages()


def test_a_node_program_is_stopped_at_the_limit(desk: Desk, fake_provider: Fakes, node_packages: Path) -> None:
    fake = fake_provider(Answer(output_tokens=500))
    desk.providers_at(fake.url)
    command = ["node", str(PROGRAMS / "agent.mjs")]
    ran = desk.run(*LIMITS, command=command, env={"NODE_PACKAGES": str(node_packages)})
    error = {"class": "APIError", "status": 402, "code": "budget_exceeded", "type": "insufficient_quota"}
    assert ran.said == {"answered": 4, "error": error}
    assert (len(fake.seen), ran.refused) == (4, 1)
    assert fake.billed(RATES) == DOLLAR // 10


def test_a_shell_program_is_stopped_at_the_limit(desk: Desk, fake_provider: Fakes) -> None:
    found("curl")
    fake = fake_provider(Answer(output_tokens=500))
    desk.providers_at(fake.url)
    ran = desk.run(*LIMITS, command=["sh", str(PROGRAMS / "agent.sh")])
    assert ran.said["answered"] == len(fake.seen) == 4
    assert ran.said["reply"]["error"]["code"] == "budget_exceeded"
    assert ran.refused == 1
    assert fake.billed(RATES) == DOLLAR // 10
