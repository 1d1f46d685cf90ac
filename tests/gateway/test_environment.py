"""
A child's environment leads to the gateway and holds no real key.
"""

import subprocess
import sys

import pytest

from solvent.errors import SettingsError
from solvent.gateway._environment import prepare
from solvent.gateway._providers import PROVIDERS

TOKEN = "secret"


def prepared(environ, **named):
    return prepare(environ, port=4321, token=TOKEN, scope="run:one", **named)


def test_every_base_url_leads_to_the_gateway():
    child = prepared({"PATH": "/bin"}).environment
    assert child["OPENAI_BASE_URL"] == child["OPENAI_API_BASE"] == "http://127.0.0.1:4321/secret/openai/v1"
    assert child["ANTHROPIC_BASE_URL"] == "http://127.0.0.1:4321/secret/anthropic"
    assert child["GOOGLE_GEMINI_BASE_URL"] == "http://127.0.0.1:4321/secret/gemini"
    assert child["GROQ_BASE_URL"] == "http://127.0.0.1:4321/secret/groq"
    assert child["CO_API_URL"] == "http://127.0.0.1:4321/secret/cohere"
    assert child["ZAI_BASE_URL"] == "http://127.0.0.1:4321/secret/zai/api/paas/v4"
    assert child["SOLVENT_GATEWAY"] == "http://127.0.0.1:4321/secret"
    assert child["SOLVENT_SCOPE"] == "run:one"
    assert child["PATH"] == "/bin"
    for provider in PROVIDERS.values():
        for variable in provider.url_variables:
            assert child[variable].startswith(f"http://127.0.0.1:4321/secret/{provider.name}")


def test_former_base_urls_become_the_upstreams():
    upstreams = prepared(
        {"OPENAI_BASE_URL": "http://127.0.0.1:8000/v1/", "ANTHROPIC_BASE_URL": "https://llm.example/claude"}
    ).upstreams
    assert upstreams["openai"].url("v1/chat/completions") == "http://127.0.0.1:8000/v1/chat/completions"
    assert upstreams["anthropic"].url("v1/messages") == "https://llm.example/claude/v1/messages"
    assert not upstreams["openai"].is_own


@pytest.mark.parametrize(
    ("provider", "path", "url"),
    [
        ("openai", "v1/chat/completions", "https://api.openai.com/v1/chat/completions"),
        ("openai", "chat/completions", "https://api.openai.com/v1/chat/completions"),
        ("anthropic", "v1/messages", "https://api.anthropic.com/v1/messages"),
        ("groq", "openai/v1/chat/completions", "https://api.groq.com/openai/v1/chat/completions"),
        ("groq", "chat/completions", "https://api.groq.com/openai/v1/chat/completions"),
        ("openrouter", "v1/models", "https://openrouter.ai/api/v1/models"),
        ("fireworks", "v1/chat/completions", "https://api.fireworks.ai/inference/v1/chat/completions"),
        ("gemini", "v1beta/models", "https://generativelanguage.googleapis.com/v1beta/models"),
        ("cohere", "v2/chat", "https://api.cohere.com/v2/chat"),
        ("cohere", "compatibility/v1/chat/completions", "https://api.cohere.com/compatibility/v1/chat/completions"),
        ("moonshot", "v1/chat/completions", "https://api.moonshot.ai/v1/chat/completions"),
        ("zai", "api/paas/v4/chat/completions", "https://api.z.ai/api/paas/v4/chat/completions"),
        ("zai", "chat/completions", "https://api.z.ai/api/paas/v4/chat/completions"),
    ],
)
def test_paths_reach_the_providers_own_addresses(provider, path, url):
    upstream = prepared({}).upstreams[provider]
    assert upstream.url(path) == url
    assert upstream.is_own


def test_keys_become_stand_ins_that_only_the_gateway_can_read():
    environ = {
        "OPENAI_API_KEY": "sk-real-1",
        "ANTHROPIC_API_KEY": "sk-ant-real-2",
        "GEMINI_API_KEY": "AIza-real-3",
        "GOOGLE_API_KEY": "AIza-real-3",
        "GROQ_API_KEY": "",
        "AWS_SECRET_ACCESS_KEY": "not ours",
    }
    got = prepared(environ)
    child = got.environment
    assert child["OPENAI_API_KEY"].startswith("sk-solvent-")
    assert child["ANTHROPIC_API_KEY"].startswith("sk-ant-solvent-")
    assert child["GEMINI_API_KEY"] == child["GOOGLE_API_KEY"]
    assert child["GROQ_API_KEY"] == ""
    assert child["AWS_SECRET_ACCESS_KEY"] == "not ours"
    assert not any("real" in value for value in child.values())
    assert got.keys == {
        "anthropic": {child["ANTHROPIC_API_KEY"]: "sk-ant-real-2"},
        "gemini": {child["GEMINI_API_KEY"]: "AIza-real-3"},
        "openai": {child["OPENAI_API_KEY"]: "sk-real-1"},
    }
    assert prepared(environ).environment["OPENAI_API_KEY"] != child["OPENAI_API_KEY"]


