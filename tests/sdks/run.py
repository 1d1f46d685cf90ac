"""
Runs the tests of this folder in an environment for each SDK, which it makes: SDKs do not live together, nor with all
versions of what they stand on.

    python tests/sdks/run.py [ENVIRONMENT…] [OPTION OF PYTEST…]
"""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1]))

from environments import ROOT, Environment, run  # Found by the line above.

OFFLINE = {"LITELLM_LOCAL_MODEL_COST_MAP": "True"}  # Else litellm asks for its prices when it is loaded.
BLIND = ("curl_cffi", "httplib2", "niquests", "pycurl", "tornado", "websocket-client")  # What no hook sees.
TESTS = ("test_at_aimock.py", "test_sdk.py")


def environment(name: str, sdk: str, needs: tuple[str, ...], tests: tuple[str, ...] = TESTS) -> Environment:
    """
    Args:
        sdk: Whose ways of calling are tested; its name in ``sdks.py``.
    """
    return Environment(
        folder=ROOT / ".venv-sdks" / name,
        needs=needs,
        tests=tuple([Path(__file__).parent / test for test in tests]),
        settings={**OFFLINE, "SOLVENT_SDK": sdk},
    )


ENVIRONMENTS = (
    environment("aiobotocore", "aiobotocore", ("aiobotocore",), ("test_aiobotocore.py",)),
    environment("anthropic-0", "anthropic", ("anthropic<1",)),
    environment("anthropic-1", "anthropic", ("anthropic<2",)),
    environment("blind", "blind", BLIND, ("test_blind.py",)),
    environment("blind-sdks", "blind", ("xai-sdk",), ("test_blind.py",)),
    environment("cohere", "cohere", ("cohere",)),
    environment("dspy", "dspy", ("dspy",)),
    environment("groq", "groq", ("groq",)),
    environment("grpc", "grpc", ("grpcio", "httpx-ws"), ("test_other_transports.py",)),
    environment("litellm", "litellm", ("litellm", "mcp")),
    environment("mistralai", "mistralai", ("mistralai",)),
    environment("mistralai-1", "mistralai", ("mistralai<2",)),
    environment("mistralai-2", "mistralai", ("mistralai<3",)),
    environment("ollama", "ollama", ("ollama",)),
    environment("openai-1", "openai", ("openai<2",)),
    environment("openai-1.0", "openai", ("openai==1.0.0", "httpx<0.28")),
    environment("openai-2", "openai", ("openai<3",)),
    environment("together", "together", ("together",)),
)


if __name__ == "__main__":
    sys.exit(run(ENVIRONMENTS, sys.argv[1:]))
