"""
The calls of litellm under a budget, whichever provider a model is of.
"""

import litellm

import solvent

ASKED = [{"role": "user", "content": "Name three rivers."}]

solvent.install()
with solvent.budget("triage", usd=0.50, calls=40) as budget:
    try:
        reply = litellm.completion("openai/gpt-5-mini", messages=ASKED)
        print(reply.choices[0].message.content)
    except solvent.BudgetExceeded as refusal:  # The call was not made, not retried, and no fallback was tried.
        print(refusal)
print(budget.report())
