"""
The child's environment: every base URL leads to the gateway, and every known key is a stand-in that works nowhere else.

Nothing here is stored, logged or reported; the records' ``repr`` shows no key.
"""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Literal
from urllib.parse import SplitResult, urlsplit

from solvent._outer import GATEWAY
from solvent.errors import SettingsError
from solvent.gateway._providers import PROVIDERS, Provider, Upstream

_LOOPBACK = ("127.0.0.1", "localhost")


@dataclass(frozen=True, kw_only=True, slots=True)
class Prepared:
    """
    What a child and its gateway are started with.

    Attributes:
        environment: The child's whole environment.
        upstreams: By provider, where its calls go.
        keys: By provider, the stand-ins that its route swaps → real key; none when keys are passed.
    """

    environment: Mapping[str, str] = field(repr=False)
    upstreams: Mapping[str, Upstream]
    keys: Mapping[str, Mapping[str, str]] = field(repr=False)


def prepare(
    environ: Mapping[str, str], *, port: int, token: str, scope: str, keys: Literal["swap", "pass"] = "swap"
) -> Prepared:
    """
    Point a child's environment at the gateway, and learn from it where the gateway itself has to send.

    Args:
        environ: The parent's environment.
        port: The gateway's loopback port.
        token: The path secret that stands for ``scope``.
        keys: ``swap`` puts stand-ins in place of provider keys, ``pass`` leaves them.

    Raises:
        SettingsError: A base URL, a proxy or a certificate file that cannot be used; names the variable.
    """
    child = dict(environ)
    gateway = f"http://127.0.0.1:{port}/{token}"
    upstreams = {provider.name: _upstream(provider, environ) for provider in PROVIDERS.values()}
    for provider in PROVIDERS.values():
        suffix = f"/{provider.prefix}" if provider.prefix_in_base else ""
        child.update(dict.fromkeys(provider.url_variables, f"{gateway}/{provider.name}{suffix}"))
    swapped = _swap_keys(child) if keys == "swap" else {}
    by_route = {name: found for name, upstream in upstreams.items() if (found := _keys_of(upstream, swapped))}
    _add_no_proxy(child)
    child[GATEWAY] = gateway
    child["SOLVENT_SCOPE"] = scope
    return Prepared(environment=child, upstreams=upstreams, keys=by_route)


def _swap_keys(child: dict[str, str]) -> dict[str, dict[str, str]]:
    """
    Put stand-ins in place of the keys in ``child``, also where one stands in a variable of another name.

    Returns:
        By provider, stand-in → real key.
    """
    by_provider: dict[str, dict[str, str]] = {}
    first: dict[str, str] = {}
    for provider in PROVIDERS.values():
        for variable in provider.key_variables:
            if real := child.get(variable):
                stand_ins = by_provider.setdefault(provider.name, {})
                known = next((stand_in for stand_in, key in stand_ins.items() if key == real), None)
                child[variable] = known or provider.key_prefix + secrets.token_urlsafe(30)
                stand_ins[child[variable]] = real
                first.setdefault(real, child[variable])
    child.update({name: first[value] for name, value in child.items() if value in first})
    return by_provider


