"""
``litellm``: a refusal of the HTTP library below it becomes Solvent's own error, whatever litellm would try next.

Source:
    litellm 1.106.2, ``main.py``, ``responses/main.py`` and ``router.py``, read 2026-11-22.
"""

import sys
from inspect import isfunction, unwrap
from types import ModuleType

from solvent.instrument._above import atranslated, translated
from solvent.instrument._hooks import Unhook, wrap

_FUNCTIONS = ("completion", "embedding", "responses", "text_completion")


def hook(module: ModuleType) -> list[Unhook]:
    """
    Args:
        module: ``litellm.main``, ``litellm.responses.main`` or ``litellm.router``.
    """
    if module.__name__ == "litellm.router":
        return [
            wrap(module.Router, "function_with_fallbacks", translated()),
            wrap(module.Router, "async_function_with_fallbacks", atranslated()),
        ]
    unhooks = []
    for name in _FUNCTIONS:
        unhooks += _everywhere(module, name, is_async=False) + _everywhere(module, f"a{name}", is_async=True)
    return unhooks


def _everywhere(module: ModuleType, name: str, *, is_async: bool) -> list[Unhook]:
    """
    Wrap a function where it is made, and in the package, which has it too once it is loaded.
    """
    wrapper = atranslated() if is_async else translated()
    owners = (module, sys.modules["litellm"])
    found = [(owner, vars(owner).get(name)) for owner in owners]
    return [wrap(owner, name, wrapper) for owner, made in found if made is not None and isfunction(unwrap(made))]
