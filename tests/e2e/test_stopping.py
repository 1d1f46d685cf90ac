"""
Every limit stops a small program at the right request, and a program that does not listen is ended.
"""

import time
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from fake_provider import Answer, Fake, Rates, Seen
from servers import Gate
from solvent_run import Desk, Ran, python

pytestmark = pytest.mark.slow

Fakes = Callable[..., Fake]

EXIT_BUDGET = 3
CENT_A_CALL = ("--price", "m=0/100")
PERSISTING = python("agent.py", "--calls", "1000", "--persist")


@pytest.mark.parametrize(
    ("options", "answer", "arguments", "answered", "error"),
    [
        (["--calls", "3"], Answer(), [], 3, "0 calls left of 3"),
        (["--output-tokens", "250"], Answer(output_tokens=500), [], 2, "50 output tokens left of 250"),
        (["--input-tokens", "1k"], Answer(input_tokens=300), ["LONG"], 3, "100 input tokens left of 1,000"),
        (["--tokens", "1k"], Answer(input_tokens=300), ["LONG"], 3, "70 tokens left of 1,000"),
        # What a model asks for is known after the reply, so the call that would go on with a third is the refused one.
        (["--tool-calls", "2"], Answer(tool_calls=1), [], 3, "-1 tool calls left of 2"),
        (["--usd", "0"], Answer(), [], 0, "$0.00 left of $0.00"),
        (["--usd", "0.025"], Answer(output_tokens=500), [], 2, "$0.0050 left of $0.0250"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) and value and value[0].startswith("--") else "",
)
def test_a_limit_stops_a_program_at_the_right_request(
    options: Sequence[str],
    answer: Answer,
    arguments: list[str],
    answered: int,
    error: str,
    desk: Desk,
    fake_provider: Fakes,
) -> None:
    fake = fake_provider(answer)
    desk.providers_at(fake.url)
    ran = desk.run(*options, *CENT_A_CALL, command=python("agent.py", *arguments))
    assert ran.said["statuses"] == [200] * answered + [402]
    assert (len(fake.seen), ran.refused, ran.code) == (answered, 1, 0)
    assert error in ran.said["error"]["message"]
