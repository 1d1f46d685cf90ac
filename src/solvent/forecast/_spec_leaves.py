"""
The calls and tools of a workflow's file, and where a block stands.
"""

import yaml
from msgspec import Struct, field

from solvent._limits import Scope
from solvent.forecast._model import Call, Tool
from solvent.forecast._spec_models import ModelReader
from solvent.policy._texts import dollars

SCOPES = ("agent", "step")  # Kinds of scopes that blocks are; others have none.


class Place(Struct, frozen=True, kw_only=True):
    """
    Where blocks stand.

    Attributes:
        shown: The same in words.
        scopes: Of the blocks around them, below the run.
        levels: How many more segments paths have while it runs, of agents that spawn agents.
        grows: What they add is sent again by the calls after them.
        names: Those that are taken here.
    """

    shown: str = ""
    scopes: tuple[tuple[str, str], ...] = ()
    levels: int = 0
    grows: bool = False
    names: set[str] = field(default_factory=set)

    def at(self, name: str) -> str:
        return ModelReader.at(self.shown, name)

    @property
    def depth(self) -> int:
        return len(self.scopes) + self.levels


class Raw(Struct, frozen=True, kw_only=True):
    """
    A block whose kind and name are known.

    Attributes:
        scope: The kind of its scope; its own kind where it has none.
    """

    name: str
    scope: str
    settings: dict[str, yaml.Node]
    node: yaml.Node
    place: Place

    def __contains__(self, name: str) -> bool:
        return name in self.settings

    def __getitem__(self, name: str) -> yaml.Node:
        return self.settings[name]

    @property
    def here(self) -> str:
        return self.place.at(self.name)

    @property
    def path(self) -> str:
        """
        That of its scope; of one without a scope, for reports.
        """
        scopes = self.place.scopes
        if self.scope in SCOPES:
            return str(Scope((*scopes, (self.scope, self.name))))
        own = str(Scope((("step", self.name),))).removeprefix("step:")
        return "/".join([*([str(Scope(scopes))] if scopes else []), f"{self.scope}:{own}"])

    def among(self, *, grows: bool) -> Place:
        """
        Where its blocks stand, when it has no scope of its own.
        """
        place = self.place
        return Place(shown=self.here, scopes=place.scopes, levels=place.levels, grows=grows, names=place.names)

    def below(self, *, grows: bool = False, levels: int = 0) -> Place:
        """
        Where its blocks stand, when it has one.

        Args:
            levels: Of agents, below the first one.
        """
        scopes = (*self.place.scopes, (self.scope, self.name))
        return Place(shown=self.here, scopes=scopes, levels=self.place.levels + levels, grows=grows)


class LeafReader(ModelReader):
    """
    Reads blocks that have none in them.
    """

    def needed(self, raw: Raw, *names: str) -> None:
        if missing := self.missing(raw.settings, *names):
            told = [f"`{name}:`{' (a number, or `none`)' if name == 'max' else ''}" for name in names]
            expected = " and ".join([*([", ".join(told[:-1])] if told[1:] else []), told[-1]])
            self.fail(raw.node, raw.here, expected, missing)

    def word(self, raw: Raw, name: str, only: str) -> bool:
        """
        Whether a setting is there that can say one thing alone.
        """
        if name not in raw:
            return False
        if (said := self.said(raw[name], f"{raw.here}.{name}")) != only:
            self.fail(raw[name], f"{raw.here}.{name}", f"`{only}`, or no `{name}:`", said)
        return True

    def call(self, raw: Raw) -> Call:
        self.needed(raw, "model", "prompt", "output")
        model = self.model(raw["model"], f"{raw.here}.model")
        output = self.count(raw["output"], f"{raw.here}.output")
        if model.name in self.mute and any(count.most != 0 for count in output):
            self.fail(raw["output"], f"{raw.here}.output", f"0, for the output of {model.name} has no price", "more")
        return Call(
            name=raw.name,
            path=raw.path,
            model=model,
            prompt=self.count(raw["prompt"], f"{raw.here}.prompt"),
            output=output,
            history=not self.word(raw, "history", "none") and raw.place.grows,
            seconds=self.given(raw.settings, raw.here, "seconds", self.seconds_of_call),
        )

    def tool(self, raw: Raw) -> Tool:
        if "result" in raw and not raw.place.grows:
            self.fail(
                self.key(raw["result"]), f"{raw.here}.result", "a loop with `history: grows` directly around it", "none"
            )
        return Tool(
            name=raw.name,
            path=raw.path,
            cost_nanodollars=self.value(raw["cost"], f"{raw.here}.cost", dollars) if "cost" in raw else 0,
            result=self.given(raw.settings, raw.here, "result", self.count),
            seconds=self.given(raw.settings, raw.here, "seconds", self.seconds),
        )
