"""A Weights & Biases workspace for a project: sections of panels, defined in code instead of by hand."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gan_lab.common.atomic import atomic_write
from gan_lab.common.errors import UserError
from gan_lab.training.loggers.wandb_connection import missing_requirement

if TYPE_CHECKING:
    from wandb_workspaces.workspaces import Workspace

PLACED = ("adversarial", "grad_norm", "accuracy", "real", "fake")
"""First words of terms that have panels of their own; all other terms, a user's own too, count as losses."""


def not_starting_with(words: Iterable[str]) -> str:
    """Returns a regular expression for names that are none of the words and start with none followed by "_".

    It needs no lookahead, which RE2, W&B's syntax, does not have.
    """
    rests: dict[str, list[str]] = {}
    for word in words:
        rests.setdefault(word[:1], []).append(word[1:])
    word_ends = rests.pop("", None) is not None
    branches = [f"[^{''.join(rests)}{'_' * word_ends}]"]
    branches += [f"{letter}{not_starting_with(rest)}" for letter, rest in rests.items()]
    return f"({'|'.join(branches if word_ends else [*branches, '$'])})"


CURVES: Mapping[str, Mapping[str, str]] = {
    "losses": {
        "Adversarial losses": "^train/[^/]+/adversarial(_|$)",
        "Penalties and other terms": f"^train/[^/]+/{not_starting_with(PLACED)}",
    },
    "fidelity": {
        "Fréchet distance, while training": "^metric_[a-z]+/quick_(fd|fid)(_|$)",
        "Fréchet distance, at the end": "^metric_[a-z]+/(fd|fid)(_|$)",
        "Distance over that of held-out real images": "^metric_[a-z]+/(quick_)?fdr_",
        "Sliced transport of features": "^metric_[a-z]+/(quick_)?mind_",
        "Kernel distance": "^metric_[a-z]+/(quick_)?(kd|kid)",
        "Score": "^metric_[a-z]+/(quick_)?(cs|is)_",
        "Precision, recall, density, coverage": "^metric_[a-z]+/(quick_)?(precision|recall|density|coverage)",
        "Modes": "^metric_[a-z]+/(quick_)?(modes|good)",
        "Cycles and identity": "^metric_[a-z]+/(quick_)?(cycle|identity)",
    },
    "health": {
        "Gradient norms": "^train/[^/]+/grad_norm(_|$)",
        "Discriminator: accuracy": "^train/[^/]+/accuracy(_|$)",
        "Discriminator: mean logits": "^train/[^/]+/(real|fake)(_|$)",
        "Distance of EMA from live networks": "^health/ema_distance_",
        "Spread of samples relative to real images": "^health/spread_",
        "Checkerboards relative to real images": "^health/checkerboard_",
        "Translations: likeness to and structure of the input": "^health/(likeness|structure)_",
        "Translations: colours relative to real images": "^health/colour_",
        "Discriminators on real and translated images": "^confusion/",
    },
    "system": {
        "Images per second": "^perf/images_per_second",
        "Share of time waiting for data": "^perf/data_share",
        "Peak memory in GiB": "^perf/peak_memory_gib",
    },
}
"""Regular expressions (RE2) of metric names by section and title; methods log different metrics."""

ORDER = ("losses", "fidelity", "images", "health", "system")
IMAGES, TABLE = ("samples", "interpolation", "confusion"), "metrics"


def workspace(project: str, entity: str | None, name: str) -> "Workspace":
    """Builds the workspace, a ``wandb_workspaces.workspaces.Workspace``, without sending it.

    Raises:
        UserError: if the package wandb-workspaces is not installed.
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
    panels["images"] = [wr.MediaBrowser(title=key, media_keys=[key], num_columns=1) for key in IMAGES]
    panels["fidelity"].append(wr.WeavePanelSummaryTable(table_name=TABLE))
    by_images = ws.SectionPanelSettings(x_axis="images")
    sections = [
        ws.Section(name=section, panels=panels[section], is_open=True, panel_settings=by_images) for section in ORDER
    ]
    settings = ws.WorkspaceSettings(x_axis="images")
    return ws.Workspace(entity=entity or "", project=project, name=name, sections=sections, settings=settings)


def write(project: str, entity: str | None, name: str, path: str) -> str:
    """Writes the workspace's specification as JSON, without a network, and returns the path.

    Raises:
        UserError: if the package wandb-workspaces is not installed.
    """
    spec = workspace(project, entity, name)._to_model().spec.model_dump(mode="json", by_alias=True, exclude_none=True)
    content = {"entity": entity, "project": project, "name": name, "spec": spec}
    with atomic_write(Path(path), sync=False) as temporary:
        temporary.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return path


def save(project: str, entity: str | None, name: str) -> str:
    """Creates the workspace in the project and returns its address.

    Raises:
        UserError: if the package, a key or a network is missing, or if the server refuses.
    """
    created = workspace(project, entity, name)
    if missing := missing_requirement(10.0):
        raise UserError(f"No workspace is created, since {missing}; output=workspace.json writes it to a file instead.")
    try:
        import wandb

        created.entity = entity or wandb.Api(timeout=20).default_entity or ""
        created.save()
    except Exception as error:
        first_line = next(iter(str(error).splitlines()), type(error).__name__).rstrip(".")
        raise UserError(f"No workspace is created, since W&B refused it: {first_line}.") from error
    return str(created.url)
