"""Measures exports: how near ONNX files are to their models, for every model, and how fast they run on a CPU.

Parity: every ``conf/model``, with the small networks and images of the tests, is exported to ONNX; differences are
taken at two sizes (CycleGAN: four) where the graph takes any, and two batch sizes. Weights are drawn so that maps keep
their scale: those of untrained networks would make images near 0, and small differences. Speed: a network of each
family at its usual width, on one thread, ONNX Runtime against torch's fp32 in the model's own memory layout: medians of
interleaved turns, in processor time, which other programs on the machine change little. Each row is written when it is
there, and rows that a file has already are left alone.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from gan_lab.cli.config.compose import compose, resolve
from gan_lab.common.device import describe_hardware
from gan_lab.common.errors import UserError
from gan_lab.common.instantiate import instantiate
from gan_lab.inference.export.exporting import export
from gan_lab.inference.export.graphs import Forward, Graph
from gan_lab.inference.export.onnx_files import OnnxGraph
from gan_lab.inference.export.pictures import Pictures
from gan_lab.training.alternating import to_channels_last
from gan_lab.training.model_folder import weights_of

sys.path.append(str(Path(__file__).parents[1] / "tests"))

FAMILIES: dict[str, Any] = {
    "transposed convolutions (dcgan)": (["model=dcgan"], 64, "generator"),
    "residual (r3gan)": (["model=r3gan"], 32, "generator"),
    "residual, class-conditional (biggan)": (["model=biggan", "data.classes=10"], 32, "generator"),
    "residual (sngan)": (["model=sngan"], 32, "generator"),
    "styles (stylegan2)": (["model=stylegan2"], 64, "synthesis", "generator.synthesis."),
    "skip layers (fastgan)": (["model=fastgan"], 64, "generator"),
    "ResNet translator (cyclegan)": (["model=cyclegan"], 128, "a2b", "a2b."),
    "U-Net (pix2pix)": (["model=pix2pix"], 256, "a2b"),
    "label maps (spade)": (["model=spade", "data.domains.a.labels=12"], 128, "a2b"),
    "domains (starganv2)": (["model=starganv2"], 64, "translate", "generator."),
    "denoising (denoise)": (["model=denoise"], 64, "restore"),
    "super-resolution (srresnet)": (["model=srresnet"], 32, "restore"),
    "Fourier convolutions (inpaint)": (["model=inpaint"], 64, "restore"),
    "style transfer (fast_style)": (["model=fast_style"], 128, "stylize"),
    "convolutional VAE (vae)": (["model=vae", "coder=conv"], 32, "decoder", "decoder."),
    "recurrent (convlstm)": (["model=convlstm"], 32, "predict"),
}
"""A model of each family at its usual width: overrides, side of the images, graph, beginning of its weights' names."""
BATCH, TURNS = 4, 7
KINDS = {
    "unpaired": "fake_unpaired", "paired": "fake_paired", "domains": "fake_domains", "frames": "fake_clips",
    "image": "fake",
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "results" / "export.json")
    parser.add_argument("--only", nargs="*", help="models of the parity table and families, by parts of their names")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    kept = json.loads(arguments.output.read_text()) if arguments.output.is_file() else {}
    record = {"parity": {}, "speed": {}, **kept, "hardware": describe_hardware(torch.device("cpu"), 1)}
    from cases import names

    rows = [("parity", name, lambda name=name: parity(name)) for name in names("model")]
    rows += [("speed", name, lambda given=given: speed(*given)) for name, given in FAMILIES.items()]
    for section, name, measure in rows:
        if name in record[section] or (arguments.only and not any(part in name for part in arguments.only)):
            continue
        record[section][name] = measure()
        print(section, name, record[section][name], flush=True)
        arguments.output.write_text(json.dumps(record, indent=1) + "\n")


def parity(name: str) -> dict[str, Any]:
    """Returns the differences of the graphs of an untrained model, or why they are not exported."""
    from cases import plain

    configuration = plain([f"model={name}"], "/nowhere/run")
    torch.manual_seed(0)
    model = instantiate(configuration["model"]).eval()
    excite(model)
    pictures, start = Pictures(configuration["data"].get("channels", 3)), time.process_time()
    sizes = 4 if name == "cyclegan" else 2
    with tempfile.TemporaryDirectory() as folder:
        try:
            graphs, found = export(model, Path(folder), "onnx", (16, 16), pictures, sizes=sizes, bound=float("inf"))
        except UserError as error:
            return {"error": str(error)}
        except Exception as error:  # another row may do better
            traceback.print_exc()
            return {"error": f"{type(error).__name__}: {error}"}
    rows = {
        graph.name: {
            "largest": max(each.largest for each in found if each.graph == graph.name),
            "mean": max(each.mean for each in found if each.graph == graph.name),
            "scale": max(each.scale for each in found if each.graph == graph.name),
            "sizes": [[*size] for size in dict.fromkeys(each.size for each in found if each.graph == graph.name)],
            "sized": graph.sized,
            "note": graph.note,
        }
        for graph in graphs
    }
    return {"graphs": rows, "seconds": round(time.process_time() - start, 1)}


@torch.no_grad()
def excite(model: nn.Module) -> None:
    """Draws weights so that maps keep their scale from layer to layer, and biases that are not 0."""
    for weight in model.parameters():
        fan = weight[0].numel() if weight.ndim > 1 else 0
        if fan > 1:
            weight.normal_(0, fan**-0.5)
        elif weight.ndim == 1:
            weight.add_(0.1 * torch.randn_like(weight))


def speed(overrides: list[str], side: int, graph: str, prefix: str = "") -> dict[str, Any]:
    """Returns images a second of a graph in torch and in ONNX Runtime, and the sizes of its file and its weights."""
    data = KINDS.get(compose(overrides).data_kind)
    shown = [*([f"data={data}"] if data else []), f"data.size={side}"]
    shown += ["data.channels=3"] if data and data not in ("fake_unpaired", "fake_paired") else []
    configuration = resolve(compose([*shown, *overrides, "trainer=cpu", "logger=none", "run_dir=/nowhere"]))
    torch.manual_seed(0)
    model = instantiate(configuration["model"]).eval()
    if model.engine.channels_last:
        to_channels_last(model)
    with tempfile.TemporaryDirectory() as folder:
        (made,), found = export(model, Path(folder), "onnx", (side, side), Pictures(), [graph], n=BATCH)
        path = Path(folder) / f"{graph}.onnx"
        times = interleaved(model, made, OnnxGraph(path, threads=1))
        size = path.stat().st_size
    weights = sum(value.nbytes for name, value in weights_of(model).items() if name.startswith(prefix))
    rates = {name: BATCH / statistics.median(each) for name, each in times.items()}
    return {
        "graph": graph, "side": side, **{name: round(rate, 3) for name, rate in rates.items()},
        "ratio": round(rates["onnxruntime"] / rates["torch"], 2), "bytes": size, "weights": weights,
        "largest": max(each.largest for each in found),
    }  # fmt: skip


def interleaved(model: Any, graph: Graph, exported: Callable[..., Tensor]) -> dict[str, list[float]]:
    """Returns seconds of processor time of a batch, in turns after one that does not count."""
    forward = Forward(model, graph)
    inputs = forward.inputs(BATCH, graph.size)
    times: dict[str, list[float]] = {"torch": [], "onnxruntime": []}
    for turn in range(TURNS + 1):
        for name, run in (("torch", forward), ("onnxruntime", exported)):
            start = time.process_time()
            run(*inputs)
            if turn:
                times[name].append(time.process_time() - start)
    return times


if __name__ == "__main__":
    main()
