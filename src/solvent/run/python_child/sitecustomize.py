"""
Python runs this before a program, for ``solvent run`` puts this folder on its path. A program that opens budgets of
Solvent's, or loads an agent framework that lends names, gets the hooks by which its calls say whose they are; for any
other nothing happens.

Every Python reads this, also one that has no Solvent and one that is older than annotations, so it has none of either.
"""
# mypy: disable-error-code="no-untyped-call, no-untyped-def"

import os
import sys

_HERE = os.path.dirname(os.path.abspath(__file__))
_HOOKS = "solvent.instrument"
# Who names calls: budgets, and the frameworks of `instrument/_frameworks.py`.
_NAMING = frozenset(
    (
        "agents",
        "agno",
        "autogen_agentchat",
        "crewai",
        "dspy",
        "google.adk",
        "haystack",
        "langchain",
        "langchain_core",
        "langgraph",
        "llama_index.core",
        "pydantic_ai",
        "semantic_kernel",
        "smolagents",
        "solvent._budget",
    )
)


class _Finder:
    """
    Sees what is imported, and loads nothing by itself: the hooks go on when there may be a budget that needs them.
    """

    def find_spec(self, name, path=None, target=None):
        if name not in _NAMING and name != _HOOKS:
            return None
        for finder in sys.meta_path:
            find = getattr(finder, "find_spec", None)
            spec = find(name, path, target) if find is not None and finder is not self else None
            if spec is not None:
                if spec.loader is not None:
                    spec.loader = _Loader(spec.loader)
                return spec
        return None


class _Loader:
    def __init__(self, loader):
        self._loader = loader

    def __getattr__(self, name):
        return getattr(self._loader, name)

    def create_module(self, spec):
        return self._loader.create_module(spec)

    def exec_module(self, module):
        module.__spec__.loader = module.__loader__ = self._loader
        self._loader.exec_module(module)
        try:
            if module.__name__ == _HOOKS:
                module.name_calls()
            elif _HOOKS not in sys.modules:  # Else it is just loading, and comes here by itself.
                __import__(_HOOKS)
        except Exception:  # Without names the run's own limits still hold, and no program fails because of us.
            pass


def _begin():
    if os.environ.get("SOLVENT_GATEWAY") and sys.version_info >= (3, 11):  # Older ones have no Solvent.
        sys.meta_path.insert(0, _Finder())


def _go_on():
    """
    Run the module of this name that would have been run without this one; its errors are the program's own.
    """
    sys.path[:] = [folder for folder in sys.path if folder != _HERE]
    own = sys.modules.pop(__name__)
    try:
        __import__(__name__)
    except ImportError as error:
        if getattr(error, "name", __name__) != __name__:
            raise
        sys.modules[__name__] = own


_begin()
_go_on()
