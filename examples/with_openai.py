"""
The calls of the openai SDK under a budget.
"""

import openai

import solvent

solvent.install()
client = openai.OpenAI()
with solvent.budget("triage", usd=0.50, calls=40) as budget:
    try:
        reply = client.responses.create(model="gpt-5-mini", input="Name three rivers.")
        print(reply.output_text)
    except solvent.BudgetExceeded as refusal:  # The call was not made, and nothing made it again.
        print(refusal)
print(budget.report())
