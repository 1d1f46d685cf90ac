"""
The providers whose SDKs can be pointed at a gateway: where they live, and which variables carry their address and keys.

A provider's path begins with ``prefix`` (``v1``). Some SDKs count it to the base URL, which then ends in it
(``OPENAI_BASE_URL``), some write it themselves (``ANTHROPIC_BASE_URL``); ``prefix_in_base`` says which.

Source:
    Read 2026-11-21: the clients of openai 3.54.0 and anthropic 2.12.0 as installed; the published sources of groq,
    together, cerebras-cloud-sdk and google-genai; LiteLLM's ``get_llm_provider_logic.py`` for DEEPSEEK_API_BASE,
    CEREBRAS_API_BASE and the TOGETHER_AI names; programs on GitHub for the addresses of fireworks, mistral, openrouter
    and xai. Their other variables are common names that no document was read for: naming one too many costs nothing.
    Read 2026-11-22: cohere 7.3.1, ``client.py``; zai-sdk 0.2.3, ``_client.py``; LiteLLM's ``get_secret_str`` of
    MOONSHOT_API_BASE and ZAI_API_BASE. Not here: OLLAMA_HOST, which also tells a server where to listen and may be a
    bare host on another machine, and HF_TOKEN, with which programs also load files from elsewhere.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

# Where a key travels: ``authorization`` holds it behind ``Bearer``; the rest are Azure's, Anthropic's and Google's.
KEY_HEADERS = frozenset({"api-key", "authorization", "x-api-key", "x-goog-api-key"})


@dataclass(frozen=True, kw_only=True, slots=True)
class Provider:
    """
    One provider's address, and the variables by which its SDKs learn address and key.

    Attributes:
        url: Its own base URL, in the form that its variables carry.
        prefix: What every path of its API begins with.
        prefix_in_base: The base URL ends in ``prefix``.
        url_variables: Variables that carry the base URL.
        key_variables: Variables that carry a key.
        key_prefix: What a stand-in for its keys begins with, so that SDKs that look at a key's form take it.
    """

    name: str
    url: str
    prefix: str
    prefix_in_base: bool
    url_variables: tuple[str, ...]
    key_variables: tuple[str, ...]
    key_prefix: str = "sk-solvent-"


@dataclass(frozen=True, kw_only=True, slots=True)
class Upstream:
    """
    Where the gateway sends a provider's calls, fixed at start.

    Attributes:
        base: The base URL, without a slash at its end.
        prefix: What every path of the API begins with.
        prefix_in_base: ``base`` covers ``prefix``: a path's own is taken off.
        is_own: ``base`` is the provider's own address, whose ways are known: a path without ``prefix`` gets it.
        proxy: The proxy on the way, which may hold a password.
        ca_file, ca_folder: Certificates to trust in place of the system's.
    """

    provider: str
    base: str
    prefix: str = ""
    prefix_in_base: bool = False
    is_own: bool = False
    proxy: str | None = field(default=None, repr=False)
    ca_file: str | None = None
    ca_folder: str | None = None

    def below(self, path: str) -> str:
        """
        A path without the API's prefix, as wire formats know it: ``chat/completions``.
        """
        return path[len(self.prefix) + 1 :] if self.prefix and path.startswith(self.prefix + "/") else path

    def url(self, path: str) -> str:
        """
        The address of a path at this upstream.
        """
        if self.prefix_in_base:
            path = self.below(path)
        elif self.is_own and self.prefix and self.below(path) is path:
            path = f"{self.prefix}/{path}"
        return f"{self.base}/{path}"


def _provider(name: str, url: str, *, urls: str, keys: str, prefix: str = "v1", key_prefix: str = "") -> Provider:
    in_base = bool(prefix) and url.endswith("/" + prefix)
    return Provider(
        name=name,
        url=url,
        prefix=prefix,
        prefix_in_base=in_base,
        url_variables=tuple(urls.split()),
        key_variables=tuple(keys.split()),
        key_prefix=(key_prefix or "sk-") + "solvent-",
    )


# fmt: off
_ALL = (
    _provider("anthropic", "https://api.anthropic.com", urls="ANTHROPIC_BASE_URL ANTHROPIC_API_BASE", keys="ANTHROPIC_API_KEY ANTHROPIC_AUTH_TOKEN CLAUDE_CODE_OAUTH_TOKEN", key_prefix="sk-ant-"),  # noqa: E501
    _provider("cerebras", "https://api.cerebras.ai", urls="CEREBRAS_BASE_URL CEREBRAS_API_BASE", keys="CEREBRAS_API_KEY", key_prefix="csk-"),  # noqa: E501
    _provider("cohere", "https://api.cohere.com", urls="CO_API_URL", keys="CO_API_KEY COHERE_API_KEY", prefix=""),
    _provider("deepseek", "https://api.deepseek.com/v1", urls="DEEPSEEK_API_BASE DEEPSEEK_BASE_URL", keys="DEEPSEEK_API_KEY"),  # noqa: E501
    _provider("fireworks", "https://api.fireworks.ai/inference/v1", urls="FIREWORKS_BASE_URL FIREWORKS_API_BASE", keys="FIREWORKS_API_KEY", key_prefix="fw_"),  # noqa: E501
    _provider("gemini", "https://generativelanguage.googleapis.com", urls="GOOGLE_GEMINI_BASE_URL", keys="GEMINI_API_KEY GOOGLE_API_KEY GOOGLE_GENERATIVE_AI_API_KEY", prefix="", key_prefix="AIza-"),  # noqa: E501
    _provider("groq", "https://api.groq.com", urls="GROQ_BASE_URL", keys="GROQ_API_KEY", prefix="openai/v1", key_prefix="gsk_"),  # noqa: E501
    _provider("mistral", "https://api.mistral.ai/v1", urls="MISTRAL_API_BASE MISTRAL_BASE_URL", keys="MISTRAL_API_KEY"),
    _provider("moonshot", "https://api.moonshot.ai/v1", urls="MOONSHOT_API_BASE", keys="MOONSHOT_API_KEY"),
    _provider("openai", "https://api.openai.com/v1", urls="OPENAI_BASE_URL OPENAI_API_BASE", keys="OPENAI_API_KEY OPENAI_ADMIN_KEY"),  # noqa: E501
    _provider("openrouter", "https://openrouter.ai/api/v1", urls="OPENROUTER_BASE_URL OPENROUTER_API_BASE", keys="OPENROUTER_API_KEY", key_prefix="sk-or-"),  # noqa: E501
    _provider("together", "https://api.together.xyz/v1", urls="TOGETHER_BASE_URL TOGETHER_AI_API_BASE", keys="TOGETHER_API_KEY TOGETHERAI_API_KEY TOGETHER_AI_API_KEY TOGETHER_AI_TOKEN"),  # noqa: E501
    _provider("xai", "https://api.x.ai/v1", urls="XAI_API_BASE XAI_BASE_URL", keys="XAI_API_KEY", key_prefix="xai-"),
    _provider("zai", "https://api.z.ai/api/paas/v4", urls="ZAI_BASE_URL ZAI_API_BASE", keys="ZAI_API_KEY", prefix="api/paas/v4"),  # noqa: E501
)
# fmt: on

PROVIDERS: Mapping[str, Provider] = {provider.name: provider for provider in _ALL}
