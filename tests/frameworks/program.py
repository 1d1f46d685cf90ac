"""
The scenario as a program of its own, which calls wherever its environment leads it.

    python program.py fw_langchain
"""

import os
import sys
from importlib import import_module

from scenario import Framework, task

framework = Framework(import_module(sys.argv[1]))
base = os.environ["GOOGLE_GEMINI_BASE_URL" if "gemini" in framework.models.researcher else "OPENAI_BASE_URL"]
print(framework.run(task(base.removesuffix("/v1"), framework.models)))
