"""
Makes the data files that ship: ``python -m solvent.prices._compile [--litellm FILE] [--into FOLDER]``.

Reads the installed ``genai-prices`` and writes ``data/rates.jsonl``; with ``--litellm``, also the model limits and the
overlay out of ``litellm``'s wheel (``pip download --no-deps litellm``; never installed) or its JSON file, and out of
the facts of ``_facts.py``, into ``data/limits.json`` and ``data/overlay.json``.
Runs when the data is renewed, never in a user's process; then ``data/NOTICE`` needs the versions, too.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from solvent.prices._card import Card
from solvent.prices._compile_limits import compile_limits
from solvent.prices._compile_overlay import compile_overlay
from solvent.prices._compile_rates import compile_rates
from solvent.prices._data import PACKAGE, package_version, read_package
from solvent.prices._overlay import Overlay

COMMAND = "python -m solvent.prices._compile"
DATA = Path(__file__).parent / "data"


def main(arguments: Sequence[str] | None = None) -> None:
    """
    Write the data files into the package.
    """
    parser = argparse.ArgumentParser(prog=COMMAND, description="Make the rate card of this package.")
    parser.add_argument("--litellm", type=Path, help="litellm's wheel, or its JSON file of models")
    parser.add_argument("--into", type=Path, default=DATA, help="the folder to write to")
    options = parser.parse_args(arguments)
    options.into.mkdir(exist_ok=True)
    rates = options.into / "rates.jsonl"
    rates.write_text(shipped_rates(), encoding="utf-8")
    if options.litellm is not None:
        limits = compile_limits(options.litellm, made_by=COMMAND)
        (options.into / "limits.json").write_text(limits, encoding="utf-8")
        overlay = compile_overlay(options.litellm, card=Card(rates, overlay=Overlay()), made_by=COMMAND)
        (options.into / "overlay.json").write_text(overlay, encoding="utf-8")


def shipped_rates() -> str:
    """
    The text of ``rates.jsonl``.
    """
    version = package_version()
    compiled = compile_rates(read_package(), source=f"{PACKAGE} {version}", version=version, made_by=COMMAND)
    if compiled.unknown_units:
        raise ValueError(
            f"{PACKAGE} has new units, {', '.join(compiled.unknown_units)}: say in _compile_rates what they are"
        )
    return compiled.text


if __name__ == "__main__":
    main()
