"""
JSON schemas with references, for providers that put in place of each what it refers to.
"""

from collections.abc import Mapping
from typing import Any

from solvent.wire._text import json_bound

_REFERENCES = ("$ref", "ref")
_TOKENS_MAX = 10**9


class References:
    """
    How much longer a schema becomes.

    Attributes:
        tokens_max: The most tokens that it grows by; ``None`` where something refers to itself, for nobody knows how
            often the provider repeats that, or to what is not in the schema, or where it is more than any model reads.
    """

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self._schema = schema
        self._known: dict[str, int] = {}
        self._open: set[str] = set()
        self._is_bounded = True
        added = self._added(schema)
        self.tokens_max = added if self._is_bounded and added <= _TOKENS_MAX else None

    def _added(self, node: Any) -> int:
        """
        The most tokens that the references within a node add to it.
        """
        if isinstance(node, list):
            return sum(map(self._added, node))
        if not isinstance(node, dict):
            return 0
        names = [node[key] for key in _REFERENCES if isinstance(node.get(key), str)]
        return sum(map(self._added, node.values())) + sum(map(self._of, names))

    def _of(self, name: str) -> int:
        target = self._target(name)
        if target is None or name in self._open:
            self._is_bounded = False
            return 0
        if name not in self._known:
            self._open.add(name)
            self._known[name] = json_bound(target) + self._added(target)
            self._open.discard(name)
        return self._known[name]

    def _target(self, name: str) -> Any:
        """
        What a pointer within the schema points to; ``None`` when there is nothing.

        Source:
            RFC 6901, "JavaScript Object Notation (JSON) Pointer", read 2026-11-22.
        """
        found: Any = self._schema
        for step in name.removeprefix("#").split("/")[1:]:
            found = found.get(step.replace("~1", "/").replace("~0", "~")) if isinstance(found, dict) else None
        return found
