"""
Token bloat: an agent that keeps what it has read, and sends all of it with each further step.

    python examples/patterns/token_bloat.py

The fortieth step reads forty files to look at one, so twice the steps cost four times as much. A limit of ``tokens``
over the loop ends it while it is cheap, with the findings until then in the program's hands.
"""

import openai
from provider import MODEL, Answer, compare

import solvent

STEPS = 40
FILE = "def f():\n    pass\n" * 350  # About 1,500 tokens.


def explore(**limits: str) -> str:
    history = [{"role": "system", "content": "Say what is wrong in the files."}]
    findings: list[str] = []
    with solvent.budget("explore", **limits):
        for turn in solvent.loop("read", times=STEPS):
            with turn:
                history.append({"role": "user", "content": f"File {turn.number}:\n{FILE}"})
                reply = openai.chat.completions.create(model=MODEL, max_completion_tokens=300, messages=history)
                findings.append(reply.choices[0].message.content or "")
                history.append({"role": "assistant", "content": findings[-1]})
    return f"read {len(findings)} files"


if __name__ == "__main__":
    compare(
        "tokens=150k",
        without=explore,
        within=lambda: explore(tokens="150k"),
        answer=lambda _: Answer("Nothing is wrong in this one."),
    )
