"""Which pictures there are in a file, folder or zip, and where what is made of each goes."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from zipfile import ZipFile

from gan_lab.common import image_files
from gan_lab.common.domains import Domain
from gan_lab.common.errors import UserError
from gan_lab.data.reading.files import ENDINGS, Entry, listing


@dataclass(frozen=True)
class Job:
    """One picture: where it lies, and where its translation goes."""

    entry: Entry
    output: Path

    @property
    def name(self) -> str:
        return self.entry.name

    @property
    def links(self) -> dict[str, Path]:
        """Files to be opened from the sheet; none is in a zip."""
        return {"output": self.output} | ({"input": self.entry.file} if self.entry.member is None else {})


def plan(source: Path, output: Path, target: Domain) -> tuple[list[Job], int]:
    """The pictures of a file, folder or zip, with where each result goes, and how many other files there are.

    Names and subfolders are kept, endings where their format holds what a network makes (``image_files.ending``). Two that
    would then have one name are told apart by the old ending: ``x.gif`` beside ``x.png`` becomes ``x.gif.png``.

    Raises:
        UserError: if there are none, or a result would take the place of a picture.
    """
    if source.is_file() and source.suffix.lower() in ENDINGS:
        jobs, others = [_single(source, output, target)], 0
    else:
        if output.is_file() or output.suffix.lower() in ENDINGS:
            raise UserError(f"output={output} is one picture's name, and input={source} has many: give a folder.")
        entries = [entry for entry in _distinct(listing(source, "input")) if not _ours(entry.file, source, output)]
        jobs, others = [Job(entry, output / name) for entry, name in _named(entries, target)], _others(source, output)
    for job in jobs:
        if job.entry.member is None and job.output.resolve() == job.entry.file.resolve():
            raise UserError(f"output={output} is where the pictures lie, and would take their place: give another.")
    if not jobs:
        raise UserError(f"input={source} has no pictures besides those in output={output}: give another folder.")
    return jobs, others


def _single(source: Path, output: Path, target: Domain) -> Job:
    entry = Entry((source.name,), source)
    if output.is_dir() or output.suffix.lower() not in ENDINGS:
        return Job(entry, output / source.with_suffix(image_files.output_suffix(source.suffix, target)).name)
    if image_files.output_suffix(output.suffix, target) != output.suffix:
        raise UserError(f"output={output} cannot hold what the model makes: end its name in .png.")
    return Job(entry, output)


def folder_of(output: Path) -> Path:
    """The folder that results go to, where ``output`` may name one file."""
    return output.parent if output.suffix.lower() in image_files.FORMATS and not output.is_dir() else output


def _distinct(entries: Sequence[Entry]) -> list[Entry]:
    """Each name once, and none that leads out of a folder it is put in: a zip may hold ``/x.png``, and that twice."""
    relative = [Entry(tuple(p for p in e.parts if p != "/"), e.file, e.member, e.checksum) for e in entries]
    return list({entry.parts: entry for entry in relative}.values())


def _named(entries: Sequence[Entry], target: Domain) -> Iterator[tuple[Entry, str]]:
    """Each with the name of its result; those that keep theirs come first to it."""
    suffixes = [PurePosixPath(entry.name).suffix for entry in entries]
    taken = {
        e.name
        for e, suffix in zip(entries, suffixes, strict=True)
        if image_files.output_suffix(suffix, target) == suffix
    }
    for entry in entries:
        path = PurePosixPath(entry.name)
        wanted = str(path.with_suffix(image_files.output_suffix(path.suffix, target)))
        while wanted != entry.name and wanted in taken:
            path = path.with_name(f"{path.name}.png")
            wanted = str(path)
        taken.add(wanted)
        yield entry, wanted


def _others(source: Path, output: Path) -> int:
    """Files in a folder or zip that are no pictures by their names, hidden ones aside."""
    if source.is_dir():
        files = [Path(folder, name) for folder, _, names in os.walk(source, followlinks=True) for name in names]
        paths = [PurePosixPath(file.relative_to(source)) for file in files if not _ours(file, source, output)]
    else:
        with ZipFile(source) as archive:
            paths = [PurePosixPath(info.filename) for info in archive.infolist() if not info.is_dir()]
    shown = [path for path in paths if not any(part.startswith((".", "__")) for part in path.parts)]
    return sum(path.suffix.lower() not in ENDINGS for path in shown)


def _ours(file: Path, source: Path, output: Path) -> bool:
    """Whether the file is one of this program's own results, in an output folder within the input."""
    within = source.is_dir() and output.resolve().is_relative_to(source.resolve())
    return within and file.resolve().is_relative_to(output.resolve())
