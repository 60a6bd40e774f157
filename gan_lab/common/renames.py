"""What earlier versions called things: for their checkpoints, for users' code, and for what users type.

A checkpoint carries a ``format`` number. ``upgrade`` brings the plain containers of an older one to the present format
before anything in it is trusted or built. The tables below are the only place that knows old names.
"""

from collections.abc import Mapping
from typing import Any

FORMAT = 2

MODULES = {
    "atomic": "common.atomic",
    "augment": "training.augment",
    "build": "common.instantiate",
    "callbacks.checkpoint": "training.callbacks.checkpoint",
    "callbacks.collapse": "training.callbacks.collapse",
    "callbacks.confusion": "training.callbacks.confusion",
    "callbacks.every": "training.callbacks.every",
    "callbacks.fidelity": "training.callbacks.fidelity",
    "callbacks.health": "training.callbacks.health",
    "callbacks.measure": "evaluation.evaluators.base",
    "callbacks.measure_clips": "evaluation.evaluators.clips",
    "callbacks.measure_samples": "evaluation.evaluators.samples",
    "callbacks.measure_translations": "evaluation.evaluators.translations",
    "callbacks.measures": "evaluation.evaluators.select",
    "callbacks.progress": "training.callbacks.progress",
    "callbacks.protocol": "evaluation.reports.protocol",
    "callbacks.pruning": "training.callbacks.pruning",
    "callbacks.samples": "training.callbacks.samples",
    "callbacks.sheets": "inference.sheets",
    "callbacks.throughput": "training.callbacks.throughput",
    "capabilities": "common.capabilities",
    "compose": "cli.config.compose",
    "configuration": "cli.config.checks",
    "core.adversary": "losses.objective",
    "core.alternating": "training.alternating",
    "core.ancestry": "models.bases.ancestral",
    "core.autoencoder": "models.bases.autoencoder",
    "core.budget": "training.budget",
    "core.checkpoint": "training.checkpoint",
    "core.ema": "training.ema",
    "core.gan": "models.bases.gan",
    "core.latents": "models.bases.latents",
    "core.noise": "training.noise",
    "core.pool": "training.image_pool",
    "core.sampling": "models.bases.sampling",
    "core.schedules": "training.schedules",
    "core.translation": "models.bases.translation",
    "data.animals": "data.sources.animals",
    "data.archives": "data.reading.archives",
    "data.arrays": "data.sources.arrays",
    "data.batches": "data.loading.batches",
    "data.binary": "data.loading.binary",
    "data.cache": "data.loading.cache",
    "data.clips": "data.modules.clips",
    "data.decoding": "data.reading.decoding",
    "data.domains": "data.sources.domains",
    "data.download": "data.reading.download",
    "data.drawn": "data.sources.drawn",
    "data.edges": "data.sources.edges",
    "data.files": "data.reading.files",
    "data.folders": "data.sources.folders",
    "data.frames": "data.reading.frames",
    "data.loader": "data.loading.keyed",
    "data.module": "data.modules.images",
    "data.moving": "data.sources.moving",
    "data.pictures": "data.reading.pictures",
    "data.points": "data.modules.points",
    "data.recordings": "data.sources.recordings",
    "data.scenes": "data.reading.scenes",
    "data.sides": "data.loading.splits",
    "data.threads": "data.reading.threads",
    "data.torchvision_sets": "data.sources.torchvision_sets",
    "data.translation": "data.modules.translation",
    "data.video": "data.sources.recording_files",
    "domains": "common.domains",
    "editing.blending": "inference.tiling.blending",
    "editing.fixed": "inference.tiling.fixed",
    "editing.interpolation": "inference.interpolation",
    "editing.maps": "inference.tiling.maps",
    "editing.parts": "inference.tiling.parts",
    "editing.pixels": "inference.tiling.pixels",
    "editing.sequences": "inference.clip_rows",
    "editing.sheet": "inference.sheet_page",
    "editing.tiling": "inference.tiling.tiling",
    "editing.translation": "inference.translation",
    "editing.traversal": "inference.traversal",
    "errors": "common.errors",
    "fit": "training.fit",
    "image_files": "common.image_files",
    "imaging": "common.images",
    "inputs": "cli.inputs",
    "loggers": "training.loggers",
    "loggers.csv": "training.loggers.csv",
    "loggers.showing": "training.loggers.showing",
    "loggers.tensorboard": "training.loggers.tensorboard",
    "loggers.wandb": "training.loggers.wandb",
    "machine": "common.device",
    "metrics.backbones": "evaluation.features.backbones",
    "metrics.cache": "evaluation.cache",
    "metrics.classwise": "evaluation.metrics.classwise",
    "metrics.clips": "evaluation.metrics.clips",
    "metrics.confidence": "evaluation.metrics.classifier_confidence",
    "metrics.diversity": "evaluation.metrics.diversity",
    "metrics.exhibits": "evaluation.gallery",
    "metrics.extractors": "evaluation.features.extractors",
    "metrics.fidelity": "evaluation.results",
    "metrics.frechet": "evaluation.metrics.frechet",
    "metrics.gathering": "evaluation.statistics",
    "metrics.gaussian": "evaluation.metrics.gaussian_baseline",
    "metrics.inception": "evaluation.features.inception",
    "metrics.infinity": "evaluation.metrics.frechet_infinity",
    "metrics.kernel": "evaluation.metrics.kernel",
    "metrics.latents": "evaluation.metrics.latents",
    "metrics.likelihood": "evaluation.metrics.likelihood",
    "metrics.modes": "evaluation.metrics.modes",
    "metrics.neighbours": "evaluation.metrics.precision_recall",
    "metrics.path_length": "evaluation.metrics.path_length",
    "metrics.perceptual": "evaluation.features.perceptual",
    "metrics.pixels": "evaluation.metrics.image_statistics",
    "metrics.prediction": "evaluation.metrics.prediction",
    "metrics.probes": "evaluation.model_metric",
    "metrics.reconstruction": "evaluation.metrics.reconstruction",
    "metrics.score": "evaluation.metrics.score",
    "metrics.sources": "evaluation.image_sets",
    "metrics.steadiness": "evaluation.metrics.digit_consistency",
    "metrics.suite": "evaluation.suite",
    "metrics.tables": "evaluation.feature_table",
    "metrics.translation": "evaluation.metrics.translation",
    "metrics.usefulness": "evaluation.metrics.classification_accuracy",
    "mixtures": "common.mixtures",
    "networks.coders": "networks.vae",
    "networks.deviation": "networks.minibatch_stddev",
    "networks.ladder": "networks.hierarchical_vae",
    "networks.raster": "networks.masked_conv",
    "overrides": "cli.config.overrides",
    "paths": "cli.config.paths",
    "photos": "data.reading.images",
    "precision": "common.precision",
    "progress": "common.progress",
    "ranks": "common.distributed",
    "reports.charts": "evaluation.reports.charts",
    "reports.compare": "evaluation.reports.compare",
    "reports.history": "evaluation.reports.history",
    "reports.index": "evaluation.reports.index",
    "reports.jobs": "evaluation.reports.jobs",
    "reports.pages": "evaluation.reports.pages",
    "reports.plots": "evaluation.reports.plots",
    "reports.report": "evaluation.reports.report",
    "reports.run": "evaluation.reports.run",
    "reports.sweep": "evaluation.reports.sweep",
    "resume": "training.resume",
    "runs": "common.runs",
    "runtime": "training.trainer",
    "spoken": "cli.errors",
    "translate_files": "inference.translate_files",
    "types": "common.types",
}
"""Modules of format 1, below ``gan_lab``, and where they are now."""

