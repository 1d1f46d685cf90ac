"""
Runs the programs of a page from its top to its end, as one who follows it would, and compares what they print.
"""

import contextlib
import io
import re

# A program, and what the page shows of its output, if anything.
_PROGRAM = re.compile(r"^```python\n(.*?)^```(?:\n\n```text\n(.*?)^```)?", flags=re.M | re.S)
# Ids and times are others each time: pages write 01J9ZK… for an id.
_OTHER_EACH_TIME = ((r"\b01[0-9A-HJKMNP-TV-Z]{24}", "01J9ZK…"), (r"(?<= · )\d+\.\d s$", "0.1 s"))


def programs(text: str) -> list[tuple[str, str | None]]:
    found = [(program, shown or None) for program, shown in _PROGRAM.findall(text)]
    assert len(found) == text.count("```python") > 0
    assert sum(shown is not None for _, shown in found) == text.count("```text")
    return found


def masked(text: str) -> str:
    for pattern, replacement in _OTHER_EACH_TIME:
        text = re.sub(pattern, replacement, text, flags=re.M)
    return text


def run_programs(text: str, **given: object) -> dict[str, object]:
    """
    Returns the names that they leave.

    Args:
        **given: Names that they find.
    """
    names: dict[str, object] = {"__name__": "docs", **given}
    for program, shown in programs(text):
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(program, names)
        told = masked(printed.getvalue()).strip("\n")
        assert told == masked(shown or "").strip("\n"), f"{program}\nprints:\n{told}"
    return names
