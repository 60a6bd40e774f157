"""The work of one of several processes, in a module that they can import."""

from pathlib import Path

from gan_lab.common.errors import UserError


def everything(plain):
    """Samples, measures and translates into a folder."""
    from gan_lab import evaluating, translating
    from gan_lab.cli.config.compose import compose
    from gan_lab.inference import sampling as inference

    folder, run, device = Path(plain["folder"]), plain["run"], f"device={plain['device']}"
    keys = ["n=11", "batch_size=4", "single=true", f"output={folder}/samples"]
    inference.sample(compose([f"checkpoint={run}", device, *keys], "sample"))
    keys = ["n=64", "batch_size=16", "metrics=standard", f"output={folder}/figures"]
    evaluating.evaluate(compose([f"checkpoint={run}", device, *keys], "evaluate"))
    keys = [f"input={plain['photos']}", f"output={folder}/photos", "sheet=true"]
    translating.translate(compose([f"checkpoint={plain['cyclegan']}", device, *keys], "translate"))


def refuse(plain):
    raise UserError("There is no such thing: give another.")
