"""
Objects of real libraries as a usage, and objects that are none: whatever they do, nothing is booked by mistake.
"""

import os
from typing import Any

import numpy
import pytest
from anthropic.types import RawMessageStartEvent
from google.genai import types as google
from openai.types import CreateEmbeddingResponse
from pydantic_ai import Agent
from pydantic_ai.messages import ModelResponse, TextPart
from pydantic_ai.models.test import TestModel
from pydantic_ai.usage import RequestUsage, RunUsage

from solvent._amounts import Usage
from solvent._usage_of import Told, usage_of

CHAT = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
COUNTED = Usage(input_tokens=10, output_tokens=5)


def refusal(given: object) -> str:
    with pytest.raises(ValueError, match="no usage can be read from this") as refused:
        usage_of(given)
    return str(refused.value)


def test_pydantic_ai_counts_its_cache_as_input():
    usage = RunUsage(
        requests=2,
        input_tokens=100,
        output_tokens=9,
        cache_read_tokens=40,
        cache_write_tokens=20,
        cache_write_1h_tokens=5,
        output_reasoning_tokens=3,
        tool_calls=2,
    )

    assert usage_of(usage).usage == Usage(
        input_tokens=100,
        output_tokens=9,
        cache_read_tokens=40,
        cache_write_5m_tokens=15,
        cache_write_1h_tokens=5,
        reasoning_tokens=3,
        tool_calls=2,
    )


def test_results_of_pydantic_ai_carry_their_usage():
    reply = ModelResponse(
        parts=[TextPart("x")], usage=RequestUsage(input_tokens=10, output_tokens=5), model_name="gpt-5-mini"
    )
    result = Agent(TestModel()).run_sync("hi")

    assert usage_of(reply) == Told(usage=COUNTED, model="gpt-5-mini")
    assert usage_of(result).usage == Usage(
        input_tokens=result.usage.input_tokens, output_tokens=result.usage.output_tokens
    )


def test_a_count_that_misses_replies_is_not_the_whole():
    assert "unmeasured_requests" in refusal(RunUsage(input_tokens=10, output_tokens=5, unmeasured_requests=1))


