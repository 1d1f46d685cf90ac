"""
The files that are read: those that are named, and those that are found in folders.
"""

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path

from solvent.imports._past import Source, WrongFile
from solvent.wire._json_stream import Elements
from solvent.wire._read import mapping
from solvent.wire._sse import decoded

_CHUNK_BYTES = 2**16
_HEAD_OBJECTS = 32  # So many tell what a file is: some logs begin with lines that say little.


def find_files(paths: Iterable[Path], name: str, formats: Mapping[str, Source]) -> list[Path]:
    """
    The files to read, each once, with what belongs to them; in a folder all files of the format.

    Raises:
        WrongFile: One that is named is not there, is empty, or is of another format; or a folder has none.
        OSError: One cannot be read.
    """
    source, found = formats[name], dict[Path, Path]()
    for path in paths:
        if path.is_dir():
            files = [file for file in _in_folder(path, source) if name in _formats_of(file, formats)]
            if not files:
                raise WrongFile(f"there is no {source.title} in {path}")
        else:
            _check(path, name, formats)
            files = [path]
        for file in files:
            for one in (file, *source.beside(file)):
                found.setdefault(one.resolve(), one)
    return [*found.values()]


def _in_folder(folder: Path, source: Source) -> Iterator[Path]:
    files = (file for file in folder.rglob("*") if file.suffix.lower() in source.endings)
    return (file for file in sorted(files) if file.is_file())


def _check(path: Path, name: str, formats: Mapping[str, Source]) -> None:
    if not path.exists():
        raise WrongFile(f"there is no file {path}")
    if not path.is_file():  # It could be read once only, and is read twice: to see what it is, and for its calls.
        raise WrongFile(f"{path} is no file but a pipe or a device.\nTo go on: write it into a file, and import that.")
    likely = _formats_of(path, formats)
    if name in likely:
        return
    title = formats[name].title
    if likely:
        other = min(likely)
        raise WrongFile(
            f"{path} is no {title}: it looks like a {formats[other].title}.\nTo go on: solvent import {other} {path}"
        )
    with open(path, "rb") as file:
        is_empty = not file.read(_CHUNK_BYTES).strip()
    if is_empty:
        raise WrongFile(f"{path} is empty")
    if not formats[name].is_any:
        raise WrongFile(f"{path} is no {title}: nothing at its beginning is like one")


def _formats_of(file: Path, formats: Mapping[str, Source]) -> set[str]:
    """
    The formats that a file may be of, by its beginning.
    """
    values = [*_head(file)]
    return {name for name, source in formats.items() if any(map(source.is_like, values))}


def _head(file: Path) -> Iterator[Mapping[str, object]]:
    """
    The first objects of a file; of CSV its columns.
    """
    if file.suffix.lower() == ".csv":
        with open(file, encoding="utf-8-sig", errors="replace") as text:
            yield dict.fromkeys(text.readline(_CHUNK_BYTES).strip().replace('"', "").split(","))
        return
    elements = Elements()
    with open(file, "rb") as data:
        chunks = iter(lambda: data.read(_CHUNK_BYTES), b"")
        texts = (text for chunk in chunks for text in elements.feed(chunk))
        yield from (mapping(decoded(text)) for text in islice(texts, _HEAD_OBJECTS))
