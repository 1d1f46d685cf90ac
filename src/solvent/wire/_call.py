"""
What every wire format speaks of: a call as a request describes it, and what a reply says it used.
"""

from collections.abc import Mapping
from typing import Any, Protocol

from msgspec import Struct, field

from solvent._amounts import Usage


class Item(Struct, frozen=True):
    """
    One message (or other ordered piece) of a request's input.

    Attributes:
        tokens_max: The most tokens its text can be: per string the larger of its UTF-8 bytes and those of its NFKC
            form, plus one; structure, keys and JSON that the model may see included. Constants per message are not.
        images: Images in it; their ceilings are the model's.
        value: The piece itself, for hashing and rewriting. Never recorded.
    """

    tokens_max: int
    images: int = 0
    value: Any = None

    def __repr__(self) -> str:
        return f"Item({self.tokens_max}, {self.images})"  # The piece itself is somebody's words.


class ServerTool(Struct, frozen=True, kw_only=True):
    """
    A tool that the provider runs inside the call: each use is one more inference over the whole input.
    """

    name: str
    calls_max: int | None  # As the request caps it; None where it does not.


class Call(Struct, frozen=True, kw_only=True):
    """
    One request as its wire format describes it.

    Attributes:
        format: The wire format's name, ``openai-chat``.
        provider: Whose prices apply, ``openai``.
        model: As the request spells it.
        tier: The service tier that the request names; ``None`` when it names none.
        head: Everything before the messages: system, tools, schemas and whatever else the model may read.
        tools: Function tools declared; each costs tokens that no one can see.
        items: The messages, in order.
        output_tokens_max: The request's own cap for one choice; ``None`` when it names none.
        output_cap_required: The format cannot do without a cap (Anthropic).
        output_tokens_min: The provider takes no cap below this.
        structured_output: A shorter reply would be a broken one.
        choices: How many replies are asked for.
        hidden_input: Why the input is not all in the request (``previous_response_id``); ``None`` when it is.
        has_audio: Some of the input is sound, or a film that may have some: billed at a price of its own.
        unbounded: Parts without any bound, in words; empty when there are none.
        cache_writes: Kinds of cache that the request may write, ``5m`` and ``1h``; ``None`` where the provider decides.
        retry: Which attempt this is by the client's own count, 0 for the first.
        fixed: It can only be sent as it is, for its bytes are signed.
        usage_asked: A streamed reply will tell its usage because the caller asked for it.
        request: The decoded body. Never recorded.
        stated: The program says itself what it can use: nobody else knows it.
    """

    format: str
    provider: str
    model: str
    tier: str | None = None
    region: str | None = None
    stream: bool = False
    head: Item = Item(0)
    tools: int = 0
    items: tuple[Item, ...] = ()
    output_tokens_max: int | None = None
    output_cap_required: bool = False
    output_tokens_min: int = 0
    structured_output: bool = False
    choices: int = 1
    hidden_input: str | None = None
    has_audio: bool = False
    server_tools: tuple[ServerTool, ...] = ()
    unbounded: tuple[str, ...] = ()
    cache_writes: frozenset[str] | None = frozenset()
    retry: int = 0
    fixed: bool = False
    usage_asked: bool = True
    request: Mapping[str, Any] = field(default_factory=dict)
    stated: "Stated | None" = None

    def __repr__(self) -> str:
        return f"Call({self.format}, {self.provider}, {self.model})"  # The body holds somebody's words.


class Stated(Struct, frozen=True, kw_only=True):
    """
    What a program says that something of its own can use at most; ``None`` is what it does not say.

    Attributes:
        has_model: The call is of a model, which may have a price.
    """

    nanodollars: int | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    has_model: bool = False


class Asked(Struct, frozen=True):
    """
    What a request has beside its body: the path below the provider's base URL, and headers by lower-case names.
    """

    path: str
    headers: Mapping[str, str]

    def __repr__(self) -> str:
        return f"Asked({self.path})"  # The headers hold keys.