def _keys_of(upstream: Upstream, by_provider: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """
    The stand-ins that are swapped on the way to an upstream: its provider's, and those of whose host it is.

    No other, or a program could have one provider's key sent to another one.
    """
    host = urlsplit(upstream.base).hostname
    return {
        stand_in: real
        for name, stand_ins in by_provider.items()
        if name == upstream.provider or urlsplit(PROVIDERS[name].url).hostname == host
        for stand_in, real in stand_ins.items()
    }


def _add_no_proxy(child: dict[str, str]) -> None:
    former = child.get("no_proxy") or child.get("NO_PROXY") or ""
    for name in ("no_proxy", "NO_PROXY"):
        hosts = [host for host in (child.get(name) or former).split(",") if host.strip()]
        if "*" not in hosts:
            hosts += [host for host in _LOOPBACK if host not in hosts]
        child[name] = ",".join(hosts)


def _upstream(provider: Provider, environ: Mapping[str, str]) -> Upstream:
    given = [(name, environ[name].rstrip("/")) for name in provider.url_variables if environ.get(name)]
    variable, base = given[0] if given else ("", provider.url)
    url, prefix = _checked(base, variable), f"/{provider.prefix}"
    for other, value in given[1:]:
        # One SDK counts the prefix to the base URL and another does not: it is one address all the same.
        if value.removesuffix(prefix) == base:
            base = value
        elif value not in (base, base.removesuffix(prefix)):
            raise SettingsError(
                where=f"{other}, {variable}",
                expected=f"one address for {provider.name}",
                got="two different ones",
                hint=f"unset {other} or {variable}",
            )
    ca_file, ca_folder = _certificates(environ)
    is_own = base.removesuffix(prefix) == provider.url.removesuffix(prefix)
    base = provider.url if is_own else base
    return Upstream(
        provider=provider.name,
        base=base,
        prefix=provider.prefix,
        prefix_in_base=provider.prefix_in_base or base.endswith(prefix),
        is_own=is_own,
        proxy=_proxy(url, environ),
        ca_file=ca_file,
        ca_folder=ca_folder,
    )


def _checked(base: str, variable: str) -> SplitResult:
    """
    A base URL that calls can be sent to: https, or http on this machine, and nothing but scheme, host, port and path.
    """
    try:
        url = urlsplit(base)
        port, host = url.port, url.hostname
    except ValueError:
        raise SettingsError(where=variable, expected="a URL such as https://host/v1", got="no URL") from None
    clean = base.isascii() and base.isprintable() and " " not in base and "\\" not in base
    wrong = (
        "no host" if not host or port == 0 or not clean
        else "one with credentials" if "@" in url.netloc
        else "one with a query" if "?" in base
        else "one with a fragment" if "#" in base
        else "one with a path that climbs" if {".", ".."} & set(url.path.split("/"))
        else "http to another machine" if url.scheme == "http" and not is_loopback(host)
        else f"{url.scheme or 'no'} scheme" if url.scheme not in ("http", "https")
        else ""
    )  # fmt: skip
    if wrong:
        raise SettingsError(
            where=variable,
            expected="an https URL (http only on this machine) without credentials, query or fragment",
            got=wrong,
        )
    return url


def is_loopback(host: str) -> bool:
    """
    Whether a host name or address is this machine's own.
    """
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _proxy(url: SplitResult, environ: Mapping[str, str]) -> str | None:
    """
    The proxy that the environment names for this URL. Lower-case names win, as everywhere.

    This machine is never asked for through a proxy: elsewhere "localhost" is another machine.
    """
    host = url.hostname or ""
    names = (f"{url.scheme}_proxy", f"{url.scheme.upper()}_PROXY", "all_proxy", "ALL_PROXY")
    variable = next((name for name in names if environ.get(name)), None)
    if variable is None or is_loopback(host):
        return None
    # 30 ms to import, and only needed here. The stubs lack it.
    from urllib.request import proxy_bypass_environment  # type: ignore[attr-defined]

    without = environ.get("no_proxy") or environ.get("NO_PROXY") or ""
    if proxy_bypass_environment(url.netloc, {"no": without}):
        return None
    proxy = environ[variable]
    proxy = proxy if "://" in proxy else f"http://{proxy}"
    scheme = proxy.partition("://")[0]
    if scheme not in ("http", "https") or not urlsplit(proxy).hostname:
        raise SettingsError(
            where=variable,
            expected="an http:// or https:// proxy",
            got=f"{scheme}://…",
            hint=f"name an HTTP proxy in {url.scheme.upper()}_PROXY, or put {host} in NO_PROXY",
        )
    return proxy


def _certificates(environ: Mapping[str, str]) -> tuple[str | None, str | None]:
    """
    The file and the folder of certificates to trust, where the environment names any.
    """
    from os.path import exists, isdir

    file = folder = None
    for variable in ("REQUESTS_CA_BUNDLE", "SSL_CERT_DIR", "SSL_CERT_FILE"):
        path = environ.get(variable)
        if not path:
            continue
        if not exists(path):
            raise SettingsError(where=variable, expected="a file or folder of certificates", got=f"{path}, not there")
        if isdir(path):
            folder = path
        else:
            file = path
    return file, folder
