"""
The calls of the google-genai SDK under a budget.
"""

from google import genai

import solvent

solvent.install()
client = genai.Client()
with solvent.budget("triage", usd=0.50, calls=40) as budget:
    try:
        reply = client.models.generate_content(model="gemini-2.5-flash", contents="Name three rivers.")
        print(reply.text)
    except solvent.BudgetExceeded as refusal:  # The call was not made, and nothing made it again.
        print(refusal)
print(budget.report())
