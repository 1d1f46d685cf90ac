"""
The calls of the anthropic SDK under a budget.
"""

import anthropic

import solvent

ASKED = [{"role": "user", "content": "Name three rivers."}]

solvent.install()
client = anthropic.Anthropic()
with solvent.budget("triage", usd=0.50, calls=40) as budget:
    try:
        reply = client.messages.create(model="claude-haiku-4-5", max_tokens=1_000, messages=ASKED)
        print(reply.content[0].text)
    except solvent.BudgetExceeded as refusal:  # The call was not made, and nothing made it again.
        print(refusal)
print(budget.report())
