"""
What an address means: whose it is, and which call a path on it makes.
"""

import pytest

from solvent.instrument._hosts import Client, provider_of, target_of

CHAT = "openai-chat"
OWN = [
    ("https://api.openai.com/v1/chat/completions", "openai", CHAT),
    ("https://eu.api.openai.com/v1/responses", "openai", "openai-responses"),
    ("https://res.openai.azure.com/openai/deployments/gpt-4o/chat/completions", "azure", CHAT),
    ("https://res.services.ai.azure.com/openai/v1/chat/completions", "azure", CHAT),
    ("https://res.services.ai.azure.com/anthropic/v1/messages", "anthropic", "anthropic-messages"),
    ("https://api.anthropic.com/v1/messages", "anthropic", "anthropic-messages"),
    ("https://aws-external-anthropic.us-east-1.api.aws/v1/messages", "anthropic", "anthropic-messages"),
    ("https://claude.googleapis.com/v1alpha/projects/p/workspaces/w/v1/messages", "anthropic", "anthropic-messages"),
    ("https://generativelanguage.googleapis.com/v1beta/models/g:generateContent", "gemini", "gemini-generate"),
    ("https://generativelanguage.mtls.googleapis.com/v1beta/models/g:generateContent", "gemini", "gemini-generate"),
    (
        "https://europe-west4-aiplatform.googleapis.com/v1/projects/p/locations/europe-west4/publishers/google/models/"
        "g:streamGenerateContent",
        "vertex",
        "gemini-generate",
    ),
    (
        "https://aiplatform.us.rep.googleapis.com/v1/projects/p/locations/us/publishers/anthropic/models/c:rawPredict",
        "vertex",
        "anthropic-messages",
    ),
    ("https://bedrock-runtime.us-east-1.amazonaws.com/model/m/converse", "bedrock", "bedrock-converse"),
    ("https://bedrock-runtime-fips.us-gov-west-1.amazonaws.com/model/m/invoke", "bedrock", "bedrock-invoke"),
    ("https://bedrock-mantle.us-east-1.api.aws/openai/v1/chat/completions", "bedrock", CHAT),
    ("https://bedrock-mantle.us-east-1.api.aws/anthropic/v1/messages", "bedrock", "anthropic-messages"),
    ("https://api.groq.com/openai/v1/chat/completions", "groq", CHAT),
    ("https://api.eu.mistral.ai/v1/chat/completions", "mistral", CHAT),
    ("https://codestral.mistral.ai/v1/fim/completions", "mistral", "openai-completions"),
    ("https://api.cohere.com/v2/chat", "cohere", "cohere-chat"),
    ("https://api.together.ai/v1/chat/completions", "together", CHAT),
    ("https://api.x.ai/v1/chat/completions", "xai", CHAT),
    ("https://ollama.com/api/chat", "ollama", "ollama-chat"),
    ("https://router.huggingface.co/v1/chat/completions", "huggingface", CHAT),
    ("https://openrouter.ai/api/v1/chat/completions", "openrouter", CHAT),
]


@pytest.mark.parametrize(("url", "provider", "format"), OWN, ids=[url.split("//")[1][:50] for url, _, _ in OWN])
def test_a_providers_own_address(url, provider, format):
    found = target_of("POST", url, None)
    assert (found.provider, found.endpoint.format.name) == (provider, format)
    assert found.own_host
    assert found.known_host


@pytest.mark.parametrize(
    ("url", "provider", "format", "path"),
    [
        ("http://127.0.0.1:8000/v1/chat/completions", "openai", CHAT, "v1/chat/completions"),
        ("https://llm.example.com/proxy/v1/chat/completions", "openai", CHAT, "v1/chat/completions"),
        ("https://llm.example.com/v1/messages", "anthropic", "anthropic-messages", "v1/messages"),
        ("http://localhost:11434/api/chat", "ollama", "ollama-chat", "api/chat"),
        ("https://x.example.com/v1beta/models/g:generateContent", "gemini", "gemini-generate", None),
    ],
)
def test_whoever_speaks_a_format_is_priced_as_its_maker(url, provider, format, path):
    found = target_of("POST", url, None)
    assert (found.provider, found.endpoint.format.name) == (provider, format)
    assert path is None or found.path == path
    assert not found.known_host


@pytest.mark.parametrize(
    ("method", "url"),
    [
        ("GET", "http://127.0.0.1:8000/v1/chat/completions"),
        ("POST", "https://example.com/"),
        ("POST", "https://example.com/api/v1/items"),
        ("GET", "https://api.openai.com.example.com/v1/models"),
        ("POST", "http://[::1"),
        ("POST", "http://host:99999999/v1/chat/completions"),
        ("POST", ""),
    ],
)
def test_other_addresses_are_nobodys(method, url):
    assert target_of(method, url, None) is None


@pytest.mark.parametrize(
    "host", ["api.openai.com.evil.example", "notapi.openai.com.example", "openai.azure.com", "xapi.cohere.ai", ""]
)
def test_a_host_that_only_looks_like_a_providers_is_none(host):
    assert provider_of(host) is None


def test_an_sdks_client_knows_what_the_address_does_not():
    url = "http://127.0.0.1:8000/some/where/v1/chat/completions"
    client = Client("groq", "127.0.0.1:8000", "some/where")
    found = target_of("POST", url, client)
    assert (found.provider, found.path, found.known_host, found.own_host) == (
        "groq",
        "v1/chat/completions",
        True,
        False,
    )
    other = Client("groq", "127.0.0.1:8001", "some/where")
    assert target_of("POST", url, other).provider == "openai"


def test_a_base_that_ends_inside_a_segment_is_no_base():
    found = target_of("POST", "http://h:1/v1beta/models/g:generateContent", Client("gemini", "h:1", "v1"))
    assert found.path == "v1beta/models/g:generateContent"
    assert found.endpoint.format.name == "gemini-generate"


def test_an_own_address_wins_over_what_a_client_says():
    found = target_of("POST", "https://api.groq.com/openai/v1/chat/completions", Client("openai", "api.groq.com", ""))
    assert found.provider == "groq"


def test_the_environment_names_addresses(monkeypatch):
    monkeypatch.setenv("GROQ_BASE_URL", "http://proxy.example:4000/groq")
    monkeypatch.setenv("MISTRAL_BASE_URL", "http://proxy.example:notaport/")
    target_of.cache_clear()
    found = target_of("POST", "http://proxy.example:4000/groq/openai/v1/chat/completions", None)
    assert (found.provider, found.path, found.known_host) == ("groq", "openai/v1/chat/completions", True)
    target_of.cache_clear()


def test_a_providers_address_with_a_format_of_its_own_is_not_meant_by_anothers(monkeypatch):
    monkeypatch.setenv("ANTHROPIC_BASE_URL", "http://127.0.0.1:18765")
    found = []
    for path in ("v1/chat/completions", "v1/messages", "openai/v1/chat/completions", "v1/unheard-of"):
        target_of.cache_clear()
        found.append(target_of("POST", f"http://127.0.0.1:18765/{path}", None).provider)
    target_of.cache_clear()
    assert found == ["openai", "anthropic", "anthropic", "anthropic"]
