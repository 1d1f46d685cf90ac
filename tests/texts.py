"""
Text of many kinds, to hold bounds of tokens against: of this machine's Python, recorded, and made up.
"""

import json
import random
import string
import sysconfig
import unicodedata
import uuid
from base64 import b64encode
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

SPECIAL = (
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|eot_id|>",
    "<think>",
    "</think>",
    "<|",
    "|>",
    "</tool_call>",
)
SPACES = (" ", "  ", "\t", "\n", "\r\n", "\n\n", " \n", "\u00a0", "\u2003", "\u2028", "\x85", "\x1c", "\u3000")
_FAMILY = "\U0001f469\u200d\U0001f467\u200d\U0001f466"


@cache
def characters() -> dict[str, tuple[str, ...]]:
    """
    Every character, by its general category.
    """
    found: dict[str, list[str]] = {}
    for code in range(0x110000):
        found.setdefault(unicodedata.category(chr(code)), []).append(chr(code))
    return {category: tuple(those) for category, those in found.items() if category not in ("Cn", "Co", "Cs")}


@cache
def growing() -> tuple[str, ...]:
    """
    Characters whose NFC or NFKC form has more bytes, and some whose has fewer.
    """
    everything = [one for those in characters().values() for one in those]

    def size(form: str, text: str) -> int:
        return len(unicodedata.normalize(form, text).encode())  # type: ignore[arg-type]  # A form that there is.

    grown = [one for one in everything if max(size("NFC", one), size("NFKC", one)) > len(one.encode())]
    return (*grown, *[one for one in everything if size("NFKC", one) < len(one.encode())][:1_000])


def of_python(size: int) -> Iterator[str]:
    """
    The standard library's sources, its test texts in Chinese, Japanese and Korean first; about as many bytes.
    """
    folder = Path(sysconfig.get_path("stdlib"))
    files = [*sorted(folder.glob("test/cjkencodings/*-utf8.txt")), *sorted(folder.glob("*.py"))]
    files += sorted(file for file in folder.glob("*/*.py") if file.parent.name != "site-packages")
    for file in files:
        text = file.read_bytes().decode(errors="replace")
        yield text
        size -= len(text.encode())
        if size < 0:
            return


def of_records(folder: Path) -> Iterator[str]:
    """
    Every text in recorded exchanges, once.
    """
    seen: set[str] = set()
    for file in sorted(folder.glob("*.jsonl")):
        for line in file.read_text().splitlines():
            for text in _texts(json.loads(line)):
                if text not in seen:
                    seen.add(text)
                    yield text


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | dict):
        for one in value.values() if isinstance(value, dict) else value:
            yield from _texts(one)


def made_up(size: int, *, seed: int) -> Iterator[str]:
    """
    About as many bytes of everything that tokenizers read in their own ways.
    """
    chance = random.Random(seed)
    kinds = (_letters, _mixed, _numbers, _records, _bombs, _emoji, _blank, _runs)
    while size > 0:
        text = chance.choice(kinds)(chance)
        yield text
        size -= len(text.encode())


def _letters(chance: random.Random) -> str:
    """
    Words of one script.
    """
    letters = characters()[chance.choice(("Lo", "Ll", "Lu", "Lo"))]
    start = chance.randrange(len(letters))
    alphabet = letters[start : start + 60]
    words = ("".join(chance.choices(alphabet, k=chance.randint(1, 9))) for _ in range(chance.randint(1, 200)))
    return chance.choice(("", " ", " ", "\n", "\u3002")).join(words)


def _mixed(chance: random.Random) -> str:
    pools = [chance.choice(tuple(characters().values())) for _ in range(3)]
    pools += [SPECIAL, SPACES, tuple("'sStTrREvemMldD"), tuple(string.printable)]
    return "".join(chance.choice(chance.choice(pools)) for _ in range(chance.randint(1, 300)))


def _numbers(chance: random.Random) -> str:
    digits = characters()[chance.choice(("Nd", "No", "Nl"))]
    start = chance.randrange(len(digits))
    return "".join(chance.choices(digits[start : start + 10], k=chance.randint(1, 500)))


def _records(chance: random.Random) -> str:
    rows = [
        {"id": str(uuid.UUID(int=chance.getrandbits(128))), "hex": f"{chance.getrandbits(256):x}", "n": chance.random()}
        for _ in range(chance.randint(1, 20))
    ]
    kinds = (json.dumps(rows), json.dumps(rows, indent=2), b64encode(chance.randbytes(600)).decode(), rows[0]["id"])
    return str(chance.choice(kinds))


def _bombs(chance: random.Random) -> str:
    """
    What normal forms make longer, among what they make shorter.
    """
    few = chance.choices(growing(), k=chance.randint(1, 6))
    return "".join(chance.choices(few, k=chance.randint(1, 200)))


def _emoji(chance: random.Random) -> str:
    faces = [chr(code) for code in range(0x1F300, 0x1FAFF)]
    return "".join(chance.choice((_FAMILY, "\u200d", "\ufe0f", *chance.choices(faces, k=4))) for _ in range(100))


def _blank(chance: random.Random) -> str:
    return "".join(chance.choices(SPACES, k=chance.randint(1, 400)))


def _runs(chance: random.Random) -> str:
    """
    A few characters over and over, in which merges of one place go on into the next.
    """
    few = "".join(chance.choice(chance.choice(tuple(characters().values()))) for _ in range(chance.randint(1, 4)))
    return few * chance.randint(1, 300)