def test_counts_that_nobody_filled_in_are_not_nothing_used():
    assert "0 input tokens" in refusal(RunUsage())
    assert "0 input tokens" in refusal({"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0})


def test_google_is_read_by_attributes_and_by_names_alike():
    counts = google.GenerateContentResponseUsageMetadata(
        prompt_token_count=100,
        candidates_token_count=5,
        thoughts_token_count=7,
        total_token_count=112,
        prompt_tokens_details=[google.ModalityTokenCount(modality=google.MediaModality.AUDIO, token_count=30)],
    )
    call = google.Part(function_call=google.FunctionCall(name="f", args={"a_b": 1}), thought_signature=b"\xff")
    reply = google.GenerateContentResponse(
        candidates=[google.Candidate(content=google.Content(parts=[call]))],
        usage_metadata=counts,
        model_version="gemini-2.5-flash",
    )

    found = usage_of(reply)

    assert found.model == "gemini-2.5-flash"
    assert found.usage is not None
    assert (found.usage.input_tokens, found.usage.output_tokens, found.usage.tool_calls) == (100, 12, 1)
    assert found.usage.audio_input_tokens == 30
    assert usage_of(reply.model_dump()) == usage_of(reply.model_dump(by_alias=True, exclude_none=True)) == found
    assert usage_of(counts).usage == usage_of(counts.model_dump()).usage


def test_the_start_of_a_stream_has_no_usage_yet():
    message = {"usage": {"input_tokens": 10, "output_tokens": 1, "cache_read_input_tokens": 0}}
    start = RawMessageStartEvent.construct(type="message_start", message=message)

    assert "placeholder" in refusal(start)


# Of libraries that are large, where they are installed. With what each of them counts as 10 in and 5 out.
def of_cohere() -> Any:
    from cohere.types import Usage, UsageBilledUnits, UsageTokens

    return Usage(
        billed_units=UsageBilledUnits(input_tokens=10, output_tokens=5),
        tokens=UsageTokens(input_tokens=510, output_tokens=6),
    )


def of_langchain() -> Any:
    from langchain_core.messages import AIMessage
    from langchain_core.outputs import ChatGeneration, LLMResult

    message = AIMessage(
        "x",
        usage_metadata={"input_tokens": 10, "output_tokens": 5, "total_tokens": 15},
        response_metadata={"model_name": "m"},
    )
    return LLMResult(generations=[[ChatGeneration(message=message)]])


def of_litellm() -> Any:
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # Else it asks for its prices when it is loaded.
    from litellm import ModelResponse, Usage

    return ModelResponse(model="m", choices=[], usage=Usage(**CHAT))


def of_llama_index() -> Any:
    from llama_index.core.llms import ChatMessage, ChatResponse

    return ChatResponse(message=ChatMessage(role="assistant", content="x"), raw={"model": "m", "usage": CHAT})


def of_ollama() -> Any:
    from ollama import ChatResponse, Message

    return ChatResponse(
        model="m", done=True, prompt_eval_count=10, eval_count=5, message=Message(role="assistant", content="x")
    )


def of_openai_agents() -> Any:
    from agents import Usage
    from agents.items import ModelResponse

    usage = Usage(requests=1, input_tokens=10, output_tokens=5, total_tokens=15)
    return ModelResponse(output=[], usage=usage, response_id="r")


def of_smolagents() -> Any:
    from smolagents.monitoring import TokenUsage

    return TokenUsage(input_tokens=10, output_tokens=5)


@pytest.mark.slow
@pytest.mark.parametrize(
    "made", [of_cohere, of_langchain, of_litellm, of_llama_index, of_ollama, of_openai_agents, of_smolagents]
)
def test_an_object_of_another_library_is_understood(made):
    try:
        reply = made()
    except ImportError as exc:
        pytest.skip(f"{exc.name} is not installed")

    assert usage_of(reply).usage == COUNTED


def test_the_numbers_of_embeddings_are_not_walked():
    numbers = [0.5] * 1_000
    body = {
        "model": "m",
        "data": [{"embedding": numbers, "index": index} for index in range(2_000)],
        "usage": {"prompt_tokens": 10, "total_tokens": 10},
    }

    assert usage_of(body) == Told(usage=Usage(input_tokens=10), model="m")
    assert usage_of(CreateEmbeddingResponse.construct(**{**body, "data": body["data"][:2]})) == usage_of(body)


def test_the_odds_of_each_token_are_not_walked():
    odds = {"content": [{"token": "a", "top_logprobs": [{"token": "b"}] * 20}] * 30_000}
    body = {"model": "m", "choices": [{"message": {}, "logprobs": odds}], "usage": CHAT}

    assert usage_of(body) == Told(usage=COUNTED, model="m")


def test_whole_numbers_of_other_libraries_are_whole_numbers():
    assert usage_of({"input_tokens": numpy.int64(10), "output_tokens": numpy.uint8(5)}).usage == COUNTED


class Dumping:
    """
    As the libraries do that are made of Protocol Buffers.
    """

    def to_dict(self) -> dict[str, object]:
        return {"usage_metadata": {"prompt_token_count": 10, "candidates_token_count": 5, "total_token_count": 15}}


class Slotted:
    __slots__ = ("completion_tokens", "prompt_tokens", "total_tokens")

    def __init__(self) -> None:
        self.prompt_tokens, self.completion_tokens = 10, 5


class WorkedOut:
    @property
    def prompt_tokens(self) -> int:
        return 10

    @property
    def completion_tokens(self) -> int:
        return 5


class OnDemand:
    def usage(self) -> object:
        return CHAT


@pytest.mark.parametrize("made", [Dumping, OnDemand, Slotted, WorkedOut])
def test_an_object_is_read_in_whatever_way_it_tells_its_counts(made):
    found = usage_of(made()).usage

    assert found is not None
    assert (found.input_tokens, found.output_tokens) == (10, 5)