def test_a_key_is_a_stand_in_in_every_variable_that_holds_it():
    environ = {"OPENAI_API_KEY": "sk-real-1", "MY_KEY": "sk-real-1", "GROQ_API_KEY": "sk-real-1", "NAME": "sk-real-12"}
    child = prepared(environ).environment
    assert child["MY_KEY"].startswith(("sk-solvent-", "gsk_solvent-"))
    assert child["GROQ_API_KEY"].startswith("gsk_solvent-")
    assert child["OPENAI_API_KEY"].startswith("sk-solvent-")
    assert child["NAME"] == "sk-real-12"


def test_a_key_is_swapped_on_the_way_to_its_own_provider_alone():
    environ = {"OPENAI_API_KEY": "sk-real-1", "OPENROUTER_API_KEY": "sk-or-real-2"}
    assert set(prepared(environ).keys["openai"].values()) == {"sk-real-1"}
    there = prepared({**environ, "OPENAI_BASE_URL": "https://openrouter.ai/api/v1"})
    assert set(there.keys["openai"].values()) == {"sk-real-1", "sk-or-real-2"}


def test_keys_may_be_passed():
    got = prepared({"OPENAI_API_KEY": "sk-real-1"}, keys="pass")
    assert got.environment["OPENAI_API_KEY"] == "sk-real-1"
    assert got.keys == {}


def test_no_record_shows_a_key():
    got = prepared({"OPENAI_API_KEY": "sk-real-1", "HTTPS_PROXY": "http://me:pass@proxy.example:8080"})
    for secret in ("sk-real-1", "pass", TOKEN, got.environment["OPENAI_API_KEY"]):
        assert secret not in repr(got)


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, "127.0.0.1,localhost"),
        ({"NO_PROXY": "corp.example"}, "corp.example,127.0.0.1,localhost"),
        ({"no_proxy": "corp.example,localhost"}, "corp.example,localhost,127.0.0.1"),
        ({"NO_PROXY": "*"}, "*"),
    ],
)
def test_loopback_is_never_asked_for_through_a_proxy(environ, expected):
    child = prepared(environ).environment
    assert child["NO_PROXY"] == child["no_proxy"] == expected


@pytest.mark.parametrize(
    ("environ", "proxy"),
    [
        ({}, None),
        ({"HTTPS_PROXY": "http://p.example:1"}, "http://p.example:1"),
        ({"https_proxy": "http://low.example:1", "HTTPS_PROXY": "http://up.example:1"}, "http://low.example:1"),
        ({"ALL_PROXY": "p.example:1"}, "http://p.example:1"),
        ({"HTTP_PROXY": "http://p.example:1"}, None),
        ({"HTTPS_PROXY": "http://p.example:1", "NO_PROXY": "api.openai.com"}, None),
        ({"HTTPS_PROXY": "http://p.example:1", "NO_PROXY": ".openai.com"}, None),
        ({"HTTPS_PROXY": "http://p.example:1", "NO_PROXY": "*"}, None),
        ({"HTTPS_PROXY": "http://p.example:1", "NO_PROXY": "other.example"}, "http://p.example:1"),
    ],
)
def test_proxies_of_the_environment_are_honored(environ, proxy):
    assert prepared(environ).upstreams["openai"].proxy == proxy


def test_loopback_upstreams_have_no_proxy():
    environ = {"OPENAI_BASE_URL": "http://127.0.0.1:8000/v1", "HTTP_PROXY": "http://p.example:1"}
    assert prepared(environ).upstreams["openai"].proxy is None


def test_certificates_of_the_environment_are_honored(tmp_path):
    bundle = tmp_path / "ca.pem"
    bundle.write_text("")
    got = prepared({"SSL_CERT_FILE": str(bundle), "SSL_CERT_DIR": str(tmp_path)}).upstreams["openai"]
    assert (got.ca_file, got.ca_folder) == (str(bundle), str(tmp_path))
    assert prepared({"REQUESTS_CA_BUNDLE": str(tmp_path)}).upstreams["openai"].ca_folder == str(tmp_path)


