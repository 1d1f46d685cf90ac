"""
Packages that only some exports need, and what to install where one is missing.
"""

from solvent.errors import SettingsError


def missing(extra: str, error: ImportError) -> SettingsError:
    """
    The error for whoever has not installed the extra that an export needs.
    """
    package = (error.name or extra).partition(".")[0]
    return SettingsError(
        where=f"export to {extra}",
        expected=f"the package {package}, which is not installed",
        hint=f"pip install 'solvent[{extra}]'",
    )
