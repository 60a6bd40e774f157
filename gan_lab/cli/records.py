"""Records of runs and sweeps: the command line, the metrics, hardware and versions."""

from collections.abc import Sequence
from datetime import date
from typing import Any

import torch
from hydra.core.hydra_config import HydraConfig

from gan_lab.cli.command import command_named
from gan_lab.cli.config.overrides import shown
from gan_lab.common.device import describe_hardware, versions
from gan_lab.evaluation.reports.jobs import Job, job_rows, seed_rows


def called() -> str:
    """The command line of this training, without the paths of this machine; of a sweep's job, the job's own."""
    return training_command(HydraConfig.get().overrides.task if HydraConfig.initialized() else [])


def training_command(overrides: Sequence[str]) -> str:
    """The command line that trains with these overrides, without the paths of this machine."""
    keys = shown(overrides, command_named("train").request)
    return " ".join(filter(None, ["python -m gan_lab.train", keys]))


def sweep_record(jobs: Sequence[Job], overrides: Sequence[str]) -> dict[str, Any]:
    """The record of a sweep: the command, its table, metrics over seeds, hardware and versions."""
    device = torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
    rows = [{key: cell for key, cell in row.items() if key != "run"} for row in job_rows(jobs)]
    made_by = {"hardware": describe_hardware(device), "versions": versions(), "date": date.today().isoformat()}
    return {"command": training_command(["-m", *overrides]), "jobs": rows, "seeds": seed_rows(jobs), **made_by}