class Reading(Struct, frozen=True, kw_only=True):
    """
    What a reply said, as far as it came.

    Attributes:
        usage: The provider's own count; ``None`` when it told none.
        problem: Why a usage that came cannot be believed; then ``usage`` is ``None``.
        model, tier: As the reply names them.
        region: Where the reply says that the model ran, if that decides the price.
        complete: The reply came to its own end (always true of a plain one).
        cut_at_length: It ended because the output cap was reached.
        output_begun: At least one piece of output came.
        tool_calls: Tool executions that it asks the caller for.
        charged_nanodollars: What the provider says that it charges for the call; ``None`` when it does not say.
        error: The reply is (or its stream ended in) a provider's error of this type.
    """

    usage: Usage | None = None
    problem: str | None = None
    model: str | None = None
    tier: str | None = None
    region: str | None = None
    complete: bool = False
    cut_at_length: bool = False
    output_begun: bool = False
    tool_calls: int = 0
    charged_nanodollars: int | None = None
    error: str | None = None


class Reader(Protocol):
    """
    Reads one reply while it passes by, and never fails: what it cannot read is told in the reading.
    """

    def feed(self, chunk: bytes) -> bytes:
        """
        Take the next bytes of the reply's decoded body; return those that the caller is to see.

        All of it, but for a usage event that only Solvent asked for.
        """

    def finish(self) -> Reading:
        """
        What the reply said until now; call it once, when the body ended or was cut.
        """


# How streamed replies are sent: server-sent events; Amazon's frames; a JSON object a line.
STREAM_TYPES = ("text/event-stream", "application/vnd.amazon.eventstream", "application/x-ndjson")


class WireFormat(Protocol):
    """
    One provider protocol.
    """

    name: str

    def describe(self, request: Mapping[str, Any], *, provider: str, path: str, headers: Mapping[str, str]) -> Call:
        """
        A decoded request as a ``Call``.

        Args:
            request: The decoded JSON object.
            path: The path below the provider's base URL, ``chat/completions``.
            headers: Lower-case names.

        Raises:
            ValueError: The request cannot be meant (no model, a cap that is no number); says what was expected.
        """

    def rewrite(
        self, call: Call, *, model: str | None = None, output_tokens_max: int | None = None, own_cap: str = ""
    ) -> bytes | None:
        """
        The request's body with another model or output cap, and asking for usage where the format must be asked.

        Args:
            own_cap: The name of the cap field for a request that has none, where the format has two.

        Returns:
            ``None`` when nothing has to change: the original bytes can go out.
        """

    def path_for(self, path: str, *, model: str) -> str:  # noqa: ARG002  # Most name the model in the body.
        """
        The path of the same call under another model, where the path is what names it.
        """
        return path

    def count_request(self, call: Call, path: str) -> tuple[str, bytes] | None:  # noqa: ARG002  # Most cannot be asked.
        """
        What asks the provider how many tokens a call reads, and costs nothing: a path and a body to POST.

        Returns:
            ``None`` where the provider cannot be asked, or its answer would not be for all that the call reads.
        """
        return None

    def read_count(self, body: bytes) -> int | None:  # noqa: ARG002
        """
        The input tokens that the answer to ``count_request`` tells; ``None`` where it tells none.
        """
        return None

    def is_stream(self, call: Call, content_type: str) -> bool:  # noqa: ARG002  # Most tell it by the type alone.
        """
        Whether a reply of this type (in lower case) is a stream, to be read and passed on while it comes.
        """
        return content_type.startswith(STREAM_TYPES)

    def reader(self, call: Call, *, status: int, stream: bool) -> Reader:
        """
        A reader for the reply to ``call``; ``stream`` is what ``is_stream`` says of it.
        """

    def refusal(self, *, code: str, message: str, metadata: Mapping[str, Any]) -> dict[str, Any]:
        """
        A refusal's body in the provider's own error shape. ``code`` is ``budget_exceeded``, ``budget_held``, ….
        """
