"""Commands over many image files: their keys, and their work, alone or split over several jobs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from gan_lab.cli.artifacts import Message, Output
from gan_lab.cli.requests import InferenceRequest
from gan_lab.common.bounds import PositiveInt
from gan_lab.common.errors import UserError
from gan_lab.inference.job_shares import FOLDER, JobShare, Outcomes

if TYPE_CHECKING:
    from rich.table import Table

    from gan_lab.data.reading.passed_over import PassedOver
    from gan_lab.inference.edit_files import FilesJob, Report
    from gan_lab.inference.file_jobs import Job

ENDED = "+hydra.callbacks.jobs._target_=gan_lab.cli.sweeps.split.Ended"


@dataclass(frozen=True, kw_only=True)
class FilesRequest(InferenceRequest):
    """The keys of commands that edit every image of a file, folder or zip."""

    output: Path
    overwrite: bool
    max_pixels: PositiveInt
    job: PositiveInt | None
    jobs: PositiveInt

    def __post_init__(self) -> None:
        if self.jobs > 1 and self.job is None:
            raise UserError(f"jobs={self.jobs} needs -m, which starts them all, or job=1 for the first of them.")
        if self.jobs > 1 and Output(self.output).is_image:
            raise UserError(f"jobs= splits a folder, and output={self.output} is one image: leave jobs= out.")
        if (self.job or 1) > self.jobs:
            raise UserError(f"job={self.job} is more than jobs={self.jobs}: count from 1 to {self.jobs}.")

    def destination(self) -> Output:
        return Output.of_edited(self.output, self.compression)

    def refuse_jobs(self, key: str) -> None:
        """Raises UserError if the work is split, for a key that needs it whole."""
        if self.jobs > 1:
            raise UserError(f"{key} needs all images: give it without jobs=, once the jobs are done.")


def each_job(arguments: Sequence[str]) -> Sequence[str]:
    """Adds the numbers of the jobs to a multirun that says how many there are; logs go into the results' folder."""
    keys = {each.partition("=")[0]: each.partition("=")[2] for each in arguments}
    if not {"-m", "--multirun"} & keys.keys() or "job" in keys or not keys.get("jobs", "").isdecimal():
        return arguments
    place = [f"hydra.sweep.dir=${{output}}/{FOLDER}"] if "hydra.sweep.dir" not in keys else []
    return [*arguments, f"job=range(1,{int(keys['jobs']) + 1})", ENDED, *place]


def edited(
    work: FilesJob, request: FilesRequest, source: Path, files: Sequence[Job], others: PassedOver, output: Path
) -> Iterator[Message]:
    """Edits the images of this job's share; yields messages, and in the last job to end the table.

    Args:
        work: edits them.
        request: the request.
        source: where the images are.
        files: the images and their results.
        others: files that are no images.
        output: where the results are.

    Raises:
        UserError: if no image can be edited; of several jobs, in the one that ends last.
    """
    from gan_lab.common.distributed import rank_and_world_size
    from gan_lab.inference.edit_files import Report

    work.share = JobShare(request.job or 1, request.jobs)
    outcomes = Outcomes.of(output, request.jobs, _same_for_all(request), [each.name for each in files])
    first = rank_and_world_size()[0] == 0
    began = outcomes.begin(work.share.number) if first and request.jobs > 1 else 0.0
    work.run(files)
    if not first:
        return
    if request.jobs > 1:
        outcomes.end(work.share.number, began, {"report": asdict(work.report)})
    else:
        work.report.raise_if_none(len(files), source, work.done)
    yield Message("\n".join(work.report.lines(output, others, work.done, work.does)))
    if request.jobs > 1:
        reports = [Report(**each["report"]) for each in outcomes.read().values()]
        yield from _whole(work, outcomes, reports, source, files, others)


def _same_for_all(request: FilesRequest) -> str:
    return repr(replace(request, job=1, device="", devices=1))


def _whole(
    work: FilesJob,
    outcomes: Outcomes,
    reports: Sequence[Report],
    source: Path,
    files: Sequence[Job],
    others: PassedOver,
) -> Iterator[Message]:
    """Yields the table of all jobs and the outcome for all images; before all are done, how many are.

    Raises:
        UserError: if no image can be edited.
    """
    from gan_lab.inference.edit_files import Report

    if len(reports) < outcomes.count:
        yield Message(f"{len(reports)} of {outcomes.count} jobs are done.")
        return
    yield Message(job_table(outcomes))
    joined = Report.joined(reports, files)
    joined.raise_if_none(len(files), source, work.done)
    lines = joined.lines(outcomes.folder, others, work.done, work.does)
    yield Message("\n".join(["All jobs:", *lines]))


def job_table(outcomes: Outcomes) -> Table:
    """The jobs as a table for the terminal, which is written as ``jobs.csv``, too."""
    from gan_lab.evaluation.reports.plain_tables import printed, write_csv

    rows = [
        {
            "job": str(number),
            "machine": found["machine"],
            "minutes": f"{found['seconds'] / 60:.1f}",
            **{key.replace("_", " "): str(len(found["report"][key])) for key in ("done", "present", "left_out")},
        }
        for number, found in outcomes.read().items()
    ]
    write_csv(outcomes.folder / "jobs.csv", rows)
    return printed(list(rows[0]), [list(row.values()) for row in rows])
