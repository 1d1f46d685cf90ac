"""
The agent frameworks that lend names: what of each has a scope of its own.

``solvent doctor`` and the tests draw from it. Their calls are held by the libraries of ``_coverage.py`` that send them.

Source:
    The frameworks as installed by ``make test-frameworks``, run 2026-11-22.
"""

from msgspec import Struct

from solvent.instrument import HOOKS, Hook


class Framework(Struct, frozen=True, kw_only=True):
    """
    One framework.

    Attributes:
        name: Of its distribution.
        module: What it is imported as.
        tested: The release lines that the tests run, by their first number.
        names: What of it has a scope.
        guide: Its page in ``docs/guides``.
    """

    name: str
    module: str
    tested: tuple[str, ...]
    names: tuple[str, ...] = ("agents", "tools")
    guide: str

    @property
    def hooks(self) -> tuple[Hook, ...]:
        return tuple(hook for hook in HOOKS if hook.package == self.name)


FRAMEWORKS: tuple[Framework, ...] = (
    Framework(name="agno", module="agno", tested=("3",), names=("agents", "teams", "workflows", "tools"), guide="agno"),
    Framework(name="autogen-agentchat", module="autogen_agentchat", tested=("0",), guide="autogen"),
    Framework(name="crewai", module="crewai", tested=("1",), guide="crewai"),
    Framework(name="dspy", module="dspy", tested=("3",), names=("agents", "own modules", "tools"), guide="dspy"),
    Framework(name="google-adk", module="google.adk", tested=("2",), guide="google-adk"),
    Framework(name="haystack-ai", module="haystack", tested=("3",), guide="haystack"),
    Framework(name="langchain", module="langchain", tested=("1",), guide="langchain"),
    Framework(name="langchain-core", module="langchain_core", tested=("1",), names=("tools",), guide="langchain"),
    Framework(
        name="langgraph",
        module="langgraph",
        tested=("1",),
        names=("agents", "named graphs", "nodes"),
        guide="langgraph",
    ),
    Framework(name="llama-index-core", module="llama_index.core", tested=("0",), guide="llama-index"),
    Framework(name="openai-agents", module="agents", tested=("0",), guide="openai-agents"),
    Framework(name="pydantic-ai-slim", module="pydantic_ai", tested=("2",), guide="pydantic-ai"),
    Framework(name="semantic-kernel", module="semantic_kernel", tested=("1",), guide="semantic-kernel"),
    Framework(name="smolagents", module="smolagents", tested=("1",), guide="smolagents"),
)
