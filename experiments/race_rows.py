"""The rows of race.py: a script of another project, as published, and gan_lab's command for the same work."""

import gzip
import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

DISTINCT = 100
"""JPEGs of a folder that differ: decoding is what takes time, not reading."""


@dataclass(frozen=True)
class Row:
    """A training step of two programs.

    Args:
        peer: the script, relative to the folder of checkouts or one of ``files``, and its arguments; {data} stands for
            the folder of the data, {peers} for that of the checkouts.
        ours: overrides of ``gan_lab.train``.
        batch: examples in an iteration, of both.
        draws: writes the data into a folder.
        place: where the script is started, in a folder of its own.
        link: where it looks for the data, in this folder, if it takes no path.
        path: the checkout that must be importable.
        files: what the script finds where it starts.
        steps: steps of the first optimizer in an iteration, of both.
    """

    peer: Sequence[str]
    ours: Sequence[str]
    batch: int
    draws: Callable[[Path], None]
    place: str = "."
    link: str | None = None
    path: str | None = None
    files: dict[str, str] = field(default_factory=dict)
    steps: int = 1


def photographs(folder: Path) -> None:
    """Writes 12,800 JPEGs into one class, as torchvision's ImageFolder wants it: 200 batches an epoch."""
    _draw(folder / "all", 12800, size=(178, 218))


def two_domains(folder: Path) -> None:
    for number, name in enumerate(("trainA", "trainB", "testA", "testB")):
        _draw(folder / name, 1000 if name.startswith("train") else 8, seed=number)


def pairs(folder: Path) -> None:
    """Writes JPEGs whose halves are a pair, as the repository's aligned data are."""
    for number, name in enumerate(("train", "test")):
        _draw(folder / name, 1000 if name == "train" else 8, seed=number, size=(512, 256))


def streets(folder: Path) -> None:
    """Writes photographs and label maps of 12 classes, with as many outlines as CamVid's, in SPADE's layout, 128 px."""
    noise = np.random.default_rng(0)
    for split, count in (("train", 1000), ("val", 8)):
        _draw(folder / f"{split}_img", count, size=(128, 128))
        maps = folder / f"{split}_label"
        maps.mkdir()
        for number in range(min(count, DISTINCT)):
            fields = [Image.fromarray(each).resize((128, 128), Image.Resampling.BICUBIC) for each in _coarse(noise)]
            Image.fromarray(np.stack([np.asarray(field) for field in fields]).argmax(0).astype(np.uint8)).save(
                maps / f"{number:05d}.png"
            )
        for number in range(DISTINCT, count):
            (maps / f"{number:05d}.png").hardlink_to(maps / f"{number % DISTINCT:05d}.png")


def _coarse(noise: np.random.Generator) -> np.ndarray[Any, np.dtype[np.float32]]:
    return noise.standard_normal((12, 6, 6), np.float32)


def three_domains(folder: Path) -> None:
    for number, split in enumerate(("train", "val")):
        for domain in range(3):
            _draw(folder / split / "abc"[domain], 1000 if split == "train" else 8, seed=3 * number + domain)


