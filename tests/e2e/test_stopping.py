"""
Every limit stops a small program at the right request, and a program that does not listen is ended.
"""

import json
import shlex
import time
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from fake_provider import Answer, Fake, Seen
from servers import Gate
from solvent_run import SECONDS_TO_BEGIN, Desk, python

pytestmark = pytest.mark.slow

Fakes = Callable[..., Fake]

EXIT_BUDGET = 3
CENT_A_CALL = ("--price", "m=0/100")
PERSISTING = python("agent.py", "--calls", "1000", "--persist")
WRITES_TEN, WRITES_500 = Answer(), Answer(output_tokens=500)
THOUSAND = ("--letters", "1000")


@dataclass(frozen=True, kw_only=True)
class Case:
    """
    A program that asks 100 times, and where a limit stops it.
    """

    limit: str
    answered: int
    says: str
    answer: Answer = WRITES_TEN
    arguments: tuple[str, ...] = ()


CASES = [
    Case(limit="--usd 0", answered=0, says="$0.00 left of $0.00; this call needs up to $0.01"),
    Case(limit="--usd 0.025", answered=2, says="left of $0.0250", answer=WRITES_500),
    Case(limit="--calls 3", answered=3, says="0 calls left of 3"),
    Case(limit="--output-tokens 250", answered=2, says="50 output tokens left of 250", answer=WRITES_500),
    # A prompt of 1,000 letters is 258 tokens to this provider; before, all that is sure is that it is at most 1,102.
    Case(limit="--input-tokens 1500", answered=2, says="984 input tokens left of 1,500", arguments=THOUSAND),
    Case(limit="--tokens 1600", answered=2, says="1,064 tokens left of 1,600", arguments=THOUSAND),
    # What a model asks for is known after its reply; what is refused is the call that would go on with a third.
    Case(limit="--tool-calls 2", answered=3, says="the replies so far asked for more", answer=Answer(tool_calls=1)),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.limit)
def test_a_limit_stops_a_program_at_the_right_request(case: Case, desk: Desk, fake_provider: Fakes) -> None:
    fake = fake_provider(case.answer)
    desk.providers_at(fake.url)
    ran = desk.run(*case.limit.split(), *CENT_A_CALL, command=python("agent.py", *case.arguments))
    assert ran.said["statuses"] == [200] * case.answered + [402]
    assert (len(fake.seen), ran.refused, ran.code) == (case.answered, 1, 0)
    assert case.says in ran.said["error"]["message"]


def test_a_request_that_failed_may_be_repeated_as_often_as_said(desk: Desk, fake_provider: Fakes) -> None:
    fake = fake_provider(Answer(status=500))
    desk.providers_at(fake.url)
    ran = desk.run("--retries", "2", command=python("agent.py", "--same", "--persist", "--calls", "5"))
    assert ran.said["statuses"] == [500, 500, 500, 402, 402]
    assert len(fake.seen) == 3
    others = desk.run("--retries", "2", command=python("agent.py", "--persist", "--calls", "5"))
    assert others.said["statuses"] == [500] * 5


@pytest.mark.long
def test_retries_by_an_sdk_are_counted(desk: Desk, fake_provider: Fakes) -> None:
    fake = fake_provider(Answer(status=500))
    desk.providers_at(fake.url)
    ran = desk.run("--retries", "1", command=python("sdk_openai.py", "m", "10", "chat"))
    assert ran.said["chat"]["error"]["status"] == 402
    assert [seen.headers["x-stainless-retry-count"] for seen in fake.seen] == ["0", "1"]


def test_calls_above_the_parallel_limit_wait_for_their_turn(desk: Desk, fake_provider: Fakes) -> None:
    gate, open_counts = Gate(), list[int]()

    def answer(_: Seen) -> Answer:
        open_counts.append(fake.open_count)
        return Answer(hold=gate)

    fake = fake_provider(answer)
    desk.providers_at(fake.url)
    body = json.dumps({"model": "m", "max_tokens": 10})
    with desk.running(["--parallel", "2"], python("crowd.py", "8", "8", body)) as running:
        fake.wait_until(lambda: fake.open_count == 2, "two calls at a time")
        gate.open()
        ran = running.wait()
    desk.balanced()
    assert ran.said == {"answered": 8}
    assert max(open_counts) == 2


def test_a_call_that_may_not_wait_for_its_turn_is_told_to_come_again(desk: Desk, fake_provider: Fakes) -> None:
    fake = fake_provider(Answer(hold_after=(1, Gate())))
    desk.providers_at(fake.url)
    ran = desk.run("--parallel", "2", "--wait", "0s", command=python("agent.py", "--streams-open", "2"))
    assert ran.said["statuses"] == [429]
    assert ran.said["error"]["code"] == "budget_held"
    assert len(fake.seen) == 2


def test_at_its_time_a_run_closes_its_calls_and_ends(desk: Desk, fake_provider: Fakes) -> None:
    for seconds in SECONDS_TO_BEGIN:
        fake = fake_provider([Answer(hold_after=(2, Gate())), Answer(hangs=True)])
        desk.providers_at(fake.url)
        began = time.monotonic()
        ran = desk.run("--time", f"{seconds}s", command=python("agent.py", "--streams-open", "1", "--stubborn"))
        if len(fake.seen) == 2:
            break
    assert seconds <= time.monotonic() - began < seconds + 17
    assert (ran.code, ran.report["exit_reason"]) == (EXIT_BUDGET, "deadline")
    # The program does not end when it is told to, so it lives to see its call closed.
    assert "the time of this run is over (--time)" in ran.said["error"]["message"]
    # A stream and a plain call were in flight, and the provider saw the end of both.
    fake.wait_until(lambda: fake.left_count == len(fake.seen) == 2, "the end of two calls")


def test_a_run_may_end_at_its_first_refusal(desk: Desk, fake_provider: Fakes) -> None:
    fake = fake_provider()
    desk.providers_at(fake.url)
    # Without an end from outside this one would stay for ever.
    command = ["sh", "-c", f"{shlex.join(python('agent.py'))}; exec tail -f /dev/null"]
    ran = desk.run("--calls", "2", "--on-refusal", "stop", command=command)
    assert (ran.code, ran.report["exit_reason"], len(fake.seen)) == (EXIT_BUDGET, "budget", 2)
    assert ran.refused == 1


def test_twenty_refusals_in_a_row_end_a_program_that_does_not_listen(desk: Desk, fake_provider: Fakes) -> None:
    fake = fake_provider()
    desk.providers_at(fake.url)
    ran = desk.run("--calls", "2", command=PERSISTING)
    assert (ran.code, ran.report["exit_reason"], len(fake.seen)) == (EXIT_BUDGET, "refusals", 2)
    assert 20 <= ran.refused < 100


def test_refusals_at_the_same_time_end_nothing(desk: Desk, fake_provider: Fakes) -> None:
    fake = fake_provider()
    desk.providers_at(fake.url)
    ran = desk.run("--usd", "0", *CENT_A_CALL, command=python("at_once.py", "60"))
    assert ran.said == [402] * 60
    assert (ran.code, ran.refused, len(fake.seen)) == (0, 60, 0)