NAMES = {
    "core.adversary.Adversary": "losses.objective.AdversarialObjective",
    "core.noise.Keyed": "training.noise.KeyedStream",
    "core.pool.Pool": "training.image_pool.ImagePool",
    "types.Terms": "common.types.Losses",
    "types.Drawn": "common.types.Shared",
    "types.Noise": "common.types.RandomStream",
    "configuration.compose": "cli.config.compose.compose",
    "configuration.resolve": "cli.config.compose.resolve",
    "losses.penalties.over_ranks": "common.distributed.over_ranks",
    "metrics.clips.anew": "data.clip_subsets.anew",
    "metrics.clips.shared_clips": "data.clip_subsets.shared_clips",
    "metrics.clips.spread": "data.clip_subsets.spread",
    "metrics.clips.spread_clips": "data.clip_subsets.spread_clips",
    "metrics.modes.Nearest": "common.mixtures.Nearest",
    "metrics.sources.PIXELS": "data.subsets.PIXELS",
    "metrics.sources.shared_blocks": "data.subsets.shared_blocks",
    "metrics.sources.some": "data.subsets.some",
    "metrics.sources.spread": "data.subsets.spread",
    "metrics.sources.spread_numbers": "data.subsets.spread_numbers",
    "metrics.translation.SPLIT": "inference.translation.SPLIT",
    "metrics.translation.ends": "inference.translation.ends",
    "metrics.translation.translated": "inference.translation.translated",
    "photos.FORMATS": "common.image_files.FORMATS",
    "photos.OPTIONS": "common.image_files.OPTIONS",
    "photos.TAGGED": "common.image_files.TAGGED",
    "photos.TRANSPARENT": "common.image_files.TRANSPARENT",
    "photos.ending": "common.image_files.ending",
    "photos.write": "common.image_files.write",
    "runtime.FOLDER": "training.resume.FOLDER",
    "runtime.NAMED": "training.resume.NAMED",
    "runtime.RESUMED": "training.resume.RESUMED",
    "runtime.checkpoint_in": "common.runs.checkpoint_in",
    "runtime.conclude": "training.fit.conclude",
    "runtime.is_first_process": "common.distributed.is_first_process",
    "runtime.place": "training.resume.place",
    "runtime.train": "training.fit.train",
    "types.Domain": "common.domains.Domain",
    "types.UserError": "common.errors.UserError",
    "types.palette": "common.domains.palette",
    "types.to_float": "common.images.to_float",
    "types.to_uint8": "common.images.to_uint8",
}
"""Classes and functions of format 1 that are not in the module's new place under their old name."""


