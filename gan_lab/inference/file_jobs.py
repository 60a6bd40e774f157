"""The images in a file, folder or zip, and the file that the result of each goes to."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from gan_lab.common import image_files
from gan_lab.common.atomic import fitting_name
from gan_lab.common.domains import Domain
from gan_lab.common.errors import UserError
from gan_lab.data.reading.listing import IMAGE_SUFFIXES, Entry, list_images
from gan_lab.data.reading.passed_over import PassedOver


@dataclass(frozen=True)
class Job:
    """One image and the file of its result."""

    entry: Entry
    output: Path

    @property
    def name(self) -> str:
        return self.entry.name

    @property
    def links(self) -> dict[str, Path]:
        """Files that the sheet links to; a member of a zip has no input file to link to."""
        return {"output": self.output} | ({"input": self.entry.file} if self.entry.member is None else {})


def plan(source: Path, output: Path, target: Domain, key: str = "input") -> tuple[list[Job], PassedOver]:
    """Lists the images of a file, folder or zip with the file of each result, and counts the other files by ending.

    ``key`` names the source in errors.

    Names and subfolders are kept, and endings if their format can hold the result (``image_files.output_suffix``). Of
    two results that would have one name, one keeps its old ending: ``x.gif`` beside ``x.png`` becomes ``x.gif.png``.

    Raises:
        UserError: if there are no images, or a result would overwrite one.
    """
    others = PassedOver(own=lambda file: _ours(file, source, output))
    if source.is_file() and source.suffix.lower() in IMAGE_SUFFIXES:
        jobs = [_single(source, output, target)]
    else:
        if output.is_file() or output.suffix.lower() in IMAGE_SUFFIXES:
            raise UserError(f"output={output} names one image, but {key}={source} has many: give a folder.")
        found = _distinct(list_images(source, key, others))
        entries = [entry for entry in found if not _ours(entry.file, source, output)]
        jobs = [Job(entry, _fitting(output / name)) for entry, name in _named(entries, target)]
    for job in jobs:
        if job.entry.member is None and job.output.resolve() == job.entry.file.resolve():
            raise UserError(f"output={output} holds the images, which would be overwritten: give another output=….")
    if not jobs:
        raise UserError(f"{key}={source} has no images besides those in output={output}: give another folder.")
    return jobs, others


def _single(source: Path, output: Path, target: Domain) -> Job:
    entry = Entry((source.name,), str(source))
    if output.is_dir() or output.suffix.lower() not in IMAGE_SUFFIXES:
        return Job(entry, output / source.with_suffix(image_files.output_suffix(source.suffix, target)).name)
    if image_files.output_suffix(output.suffix, target) != output.suffix:
        raise UserError(f"output={output} cannot hold the result: end its name in .png.")
    return Job(entry, output)


def _fitting(path: Path) -> Path:
    """The path with a name that can be written: a zip may hold longer ones, and an ending may be added."""
    return path.with_name(fitting_name(path.name))


def folder_of(output: Path) -> Path:
    """The folder of the results; ``output`` may name one file in it."""
    return output.parent if output.suffix.lower() in image_files.FORMATS and not output.is_dir() else output


def _distinct(entries: Sequence[Entry]) -> list[Entry]:
    """Each name once, and none that leads out of the output folder: a zip may hold ``/x.png``, and that twice."""
    relative = [Entry(tuple(p for p in e.parts if p != "/"), e.path, e.member, e.checksum) for e in entries]
    return list({entry.parts: entry for entry in relative}.values())


def _named(entries: Sequence[Entry], target: Domain) -> Iterator[tuple[Entry, str]]:
    """Yields each entry with the name of its result; entries that keep their name take precedence."""
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


def _ours(file: Path, source: Path, output: Path) -> bool:
    """True if the file is a result of this program, in an output folder within the input."""
    within = source.is_dir() and output.resolve().is_relative_to(source.resolve())
    return within and file.resolve().is_relative_to(output.resolve())
