"""Measures restorers beside what needs no learning, and writes those that travel with the package.

    python experiments/restorers.py DATA --pack denoise=RUN deartifact=RUN superres=RUN
    python experiments/restorers.py DATA --output experiments/results/restorers.json

DATA has ``caltech101-subset``, on which the restorers were trained but for a tenth, and ``camvid``, which none has
seen. Images are crops of 128 px from the middle: all of that tenth, and of CamVid's 101 validation images.

- **denoise**: Gaussian noise of known strength (σ of 255); beside non-local means (Buades et al. 2005, OpenCV and
  scikit-image: the better of both counts) and BM3D (Dabov et al. 2007, the package of its authors). They get σ. BM3D
  takes minutes, and is measured at σ = 25 alone.
- **deartifact**: Pillow's JPEGs with colours at half size.
- **superres**: twice and four times, from Pillow's bicubic reduction; PSNR of the brightness Y without the border, as
  the field does.
- **inpaint**: strokes of medium width; beside the mean colour of the known pixels, Telea's method (2004, OpenCV) and
  biharmonic filling (Damelin and Hoang 2018, scikit-image). ``fd_general`` is the Fréchet distance of all fillings from
  the clean images, in our general features; known pixels must come back as they are.

Baselines need ``pip install scikit-image opencv-python-headless bm3d``. All are timed on one thread.
"""

import argparse
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw

import gan_lab
from gan_lab.common.device import describe_hardware, versions
from gan_lab.common.images import to_float
from gan_lab.data.damage.draws import Draws
from gan_lab.data.damage.masks import Strokes, Unknown
from gan_lab.data.damage.noise import GaussianNoise
from gan_lab.data.presets import restoration
from gan_lab.evaluation.features.general import General
from gan_lab.evaluation.features.perceptual import ColourDistance, PairMetric, ssim
from gan_lab.evaluation.metrics.frechet import frechet_distance
from gan_lab.evaluation.metrics.reconstruction import psnr
from gan_lab.evaluation.metrics.restoration import inner, of_brightness
from gan_lab.inference.packaged import FOLDER
from gan_lab.inference.restoring import PhotoRestorer
from gan_lab.training.checkpoint import read
from gan_lab.training.weights_file import write_weights

Pixels = NDArray[np.uint8]
"""An image (H, W, 3), or (H, W, 4) with 255 at known pixels and 0 at others."""
Way = Callable[[Pixels], Pixels]

SIDE = 128
SIGMAS, QUALITIES, FACTORS = (15, 25, 50), (10, 20, 40), (2, 4)
RESULTS = Path(__file__).parent / "results"
BM3D_SIGMA = 25
"""It takes three minutes a megapixel, so it is measured once."""
SOURCE = "Caltech 101 (Li, Andreeto, Ranzato and Perona 2022, CaltechDATA, CC BY 4.0): 760 photographs of seven classes"
SHOWN = 4
"""Images of a row of the picture."""


def held_out(data: Path) -> list[Pixels]:
    """Returns the crops of Caltech's photographs that training leaves out."""
    keys: dict[str, Any] = {"name": "restoration", "channels": 3, "size": SIDE, "batch_size": 1}
    module = restoration(str(data / "caltech101-subset"), None, "data", 1, 1, GaussianNoise(), **keys)
    module.prepare_data()
    module.setup("test")
    return [image.permute(1, 2, 0).numpy() for part in module.images("test") for image in part]


def unseen(data: Path) -> list[Pixels]:
    """Returns crops of CamVid's validation images."""
    crops = []
    for path in sorted((data / "camvid" / "val_img").glob("*.jpg")):
        image = Image.open(path).convert("RGB")
        left, top = (image.width - SIDE) // 2, (image.height - SIDE) // 2
        crops.append(np.asarray(image.crop((left, top, left + SIDE, top + SIDE))))
    return crops


def restorer(path: Path) -> Way:
    """Returns what a model makes of an image."""
    model = PhotoRestorer(gan_lab.load(path))

    def restored(image: Pixels) -> Pixels:
        planes = torch.from_numpy(image.transpose(2, 0, 1).copy())
        known = planes[3:] // 255 if len(planes) == 4 else None
        return model(planes[:3], known).numpy().transpose(1, 2, 0)

    return restored


# What is damaged, and what needs no learning.


def noisy(image: Pixels, number: int, sigma: float) -> Pixels:
    return GaussianNoise(sigma)(image.transpose(2, 0, 1), Draws(7, number)).pixels.transpose(1, 2, 0).copy()


def jpeg(image: Pixels, quality: int) -> Pixels:
    stream = BytesIO()
    Image.fromarray(image).save(stream, "JPEG", quality=quality, subsampling=2)
    return np.asarray(Image.open(stream))


