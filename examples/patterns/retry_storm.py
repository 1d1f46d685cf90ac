"""
Retry storm: the SDK tries three times, the program five times, and the provider is down.

    python examples/patterns/retry_storm.py

Fifteen requests for each call are not what anybody chose, and each attempt pays again for the step before the one that
fails. ``retries`` counts them all, those of the SDK and those of the program, and ends the run when they are used up.
"""

import openai
from provider import MODEL, Answer, compare

import solvent

TICKETS = range(10)


def ask(task: str) -> str:
    reply = openai.chat.completions.create(
        model=MODEL, max_completion_tokens=500, messages=[{"role": "user", "content": task}]
    )
    return reply.choices[0].message.content or ""


def reply_to(ticket: int) -> str:
    for attempt in solvent.retry("reply", times=5, on=openai.InternalServerError, wait=0):
        with attempt:
            notes = ask(f"Take notes on ticket {ticket}.")
            return ask(f"Reply to ticket {ticket}: {notes}")
    raise AssertionError("the last attempt returns or raises")


def reply_to_all() -> str:
    done = 0
    for ticket in TICKETS:
        try:
            reply_to(ticket)
            done += 1
        except openai.InternalServerError:
            continue  # The others may be luckier.
    return f"{done} of {len(TICKETS)} done"


def within() -> str:
    with solvent.budget("replies", retries=6):
        return reply_to_all()


def answer(task: str) -> Answer:
    # The notes are written and paid for; whatever comes after them finds nobody in.
    return Answer("Late.", tokens=400) if task.startswith("Take notes") else Answer(status=503)


if __name__ == "__main__":
    compare("retries=6", without=reply_to_all, within=within, answer=answer)
