"""Translates a large image at once or in exact tiles; prints by how many bytes the peak memory rose."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))  # for the script; pytest has it

import torch
from translators import Model, generator

from gan_lab.common.domains import Domain
from gan_lab.inference.translation import Tiling, Translator


def peak() -> int:
    """Peak memory of this process; getrusage would begin with the parent's memory at the fork."""
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) << 10


def main(tile: int, side: int, output: Path) -> None:
    torch.set_num_threads(1)
    model = Model(generator(blocks=1))
    coarse = torch.randint(256, (1, 3, 16, 16)).float()
    picture = torch.nn.functional.interpolate(coarse, (side, side))[0].to(torch.uint8)
    Translator(model, "a2b", tiling=Tiling(32))(picture[:, :64, :64])  # what every process needs once
    with output.open("wb") as file:

        class Kept(Domain):
            """Writes the numbers of the result, as they come, before they are rounded."""

            def decode(self, images):
                for row in images[0].transpose(0, 1):
                    file.write(row.contiguous().numpy().tobytes())
                return super().decode(images)

        model.domains["b"] = Kept()
        before = peak()
        Translator(model, "a2b", tiling=Tiling(tile or None, folder=output.parent))(picture)
        print(peak() - before)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
