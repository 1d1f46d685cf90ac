"""
Hooks into the libraries that call models: every call of the process is held to its budget.
"""

import importlib
import logging
import os
import sys
import threading
from collections.abc import Callable, Iterable
from types import ModuleType

import wrapt
from msgspec import Struct

from solvent._runtime import PROCESS
from solvent.instrument._gateway import check_gateway
from solvent.instrument._hooks import Unhook
from solvent.instrument._look import Mode

_log = logging.getLogger("solvent")


class Hook(Struct, frozen=True):
    """
    One hook.

    Attributes:
        package: Whose calls it guards, or names.
        module: The module that has to be there before it can be put on.
        file: The module of this package whose ``hook`` puts it on.
    """

    package: str
    module: str
    file: str


HOOKS: tuple[Hook, ...] = (
    Hook("agno", "agno.agent._run", "agno"),
    Hook("agno", "agno.models.base", "agno"),
    Hook("agno", "agno.team._run", "agno"),
    Hook("agno", "agno.tools.function", "agno"),
    Hook("agno", "agno.workflow.workflow", "agno"),
    Hook("aiobotocore", "aiobotocore.endpoint", "aiobotocore"),
    Hook("aiohttp", "aiohttp", "aiohttp"),
    Hook("anthropic", "anthropic._base_client", "stainless"),
    Hook("autogen-agentchat", "autogen_agentchat.agents", "autogen"),
    Hook("autogen-agentchat", "autogen_agentchat.teams", "autogen"),
    Hook("autogen-agentchat", "autogen_core.tools", "autogen"),
    Hook("botocore", "botocore.endpoint", "botocore"),
    Hook("cohere", "cohere.core.http_client", "cohere"),
    Hook("concurrent.futures", "concurrent.futures.process", "processes"),
    Hook("concurrent.futures", "concurrent.futures.thread", "threads"),
    Hook("crewai", "crewai.agent.core", "crewai"),
    Hook("crewai", "crewai.agents.step_executor", "crewai"),
    Hook("crewai", "crewai.tools.agent_tools.base_agent_tools", "crewai"),
    Hook("crewai", "crewai.tools.base_tool", "crewai"),
    Hook("crewai", "crewai.tools.structured_tool", "crewai"),
    Hook("dspy", "dspy._vendor.lm15.transports._async", "lm15"),
    Hook("dspy", "dspy._vendor.lm15.transports._sync", "lm15"),
    Hook("dspy", "dspy.adapters.types.tool", "dspy"),
    Hook("dspy", "dspy.clients.base_lm", "dspy"),
    Hook("dspy", "dspy.predict.best_of_n", "dspy"),
    Hook("dspy", "dspy.predict.refine", "dspy"),
    Hook("dspy", "dspy.primitives.module", "dspy"),
    Hook("dspy", "dspy.utils.parallelizer", "dspy"),
    Hook("google-adk", "google.adk.agents.base_agent", "google_adk"),
    Hook("google-adk", "google.adk.flows.llm_flows.functions", "google_adk"),
    Hook("google-adk", "google.adk.flows.llm_flows.tools._caller", "google_adk"),
    Hook("google-adk", "google.adk.tools.agent_tool", "google_adk"),
    Hook("google-genai", "google.genai._api_client", "google_genai"),
    Hook("groq", "groq._base_client", "stainless"),
    Hook("grpcio", "grpc._channel", "transports"),
    Hook("grpcio", "grpc.aio._channel", "transports"),
    Hook("haystack-ai", "haystack.components.agents.agent", "haystack"),
    Hook("haystack-ai", "haystack.core.errors", "haystack"),
    Hook("haystack-ai", "haystack.tools.tool", "haystack"),
    Hook("httpx", "httpx", "httpx"),
    Hook("httpx2", "httpx2", "httpx"),
    Hook("langchain", "langchain.agents.middleware.model_retry", "langchain"),
    Hook("langchain", "langchain.agents.middleware.tool_retry", "langchain"),
    Hook("langchain-core", "langchain_core.runnables.retry", "langchain"),
    Hook("langchain-core", "langchain_core.tools.base", "langchain"),
    Hook("langgraph", "langgraph.pregel._retry", "langgraph"),
    Hook("langgraph", "langgraph.pregel._runner", "langgraph"),
    Hook("langgraph", "langgraph.pregel.main", "langgraph"),
    Hook("litellm", "litellm.main", "litellm"),
    Hook("litellm", "litellm.responses.main", "litellm"),
    Hook("litellm", "litellm.router", "litellm"),
    Hook("llama-index-core", "llama_index.core.agent.workflow", "llama_index"),
    Hook("mistralai", "mistralai.basesdk", "mistralai"),
    Hook("mistralai", "mistralai.client.basesdk", "mistralai"),
    Hook("multiprocessing", "multiprocessing.pool", "threads"),
    Hook("multiprocessing", "multiprocessing.process", "processes"),
    Hook("ollama", "ollama._client", "ollama"),
    Hook("openai", "openai._base_client", "stainless"),
    Hook("openai-agents", "agents.run", "openai_agents"),
    Hook("os", "os", "children"),
    Hook("pydantic-ai-slim", "pydantic_ai.agent", "pydantic_ai"),
    Hook("pydantic-ai-slim", "pydantic_ai.tool_manager", "pydantic_ai"),
    Hook("requests", "requests.sessions", "requests"),
    Hook("semantic-kernel", "semantic_kernel.agents.chat_completion.chat_completion_agent", "semantic_kernel"),
    Hook("semantic-kernel", "semantic_kernel.agents.open_ai.openai_responses_agent", "semantic_kernel"),
    Hook("semantic-kernel", "semantic_kernel.connectors.ai.chat_completion_client_base", "semantic_kernel"),
    Hook("semantic-kernel", "semantic_kernel.functions.kernel_function", "semantic_kernel"),
    Hook("semantic-kernel", "semantic_kernel.kernel", "semantic_kernel"),
    Hook("smolagents", "smolagents.agents", "smolagents"),
    Hook("subprocess", "subprocess", "children"),
    Hook("threading", "threading", "threads"),
    Hook("together", "together._base_client", "stainless"),
    Hook("uvloop", "uvloop", "children"),
    Hook("websockets", "websockets.client", "transports"),
    Hook("websockets", "websockets.legacy.client", "transports"),
)
# The files whose hooks hold calls and do not say whose one is.
_NAMELESS = frozenset(
    {"aiobotocore", "botocore", "cohere", "google_genai", "litellm", "mistralai", "ollama", "stainless", "transports"}
)


