"""Makes an archive of thin checkpoints, one for each case of the tests: ``python tests/old_checkpoints/make.py 1``.

The archive of a format is made once, by the last version that writes it, and is kept: every later version must load
each checkpoint and give the same outputs (``tests/test_old_checkpoints.py``). Weights are functions of their names, in
few levels, so that the archive is small.
"""

import hashlib
import io
import json
import sys
import tarfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import torch
from cases import CASES, NARROW, limited, plain
from fitting import fit
from outputs import outputs_of, summary

FOLDER = Path(__file__).parent
LEFT_OUT = ("optimizer_states", "lr_schedulers", "loops", "callbacks")
WHOLE = "model=dcgan"  # this one can be resumed as well


def filled(name: str, tensor: torch.Tensor) -> torch.Tensor:
    """Sixteen levels drawn by the name, in the range of an initialised layer; integers stay as they are."""
    if not tensor.is_floating_point():
        return tensor
    seed = int.from_bytes(hashlib.blake2b(f"{name} {[*tensor.shape]}".encode(), digest_size=7).digest(), "little")
    levels = (
        torch.randint(16, tensor.shape, generator=torch.Generator().manual_seed(seed)).to(tensor.dtype) / 8 - 0.9375
    )
    fan_in = tensor[0].numel() if tensor.ndim > 1 else 1
    return 1 + levels / 2 if tensor.ndim < 2 and not name.endswith("bias") else levels * (2 / fan_in) ** 0.5


def main(version: str) -> None:
    with tarfile.open(FOLDER / f"format{version}.tar.xz", "w:xz", preset=9) as archive:
        for case in CASES:
            configuration = plain(
                case, "/nowhere/run", *limited(4), "precision=32-true", *NARROW.get(" ".join(case), [])
            )
            trainer, model = fit(configuration)
            model.load_state_dict({name: filled(name, value) for name, value in model.state_dict().items()})
            trainer.save_checkpoint(FOLDER / "made.ckpt")
            checkpoint = torch.load(FOLDER / "made.ckpt", weights_only=True)
            (FOLDER / "made.ckpt").unlink()
            for key in LEFT_OUT if " ".join(case) != WHOLE else ():
                checkpoint.pop(key, None)
            found = {name: summary(value) for name, value in outputs_of(model).items()}
            add(
                archive,
                f"{' '.join(case)}.json",
                json.dumps({"configuration": configuration, "outputs": found}).encode(),
            )
            buffer = io.BytesIO()
            torch.save(checkpoint, buffer)
            add(archive, f"{' '.join(case)}.ckpt", buffer.getvalue())
            print(" ".join(case), flush=True)


def add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    archive.addfile(info, io.BytesIO(content))


if __name__ == "__main__":
    main(sys.argv[1])
