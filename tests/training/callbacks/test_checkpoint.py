"""What ``best.ckpt`` is chosen by."""

from types import SimpleNamespace

import torch

from gan_lab.training.callbacks.checkpoint import Checkpoint


def test_the_best_value_of_another_metric_is_forgotten(tmp_path, caplog):
    kept, saved = Checkpoint(str(tmp_path)), []
    kept.load_state_dict({"every": kept.every.state_dict(), "best": 1.37, "name": "quick_fd_grey"})
    strategy = SimpleNamespace(reduce_boolean_decision=lambda value, all: value)
    trainer = SimpleNamespace(
        strategy=strategy, should_stop=False, save_checkpoint=lambda path, **_: saved.append(path)
    )
    for value in (60.0, 70.0, 50.0):
        trainer.callback_metrics = {"quick_fd_general": torch.tensor(value)}
        kept.on_train_batch_end(trainer, SimpleNamespace(iteration=1, images_seen=1))
    assert saved == 2 * [tmp_path / "best.ckpt"]
    assert kept.summary() == {"name": "quick_fd_general", "value": 50.0}
