"""
Calls a model in the ways in which its usage says too little, or nothing at all.

    counted.py MODEL WAY
"""

import sys
from typing import Any

import openai

model, way = sys.argv[1], sys.argv[2]
client = openai.OpenAI(max_retries=0)
asked: Any = {"model": model, "messages": [{"role": "user", "content": "Tell a long story."}], "max_tokens": 24}

if way == "three choices":
    client.chat.completions.create(**asked, n=3)
elif way == "closed early":
    with client.chat.completions.create(**{**asked, "max_tokens": 512}, stream=True) as stream:
        for _, _ in zip(range(5), stream, strict=False):
            pass
elif way == "without usage":
    for _ in client.chat.completions.create(**asked, stream=True, stream_options={"include_usage": False}):
        pass
elif way == "completions":
    client.completions.create(model=model, prompt="Once upon a time", max_tokens=24, n=2)
elif way == "embeddings":
    client.embeddings.create(model=model, input=["a river", "a mountain"])
print(way)