@pytest.mark.parametrize(
    ("environ", "variable", "got"),
    [
        ({"OPENAI_BASE_URL": "http://llm.lan:8000/v1"}, "OPENAI_BASE_URL", "http to another machine"),
        ({"OPENAI_BASE_URL": "https://me:secret@llm.lan/v1"}, "OPENAI_BASE_URL", "one with credentials"),
        ({"OPENAI_BASE_URL": "https://llm.lan/v1?key=secret"}, "OPENAI_BASE_URL", "one with a query"),
        ({"OPENAI_BASE_URL": "https://llm.lan/v1#x"}, "OPENAI_BASE_URL", "one with a fragment"),
        ({"OPENAI_BASE_URL": "https://llm.lan/../v1"}, "OPENAI_BASE_URL", "one with a path that climbs"),
        ({"OPENAI_API_BASE": "ftp://llm.lan/v1"}, "OPENAI_API_BASE", "ftp scheme"),
        ({"ANTHROPIC_BASE_URL": "llm.lan"}, "ANTHROPIC_BASE_URL", "no host"),
        ({"ANTHROPIC_BASE_URL": "https://llm.lan:x"}, "ANTHROPIC_BASE_URL", "no URL"),
        ({"ANTHROPIC_BASE_URL": "https://llm .lan"}, "ANTHROPIC_BASE_URL", "no host"),
        ({"ANTHROPIC_BASE_URL": "http://[::1"}, "ANTHROPIC_BASE_URL", "no URL"),
        ({"HTTPS_PROXY": "socks5://p.example:1"}, "HTTPS_PROXY", "socks5://…"),
        ({"SSL_CERT_FILE": "/no/such/file"}, "SSL_CERT_FILE", "/no/such/file, not there"),
    ],
)
def test_settings_that_cannot_be_used_name_their_variable(environ, variable, got):
    with pytest.raises(SettingsError) as refused:
        prepared(environ)
    assert (refused.value.where, refused.value.got) == (variable, got)
    assert "secret" not in str(refused.value)


def test_two_addresses_for_one_provider_are_refused():
    with pytest.raises(SettingsError) as refused:
        prepared({"OPENAI_BASE_URL": "https://a.example/v1", "OPENAI_API_BASE": "https://b.example/v1"})
    assert refused.value.where == "OPENAI_API_BASE, OPENAI_BASE_URL"
    prepared({"OPENAI_BASE_URL": "https://a.example/v1", "OPENAI_API_BASE": "https://a.example/v1/"})


def test_variables_belong_to_one_provider():
    variables = [name for provider in PROVIDERS.values() for name in provider.url_variables + provider.key_variables]
    assert len(variables) == len(set(variables))
    assert list(PROVIDERS) == sorted(PROVIDERS)


@pytest.mark.parametrize(
    ("environ", "url"),
    [
        ({"CEREBRAS_API_BASE": "https://llm.example/v1"}, "https://llm.example/v1/chat/completions"),
        ({"CEREBRAS_BASE_URL": "https://llm.example"}, "https://llm.example/v1/chat/completions"),
        (
            {"CEREBRAS_API_BASE": "https://llm.example/v1", "CEREBRAS_BASE_URL": "https://llm.example/"},
            "https://llm.example/v1/chat/completions",
        ),
        ({"CEREBRAS_API_BASE": "https://api.cerebras.ai/v1"}, "https://api.cerebras.ai/v1/chat/completions"),
        ({}, "https://api.cerebras.ai/v1/chat/completions"),
    ],
)
def test_a_base_url_with_or_without_its_prefix_is_one_address(environ, url):
    upstream = prepared(environ).upstreams["cerebras"]
    assert upstream.url("v1/chat/completions") == url
    assert upstream.is_own == ("api.cerebras.ai" in url)


def test_the_address_of_a_coding_plan_is_kept():
    upstream = prepared({"ZAI_BASE_URL": "https://api.z.ai/api/coding/paas/v4"}).upstreams["zai"]
    assert upstream.url("api/paas/v4/chat/completions") == "https://api.z.ai/api/coding/paas/v4/chat/completions"
    assert not upstream.is_own


def test_own_address_of_a_provider_is_known_without_its_prefix():
    upstream = prepared({"OPENAI_BASE_URL": "https://api.openai.com"}).upstreams["openai"]
    assert upstream.url("v1/chat/completions") == "https://api.openai.com/v1/chat/completions"
    assert upstream.is_own


def test_two_addresses_of_one_provider_are_still_refused():
    with pytest.raises(SettingsError, match="two different ones"):
        prepared({"CEREBRAS_API_BASE": "https://llm.example/v1", "CEREBRAS_BASE_URL": "https://other.example"})


@pytest.mark.slow
def test_preparing_an_environment_loads_no_server():
    heavy = ("aiohttp", "asyncio", "httptools", "solvent.wire", "uvicorn", "uvloop")
    code = (
        "import sys; from solvent.gateway._environment import prepare\n"
        f"print(*[name for name in {heavy!r} if name in sys.modules])"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.split() == []