def resized(image: Pixels, factor: float, method: Image.Resampling) -> Pixels:
    size = round(image.shape[1] * factor), round(image.shape[0] * factor)
    return np.asarray(Image.fromarray(image).resize(size, method))


def denoisers(sigma: float) -> dict[str, Way]:
    import bm3d
    import cv2
    from skimage.restoration import denoise_nl_means

    def scikit(image: Pixels) -> Pixels:
        found = denoise_nl_means(
            image / 255, patch_size=5, patch_distance=6, h=0.6 * sigma / 255, sigma=sigma / 255, channel_axis=2
        )
        return rounded(found * 255)

    cv2.setNumThreads(1)
    found: dict[str, Way] = {
        "non-local means, OpenCV": lambda image: cv2.fastNlMeansDenoisingColored(image, None, sigma, sigma, 7, 21),
        "non-local means, scikit-image": scikit,
    }
    slow: dict[str, Way] = {"BM3D": lambda image: rounded(bm3d.bm3d_rgb(image / 255, sigma / 255) * 255)}
    return found | (slow if sigma == BM3D_SIGMA else {})


def with_holes(image: Pixels, number: int) -> Pixels:
    strokes = Unknown({"medium": Strokes((0.04, 0.1), (0.1, 0.4), (1, 4), (2, 8))})
    made = strokes(image.transpose(2, 0, 1), Draws(7, number))
    assert made.known is not None
    return np.concatenate([made.pixels, 255 * made.known]).transpose(1, 2, 0).copy()


def fillers() -> dict[str, Way]:
    import cv2
    from skimage.restoration import inpaint_biharmonic

    def mean(image: Pixels) -> Pixels:
        filled, known = image[..., :3].copy(), image[..., 3] > 0
        filled[~known] = np.rint(filled[known].mean(0))
        return filled

    def biharmonic(image: Pixels) -> Pixels:
        return rounded(inpaint_biharmonic(image[..., :3] / 255, image[..., 3] == 0, channel_axis=2) * 255)

    def telea(image: Pixels) -> Pixels:
        return cv2.inpaint(np.ascontiguousarray(image[..., :3]), 255 - image[..., 3], 3, cv2.INPAINT_TELEA)

    return {"mean": mean, "Telea": telea, "biharmonic": biharmonic}


def rounded(values: NDArray[np.floating]) -> Pixels:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


# Measuring


def compare(clean: Sequence[Pixels], damaged: Sequence[Pixels], ways: Mapping[str, Way], border: int) -> dict[str, Any]:
    """Returns by way the mean PSNR, SSIM and perceptual distance, the Fréchet distance, and seconds a megapixel of the
    result.
    """
    distance, whole, features = ColourDistance(), tensors(clean), General()
    found: dict[str, Any] = {}
    for name, way in ways.items():
        began = time.process_time()
        made = [way(image) for image in damaged]
        seconds = time.process_time() - began
        pair = [inner(images, border) for images in (tensors(made), whole)]
        metrics: dict[str, PairMetric] = {
            "psnr": psnr,
            "psnr_y": of_brightness(psnr),
            "ssim": ssim,
            "pd_colour": distance,
        }
        with torch.no_grad():
            found[name] = {key: round(float(metric(*pair).mean()), 4) for key, metric in metrics.items()}
            own, real = (features(bytes_of(images))[0].double() for images in (made, clean))
            found[name]["fd_general"] = round(frechet_distance(real, own), 2)
        found[name]["seconds_per_megapixel"] = round(seconds / (len(made) * whole[0, 0].numel() / 1e6), 3)
        print(f"    {name}: {found[name]}", flush=True)
    return found


def bytes_of(images: Sequence[Pixels]) -> torch.Tensor:
    """Returns images (H, W, 3) as uint8 (N, 3, H, W)."""
    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2)


def tensors(images: Sequence[Pixels]) -> torch.Tensor:
    return to_float(bytes_of(images))


Task = tuple[str, list[Pixels], dict[str, Way], int]
"""Its name, damaged images, ways, and the width of the border that is left out."""


