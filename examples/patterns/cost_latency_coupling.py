"""
Cost-latency coupling: a slow provider makes clients time out and ask again, which makes it slower, and is billed.

    python examples/patterns/cost_latency_coupling.py

What a client no longer waits for is written and paid for all the same. With ``parallel`` the calls that are out are few
enough to be answered in time, and the others wait for room rather than into a time-out. ``seconds`` ends all of it,
whatever happens; what was finished by then is in the refusal's ``results``.
"""

import openai
from provider import MODEL, Answer, compare

import solvent

DOCUMENTS = range(24)


def summarize(document: int) -> str | None:
    task = {"role": "user", "content": f"Summarize document {document}."}
    try:
        reply = openai.chat.completions.create(model=MODEL, max_completion_tokens=500, messages=[task], timeout=0.8)
    except openai.APITimeoutError:
        return None  # The SDK has asked three times by now.
    return reply.choices[0].message.content


def digest(**limits: int) -> str:
    with solvent.budget("digest", **limits):
        summaries = solvent.fan_out(summarize, DOCUMENTS, concurrency=24)
    done = sum(summary is not None for summary in summaries)
    return f"{done} of {len(DOCUMENTS)} done"


if __name__ == "__main__":
    compare(
        "parallel=2, seconds=2",
        without=digest,
        within=lambda: digest(parallel=2, seconds=2),
        answer=lambda _: Answer(tokens=400, seconds=0.1),  # It writes one after the other, a tenth of a second each.
    )
