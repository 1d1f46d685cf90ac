"""
How a hook is put around a function of a library, and taken off again.
"""

from collections.abc import Callable, Mapping
from typing import Any

import wrapt

Wrapper = Callable[[Callable[..., Any], Any, tuple[Any, ...], Mapping[str, Any]], Any]
Unhook = Callable[[], None]


def wrap(owner: Any, name: str, wrapper: Wrapper) -> Unhook:
    """
    Put ``wrapper`` around an attribute of a class or a module; returns what takes it off again.

    What others put around it later stays; the hook under it then only passes calls on.
    """
    original = vars(owner)[name]
    is_on = True

    def passes(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        return wrapper(wrapped, instance, args, kwargs) if is_on else wrapped(*args, **kwargs)

    wrapped = wrapt.FunctionWrapper(original, passes)
    setattr(owner, name, wrapped)

    def unhook() -> None:
        nonlocal is_on
        is_on = False
        if vars(owner).get(name) is wrapped:
            setattr(owner, name, original)

    return unhook
