"""
What ``solvent doctor`` sees of an environment without running anything in it: no library is loaded for it.
"""

import os
import platform
import sys
from collections.abc import Iterator, Mapping, Sequence
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

from msgspec import Struct

from solvent._outer import outer_gateway
from solvent.cli._common import ledger_exists
from solvent.errors import SettingsError
from solvent.gateway._providers import PROVIDERS
from solvent.instrument import Hook
from solvent.instrument._coverage import COVERAGE, Library, State, Way
from solvent.instrument._frameworks import FRAMEWORKS, Framework
from solvent.policy import Policy
from solvent.policy._find import VARIABLE, policy_in_force, told_files
from solvent.stores import default_url, spelled_out

_TOKENIZERS = ("quicktok-v1", "tiktoken")


class Found(Struct, frozen=True, kw_only=True):
    """
    A library that is there.

    Attributes:
        is_tested: Its version is of a release line that the tests run.
        has_place: Its hooks have their place in this version; also where it needs none.
    """

    library: Library
    version: str
    is_tested: bool
    has_place: bool = True

    @property
    def state(self) -> State:
        return self.library.state if self.has_place else "blind"

    @property
    def ways(self) -> tuple[Way, ...]:
        return self.library.ways if self.has_place else ()


class Naming(Struct, frozen=True, kw_only=True):
    """
    A framework that is there.

    Attributes:
        is_tested: As of a library.
        has_place: Its hooks have their place in this version; else its agents and tools have no scopes, and its calls
            are held all the same.
    """

    framework: Framework
    version: str
    is_tested: bool
    has_place: bool = True


class Uncovered(Struct, frozen=True, kw_only=True):
    """
    Something that no budget holds, or that a budget cannot work with, and how to mend it.
    """

    what: str
    mend: str


def libraries() -> list[Found]:
    """
    Those of the table that are installed, in its order.
    """
    return [found for library in COVERAGE if (found := _found(library)) is not None]


def as_found(library: Library, version: str, *, has_place: bool = True) -> Found:
    """
    A library in a version.
    """
    is_tested = version.partition(".")[0] in library.tested or library.is_pythons_own
    return Found(library=library, version=version, is_tested=is_tested, has_place=has_place)


def frameworks() -> list[Naming]:
    """
    The frameworks that are installed.
    """
    return [
        naming(one, version, has_place=_has_place(one.hooks))
        for one in FRAMEWORKS
        if (version := _version(one.name)) is not None
    ]


def naming(framework: Framework, version: str, *, has_place: bool = True) -> Naming:
    """
    A framework in a version.
    """
    is_tested = version.partition(".")[0] in framework.tested
    return Naming(framework=framework, version=version, is_tested=is_tested, has_place=has_place)


def without_cover(installed: list[Found], named: list[Naming]) -> Iterator[Uncovered]:
    """
    What is certain without a program: libraries made to call models that are not held, and hooks without their place.
    """
    yield from without_names(named)
    for one in installed:
        name = f"{one.library.name} {one.version}"
        if not one.has_place:
            yield without_place(one)
        elif one.library.calls_models and one.library.state != "held":
            yield Uncovered(what=f"{name}: {one.library.uncovered}", mend=one.library.mend)


def without_names(found: list[Naming]) -> Iterator[Uncovered]:
    """
    The frameworks whose hooks do not fit.
    """
    for one in found:
        if not one.has_place:
            lines = ", ".join(f"{line}.x" for line in one.framework.tested)
            yield Uncovered(
                what=f"{one.framework.name} {one.version}: its {' and '.join(one.framework.names)} have no scopes in "
                "this version, so that limits of agents and steps hold nothing of it",
                mend=f"install one that is tested: {lines}",
            )


def without_place(one: Found) -> Uncovered:
    """
    A library whose hooks do not fit.
    """
    lines = ", ".join(f"{line}.x" for line in one.library.tested)
    return Uncovered(
        what=f"{one.library.name} {one.version}: the hook for it has no place in this version",
        mend=f"install one that is tested: {lines}",
    )


def settings(environ: Mapping[str, str]) -> tuple[dict[str, str], list[Uncovered]]:
    """
    What a guarded program would go by, in words, and what of it is wrong. No path secret or password is among them.
    """
    told: dict[str, str] = {}
    wrong: list[Uncovered] = []
    policy = Policy()
    try:
        policy = policy_in_force(environ=environ)
        told["policy"] = told_files(policy) or f"none ({VARIABLE} names one)"
    except SettingsError as error:
        told["policy"] = "one that cannot be read"
        mend = error.hint or f"mend the file, or set {VARIABLE} to nothing to go without"
        wrong.append(Uncovered(what=str(error).partition("\n")[0], mend=mend))
    ledger = spelled_out(environ.get("SOLVENT_LEDGER") or policy.ledger or default_url())
    told["ledger"] = ledger if ledger_exists(ledger) else f"{ledger} (not there yet)"
    if scope := environ.get("SOLVENT_SCOPE"):
        told["scope"] = scope
    gateway = outer_gateway(environ)
    told["gateway"] = f"{_host(gateway)}, which holds the calls" if gateway else "none: calls are held in the process"
    versions = [f"{name} {version}" for name in _TOKENIZERS if (version := _version(name))]
    told["tokenizer"] = ", ".join(versions) or "none: pip install 'solvent[tokenizers]' makes bounds tighter"
    for provider in PROVIDERS.values():
        told.update({name: _host(environ[name]) for name in provider.url_variables if environ.get(name)})
    return told, wrong


def interpreter() -> str:
    """
    The Python that is looked at, in words.
    """
    home = str(Path.home())
    prefix = sys.prefix.replace(home, "~", 1) if sys.prefix.startswith(home + os.sep) else sys.prefix
    return f"Python {platform.python_version()} in {prefix}"


def _found(library: Library) -> Found | None:
    version = platform.python_version() if library.is_pythons_own else _version(library.name)
    return None if version is None else as_found(library, version, has_place=_has_place(library.hooks))


def _version(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def _has_place(hooks: Sequence[Hook]) -> bool:
    """
    Whether one of the modules is there that these are put on, if there are any.
    """
    return not hooks or any(_is_there(hook.module) for hook in hooks)


def _is_there(module: str) -> bool:
    package, *rest = module.split(".")
    spec = find_spec(package)  # Which loads nothing, for a package that is in none.
    if spec is None or not rest:
        return spec is not None
    folders = [Path(folder, *rest) for folder in spec.submodule_search_locations or ()]
    return any(folder.with_suffix(".py").exists() or (folder / "__init__.py").exists() for folder in folders)


def _host(url: str) -> str:
    """
    The address alone: a gateway's path is a secret, and other URLs may hold a password.
    """
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return "no URL"
    return f"{parts.scheme}://{parts.hostname or ''}{port}"
