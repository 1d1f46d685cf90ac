"""
Past runs into a ledger: their calls as they were, in observe mode, each once however often it is imported.

A format is one file: what it looks like, and a reader that yields its calls. ``_write`` books them.
"""

from solvent.imports import claude_code, codex, jsonl, litellm
from solvent.imports._files import find_files
from solvent.imports._past import BadCall, Intake, PastCall, Refused, Source, WrongFile
from solvent.imports._write import Imported, Writer

__all__ = [
    "FORMATS",
    "BadCall",
    "Imported",
    "Intake",
    "PastCall",
    "Refused",
    "Source",
    "Writer",
    "WrongFile",
    "find_files",
]

FORMATS: dict[str, Source] = {
    "claude-code": claude_code.SOURCE,
    "codex": codex.SOURCE,
    "jsonl": jsonl.SOURCE,
    "litellm": litellm.SOURCE,
}
