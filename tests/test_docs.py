"""
The docs say what is: every option, field, code and setting in them exists, and nothing is left out.
"""

import re
import shlex
from pathlib import Path

import apsw
import pytest
import typer.main

from solvent._records import CallRecord
from solvent.cli import app
from solvent.policy._contradictions import contradictions
from solvent.policy._read import read_policy
from solvent.stores import open_store
from solvent.wire import FORMATS
from solvent.wire._paths import PAID

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def page(name):
    return (ROOT / name).read_text()


def blocks(text, language):
    return re.findall(rf"^```{language}\n(.*?)^```", text, flags=re.M | re.S)


def first_cells(text):
    return [
        name
        for line in re.findall(r"^\| ((?:[^|\\]|\\.)+) \|", text, flags=re.M)
        for name in re.findall(r"`([^`]+)`", line)
    ]


def options(command):
    return {name for parameter in command.params for name in parameter.opts if name.startswith("--")} - {"--help"}


def contradictions_of(path):
    return [one.what for one in contradictions(read_policy(path)) if not one.is_note]


def run_command():
    return typer.main.get_command(app).commands["run"]


def test_every_option_of_run_has_its_line():
    written = {name.split()[0] for name in first_cells(page("docs/reference/run.md")) if name.startswith("--")}
    assert written == options(run_command())


def test_every_field_of_the_journal_has_its_line(tmp_path):
    open_store(f"sqlite:///{tmp_path}/ledger.db").close()
    connection = apsw.Connection(f"{tmp_path}/ledger.db")
    columns = {row[1] for row in connection.execute("PRAGMA table_info(entry)")}
    connection.close()
    assert set(first_cells(page("docs/reference/journal.md"))) == columns
    assert set(CallRecord.__struct_fields__) <= columns


def test_the_policy_that_the_docs_show_is_read(tmp_path):
    (text,) = blocks(page("docs/reference/policy.md"), "yaml")
    path = tmp_path / "solvent.yaml"
    path.write_text(text)
    policy = read_policy(path)
    assert len(policy.budgets) == 12
    assert set(re.findall(r"^(\w+):", text, flags=re.M)) == set(first_cells(page("docs/reference/policy.md")))


@pytest.mark.slow  # Prices are looked up in the rate card.
@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_a_policy_that_the_docs_show_contradicts_nothing(path, tmp_path):
    text = re.sub(r"<!-- findings: .*?<!-- end -->", "", path.read_text(), flags=re.S)  # These are there to be found.
    for number, policy in enumerate(blocks(text, "yaml")):
        file = tmp_path / f"{number}.yaml"
        file.write_text(policy)
        assert contradictions_of(file) == []


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_commands_in_the_docs_are_ones_that_solvent_knows(path):
    group = typer.main.get_command(app)
    commands = re.findall(r"^(?:\$ )?(solvent .+)$", "\n".join(blocks(path.read_text(), "")), flags=re.M)
    for words in (shlex.split(command) for command in commands):
        if words[2:3] == ["[OPTIONS]"]:
            continue
        name, command, rest = group.resolve_command(
            group.make_context("solvent", ["--version"], resilient_parsing=True), words[1:]
        )
        command.make_context(name, rest)


@pytest.mark.parametrize("path", [*PAGES, *sorted((ROOT / "examples").rglob("*.md"))], ids=lambda path: path.name)
def test_links_in_the_docs_lead_somewhere(path):
    for target, anchor in re.findall(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]+))?\)", path.read_text()):
        found = path.parent / target if target else path
        assert found.exists(), target
        assert not anchor or anchor in anchors(found.read_text()), f"{target}#{anchor}"


def anchors(text):
    """
    Of a page's headings: their words in small letters, with hyphens between them, and a number where they come again.
    """
    prose = re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)
    headings = [heading.lower() for heading in re.findall(r"^#+ (.+)$", prose, flags=re.M)]
    names = [re.sub(r"[^\w -]", "", heading).replace(" ", "-") for heading in headings]
    return {f"{name}-{again}" if (again := names[:at].count(name)) else name for at, name in enumerate(names)}


def test_every_format_has_its_line_with_its_paths():
    rows = re.findall(r"^\| `([a-z-]+)` \| (.*?) \|", page("docs/reference/formats.md"), flags=re.M)
    assert [name for name, _ in rows] == sorted(FORMATS)
    told = dict(rows)
    for path, name in PAID:
        verb = re.split(r"[:/]", path)[-1]
        assert re.search(rf"[`:/]{re.escape(verb)}[`/]", told[name]), path
