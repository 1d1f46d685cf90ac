"""
The page as a file: whole or not at all.
"""

import errno
from pathlib import Path

import pytest
from html_cases import Case, one
from html_reading import read

from solvent.errors import StoreUnavailable
from solvent.report import summarize
from solvent.report.html import page, write_page
from solvent.stores.memory import MemoryStore


def write(case: Case, path: Path, *, force: bool = False) -> None:
    write_page(case.store, summarize(case.store, case.scope), path, force=force, clock=case.clock)


def test_the_file_is_the_page(tmp_path: Path) -> None:
    case = one()

    write(case, tmp_path / "page.html")

    written = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert written == page(case.store, summarize(case.store, case.scope), clock=case.clock)
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]
    assert read(written).all("h1")


def test_a_file_that_is_there_is_replaced_only_by_force(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    path.write_text("mine")

    with pytest.raises(FileExistsError, match=r"page\.html"):
        write(one(), path)
    assert path.read_text() == "mine"

    write(one(), path, force=True)
    assert path.read_text().startswith("<!doctype html>")


def test_what_is_no_file_is_not_replaced(tmp_path: Path) -> None:
    with pytest.raises(FileExistsError):
        write(one(), tmp_path, force=True)


def test_a_page_that_cannot_be_made_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    path.write_text("mine")
    case = one()
    report = summarize(case.store, case.scope)

    class Away(MemoryStore):
        def entries(self, **_: object) -> object:  # type: ignore[override]  # It never answers.
            raise StoreUnavailable(ledger="memory:", reason="away")

    with pytest.raises(StoreUnavailable):
        write_page(Away(), report, path, force=True)

    assert path.read_text() == "mine"
    assert [each.name for each in tmp_path.iterdir()] == ["page.html"]


def test_a_page_that_cannot_be_written_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def is_full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", is_full)

    with pytest.raises(OSError, match="No space left"):
        write(one(), tmp_path / "page.html")

    assert list(tmp_path.iterdir()) == []


def test_reading_many_calls_is_told_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("solvent.report.html._journal.TOLD_EVERY", 1)
    case, told = one(), []

    write_page(
        case.store,
        summarize(case.store, case.scope),
        tmp_path / "page.html",
        told=lambda done, of: told.append((done, of)),
    )

    assert told == [(1, 1)]