ARGUMENTS = {
    "models": {
        "replay": "replay_pool",
        "fresh_for_generator": "new_batch_for_generator",
        "given": "context_frames",
        "feeding": "teacher_forcing",
    },
    "losses.penalties": {"every": "interval"},
}
"""Arguments of format 1, by the module, or the package, of the part that takes them; ``models`` has the model's."""

SCHEDULED = {"adversary.penalties": "objective.penalties", "feeding": "teacher_forcing"}
"""Beginnings of the names of scheduled quantities of format 1."""

CHOICES = {
    "metrics": {
        "looks": "image_statistics",
        "steadiness": "digit_consistency",
        "accuracy": "classification_accuracy",
    },
}
"""Choices of config groups that users may still type under their old names, by group and old name."""

KEYS = {f"{tier}.{old}": f"{tier}.{new}" for tier in ("metrics", "quick") for old, new in CHOICES["metrics"].items()}
"""Beginnings of config keys that users may still type under their old names."""

EXTRA_STATE = {"replay": "replay_pool"}
"""Entries of what format 1 called ``memories``."""


def renamed(path: str) -> str:
    """The present dotted path of a class or function that an earlier version named, or the path itself."""
    package, _, rest = path.partition(".")
    if package != "gan_lab":
        return path
    if rest in NAMES:
        return f"gan_lab.{NAMES[rest]}"
    module, _, name = rest.rpartition(".")
    return f"gan_lab.{MODULES[module]}.{name}" if module in MODULES else path


def upgrade(checkpoint: Mapping[str, Any]) -> dict[str, Any]:
    """A checkpoint's plain containers in the present format; those of the present one are returned as they are."""
    found = dict(checkpoint)
    if found["gan_lab"].get("format", 1) < 2:
        found["gan_lab"] = {**found["gan_lab"], "format": 2}
        found["gan_lab"] |= {key: _parts(found["gan_lab"][key]) for key in ("model", "data") if key in found["gan_lab"]}
        found["gan_lab"]["model"] = _model(found["gan_lab"]["model"])
        states = found.pop("memories", {})
        found["extra_state"] = {EXTRA_STATE.get(name, name): state for name, state in states.items()}
    return found


def _parts(node: Any) -> Any:
    """Nested containers, every ``_target_`` and its arguments under their present names."""
    if isinstance(node, list):
        return [_parts(value) for value in node]
    if not isinstance(node, Mapping):
        return node
    target = renamed(str(node.get("_target_", "")))
    names = next((table for module, table in ARGUMENTS.items() if target.startswith(f"gan_lab.{module}.")), {})
    found = {names.get(key, key) if target else key: _parts(value) for key, value in node.items()}
    return found | ({"_target_": target} if target else {})


def _model(node: Mapping[str, Any]) -> dict[str, Any]:
    """The model's own arguments, of a user's class too, and what its schedules name."""
    found = {ARGUMENTS["models"].get(key, key): value for key, value in node.items()}
    if isinstance(found.get("schedules"), Mapping):
        found["schedules"] = {_scheduled(name): value for name, value in found["schedules"].items()}
    return found


def _scheduled(name: str) -> str:
    old = next((old for old in SCHEDULED if name == old or name.startswith(f"{old}.")), "")
    return SCHEDULED[old] + name.removeprefix(old) if old else name
