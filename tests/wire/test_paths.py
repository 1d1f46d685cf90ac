"""
Every path of the SDKs that are installed is decided: paid, free, unbounded, or denied for a reason.
"""

import importlib
import re
from pathlib import Path

import pytest

from solvent.wire import endpoint
from solvent.wire._paths import FAMILIES, FREE, FREE_AT_OPENAI, PAID, UNBOUNDED, UNBOUNDED_AT_COHERE

_REQUEST = re.compile(r'self\._(get|post|put|patch|delete|get_api_list)\(\s*(?:path_template\(\s*)?f?"([^"?]+)')

# What hands out keys, changes limits, or sends what happens elsewhere.
DENIED = (
    "organization", "organizations", "projects", "safety", "tunnels", "user_profiles", "vaults", "webhook_endpoints",
    "webhook_event_types",
)  # fmt: skip


def sdk_paths(package: str) -> set[tuple[str, str]]:
    folder = Path(str(importlib.import_module(package).__file__)).parent / "resources"
    found = {match.groups() for file in folder.rglob("*.py") for match in _REQUEST.finditer(file.read_text())}
    return {
        (method.partition("_")[0].upper(), re.sub(r"\{[^}]*\}", "id_1", path).strip("/").removeprefix("v1/"))
        for method, path in found
    }


@pytest.mark.slow
@pytest.mark.parametrize(("package", "least"), [("openai", 350), ("anthropic", 250)])
def test_every_path_of_an_sdk_is_known_or_denied_for_a_reason(package, least):
    paths = sdk_paths(package)
    unknown = {
        (method, path)
        for method, path in paths
        if endpoint(package, method, path) is None and path.split("/")[0] not in DENIED
    }

    assert len(paths) > least
    assert unknown == set()


@pytest.mark.slow
@pytest.mark.parametrize("package", ["openai", "anthropic"])
def test_what_opens_a_way_around_the_gateway_is_denied(package):
    denied = [(method, path) for method, path in sdk_paths(package) if path.split("/")[0] in DENIED]

    assert len(denied) > 50
    assert all(endpoint(package, method, path) is None for method, path in denied)


@pytest.mark.parametrize("path", ["conversations", "conversations/c_1", "conversations/c_1/items", "moderations"])
def test_what_is_free_at_openai_has_no_bound_elsewhere(path):
    kinds = {provider: endpoint(provider, "POST", path) for provider in ("azure", "mistral", "openai", "zai")}

    assert {provider: found and found.kind for provider, found in kinds.items()} == {
        "azure": "free",
        "mistral": "unbounded",
        "openai": "free",
        "zai": "unbounded",
    }


@pytest.mark.parametrize(
    ("method", "kind"),
    [("GET", "free"), ("DELETE", "free"), ("POST", "unbounded"), ("PUT", "unbounded"), ("PATCH", "unbounded")],
)
@pytest.mark.parametrize("family", ["containers", "vector_stores", "libraries", "evals", "fine-tunes"])
def test_a_resource_that_costs_is_free_to_read_and_to_delete(family, method, kind):
    for path in (family, f"{family}/id_1", f"{family}/id_1/parts/id_2/more/and/more"):
        found = endpoint("openai", method, path)
        assert found is not None
        assert (found.kind, found.name, found.format) == (kind, family, None)


