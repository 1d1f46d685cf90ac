"""
Semantic Kernel: what an agent does is a scope of its name, or of its class where it was given none, and so is each
kernel function while a model's call runs it. A refusal comes out of agents, of the kernel and of its chat services as
itself, whatever they wrap it in.

Source:
    semantic-kernel 1.45.0, ``agents/chat_completion/``, ``agents/open_ai/openai_responses_agent.py``,
    ``functions/kernel_function.py``, ``kernel.py`` and ``connectors/ai/chat_completion_client_base.py``, read
    2026-11-22. All that is wrapped is public. Only what the kernel hands to ``KernelFunction.invoke`` as ``metadata``
    tells a model's call from a program's; what makes a message of a tool's error is around it.
"""

from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from contextlib import aclosing, contextmanager
from types import ModuleType
from typing import Any

from solvent.instrument._hooks import Unhook, Wrapper, wrap
from solvent.instrument._naming import refusal_behind, runs


def hook(module: ModuleType) -> list[Unhook]:
    """
    Args:
        module: Where a kind of agent is, ``KernelFunction``, ``Kernel`` or ``ChatCompletionClientBase``.
    """
    points: list[tuple[str, str, Wrapper]] = [
        ("ChatCompletionAgent", "get_response", _run_agent),
        ("ChatCompletionAgent", "invoke", _run_agent),
        ("ChatCompletionAgent", "invoke_stream", _run_agent),
        ("ChatCompletionClientBase", "get_chat_message_contents", _awaited),
        ("ChatCompletionClientBase", "get_streaming_chat_message_contents", _streamed),
        ("Kernel", "invoke", _awaited),
        ("KernelFunction", "invoke", runs("tool", _tool)),
        ("OpenAIResponsesAgent", "get_response", _run_agent),
        ("OpenAIResponsesAgent", "invoke", _run_agent),
        ("OpenAIResponsesAgent", "invoke_stream", _run_agent),
    ]
    own = {name: kind for name, kind in vars(module).items() if getattr(kind, "__module__", "") == module.__name__}
    found = [(own[kind], name, wrapper) for kind, name, wrapper in points if name in vars(own.get(kind, object))]
    return [wrap(kind, name, wrapper) for kind, name, wrapper in found]


def _agent(agent: Any, *_: Any) -> object:
    """
    One that it was given, for else it has another one each time.
    """
    return agent.name if "name" in agent.model_fields_set else type(agent).__name__


def _tool(function: Any, _: tuple[Any, ...], kwargs: Mapping[str, Any]) -> object:
    return function.name if kwargs.get("metadata") else None


_run_agent = runs("agent", _agent)


def _awaited(function: Callable[..., Any], _: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    async def run() -> Any:
        with _unwrapped():
            return await function(*args, **kwargs)

    return run()


def _streamed(function: Callable[..., Any], _: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    async def run() -> AsyncGenerator[Any, None]:
        with _unwrapped():
            async with aclosing(function(*args, **kwargs)) as pieces:
                async for piece in pieces:
                    yield piece

    return run()


@contextmanager
def _unwrapped() -> Iterator[None]:
    try:
        yield
    except Exception as error:
        refusal = refusal_behind(error)
        if refusal is None or refusal is error:
            raise
        raise refusal from None
