"""The work of one of several processes, in a module that they can import."""

from pathlib import Path

from gan_lab.common.errors import UserError


def everything(run, cyclegan, photos, folder, device):
    """Samples, measures and translates into a folder."""
    from gan_lab.evaluate import evaluate
    from gan_lab.sample import sample
    from gan_lab.translate import translate

    folder, device = Path(folder), f"device={device}"
    keys = ["n=11", "batch_size=4", "single=true", f"output={folder}/samples"]
    sample.run(f"checkpoint={run}", device, *keys)
    keys = ["n=64", "batch_size=16", "metrics=standard", f"output={folder}/figures"]
    evaluate.run(f"checkpoint={run}", device, *keys)
    keys = [f"input={photos}", f"output={folder}/photos", "sheet=true"]
    translate.run(f"checkpoint={cyclegan}", device, *keys)


def refuse(device):
    raise UserError("There is no such thing: give another.")
