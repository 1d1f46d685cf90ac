"""
The one scenario that every framework runs: an agent whose ten turns have all that such loops have, and its sub-agent.

It is scripted: by model, the Nth request gets the Nth answer, in whatever format it is asked. A module ``fw_NAME.py``
builds the two agents in its framework:

    run(task) -> str                    # Their answer; errors come out as the framework raises them.
    arun(task) -> str                   # The same as a coroutine, where the framework has such a way.
    run_limited(task, limit) -> str     # With the framework's own limit, in the place of Solvent's.
    OWN_LIMIT = "max_turns"             # What that limit is called there, as code without its quotes.

and may say more, where it differs from the rest:

    MODELS = Models("gemini-2.5-flash", "gemini-2.5-flash-lite")
    TAG_IN = "userMessage"              # Where requests have the task's own words, if in no system message.
    content(turn) -> str                # A turn as text, where the framework calls tools by text; the models then ask
                                        # for no tool calls that anybody could count.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import solvent

Role = Literal["researcher", "helper"]

PROMPT = "Find out where rivers end."
INSTRUCTIONS = "Look things up with the tools until you know the answer."
ANSWER = "done"
OUTPUT_TOKENS_MAX = 40_000  # What each request asks for: so many that no framework's prompt matters beside them.
INPUT_TOKENS, OUTPUT_TOKENS = 10, 32_000  # What each answer is billed for.


@dataclass(frozen=True)
class Models:
    researcher: str = "gpt-4o"
    helper: str = "gpt-4o-mini"


@dataclass(frozen=True)
class Task:
    """
    What the agents of a framework are built from.

    Attributes:
        url: Of the server; OpenAI's format is at ``/v1``, Gemini's at its root.
        prompt: What the researcher is asked.
        instructions: The researcher's system message, or what the framework has for it.
        max_tokens: Of every request of both agents.
        search, fetch, broken: Tools of the researcher, beside ``ask_helper``; ``broken`` raises.
        lookup: The helper's tool.
        ran: The tools that ran, in order, and in which scope.
    """

    url: str
    models: Models
    prompt: str
    instructions: str
    max_tokens: int
    search: Callable[[str], str]
    fetch: Callable[[str], str]
    broken: Callable[[str], str]
    lookup: Callable[[str], str]
    ran: list["Ran"] = field(default_factory=list)


class Ran(NamedTuple):
    """
    Attributes:
        scope: Below the run; empty where there is none.
    """

    tool: str
    scope: str


def task(url: str, models: Models, tag: str = "") -> Task:
    """
    A task for one run.

    Args:
        tag: What its requests are known by.
    """
    ran: list[Ran] = []

    def runs(tool: str) -> None:
        here = solvent.current_budget()
        ran.append(Ran(tool, str(here.scope).partition("/")[2] if here else ""))

    def search(query: str) -> str:
        """
        Search the web.

        Args:
            query: What to search for.
        """
        runs("search")
        return f"Nothing new about {query}."

    def fetch(url: str) -> str:
        """
        Fetch a page of the web.

        Args:
            url: The page's address.
        """
        runs("fetch")
        return f"The page {url} is empty."

    def broken(item: str) -> str:
        """
        Look into the archive.

        Args:
            item: What to look for.
        """
        runs("broken")
        raise ValueError(f"no such thing: {item}")

    def lookup(term: str) -> str:
        """
        Look a word up.

        Args:
            term: The word.
        """
        runs("lookup")
        return f"{term} is a word."

    return Task(
        url=url,
        models=models,
        prompt=f"{PROMPT} {tag}".strip(),
        instructions=f"{INSTRUCTIONS} {tag}".strip(),
        max_tokens=OUTPUT_TOKENS_MAX,
        search=search,
        fetch=fetch,
        broken=broken,
        lookup=lookup,
        ran=ran,
    )


class ToolCall(NamedTuple):
    name: str
    arguments: dict[str, str]


@dataclass(frozen=True)
class Turn:
    """
    One answer of a model.

    Attributes:
        calls: The tools that it asks for, at once.
        text: What it says, where it asks for none.
        status: Of the HTTP answer; any other than 200 is an error.
    """

    calls: tuple[ToolCall, ...] = ()
    text: str = ""
    status: int = 200


def _asks(*calls: tuple[str, str, str]) -> Turn:
    return Turn(calls=tuple([ToolCall(name, {parameter: value}) for name, parameter, value in calls]))


SCRIPT: dict[Role, tuple[Turn, ...]] = {
    "researcher": (
        _asks(("search", "query", "the Rhine")),
        _asks(("search", "query", "the Danube"), ("fetch", "url", "https://rivers.test/danube")),
        _asks(("broken", "item", "the Elbe")),
        Turn(status=503),
        _asks(("search", "query", "the Elbe")),
        _asks(("ask_helper", "question", "What is an estuary?")),
        _asks(("search", "query", "the Oder")),
        _asks(("search", "query", "the Loire")),
        _asks(("search", "query", "the Ebro")),
        _asks(("search", "query", "the Tagus")),
        Turn(text=ANSWER),
    ),
    "helper": (
        _asks(("lookup", "term", "estuary")),
        Turn(text="Where a river meets the sea."),
    ),
}
SHORT: dict[Role, tuple[Turn, ...]] = {"researcher": (_asks(("search", "query", "the Rhine")), Turn(text=ANSWER))}


class Framework:
    """
    What a module ``fw_NAME.py`` says.
    """

    def __init__(self, module: Any) -> None:
        self.run: Callable[[Task], str] = module.run
        self.arun: Any = getattr(module, "arun", None)
        self.run_limited: Callable[[Task, int], str] = module.run_limited
        self.own_limit: str = module.OWN_LIMIT
        self.models: Models = getattr(module, "MODELS", Models())
        self._tag_in: str = getattr(module, "TAG_IN", "systemMessage")
        self._content: Callable[[Turn], str] | None = getattr(module, "content", None)

    @property
    def calls_tools_by_text(self) -> bool:
        return self._content is not None

    def fixtures(
        self, script: dict[Role, tuple[Turn, ...]], *, tag: str = "", output_tokens: int = OUTPUT_TOKENS
    ) -> list[dict[str, Any]]:
        """
        What aimock is told to answer.

        Args:
            tag: Only to requests that have it.
        """
        told = {self._tag_in: tag} if tag else {}
        return [
            {
                "match": {"model": getattr(self.models, role), "sequenceIndex": index, **told},
                "response": self._response(turn, output_tokens),
            }
            for role, turns in script.items()
            for index, turn in enumerate(turns)
        ]

    def _response(self, turn: Turn, output_tokens: int) -> dict[str, Any]:
        if turn.status != 200:
            return {"error": {"message": "try again", "type": "server_error"}, "status": turn.status}
        usage = _usage(output_tokens)
        if self._content is not None:
            return {"content": self._content(turn), "usage": usage}
        if not turn.calls:
            return {"content": turn.text, "usage": usage}
        calls = [{"name": call.name, "arguments": json.dumps(call.arguments)} for call in turn.calls]
        return {"toolCalls": calls, "usage": usage}


def _usage(output_tokens: int) -> dict[str, int]:
    """
    By the names of every format: the server takes those of the one that it is asked in.
    """
    names = {
        INPUT_TOKENS: ("prompt_tokens", "input_tokens", "promptTokenCount"),
        output_tokens: ("completion_tokens", "output_tokens", "candidatesTokenCount"),
        INPUT_TOKENS + output_tokens: ("total_tokens", "totalTokenCount"),
    }
    return {name: tokens for tokens, its in names.items() for name in its}