def tasks(clean: Sequence[Pixels], models: Mapping[str, Path]) -> Iterator[Task]:
    """Yields what is measured of the given models."""
    for sigma in SIGMAS if "denoise" in models else ():
        damaged = [noisy(image, number, sigma) for number, image in enumerate(clean)]
        ways = {"noisy": as_it_is, **denoisers(sigma), "gan_lab": restorer(models["denoise"])}
        yield f"denoise, σ = {sigma}", damaged, ways, 0
    for quality in QUALITIES if "deartifact" in models else ():
        damaged = [jpeg(image, quality) for image in clean]
        yield (
            f"deartifact, quality {quality}",
            damaged,
            {"JPEG": as_it_is, "gan_lab": restorer(models["deartifact"])},
            0,
        )
    if "inpaint" in models:
        damaged = [with_holes(image, number) for number, image in enumerate(clean)]
        yield "inpaint, medium strokes", damaged, {**fillers(), "gan_lab": restorer(models["inpaint"])}, 0
    for factor in FACTORS:
        own = {name: path for name, path in models.items() if name.startswith("superres") and factor_of(name) == factor}
        ways = {
            name: enlarged(factor, method)
            for name, method in (("bicubic", Image.Resampling.BICUBIC), ("Lanczos", Image.Resampling.LANCZOS))
        }
        ways |= {f"gan_lab {name}": restorer(path) for name, path in own.items()}
        if own:
            damaged = [resized(image, 1 / factor, Image.Resampling.BICUBIC) for image in clean]
            yield f"superres ×{factor}", damaged, ways, factor


def factor_of(name: str) -> int:
    """Returns 4 for superres_x4 and its kind, 2 for superres."""
    return 4 if "x4" in name else 2


def enlarged(factor: int, method: Image.Resampling) -> Way:
    return lambda image: resized(image, factor, method)


def as_it_is(image: Pixels) -> Pixels:
    return image


def picture(clean: Sequence[Pixels], found: Sequence[Task]) -> Image.Image:
    """Draws for each task a few images: damaged, by each way, and clean."""
    rows = []
    for name, damaged, ways, _ in found:
        for number in [int((i + 0.5) * len(clean) / SHOWN) for i in range(SHOWN)]:
            made = {each: way(damaged[number]) for each, way in ways.items()} | {"clean": clean[number]}
            rows.append((name, made))
    columns, label = max(len(made) for _, made in rows), 14
    sheet = Image.new("RGB", (columns * (SIDE + 4), len(rows) * (SIDE + label)), "white")
    for row, (name, made) in enumerate(rows):
        for column, (way, image) in enumerate(made.items()):
            place = column * (SIDE + 4), row * (SIDE + label)
            told = f"{name}: {way}" if column == 0 else way
            ImageDraw.Draw(sheet).text(place, told.replace("σ", "s").replace("×", "x"), fill="black")
            sheet.paste(Image.fromarray(image[..., :3]), (place[0], place[1] + label))
    return sheet


def pack(path: Path, run: Path) -> None:
    """Writes the averaged weights of a run in half precision."""
    write_weights(read(run), path, torch.float16, photographs=SOURCE)
    path.chmod(0o644)
    print(f"{path}: {path.stat().st_size / 1e6:.2f} MB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--pack", nargs="+", metavar="NAME=RUN", help="write these into the package, and end")
    parser.add_argument("--models", nargs="+", metavar="NAME=FILE", default=[], help="others, such as superres_x4=…")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="measure these alone; other results in the file stay")
    parser.add_argument("--count", type=int, help="images of each set (default: all)")
    parser.add_argument("--output", type=Path, default=RESULTS / "restorers.json")
    arguments = parser.parse_args()
    if arguments.pack:
        FOLDER.mkdir(exist_ok=True)
        for item in arguments.pack:
            name, _, run = item.partition("=")
            pack(FOLDER / f"{name}.safetensors", Path(run))
        return
    torch.set_num_threads(1)
    models = {path.stem: path for path in sorted(FOLDER.glob("*.safetensors"))}
    models |= {name: Path(path) for name, _, path in (item.partition("=") for item in arguments.models)}
    record: dict[str, Any] = {"sets": {}}
    if arguments.only:
        models = {name: models[name] for name in arguments.only}
        record = json.loads(arguments.output.read_text())
        if record["hardware"] != describe_hardware(torch.device("cpu")) or arguments.count:
            raise SystemExit("The results in the file are of another machine or count: measure all again.")
    record |= {"hardware": describe_hardware(torch.device("cpu")), "versions": versions(), "side": SIDE}
    record["date"] = date.today().isoformat()
    for name, read_images in (("Caltech 101, held out", held_out), ("CamVid", unseen)):
        clean = read_images(arguments.data)[: arguments.count]
        record["sets"].setdefault(name, {"tasks": {}})["images"] = len(clean)
        every = list(tasks(clean, models))
        for task, damaged, ways, border in every:
            print(f"{name}, {len(clean)} images, {task}", flush=True)
            record["sets"][name]["tasks"].setdefault(task, {}).update(compare(clean, damaged, ways, border))
        arguments.output.write_text(json.dumps(record, indent=1) + "\n")
        if read_images is held_out:  # their licence lets anybody show them
            picture(clean, every).save(arguments.output.with_suffix(".png" if not arguments.only else ".only.png"))


if __name__ == "__main__":
    main()
