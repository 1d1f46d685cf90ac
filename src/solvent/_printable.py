"""
Text from outside, such as a model's name, on its way to a terminal.
"""


def printable(text: str) -> str:
    """
    The text without what could steer the terminal.
    """
    return "".join(character if character.isprintable() else "?" for character in text)
