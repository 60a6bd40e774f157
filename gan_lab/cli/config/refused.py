"""Arguments of Lightning's trainer that do not work here."""

_LENGTH = "the budget sets the length of a run: give budget.images, budget.epochs or budget.minutes"
_MEASURING = "there is no validation loop: give callbacks.fidelity.every"
REFUSED = {
    "max_steps": "Lightning counts every optimizer's steps: give budget.images, budget.epochs or budget.minutes",
    "max_epochs": "the budget sets the length of a run: give budget.epochs",
    "min_epochs": _LENGTH,
    "min_steps": _LENGTH,
    "precision": "it has a key of its own: give precision",
    "logger": "loggers have a group of their own: give logger=none, or keys of logger",
    "callbacks": "callbacks have a group of their own: give callbacks=none, or keys of callbacks",
    "plugins": "checkpoints are written by a plugin of this program: leave it out",
    "default_root_dir": "the run's folder has a key of its own: give run_dir",
    "enable_checkpointing": "checkpoints are written by a callback: give callbacks.checkpoint=null for none",
    "enable_progress_bar": "the progress bar is a callback: give callbacks.progress=null for none",
    "use_distributed_sampler": "the loaders divide batches among devices themselves: leave it out",
    "log_every_n_steps": "it has a key of its own: give log_every",
    "val_check_interval": _MEASURING,
    "check_val_every_n_epoch": _MEASURING,
    "limit_val_batches": _MEASURING,
    "num_sanity_val_steps": _MEASURING,
    "gradient_clip_val": "Lightning cannot clip under manual optimisation: give model.engine.clip",
    "accumulate_grad_batches": "Lightning cannot accumulate under manual optimisation: give model.engine.micro_batches",
}
"""Arguments of Lightning's trainer that do not work here, and why."""