@pytest.mark.parametrize(
    ("provider", "method", "path", "kind"),
    [
        ("cohere", "POST", "compatibility/v1/chat/completions", "paid"),
        ("cohere", "POST", "v1/chat", "unbounded"),
        ("cohere", "POST", "v1/check-api-key", "free"),
        ("cohere", "POST", "v1/classify", "unbounded"),
        ("cohere", "POST", "v1/detokenize", "free"),
        ("cohere", "POST", "v1/embed-jobs", "unbounded"),
        ("cohere", "POST", "v1/embed-jobs/id_1/cancel", "free"),
        ("cohere", "POST", "v1/generate", "unbounded"),
        ("cohere", "POST", "v1/summarize", "unbounded"),
        ("cohere", "POST", "v1/tokenize", "free"),
        ("cohere", "POST", "v2/batches/id_1:cancel", "free"),
        ("cohere", "POST", "v2/parse", "unbounded"),
        ("fireworks", "POST", "inference/v1/completions", "paid"),
        ("fireworks", "POST", "inference/v1/workflows/accounts/a/models/m/text_to_image", "unbounded"),
        ("groq", "POST", "openai/v1/audio/transcriptions", "unbounded"),
        ("groq", "POST", "openai/v1/embeddings", "paid"),
        ("mistral", "POST", "v1/agents/completions", "unbounded"),
        ("mistral", "POST", "v1/chat/moderations", "unbounded"),
        ("mistral", "POST", "v1/conversations/c_1/restart", "unbounded"),
        ("mistral", "POST", "v1/libraries/l_1/documents", "unbounded"),
        ("mistral", "POST", "v1/ocr", "unbounded"),
        ("ollama", "DELETE", "api/delete", "free"),
        ("ollama", "GET", "api/ps", "free"),
        ("ollama", "HEAD", "api/blobs/sha256:a1", "free"),
        ("ollama", "POST", "api/pull", "free"),
        ("ollama", "POST", "api/show", "free"),
        ("ollama", "POST", "api/web_search", "unbounded"),
        ("openai", "POST", "chatkit/sessions", "unbounded"),
        ("openai", "POST", "skills", "unbounded"),
        ("openai", "POST", "uploads/u_1/parts", "free"),
        ("openrouter", "GET", "api/v1/generation", "free"),
        ("openrouter", "GET", "api/v1/key", "free"),
        ("openrouter", "POST", "api/v1/completions", "paid"),
        ("openrouter", "POST", "api/v1/presets/mine/chat/completions", "unbounded"),
        ("together", "POST", "v1/queue/submit", "unbounded"),
        ("together", "POST", "v1/rerank", "unbounded"),
        ("together", "POST", "v2/videos", "unbounded"),
        ("xai", "GET", "v1/chat/deferred-completion/id_1", "free"),
        ("xai", "POST", "v1/images/edits", "unbounded"),
        ("xai", "POST", "v1/tokenize-text", "free"),
        ("xai", "POST", "v1/videos/generations", "unbounded"),
        ("zai", "POST", "api/coding/paas/v4/chat/completions", "paid"),
        ("zai", "POST", "api/paas/v4/files/ocr", "unbounded"),
        ("zai", "POST", "api/paas/v4/web_search", "unbounded"),
    ],
)
def test_paths_of_other_hosts(provider, method, path, kind):
    found = endpoint(provider, method, path)

    assert found is not None
    assert found.kind == kind


@pytest.mark.parametrize("path", ["v1/chat", "v1/classify", "v1/generate", "v1/summarize"])
def test_what_only_one_host_has_is_denied_elsewhere(path):
    assert endpoint("cohere", "POST", path) is not None
    assert endpoint("openai", "POST", path) is None


@pytest.mark.parametrize("path", ["keys", "auth/keys", "v1/keys/k_1", "organization/admin_api_keys", "guardrails"])
def test_no_key_is_made_through_the_gateway(path):
    assert endpoint("openrouter", "POST", path) is None


def test_tables_have_one_sorted_entry_a_line_and_no_row_twice():
    for table in (FREE, FREE_AT_OPENAI, UNBOUNDED, UNBOUNDED_AT_COHERE):
        assert list(table) == sorted(set(table))
    assert [path for path, _ in PAID] == sorted({path for path, _ in PAID})
    assert not set(FREE) & set(UNBOUNDED)
    assert all(path.split("/")[0] in FAMILIES for _, path in FREE_AT_OPENAI)
