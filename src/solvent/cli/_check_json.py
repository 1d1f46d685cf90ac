"""
What ``solvent check`` found as JSON, version 1 of the schema that stands beside this file in ``check_schema.json``.

Amounts travel as strings, so that no reader rounds them.
"""

from solvent._limits import Limit
from solvent.cli._check_tables import Findings
from solvent.policy._contradictions import Finding
from solvent.policy._coverage import together
from solvent.policy._explain import Explained
from solvent.policy._outranked import limits_of
from solvent.report._json import SCHEMA_VERSION, Json


def findings_json(findings: Findings) -> Json:
    return {
        "schema_version": SCHEMA_VERSION,
        "files": list(findings.policy.files),
        "limits": [{"pattern": pattern, **_limit(limit)} for pattern, limit in limits_of(findings.policy)],
        "coverage": {type: dict(cells) for type, cells in findings.coverage.items()},
        "holes": [
            {"pattern": hole.pattern, "what": hole.what, "where": hole.where, "line": hole.line}
            for hole in findings.holes
        ],
        "closing": [{"where": where, "line": line} for where, line in together(findings.policy, findings.holes)],
        "contradictions": [_finding(one) for one in findings.contradictions],
        "notes": [_finding(one) for one in findings.notes],
    }


def explained_json(explained: Explained) -> Json:
    return {
        "schema_version": SCHEMA_VERSION,
        "scope": explained.scope,
        "limits": [
            {
                "scope": one.place,
                "pattern": one.pattern,
                **_limit(one.limit),
                "state": one.state,
                "instead": None if one.instead is None else _limit(one.instead),
            }
            for one in explained.limits
        ],
        "ask_for": explained.ask_for,
        "notes": list(explained.notes),
        "rules": [{"setting": name, "says": text} for name, text in explained.rules],
    }


def _limit(limit: Limit) -> Json:
    return {
        "meter": limit.meter,
        "window": limit.window_key,
        "limit": str(limit.amount),
        "on_exceed": limit.on_exceed,
        "source": limit.source,
    }


def _finding(one: Finding) -> Json:
    return {"kind": one.kind, "where": list(one.where), "what": one.what, "mend": one.mend}
