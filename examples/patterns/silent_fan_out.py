"""
Silent fan-out: one line maps a model over a list, and the list has 10,000 items today.

    python examples/patterns/silent_fan_out.py

``branches`` counts what a fan-out is about to start, so 10,000 are refused before the first one is. Without a limit the
lesson makes the first 200 calls, and somebody stops it.
"""

import openai
from provider import MODEL, Answer, compare

import solvent

TICKETS = [f"Ticket {number}: the parcel has not come." for number in range(10_000)]
PATIENCE = 200


def classify(ticket: str) -> str:
    reply = openai.chat.completions.create(
        model=MODEL, max_completion_tokens=200, messages=[{"role": "user", "content": f"Classify: {ticket}"}]
    )
    return reply.choices[0].message.content or ""


def without() -> str:
    labels = solvent.fan_out(classify, TICKETS[:PATIENCE])
    return f"{len(labels):,} of {len(TICKETS):,} done"


def within() -> str:
    with solvent.budget("triage", branches=100):
        labels = solvent.fan_out(classify, TICKETS)
    return f"{len(labels):,} done"


if __name__ == "__main__":
    compare("branches=100", without=without, within=within, answer=lambda _: Answer("late parcel"))