class _Installed:
    def __init__(self) -> None:
        self.unhooks: dict[ModuleType, list[Unhook]] = {}  # By the module, which may go by two names.
        self.on = False
        self.names = False
        self.waiting: set[str] = set()
        # Never held while something is imported: who imports comes here to put its hooks on.
        self.lock = threading.Lock()


_STATE = _Installed()


def _begin_in_child() -> None:
    _STATE.lock = threading.Lock()  # It may have been held by a thread that did not follow.


os.register_at_fork(after_in_child=_begin_in_child)


def install(*, strict: bool = False, reload: bool = False) -> None:
    """
    Put the hooks on: now where a library is loaded, else when it is.

    Args:
        strict: Refuse connections to providers over which calls pass that no hook can read, WebSockets and gRPC; and
            calls outside of every budget's context while several are open.
        reload: Look every two seconds whether the files of the policy have changed, and follow them; for servers.

    Raises:
        SettingsError: The environment names the gateway of a run by what is no address.
    """
    check_gateway()
    PROCESS.is_hooked = _STATE.on = True
    Mode.names_only = False
    PROCESS.is_strict = strict
    PROCESS.reloads(reload)
    _hook(HOOKS)


def name_calls() -> None:
    """
    Have calls to the gateway of the run around this process say whose they are, also where nothing is installed: each
    budget then holds its own. What else a program sees stays as it is.
    """
    _STATE.names, Mode.names_only = True, not _STATE.on
    _hook(hook for hook in HOOKS if hook.file not in _NAMELESS)


def _hook(hooks: Iterable[Hook]) -> None:
    for hook in hooks:
        if hook.module in sys.modules:
            _put_on(hook)
        elif hook.module not in _STATE.waiting:
            _STATE.waiting.add(hook.module)
            wrapt.register_post_import_hook(_when_loaded(hook), hook.module)


def uninstall() -> None:
    """
    Take the hooks off. Calls that are under way are still booked.
    """
    with _STATE.lock:
        PROCESS.is_hooked = _STATE.on = False
        PROCESS.is_strict = False
        PROCESS.reloads(False)
        for unhooks in reversed(_STATE.unhooks.values()):
            for unhook in reversed(unhooks):
                unhook()
        _STATE.unhooks.clear()
    if _STATE.names:
        name_calls()


def active() -> list[Hook]:
    """
    The hooks that are on, and found something to hold on to.
    """
    return [
        hook for hook in HOOKS if (module := sys.modules.get(hook.module)) is not None and _STATE.unhooks.get(module)
    ]


def _when_loaded(hook: Hook) -> Callable[[ModuleType], None]:
    def loaded(_: ModuleType) -> None:
        _STATE.waiting.discard(hook.module)
        if _STATE.on or (_STATE.names and hook.file not in _NAMELESS):
            _put_on(hook)

    return loaded


def _put_on(hook: Hook) -> None:
    module = importlib.import_module(hook.module)  # Waits where another thread is still loading it.
    put_on: Callable[[ModuleType], list[Unhook]] = importlib.import_module(f"solvent.instrument.{hook.file}").hook
    with _STATE.lock:
        if module in _STATE.unhooks:
            return
        try:
            _STATE.unhooks[module] = put_on(module)
        except (AttributeError, KeyError) as error:
            _log.warning("%s has no hook: this version of it has no %s", hook.package, error)
