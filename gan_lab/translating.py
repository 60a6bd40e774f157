"""The work behind ``gan_lab.translate``: pictures found, read, translated, written, and told about."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import torch
from omegaconf import DictConfig
from torch import Tensor

from gan_lab.cli.config.compose import resolve
from gan_lab.common import image_files
from gan_lab.common.capabilities import Samples, Translates
from gan_lab.common.device import available_memory, resolve_device
from gan_lab.common.distributed import all_gather, rank_and_world_size
from gan_lab.common.domains import Domain
from gan_lab.common.errors import UserError
from gan_lab.common.launch import on_every_device
from gan_lab.common.progress import track
from gan_lab.common.runs import checkpoint_path
from gan_lab.data.reading.files import Entry, open_entry
from gan_lab.data.reading.images import LoadedImage, read_image, reason
from gan_lab.inference.file_jobs import folder_of, plan
from gan_lab.inference.sheet_page import Sheet
from gan_lab.inference.translate_files import Job
from gan_lab.inference.translation import Tiling, Translator
from gan_lab.training.checkpoint import load
from gan_lab.training.trainer import apply_options

COLUMNS = ("input", "output", "cycle")
SHOWN = 5
"""Names that are listed where there may be many."""


def translate(config: DictConfig) -> None:
    """Translates every picture of a file, folder or zip; those that cannot be read are listed, and the rest is done. On
    several devices each takes a part.

    Raises:
        UserError: if the model does not translate, a key does not serve, or no picture at all could be translated.
    """
    plain = resolve(config)
    checkpoint_path(plain["checkpoint"])
    on_every_device(_translate, plain, 1 if Path(plain["input"]).suffix.lower() in image_files.FORMATS else None)


def _translate(plain: dict[str, Any]) -> None:
    source, output = (Path(plain[key]).expanduser() for key in ("input", "output"))
    path = checkpoint_path(plain["checkpoint"])
    model = apply_options(load(path, resolve_device(plain["device"]), plain["trust"]), plain)
    if not isinstance(model, Translates):
        works = "gan_lab.sample makes pictures with it" if isinstance(model, Samples) else "train model=cyclegan, say"
        raise UserError(
            f"{path} holds the model {type(model).__name__}, which knows no other domain to carry to: {works}."
        )
    work = _work(model, plain, output)
    jobs, others = plan(source, output, work.there.target)
    folder_of(output).mkdir(parents=True, exist_ok=True)
    work.run(jobs)
    if rank_and_world_size()[0]:
        return
    if len(work.report.left_out) == len(jobs):
        named = [f"{name} ({why})" for name, why in work.report.left_out.items()]
        raise UserError(f"No picture of {source} could be translated: {_listed(named)}.")
    print("\n".join(work.report.lines(output, others)))
    if work.sheet is not None:
        title = f"{source.name} {plain['direction'][0]} → {plain['direction'][-1]}"
        print(f"Wrote {work.sheet.write(title, f'{len(work.sheet.links)} pictures, translated with {path}')}")


def _work(model: Translates, plain: Mapping[str, Any], output: Path) -> "Work":
    """The translators that the keys ask for."""
    if plain["sheet"] and output.suffix.lower() in image_files.FORMATS:
        raise UserError(f"sheet=true writes a page beside the results: give a folder, not output={output}.")
    if not isinstance(plain["max_pixels"], int) or plain["max_pixels"] < 1:
        raise UserError(f"max_pixels={plain['max_pixels']} does not serve: give a whole number from 1 up.")
    memory, device = plain["memory"], resolve_device(plain["device"])
    if memory is not None and not (isinstance(memory, int | float) and memory > 0):
        raise UserError(f"memory={memory} does not serve: give GiB, such as 4 or 0.5.")
    sharing = rank_and_world_size()[1] if device.type == "cpu" else 1
    budget = available_memory(device) // 2 // sharing if memory is None else int(memory * 2**30)
    tiling = Tiling(plain["tile"], plain["stats"], plain["scratch"], budget, folder_of(output))
    direction, size = plain["direction"], size_of(plain["size"])
    there = Translator(model, direction, size, tiling, plain["seed"])
    back = {"a2b": "b2a", "b2a": "a2b"}[direction]
    knows = plain["sheet"] and back in model.directions
    return Work(
        there,
        Translator(model, back, None, tiling, plain["seed"]) if knows else None,
        plain["max_pixels"],
        plain["overwrite"],
        Sheet(output, COLUMNS) if plain["sheet"] else None,
    )


def size_of(size: Any) -> tuple[int, int] | None:
    """(H, W) of ``size``: a number for squares, or [height, width]; None for ``keep``.

    Raises:
        UserError: for anything else.
    """
    if size == "keep":
        return None
    sides = [size, size] if isinstance(size, int) else size
    if not isinstance(sides, list) or len(sides) != 2 or not all(isinstance(n, int) and n > 0 for n in sides):
        raise UserError(f"size={size} does not serve: give keep, a number such as 256, or [height,width].")
    return sides[0], sides[1]


@dataclass
class Report:
    """What became of the pictures: names, and what is told of them."""

    done: list[str] = field(default_factory=list)
    present: list[str] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)
    told: dict[str, list[str]] = field(default_factory=dict)

    def tell(self, name: str, remarks: Sequence[str]) -> None:
        for remark in remarks:
            self.told.setdefault(remark, []).append(name)

    @classmethod
    def joined(cls, parts: Sequence["Report"], jobs: Sequence[Job]) -> "Report":
        """Of several processes, in the order of the jobs."""
        order = {job.name: number for number, job in enumerate(jobs)}
        every: dict[str, list[str]] = {}
        for remark, names in (item for part in parts for item in part.told.items()):
            every.setdefault(remark, []).extend(names)
        left_out = {name: why for part in parts for name, why in part.left_out.items()}
        return cls(
            sorted((name for part in parts for name in part.done), key=order.__getitem__),
            sorted((name for part in parts for name in part.present), key=order.__getitem__),
            {name: left_out[name] for name in sorted(left_out, key=order.__getitem__)},
            {remark: sorted(names, key=order.__getitem__) for remark, names in every.items()},
        )

    def lines(self, output: Path, others: int) -> Iterator[str]:
        """What the user reads at the end, the figures last."""
        for remark, names in self.told.items():
            yield f"{remark}: {_listed(names)}"
        for name, why in self.left_out.items():
            yield f"left out {name}: {why}"
        total = len(self.done) + len(self.present) + len(self.left_out)
        further = {
            f"{len(self.present)} were there already (overwrite=true makes them again)": self.present,
            f"{len(self.left_out)} left out": self.left_out,
            f"{others} other file{'s' * (others > 1)} passed over": others,
        }
        yield "; ".join([f"Translated {len(self.done)} of {total} pictures to {output}", *filter(further.get, further)])


@dataclass
class Work:
    """Translates one picture after the other, and notes what became of each.

    Args:
        there: the translator.
        back: that of the other direction, for the sheet, where the model knows the way back.
        max_pixels: larger pictures are left out.
        overwrite: whether results that are there already are made again.
        sheet: shows what was done.
    """

    there: Translator
    back: Translator | None
    max_pixels: int
    overwrite: bool
    sheet: Sheet | None
    report: Report = field(default_factory=Report)

    def run(self, jobs: Sequence[Job]) -> None:
        """Ranks take jobs in turn; afterwards each knows of all (a collective)."""
        rank, world = rank_and_world_size()
        mine = list(enumerate(jobs))[rank::world]
        with ExitStack() as opened:
            files = {job.entry.file for job in jobs if job.entry.member is not None}
            zips = {file: opened.enter_context(ZipFile(file)) for file in files}
            for number, job in track(mine, "Translating", len(mine), show=rank == 0):
                if job.output.exists() and not self.overwrite:
                    self._recall(job, zips)
                else:
                    self._attempt(job, number, zips)
        self.report = Report.joined(all_gather(self.report), jobs)
        if self.sheet is not None:
            rows = {name: links for part in all_gather(self.sheet.links) for name, links in part.items()}
            self.sheet.links = {job.name: rows[job.name] for job in jobs if job.name in rows}

    def _attempt(self, job: Job, number: int, zips: dict[Path, ZipFile]) -> None:
        try:
            photo = self._read(job.entry, self.there.source, zips)
        except Exception as problem:  # a damaged file raises whatever its decoder happens to
            self.report.left_out[job.name] = reason(problem)
            return
        try:
            self._one(job, photo, number)
        except (MemoryError, RuntimeError) as problem:
            if not _is_for_memory(problem):
                raise
            self.report.left_out[job.name] = "memory does not hold it: tile=512 takes less"
        except (OSError, ValueError) as problem:
            self.report.left_out[job.name] = f"its translation cannot be written ({reason(problem)})"

    def _read(self, entry: Entry, domain: Domain, zips: dict[Path, ZipFile]) -> LoadedImage:
        with open_entry(zips, entry) as file:
            if not file.read(1):
                raise ValueError("an empty file")
            file.seek(0)
            return read_image(file, domain, self.max_pixels)

    def _one(self, job: Job, photo: LoadedImage, number: int) -> None:
        result = self.there(photo.pixels, number)
        extras = () if self.there.target.labels else (photo.alpha, photo.exif)
        kept = image_files.write_image(job.output, result.pixels, *extras)
        self.report.done.append(job.name)
        self.report.tell(job.name, [*photo.notes, *kept, *([result.tiling] if result.tiling else [])])
        if self.sheet is not None:
            try:
                self._show(self.sheet, job, photo, result.pixels, number)
            except (MemoryError, RuntimeError, OSError) as problem:  # the translation itself is there
                if isinstance(problem, RuntimeError) and not _is_for_memory(problem):
                    raise
                self.report.tell(job.name, [f"not whole on the sheet ({reason(problem)})"])
            self.sheet.add(job.name, job.links)

    def _show(self, sheet: Sheet, job: Job, photo: LoadedImage, output: Tensor, number: int) -> None:
        sheet.show(job.name, "input", photo.pixels, self.there.source)
        sheet.show(job.name, "output", output, self.there.target)
        if self.back is not None:
            sheet.show(job.name, "cycle", self.back(output, number).pixels, self.back.target)

    def _recall(self, job: Job, zips: dict[Path, ZipFile]) -> None:
        """A result of an earlier run: the sheet shows it, as far as it can be read."""
        self.report.present.append(job.name)
        if self.sheet is None:
            return
        output = Entry((job.output.name,), job.output)
        for column, entry, domain in (
            ("input", job.entry, self.there.source),
            ("output", output, self.there.target),
        ):
            if not self.sheet.thumbnail(job.name, column).exists():
                with suppress(Exception):  # a damaged file raises whatever its decoder happens to
                    self.sheet.show(job.name, column, self._read(entry, domain, zips).pixels, domain)
        self.sheet.add(job.name, job.links)


def _is_for_memory(problem: Exception) -> bool:
    """Whether memory ran out: on the CPU torch says so in the words of a plain RuntimeError alone."""
    return isinstance(problem, MemoryError | torch.OutOfMemoryError) or "can't allocate memory" in str(problem)


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN:,} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
