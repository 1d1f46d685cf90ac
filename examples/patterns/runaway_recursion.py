"""
Runaway recursion: a researcher that first asks another researcher, who first asks another one.

    python examples/patterns/runaway_recursion.py

Nothing in the program is wrong where it is looked at; that nobody ever answers shows in the bill. ``depth`` says how
deep agents may stand below one another, whoever they are, and the one that would be deeper is not begun.
"""

from itertools import count

import openai
from provider import MODEL, Answer, compare

import solvent

QUESTION = "Which of our suppliers will be late next month?"


def ask(question: str) -> str:
    system = {"role": "system", "content": "Answer, or name the question that has to be answered first."}
    reply = openai.chat.completions.create(
        model=MODEL, max_completion_tokens=500, messages=[system, {"role": "user", "content": question}]
    )
    return reply.choices[0].message.content or ""


def research(question: str) -> str:
    answer = ask(question)
    return research(answer) if answer.endswith("?") else answer


@solvent.agent("researcher")
def held_research(question: str) -> str:
    answer = ask(question)
    return held_research(answer) if answer.endswith("?") else answer


def without() -> str:
    research(QUESTION)
    return "answered at last"


def within() -> str:
    with solvent.budget("research", depth=5):
        held_research(QUESTION)
    return "answered"


def main() -> None:
    asked = count(1)

    def answer(question: str) -> Answer:
        # It would go on for ever; here somebody has mercy after 100.
        is_last = next(asked) == 100
        return Answer("The one in Lisbon." if is_last else f"And who knows: {question[-80:]}", tokens=400)

    compare("depth=5", without=without, within=within, answer=answer)


if __name__ == "__main__":
    main()
