"""
Runs the tests of this folder in an environment for each framework, which it makes, and writes what README's table says
of them into ``results/``; ``python tests/framework_tables.py`` then writes the table.

    python tests/frameworks/run_frameworks.py [FRAMEWORK…] [OPTION OF PYTEST…]
"""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1]))

from environments import ROOT, Environment, run  # Found by the line above.

HERE = Path(__file__).parent
# Nothing is asked or told of the world outside: no prices, no keys, no telemetry.
QUIET = {
    "AGNO_TELEMETRY": "false",
    "CREWAI_DISABLE_TELEMETRY": "true",
    "GOOGLE_API_KEY": "sk-test",
    "HAYSTACK_TELEMETRY_ENABLED": "False",
    "LANGSMITH_TRACING": "false",
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "OPENAI_AGENTS_DISABLE_TRACING": "1",
    "OPENAI_API_KEY": "sk-test",
    "OTEL_SDK_DISABLED": "true",
}


def environment(name: str, *needs: str) -> Environment:
    """
    Args:
        name: Of its module, ``fw_NAME.py``, with ``-`` for ``_``; what is tested of it alone is in ``test_NAME.py``.
        needs: The framework's own package first.
    """
    figures = {"SOLVENT_FIGURES": str(HERE / "results" / f"{name}.json"), "SOLVENT_PACKAGE": needs[0].partition("[")[0]}
    own = HERE / f"test_{name.replace('-', '_')}.py"
    return Environment(
        folder=ROOT / ".venv-frameworks" / name,
        needs=needs,
        tests=(HERE / "test_frameworks.py", *([own] if own.exists() else [])),
        settings={**QUIET, "SOLVENT_FRAMEWORK": name, **(figures if name != "reference" else {})},
    )


ENVIRONMENTS = (
    environment("agno", "agno", "openai"),
    environment("autogen", "autogen-agentchat", "autogen-ext[openai]"),
    environment("crewai", "crewai"),
    environment("dspy", "dspy", "mcp"),
    environment("google-adk", "google-adk"),
    environment("haystack", "haystack-ai"),
    environment("langchain", "langchain", "langgraph", "langchain-openai", "langgraph-supervisor", "langgraph-swarm"),
    environment("llama-index", "llama-index-core", "llama-index-llms-openai"),
    environment("openai-agents", "openai-agents"),
    environment("pydantic-ai", "pydantic-ai-slim[openai]"),
    environment("reference", "openai"),
    environment("semantic-kernel", "semantic-kernel", "protobuf"),
    environment("smolagents", "smolagents[openai]"),
)


if __name__ == "__main__":
    sys.exit(run(ENVIRONMENTS, sys.argv[1:]))
