"""
What is said of a workflow before anybody trusts its forecast.
"""

import pytest

from solvent.forecast._remarks import remarks
from solvent.forecast.spec import read_workflow

NESTED = """
workflow: bot
models: {{narrow: {{input: 3.00, output: 15.00, window: {window}}}}}
graph:
  - loop: outer
    again: 50%
    max: 10
    history: grows
    do:
      - {{call: plan, model: narrow, prompt: 1000, output: 1000, seconds: 1}}
      - {{tool: look, result: 15000}}
      - loop: inner
        again: 50%
        max: 3
        history: grows
        do: [{{call: deep, model: narrow, prompt: 100k, output: 1000, seconds: 1}}]
"""


@pytest.mark.parametrize(
    ("window", "said"),
    [
        ("200k", []),
        ("120k", ["plan in outer could read 145,000"]),  # Nine rounds of 16,000, and its prompt.
        ("101k", ["plan in outer could read 145,000", "deep in inner could read 102,000"]),
    ],
)
def test_a_window_is_held_against_the_history_of_its_own_loop(tmp_path, window, said):
    path = tmp_path / "bot.yaml"
    path.write_text(NESTED.format(window=window))
    assert [one.partition(" tokens")[0] for one in remarks(read_workflow(path))] == said
