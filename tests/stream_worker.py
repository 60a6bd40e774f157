"""One of two processes that train on shards: without a stop, and stopped and resumed in another loader process."""

import sys
from pathlib import Path

import torch
from cases import COMMON, limited
from fitting import fit
from lightning.pytorch import Callback

from gan_lab.cli.config.compose import compose, resolve

BATCH, ITERATIONS, STOP = 4, 16, 7


class Watch(Callback):
    """Notes a sum of the pixels of each batch, and saves a checkpoint in the middle of an epoch.

    Saving averages the buffers of both processes, so a run that goes on saves there too.
    """

    def __init__(self, path: Path, stop: bool = False) -> None:
        self.path, self.stop = path, stop
        self.sums: list[float] = []

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx) -> None:
        self.sums.append(float(batch["image"].double().sum()))

    def on_train_batch_end(self, trainer, pl_module, *_) -> None:
        if pl_module.iteration == STOP:
            trainer.save_checkpoint(self.path)
            trainer.should_stop = self.stop


def main(root: str, folder: Path) -> None:
    torch.set_num_threads(1)
    data = ["data=stream", f"data.root={root}", "data.size=16", "data.channels=3", "data.shuffle=6", "data.lanes=2"]
    model = ["model=dcgan", "model.generator.base=4", "model.discriminator.base=4", "trainer=ddp_cpu"]
    keys = [
        *model,
        *data,
        *COMMON,
        *limited(BATCH * ITERATIONS),
        "data.flip=true",
        "precision=32-true",
        "runs=/nowhere",
    ]
    whole, again = (resolve(compose([*keys, f"data.workers={workers}"])) for workers in (0, 1))
    seen, rest = Watch(folder / "whole.ckpt"), Watch(folder / "none.ckpt")
    trainer, straight = fit(whole, seen)
    fit(whole, Watch(folder / "part.ckpt", stop=True))
    _, resumed = fit(again, rest, resume=folder / "part.ckpt")
    assert rest.sums == seen.sums[STOP:] and len(seen.sums) == ITERATIONS, (seen.sums, rest.sums)
    states = straight.state_dict(), resumed.state_dict()
    assert states[0].keys() == states[1].keys()
    other = [name for name in states[0] if not torch.equal(states[0][name], states[1][name])]
    assert not other, other
    (folder / f"{trainer.global_rank}.txt").write_text(repr(seen.sums))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
