"""
Prices asked for by many threads at once, the first of all questions among them.
"""

import subprocess
import sys

import pytest

PROGRAM = """
import sys, threading
from solvent.prices import Prices

sys.setswitchinterval(1e-6)
start = threading.Barrier(16)
found = []

def ask():
    start.wait()
    found.append(Prices.load().find("openai", "gpt-4o").model)

threads = [threading.Thread(target=ask) for _ in range(16)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(len(found), set(found))
"""


@pytest.mark.slow
def test_the_first_questions_may_come_from_many_threads():
    for _ in range(6):
        done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60, check=False)
        assert done.stdout == "16 {'gpt-4o'}\n", done.stderr
