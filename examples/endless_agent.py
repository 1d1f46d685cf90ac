"""
An agent that never stops: it asks a model for the next step of a plan, again and again, and keeps what was said.

It is an ordinary program of the openai SDK and knows nothing of budgets; it takes the address and the key from
OPENAI_BASE_URL and OPENAI_API_KEY as that SDK does. Each call costs more than the one before, for the conversation
grows: the usual way in which agents become expensive. When a call is refused it prints why and ends.
"""

import itertools
import sys

import openai

MODEL = "smollm2-135m"
GOAL = "You help to build a small wooden boat. Answer in one short sentence."
PARTS = ("plan", "wood", "tools", "keel", "frames", "planks", "deck", "mast", "sail", "rudder", "paint", "first trip")
OUTPUT_TOKENS_MAX = 40
# Within the model's 2,048 tokens a request; English has about 4 characters a token.
HISTORY_CHARACTERS_MAX = 5_000


def ask(client: openai.OpenAI, messages: list[dict[str, str]]) -> str:
    reply = client.chat.completions.create(
        model=MODEL, messages=messages, max_completion_tokens=OUTPUT_TOKENS_MAX, temperature=0, frequency_penalty=1.2
    )
    return (reply.choices[0].message.content or "").strip()


def forget(messages: list[dict[str, str]]) -> None:
    """
    Drop the older half of the conversation, but not the goal, once it has grown too long.
    """
    if sum(len(message["content"]) for message in messages) > HISTORY_CHARACTERS_MAX:
        del messages[1 : 1 + len(messages) // 4 * 2]


def main() -> None:
    client = openai.OpenAI()
    messages = [{"role": "system", "content": GOAL}]
    for step, part in enumerate(itertools.cycle(PARTS), 1):  # It always finds another thing to ask.
        messages.append({"role": "user", "content": f"What do I do next for the {part}?"})
        try:
            answer = ask(client, messages)
        except openai.APIStatusError as error:
            sys.exit(f"the agent was refused: {error.message}")
        messages.append({"role": "assistant", "content": answer})
        print(f"step {step:>3}  {' '.join(answer.split())[:90]}", flush=True)
        forget(messages)


if __name__ == "__main__":
    main()
