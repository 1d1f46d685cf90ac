"""
Small workflows for tests of what is read.
"""

from textwrap import dedent

CALL = "{call: c, model: m, prompt: 10, output: 5}"


def spec(graph=f"[{CALL}]", *, envelope="", models="m: {input: 1.00, output: 2.00}", more=""):
    """
    A file with these parts, each on a line of its own: the name, models, envelope, graph, and whatever else.
    """
    lines = ["workflow: w", f"models: {{{models}}}", f"envelope: {{{envelope}}}", f"graph: {graph}", dedent(more)]
    return "\n".join(lines)