def _draw(folder: Path, count: int, seed: int = 0, size: tuple[int, int] = (256, 256)) -> None:
    """Writes JPEGs of a width and height; from the hundredth on they are links to the first hundred."""
    folder.mkdir(parents=True)
    noise, paths = np.random.default_rng(seed), [folder / f"{number:05d}.jpg" for number in range(count)]
    for number, path in enumerate(paths):
        if number >= DISTINCT:
            path.hardlink_to(paths[number % DISTINCT])
            continue
        small = Image.fromarray(noise.integers(0, 256, (size[1] // 16, size[0] // 16, 3), dtype=np.uint8))
        small.resize(size, Image.Resampling.BICUBIC).save(path, quality=90)


def enlargements(folder: Path) -> None:
    """Writes images of 480 px, and the same four times smaller, which BasicSR reads as pairs."""
    _draw(folder / "HR", 200, size=(480, 480))
    (folder / "LR").mkdir()
    for path in sorted((folder / "HR").iterdir()):
        with Image.open(path) as image:
            image.resize((120, 120), Image.Resampling.BICUBIC).save(folder / "LR" / path.name, quality=95)


def digits(folder: Path) -> None:
    """Writes files in MNIST's format with random digits: how fast a step is does not depend on them."""
    raw = folder / "MNIST" / "raw"
    raw.mkdir(parents=True)
    noise = np.random.default_rng(0)
    for name, count in (("train", 60000), ("t10k", 10000)):
        images = noise.integers(0, 256, (count, 28, 28), np.uint8)
        labels = noise.integers(0, 10, count, np.uint8)
        for kind, values, magic in (("images-idx3", images, 2051), ("labels-idx1", labels, 2049)):
            header = np.array([magic, *values.shape], ">i4").tobytes()
            (raw / f"{name}-{kind}-ubyte").write_bytes(header + values.tobytes())
            with gzip.open(raw / f"{name}-{kind}-ubyte.gz", "wb", compresslevel=1) as stream:
                stream.write(header + values.tobytes())


def clips(folder: Path) -> None:
    """Writes what OpenSTL reads for Moving MNIST: digits, and a few test clips."""
    digits(folder)
    target = folder / "moving_mnist"
    target.mkdir()
    shutil.copy(folder / "MNIST" / "raw" / "train-images-idx3-ubyte.gz", target)
    noise = np.random.default_rng(0)
    np.save(target / "mnist_test_seq.npy", noise.integers(0, 256, (20, 64, 64, 64), np.uint8))


TORCH_EXAMPLES, PYTORCH_GAN, CYCLEGAN, OPENSTL, BASICSR, REALESRGAN = (
    "examples", "PyTorch-GAN/implementations", "pytorch-CycleGAN-and-pix2pix", "OpenSTL", "BasicSR", "Real-ESRGAN",
)  # fmt: skip
LUCIDRAINS, ROSINALITY, LIGHTWEIGHT = "lucidrains-stylegan2", "stylegan2-pytorch", "lightweight-gan"
SPADE, STARGAN2 = "SPADE", "stargan-v2"
"""Checkouts; their owners are pytorch, eriklindernoren, junyanz, chengtan9907, XPixelGroup, xinntao, lucidrains (of
stylegan2-pytorch, in a folder of another name, and of lightweight-gan), rosinality, NVlabs (with sync_batchnorm, as its
README says) and clovaai.
"""

FOLDER = ["data=folder", "data.root={data}"]
MNIST = ["data=mnist", "data.root={data}", "data.size=28"]
ON_CPU = ["--gpu_ids", "-1", "--display_id", "-1", "--no_html", "--dataroot", "{data}"]
FORECAST = ["data=moving_digits", "data.root={data}", "batch_size=4", "model.network.maps=64", "model.network.layers=2"]


def _translation(model: str, side: int, *more: str) -> list[str]:
    load = str(round(side * 286 / 256))
    return [f"{CYCLEGAN}/train.py", *ON_CPU, "--model", model, "--load_size", load, "--crop_size", str(side), *more]


WITHOUT_GPU = """import runpy, sys, torch
torch.cuda.synchronize = lambda *_: None
sys.argv.pop(0)
runpy.run_path(sys.argv[0], run_name="__main__")
"""
"""OpenSTL's loop waits for a GPU even where it uses none."""


def _forecast(method: str) -> Row:
    """Two layers of 64 maps over patches of 4 px, four clips of 10 + 10 frames."""
    settings = {
        "method": method,
        "num_hidden": "64,64",
        "filter_size": 5,
        "stride": 1,
        "patch_size": 4,
        "layer_norm": 0,
    }
    settings |= {"reverse_scheduled_sampling": 0, "scheduled_sampling": 1, "sampling_stop_iter": 50000}
    settings |= {"sampling_start_value": 1.0, "sampling_changing_rate": 0.00002, "r_sampling_step_1": 25000}
    settings |= {"r_sampling_step_2": 50000, "r_exp_alpha": 5000, "lr": 5e-4, "batch_size": 4, "sched": "onecycle"}
    config = "".join(f"{key} = {value!r}\n" for key, value in settings.items())
    peer = ["without_gpu.py", "{peers}/OpenSTL/tools/train.py", "-d", "mmnist", "-m", method, "-b", "4"]
    peer += [
        "--device",
        "cpu",
        "--use_gpu",
        "",
        "--no_display_method_info",
        "--data_root",
        "{data}",
        "-c",
        "config.py",
        "--ex_name",
        "race",
    ]
    files = {"config.py": config, "without_gpu.py": WITHOUT_GPU}
    return Row(peer, [f"model={method.lower()}", *FORECAST], 4, clips, path=OPENSTL, files=files)


ENLARGEMENT = """name: race
model_type: SRModel
scale: 4
num_gpu: 0
manual_seed: 0
datasets:
  train:
    {name: drawn, type: PairedImageDataset, dataroot_gt: data/HR, dataroot_lq: data/LR, filename_tmpl: '{}',
     io_backend: {type: disk}, gt_size: 128, use_hflip: true, use_rot: true, num_worker_per_gpu: 6,
     batch_size_per_gpu: 16, dataset_enlarge_ratio: 100, prefetch_mode: ~}
network_g: {type: MSRResNet, num_in_ch: 3, num_out_ch: 3, num_feat: 64, num_block: 16, upscale: 4}
path: {pretrain_network_g: ~, param_key_g: params, strict_load_g: true, resume_state: ~}
train:
  ema_decay: 0.999
  optim_g: {type: Adam, lr: 2.0e-4, weight_decay: 0, betas: [0.9, 0.99]}
  scheduler: {type: CosineAnnealingRestartLR, periods: [250000, 250000, 250000, 250000],
              restart_weights: [1, 1, 1, 1], eta_min: 1.0e-7}
  total_iter: 1000000
  warmup_iter: -1
  pixel_opt: {type: L1Loss, loss_weight: 1.0, reduction: mean}
logger: {print_freq: 100, save_checkpoint_freq: 5.0e+3, use_tb_logger: true, wandb: {project: ~, resume_id: ~}}
dist_params: {backend: nccl, port: 29500}
"""
"""BasicSR's train_MSRResNet_x4.yml, with these data, without a GPU and without validation."""

ON_THE_CPU = """import inspect, json, sys, textwrap
from importlib import import_module
import torch

torch.Tensor.cuda = torch.nn.Module.cuda = lambda self, *_, **__: self
name, keys = sys.argv[1:]
available, torch.cuda.is_available = torch.cuda.is_available, lambda: True
program = import_module(name + ".cli")
torch.cuda.is_available = available
trainer = sys.modules[name + "." + name]
train = textwrap.dedent(inspect.getsource(trainer.Trainer.train)).replace("f'cuda:{self.rank}'", "'cpu'")
exec(train, trainer.__dict__)
trainer.Trainer.train = trainer.train
program.train_from_folder(**json.loads(keys))
"""
"""Runs programs that need a GPU without one: they assert that there is one, and move everything there."""

NARROW_ON_THE_CPU = """import sys, types
from pathlib import Path
import torch
import torch.utils.cpp_extension
from torchvision.datasets import ImageFolder

torch.utils.cpp_extension.load = lambda *_, **__: None  # their own operators for GPUs; the CPU's are in Python
place, data, *arguments = sys.argv[1:]
sys.path.insert(0, place)

class Images(ImageFolder):
    def __init__(self, path, transform, size):
        super().__init__(path, lambda image: transform(image.resize((size, size))))
    def __getitem__(self, index):
        return super().__getitem__(index)[0]

sys.modules["dataset"] = types.SimpleNamespace(MultiResolutionDataset=Images)
model = types.ModuleType("model")
narrow = Path(place, "model.py").read_text().replace(": 512,", ": 64,").replace("64: 256 *", "64: 32 *")
exec(compile(narrow.replace("128: 128 *", "128: 16 *"), "model.py", "exec"), model.__dict__)
sys.modules["model"] = model
sys.argv = ["train.py", data, *arguments]
train = Path(place, "train.py").read_text().replace('device = "cuda"', 'device = "cpu"')
train = train.replace(" range=(", " value_range=(")
exec(compile(train, "train.py", "exec"), {"__name__": "__main__"})
"""
"""Runs rosinality's training without a GPU, on a folder, with an eighth of the maps: 64 up to 64 px, 32 at 128 px."""


NARROW_DOMAINS = """import sys, types
from pathlib import Path

place, *arguments = sys.argv[1:]
sys.path.insert(0, place)
import core

core.model = sys.modules["core.model"] = types.ModuleType("core.model")
narrow = Path(place, "core", "model.py").read_text().replace("2**14 //", "2**11 //")
exec(compile(narrow.replace("max_conv_dim=512", "max_conv_dim=64"), "model.py", "exec"), core.model.__dict__)
sys.argv = ["main.py", *arguments]
exec(compile(Path(place, "main.py").read_text(), "main.py", "exec"), {"__name__": "__main__"})
"""
"""Runs StarGAN v2's training with an eighth of the maps: 32 at 64 px, and at most 64."""


def _lucidrains(side: int) -> Row:
    """The widths of capacity 8; gradient penalties at real and generated images every four iterations."""
    settings = {"image_size": side, "network_capacity": 8, "batch_size": 8, "gradient_accumulate_every": 1}
    keys = json.dumps({"data": "{data}", "num_workers": 1, "num_image_tiles": 1, **settings})
    ours = ["model=stylegan2", *FOLDER, f"data.size={side}", "batch_size=8", "model.path_length=0"]
    ours += [f"model.generator.base={16 * side}", f"model.discriminator.base={32 * side}"]
    ours += ["loss.penalties.r1.interval=4", "+loss.penalties.r2._target_=gan_lab.losses.penalties.R2"]
    ours += ["+loss.penalties.r2.interval=4"]
    peer = ["on_the_cpu.py", "stylegan2_pytorch", keys]
    return Row(peer, ours, 8, photographs, path=LUCIDRAINS, files={"on_the_cpu.py": ON_THE_CPU})


def _rosinality(side: int) -> Row:
    arguments = ["--size", str(side), "--batch", "8", "--n_sample", "4"]
    base = 64 * 64
    ours = ["model=stylegan2", *FOLDER, f"data.size={side}", "batch_size=8", f"model.generator.base={base}"]
    peer = ["narrow_on_the_cpu.py", f"{{peers}}/{ROSINALITY}", "{data}", *arguments]
    files = {"narrow_on_the_cpu.py": NARROW_ON_THE_CPU, "sample/.gitignore": "*", "checkpoint/.gitignore": "*"}
    return Row(peer, [*ours, "model.generator.most=64"], 8, photographs, files=files)


def _lightweight(side: int) -> Row:
    """No attention; widths of the generator as FastGAN's of base 32, but for the last one, which is half as wide."""
    settings = {"image_size": side, "batch_size": 8, "gradient_accumulate_every": 1, "attn_res_layers": []}
    keys = json.dumps({"data": "{data}", "num_workers": 1, "num_image_tiles": 3, "aug_prob": 0, **settings})
    ours = ["model=fastgan", *FOLDER, f"data.size={side}", "batch_size=8", "model.augment.diff=null"]
    ours += ["model.perceptual=null", "suggested.base=32", "suggested.discriminator_base=32"]
    peer = ["on_the_cpu.py", "lightweight_gan", keys]
    return Row(peer, ours, 8, photographs, path=LIGHTWEIGHT, files={"on_the_cpu.py": ON_THE_CPU})


def _spade() -> Row:
    """A quarter of the widths, label maps without objects, no perceptual loss: its weights are not ours."""
    peer = [f"{SPADE}/train.py", "--gpu_ids", "-1", "--no_html", "--name", "race", "--dataset_mode", "custom"]
    peer += ["--label_dir", "{data}/train_label", "--image_dir", "{data}/train_img", "--no_instance"]
    peer += ["--label_nc", "12", "--load_size", "128", "--crop_size", "128", "--batchSize", "4", "--ngf", "16"]
    peer += ["--ndf", "16", "--no_vgg_loss", "--norm_G", "spectralspadesyncbatch3x3", "--nThreads", "1"]
    ours = ["model=spade", "data=paired", "data.root={data}", "data.size=128", "data.load_size=128", "batch_size=4"]
    ours += ["data.domains.a.labels=12", "generator.filters=16", "discriminator.filters=16", "model.features=null"]
    return Row(peer, ours, 4, streets)


def _starganv2() -> Row:
    """Three domains at 64 px, an eighth of the published widths, at most 64 maps, no high-pass."""
    settings = {"img_size": 64, "num_domains": 3, "w_hpf": 0, "batch_size": 8, "val_batch_size": 8, "lambda_ds": 1}
    peer = ["narrow.py", f"{{peers}}/{STARGAN2}", "--mode", "train", "--num_workers", "1"]
    peer += ["--print_every", "1000000", "--sample_every", "1000000", "--eval_every", "1000000"]
    peer += ["--save_every", "1000000", "--train_img_dir", "{data}/train", "--val_img_dir", "{data}/val"]
    peer += [argument for key, value in settings.items() for argument in (f"--{key}", str(value))]
    ours = ["model=starganv2", "data=domains", "data.root={data}", "data.size=64", "batch_size=8"]
    ours += ["model.generator.base=2048", "model.generator.most=64"]
    return Row(peer, ours, 8, three_domains, steps=2, files={"narrow.py": NARROW_DOMAINS})


ROWS: dict[str, Row] = {
    "dcgan": Row(
        [f"{TORCH_EXAMPLES}/dcgan/main.py", "--dataset", "folder", "--dataroot", "{data}"],
        ["model=dcgan", *FOLDER, "data.size=64", "batch_size=64"], 64, photographs,
    ),
    "gan": Row(
        [f"{PYTORCH_GAN}/gan/gan.py"], ["model=gan", *MNIST, "batch_size=64"], 64, digits, "code/gan", "data/mnist",
    ),
    "wgan_gp": Row(
        [f"{PYTORCH_GAN}/wgan_gp/wgan_gp.py"], ["model=wgan_gp", "network=mlp", *MNIST, "batch_size=64"], 64, digits,
        "code/wgan_gp", "data/mnist",
    ),
    "vae": Row(
        [f"{TORCH_EXAMPLES}/vae/main.py"],
        ["model=vae", *MNIST, "batch_size=128", "likelihood=bernoulli", "data.binarize=dynamic", "coder.widths=[400]"],
        128, digits, "vae", "data", files={"results/.gitignore": "*"},
    ),
    "cyclegan_128": Row(
        _translation("cycle_gan", 128, "--netG", "resnet_6blocks"),
        ["model=cyclegan", "data=unpaired", "data.root={data}", "data.size=128"], 1, two_domains,
    ),
    "cyclegan_256": Row(
        _translation("cycle_gan", 256), ["model=cyclegan", "data=unpaired", "data.root={data}", "data.size=256"], 1,
        two_domains,
    ),
    "pix2pix_256": Row(
        _translation("pix2pix", 256, "--direction", "BtoA"),
        ["model=pix2pix", "data=paired", "data.root={data}", "data.size=256"], 1, pairs,
    ),
    "srresnet": Row(
        [f"{BASICSR}/basicsr/train.py", "-opt", "options.yml"],
        ["model=srresnet", "damage.factor=4", "data.root={data}/HR", "data.size=128", "batch_size=16"], 16,
        enlargements, link="data", path=BASICSR, files={"options.yml": ENLARGEMENT},
    ),
    **{f"stylegan2_{side}_lucidrains": _lucidrains(side) for side in (64, 128)},
    **{f"stylegan2_{side}_rosinality": _rosinality(side) for side in (64, 128)},
    **{f"fastgan_{side}": _lightweight(side) for side in (64, 128)},
    "spade_128": _spade(),
    "starganv2_64": _starganv2(),
    "convlstm": _forecast("ConvLSTM"),
    "predrnn": _forecast("PredRNN"),
}  # fmt: skip
