"""
Where a program's policy is: the file that it is given, else the user's own with the one of the current folder.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from msgspec import Struct
from msgspec.structs import replace

from solvent._own_file import FILE, own_file, shown
from solvent.errors import SettingsError
from solvent.policy import Policy
from solvent.prices import OwnPrice, Prices

VARIABLE = "SOLVENT_POLICY"


def policy_in_force(
    given: Path | None = None,
    *,
    environ: Mapping[str, str] = os.environ,
    folder: Path | None = None,
    prices: Mapping[str, OwnPrice] = MappingProxyType({}),
) -> Policy:
    """
    The policy that holds: that of the file which is given, else of the one that ``SOLVENT_POLICY`` names, else of the
    user's own file, which the one in the current folder may tighten. An empty policy, where there is none of these.

    Args:
        folder: The current one, unless given.
        prices: Given beside it, by flags; they win over those of files.

    Raises:
        SettingsError: A file cannot be read, or says something that is not understood, or that it may not say.
    """
    return PolicyFiles.of(given, environ=environ, folder=folder).read(prices)


class PolicyFiles(Struct, frozen=True, kw_only=True):
    """
    The files that a policy may be in, whether they are there or not.

    Attributes:
        named: By an option or by ``SOLVENT_POLICY``; it is then the only one, and has to be there.
        own: The user's.
        folders: That of the current folder.
        way: How one is named here, such as ``--policy``; empty where only the variable can.
        is_of_variable: Whether that is what names it.
    """

    named: Path | None = None
    own: Path | None = None
    folders: Path | None = None
    way: str = ""
    is_of_variable: bool = False

    @staticmethod
    def of(
        given: Path | None = None,
        *,
        environ: Mapping[str, str] = os.environ,
        folder: Path | None = None,
        way: str = "",
    ) -> "PolicyFiles":
        name = environ.get(VARIABLE)
        if given is not None or name:
            return PolicyFiles(named=given or Path(name or ""), is_of_variable=given is None)
        if name is not None:
            return PolicyFiles()  # Set to nothing: to go without any.
        return PolicyFiles(own=own_file(), folders=(folder or Path()) / FILE, way=way)

    @property
    def places(self) -> tuple[Path, ...]:
        """
        Where to look, the user's own file first.
        """
        return tuple([path for path in (self.named, self.own, self.folders) if path is not None])

    def absolute(self) -> "PolicyFiles":
        """
        The same from any folder.
        """
        try:
            paths = [path and path.absolute() for path in (self.named, self.own, self.folders)]
        except FileNotFoundError:  # The current folder is gone, and nothing is in it.
            return self
        return replace(self, named=paths[0], own=paths[1], folders=paths[2])

    def read(self, prices: Mapping[str, OwnPrice] = MappingProxyType({})) -> Policy:
        """
        Raises:
            SettingsError: One of them cannot be read, or says something that is not understood, or that it may not say.
        """
        own, folders = _there(self.own), _there(self.folders)
        if own is not None and folders is not None and _is_same(own, folders):
            folders = None  # The user's own folder is the current one.
        if self.named is None and own is None and folders is None:
            if prices:
                Prices.load(prices).check()
            return Policy(prices=prices)
        from solvent.policy._folder import tightened  # These need a YAML reader, which most programs do not.
        from solvent.policy._read import Reader, read_policy

        if self.named is not None:
            try:
                return read_policy(self.named, prices=prices)
            except SettingsError as error:
                if not isinstance(error.__cause__, OSError):
                    raise
                hint = "name one that can be read" + (f", or unset {VARIABLE}" if self.is_of_variable else "")
                where = f"{VARIABLE}={self.named}" if self.is_of_variable else error.where
                raise SettingsError(where=where, expected=error.expected, got=error.got, hint=hint) from error
        policy = Policy(prices=prices) if own is None else read_policy(own, prices=prices, name=shown(own))
        if folders is None:
            return policy
        by = [f"{way}{folders}" for way in (f"{self.way} " if self.way else "", f"{VARIABLE}=") if way]
        return tightened(policy, Reader(folders), own="" if self.own is None else shown(self.own), by=by)

    def read_to_look(
        self, prices: Mapping[str, OwnPrice] = MappingProxyType({})
    ) -> tuple[Policy, SettingsError | None]:
        """
        The policy for whoever only looks at books and prices: a file of the current folder that cannot be used is
        passed over, with what is wrong with it.

        Raises:
            SettingsError: As ``read`` does, of what is named and of the user's own.
        """
        try:
            return self.read(prices), None
        except SettingsError as error:
            if self.folders is None:
                raise
            return replace(self, folders=None).read(prices), error


def told_files(policy: Policy) -> str:
    """
    The files that a policy was read from, as people write them; nothing, where it was read from none.
    """
    return ", tightened by ".join(shown(Path(file)) for file in policy.files)


def _is_same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:  # Who reads it will say what is wrong with it.
        return False


def _there(path: Path | None) -> Path | None:
    """
    The path, if there is something, be it only a link that leads nowhere. What is in a folder that this user may not
    enter, such as the home of who started it by another name, is not for them.
    """
    if path is None:
        return None
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return None
    except OSError as error:
        got = f"an error: {error.strerror or error}"
        raise SettingsError(where=str(path), expected="a policy file that can be read, or none", got=got) from error
    return path
