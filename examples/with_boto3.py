"""
The calls of boto3 to Amazon Bedrock under a budget.
"""

import boto3

import solvent

ASKED = [{"role": "user", "content": [{"text": "Name three rivers."}]}]

solvent.install()
client = boto3.client("bedrock-runtime")
with solvent.budget("triage", usd=0.50, calls=40) as budget:
    try:
        reply = client.converse(modelId="amazon.nova-lite-v1:0", messages=ASKED)
        print(reply["output"]["message"]["content"][0]["text"])
    except solvent.BudgetExceeded as refusal:  # The call was not made, and nothing made it again.
        print(refusal)
print(budget.report())
