"""
Text from outside, such as a model's name, on its way to a terminal or a spreadsheet.
"""


def printable(text: str) -> str:
    """
    The text without what could steer the terminal.
    """
    return "".join(character if character.isprintable() else "?" for character in text)


def as_text(text: str) -> str:
    """
    The text as a spreadsheet takes it for one: with an apostrophe before what would begin a formula.

    Source:
        OWASP's Application Security Verification Standard 5.0, 1.2.10: a single quote before what begins like a
        formula; read 2026-11-22.
    """
    return f"'{text}" if text.startswith(_FORMULA) else text


_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\0")
