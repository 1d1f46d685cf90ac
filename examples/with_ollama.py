"""
The calls of the ollama SDK under a budget. A model of one's own has no price, so calls and tokens are limited.
"""

import ollama

import solvent

ASKED = [{"role": "user", "content": "Name three rivers."}]

solvent.install()
with solvent.budget("triage", tokens="50k", calls=40) as budget:
    try:
        print(ollama.chat("llama3.2", messages=ASKED).message.content)
    except solvent.BudgetExceeded as refusal:  # The call was not made.
        print(refusal)
print(budget.report())
