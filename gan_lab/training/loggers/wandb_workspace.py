"""The workspace that Weights & Biases shows a project in: sections of panels, made by code and not by hand."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from gan_lab.common.atomic import atomic_write
from gan_lab.common.errors import UserError
from gan_lab.training.loggers.wandb_connection import lack

PLACED = ("adversarial", "grad_norm", "accuracy", "real", "fake")
"""What terms of a phase begin with that have panels of their own; all others, a user's own too, are losses."""


def unlike(words: Iterable[str]) -> str:
    """A regular expression of what begins with none of these words, alone or before an underscore: RE2, in which W&B
    reads it, knows no lookahead.
    """
    rests: dict[str, list[str]] = {}
    for word in words:
        rests.setdefault(word[:1], []).append(word[1:])
    ended = rests.pop("", None) is not None
    ways = [f"[^{''.join(rests)}{'_' * ended}]", *(f"{letter}{unlike(rest)}" for letter, rest in rests.items())]
    return f"({'|'.join(ways if ended else [*ways, '$'])})"


CURVES: Mapping[str, Mapping[str, str]] = {
    "losses": {
        "Adversarial losses": "^train/[^/]+/adversarial(_|$)",
        "Penalties and other terms": f"^train/[^/]+/{unlike(PLACED)}",
    },
    "fidelity": {
        "Fréchet distance, while training": "^metric_[a-z]+/quick_(fd|fid)",
        "Fréchet distance, at the end": "^metric_[a-z]+/(fd|fid)",
        "Kernel distance": "^metric_[a-z]+/(quick_)?(kd|kid)",
        "Score": "^metric_[a-z]+/(quick_)?(cs|is)_",
        "Precision, recall, density, coverage": "^metric_[a-z]+/(quick_)?(precision|recall|density|coverage)",
        "Modes": "^metric_[a-z]+/(quick_)?(modes|good)",
        "Cycles and identity": "^metric_[a-z]+/(quick_)?(cycle|identity)",
    },
    "health": {
        "Gradient norms": "^train/[^/]+/grad_norm(_|$)",
        "Critic: share of right calls": "^train/[^/]+/accuracy(_|$)",
        "Critic: mean logits": "^train/[^/]+/(real|fake)(_|$)",
        "Distance of averaged from live networks": "^health/ema_distance_",
        "Spread of what is made, of real pictures 1": "^health/spread_",
        "Domains confused": "^confusion/",
    },
    "system": {
        "Images per second": "^perf/images_per_second",
        "Share of time that waits for data": "^perf/data_share",
        "Peak memory in GiB": "^perf/peak_memory_gib",
    },
}
"""By section and title, regular expressions (RE2) of the figures' names: each method logs its own."""

ORDER = ("losses", "fidelity", "pictures", "health", "system")
PICTURES, TABLE = ("samples", "interpolation", "confusion"), "metrics"


def workspace(project: str, entity: str | None, name: str) -> Any:
    """The workspace, a ``wandb_workspaces.workspaces.Workspace``; nothing is sent.

    Raises:
        UserError: without the package.
    """
    try:
        from wandb_workspaces import workspaces as ws
        from wandb_workspaces.reports import v2 as wr
    except ImportError as error:
        raise UserError("Workspaces need wandb-workspaces: run pip install gan_lab[dashboard].") from error
    panels: dict[str, list[Any]] = {
        section: [wr.LinePlot(title=title, x="images", metric_regex=regex) for title, regex in curves.items()]
        for section, curves in CURVES.items()
    }
    panels["pictures"] = [wr.MediaBrowser(title=key, media_keys=[key], num_columns=1) for key in PICTURES]
    panels["fidelity"].append(wr.WeavePanelSummaryTable(table_name=TABLE))
    by_images = ws.SectionPanelSettings(x_axis="images")
    sections = [
        ws.Section(name=section, panels=panels[section], is_open=True, panel_settings=by_images) for section in ORDER
    ]
    settings = ws.WorkspaceSettings(x_axis="images")
    return ws.Workspace(entity=entity or "", project=project, name=name, sections=sections, settings=settings)


def write(project: str, entity: str | None, name: str, path: str) -> str:
    """Writes the workspace's specification as JSON, without a network; returns the path.

    Raises:
        UserError: without the package.
    """
    spec = workspace(project, entity, name)._to_model().spec.model_dump(mode="json", by_alias=True, exclude_none=True)
    told = {"entity": entity, "project": project, "name": name, "spec": spec}
    with atomic_write(Path(path), sync=False) as beside:
        beside.write_text(json.dumps(told, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return path


def save(project: str, entity: str | None, name: str) -> str:
    """Makes the workspace in the project; returns its address.

    Raises:
        UserError: without the package, a key or a network, and where the server refuses.
    """
    made = workspace(project, entity, name)
    if lacking := lack(10.0):
        raise UserError(f"No workspace is made, since {lacking}; output=workspace.json writes it down without either.")
    try:
        import wandb

        made.entity = entity or wandb.Api(timeout=20).default_entity
        made.save()
    except Exception as error:
        first = next(iter(str(error).splitlines()), type(error).__name__).rstrip(".")
        raise UserError(f"No workspace is made, since W&B refused it: {first}.") from error
    return str(made.url)
