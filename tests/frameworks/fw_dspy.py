"""
DSPy: ``ReActV2``, whose models call tools by their providers' own means. ``ReAct``, which knows tools only as text and
calls one at a time, has tests of its own.
"""

from collections.abc import Callable
from typing import Any

import dspy
from scenario import Role, Task

OWN_LIMIT = "ReActV2(max_iters=…)"
MANY = 100


class Adapter(dspy.ChatAdapter):
    """
    What a model says without a tool is the final answer, as it is in other frameworks.
    """

    def parse(self, signature: type[dspy.Signature], completion: str) -> dict[str, Any]:
        answers = dspy.ToolCalls.from_dict_list([{"name": "submit", "args": {"answer": completion}}])
        return {**dict.fromkeys(signature.output_fields), "tool_calls": answers}


def run(task: Task) -> str:
    with _native():
        return str(researcher(task)(question=task.prompt).answer)


async def arun(task: Task) -> str:
    with _native():
        return str((await researcher(task).acall(question=task.prompt)).answer)


def run_limited(task: Task, limit: int) -> str:
    """
    With so many ``max_iters`` of the researcher, after which it has to answer at once.
    """
    with _native():
        return str(researcher(task, max_iters=limit)(question=task.prompt).answer)


def researcher(task: Task, **options: Any) -> dspy.Module:
    helper = agent(task, "helper", [task.lookup])

    def ask_helper(question: str) -> str:
        """
        Ask the helper.
        """
        return str(helper(question=question).answer)

    return agent(task, "researcher", [task.search, task.fetch, task.broken, ask_helper], **options)


def agent(
    task: Task,
    role: Role,
    tools: list[Callable[..., Any]],
    *,
    kind: type[dspy.Module] = dspy.ReActV2,
    max_iters: int = MANY,
    **more: Any,
) -> dspy.Module:
    """
    Args:
        more: Settings of its model.
    """
    signature = dspy.Signature("question -> answer", task.instructions, signature_name=role)
    made = kind(signature, tools=tools, max_iters=max_iters)
    made.set_lm(model(task, role, **more))
    return made


def model(task: Task, role: Role, **more: Any) -> dspy.LM:
    settings = {"api_base": f"{task.url}/v1", "api_key": "sk-test", "cache": False, "max_tokens": task.max_tokens}
    return dspy.LM(f"openai/{getattr(task.models, role)}", **settings, **more)


def _native() -> Any:
    return dspy.context(adapter=Adapter(use_native_function_calling=True))
