"""Writes the tables of experiments/README.md from results/*.json and results/losses/*.json: `make results`."""

import json
import re
from math import sqrt
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from benches import raced, recomputed, scaled, timed
from markup import heading, line

HERE = Path(__file__).parent
MADE, END = "<!-- {}: made by experiments/table.py -->", "<!-- /{} -->"
"""Around what stands in the README of the project, by name."""

MARK = "<!-- made from results/*.json by table.py: what is below is not written by hand -->"

SEEDED = re.compile(r"_seed\d+$")
"""Ends the names of a result's repetitions."""

LIKELY = {"nll", "nll_elbo", "reconstruction_mse"}
"""Figures that autoencoders and autoregressive models have."""

KEYS = "predicted", "frames"
"""Of protocols: of what continues sequences, and of what makes them."""

MINUTES = "fashion_minutes"
"""The recipe that those of equal time stand on, DCGAN's own."""


def row(name: str, result: dict[str, Any]) -> str:
    measured = result["fidelity"]
    figures, protocol = measured["figures"], measured["protocol"]
    (extractor,) = protocol["extractors"].values()
    distance, score = extractor["distance"], extractor["score"]
    speed = result.get("throughput", {}).get("images_per_second")
    cells = [
        name,
        distance,
        f"**{figures[distance]:.2f}**",
        f"{figures[f'{distance}_gaussian']:.2f}",
        f"{figures[score]:.2f} ({figures[f'{score}_real']:.2f})" if score in figures else "",
        f"{protocol['samples']:,} / {protocol['real']:,} {protocol['split']}",
        f"{result['counters']['images_seen']:,}",
        f"{result['counters']['seconds'] / 60:.1f}",
        f"{speed:,.0f}" if speed else "",
        result["precision"],
    ]
    return line(*cells)


def sampled(runs: dict[str, Any]) -> list[str]:
    header = ["result", "figure", "samples", "pixel Gaussian", "score (real)", "N samples / real", "images", "minutes",
              "images/s", "precision"]  # fmt: skip
    return [*heading(header), *(row(*item) for item in runs.items()), ""]


def of_minutes(name: str) -> bool:
    return name.startswith("fashion_") and not name.startswith("fashion_mnist_")


def of_equal_time(runs: dict[str, Any]) -> list[str]:
    """The methods on Fashion-MNIST, the best first, and the Gaussian that all have to come below."""
    lines = heading(["six minutes on Fashion-MNIST", "networks", "fd_grey", "score", "parameters: G + D", "images"])
    for name, run in sorted(runs.items(), key=lambda each: each[1]["fidelity"]["figures"]["fd_grey"]):
        figures, family = run["fidelity"]["figures"], run["networks"]["generator"].split(".")[-2]
        sizes = " + ".join(f"{run['parameters'][network]:,}" for network in ("generator", "discriminator"))
        images = f"{run['counters']['images_seen']:,}"
        method = "dcgan" if name == MINUTES else name.removeprefix("fashion_")
        lines.append(line(method, family, f"**{figures['fd_grey']:.2f}**", f"{figures['cs_grey']:.2f}", sizes, images))
    gaussian = [f"{runs[MINUTES]['fidelity']['figures'][f'{of}_grey_gaussian']:.2f}" for of in ("fd", "cs")]
    return [*lines, line("pixel Gaussian", "", *gaussian, "", ""), ""]


def compared(runs: dict[str, Any]) -> list[str]:
    """The losses of `sweep=losses` over their seeds, the best first, each with a row of its first seed's samples."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for name, run in runs.items():
        groups.setdefault(SEEDED.sub("", name), []).append(run)
    lines = []
    for name, each in sorted(groups.items(), key=lambda item: mean(map(distance_of, item[1]))):
        values = [distance_of(run) for run in each]
        cells = [", ".join(f"{v:.2f}" for v in values), averaged(values)]
        picture = f"![{name}](results/losses/{name}_seed{each[0]['seed']}.png)"
        lines.append(line(name, *cells, picture))
    first = next(iter(runs.values()))
    header = [f"loss, {first['counters']['images_seen']:,} images", "fd_grey", "mean ± deviation", "samples"]
    gaussian = f"{first['fidelity']['figures']['fd_grey_gaussian']:.2f}"
    return [*heading(header), *lines, line("pixel Gaussian", "", gaussian, ""), ""]


def averaged(values: list[float]) -> str:
    """Mean and deviation; a single value has none."""
    return f"**{mean(values):.2f}**" + (f" ± {stdev(values):.2f}" if len(values) > 1 else "")


def distance_of(run: dict[str, Any]) -> float:
    return float(run["fidelity"]["figures"]["fd_grey"])


def repeated(runs: dict[str, Any]) -> list[str]:
    """Mean and deviation over seeds, and how far below the baseline of the same experiment."""
    groups: dict[str, list[float]] = {}
    for name, run in runs.items():
        if "fd_grey" in run["fidelity"]["figures"]:
            groups.setdefault(SEEDED.sub("", name), []).append(distance_of(run))
    groups = {name: values for name, values in groups.items() if len(values) > 1}
    lines = []
    for name, values in groups.items():
        base = MINUTES if of_minutes(name) else min((other for other in groups if name.startswith(other)), key=len)
        below = ["", ""]
        if base != name and base in groups:
            pooled = sqrt((stdev(values) ** 2 + stdev(groups[base]) ** 2) / 2)
            gap = mean(groups[base]) - mean(values)
            side = "below" if gap > 0 else "above"
            below = [f"{abs(gap) / mean(groups[base]):.0%} {side} {base}", f"{gap / pooled:.1f}"]
        cells = [name, ", ".join(f"{v:.2f}" for v in values), averaged(values), *below]
        lines.append(line(*cells))
    header = ["over seeds", "fd_grey", "mean ± deviation", "against", "gap in pooled deviations"]
    return [*heading(header), *lines, ""] if lines else []


def counted(runs: dict[str, Any]) -> list[str]:
    """Modes found where the modes are known."""
    header = ["result", "modes", "good samples", "KL from uniform", "samples", "images", "minutes"]
    lines = []
    for name, result in runs.items():
        figures, protocol = result["fidelity"]["figures"], result["fidelity"]["protocol"]
        modes = protocol["data"].get("modes", 1000)
        cells = [
            name, f"**{figures['modes']:.0f}** of {modes:,}", f"{figures['modes_good']:.1%}",
            f"{figures['modes_kl']:.3f}", f"{protocol['samples']:,}", f"{result['counters']['images_seen']:,}",
            f"{result['counters']['seconds'] / 60:.1f}",
        ]  # fmt: skip
        lines.append(line(*cells))
    return [*heading(header), *lines, ""]


def asked(runs: dict[str, Any]) -> list[str]:
    """Whether labels are heeded."""
    header = ["result", "figure", "whole", "mean within classes", "lowest", "highest", "samples of the label asked for",
              "real pictures of their own label"]  # fmt: skip
    lines = []
    for name, result in runs.items():
        figures = result["fidelity"]["figures"]
        (extractor,) = result["fidelity"]["protocol"]["extractors"].values()
        distance = extractor["distance"]
        each = [value for key, value in figures.items() if key.startswith(f"{distance}_class_")]
        cells = [
            name,
            distance,
            *(f"{v:.2f}" for v in (figures[distance], figures[f"{distance}_classes"], min(each), max(each))),
        ]
        cells += [
            f"**{figures[key]:.1%}**" if key in figures else "" for key in ("label_accuracy", "label_accuracy_real")
        ]
        lines.append(line(*cells))
    return [*heading(header), *lines, ""]


def explained(runs: dict[str, Any]) -> list[str]:
    """Likelihood beside distance: nats and bits of test pictures, exact or bounds, and what is made again of them."""
    header = ["result", "N test", "nats: exact", "bound", "bound by k draws", "same pictures, one draw", "bits a value"]
    header += [
        "KL",
        "active",
        "distance: samples",
        "reconstructions",
        "PSNR, dB",
        "`pd_colour`",
        "sharpness",
        "codebook in use",
    ]
    of_set = sorted(runs.items(), key=lambda item: str(item[1]["fidelity"]["protocol"]["data"]["name"]))
    return [*heading(header), *(line(name, *likely(result["fidelity"])) for name, result in of_set), ""]


def likely(measured: dict[str, Any]) -> list[str]:
    """The cells of one result."""
    figures, protocol = measured["figures"], measured["protocol"]
    (extractor,) = protocol["extractors"].values()
    told = protocol["metrics"].get("likelihood", {"n": 0, "k": 1})
    distance, many = extractor["distance"], f"nll_iw{told['k']}"
    subset = f" (k = {told['k']}, N = {told['n_weighted']:,})" if many in figures else ""
    bits = "bits" if "bits" in figures else "bits_elbo"
    shown = {"nll": ".2f", "nll_elbo": ".2f", many: ".2f", f"{many}_elbo": ".2f", bits: ".3f", "kl": ".1f",
             "active_units": ".0f", distance: ".2f", f"{distance}_reconstructed": ".2f", "reconstruction_psnr": ".1f",
             "reconstruction_pd_colour": ".3f", "reconstruction_sharpness": ".2f", "codebook_usage": ".0%"}  # fmt: skip
    cells = [f"{figures[key]:{how}}" if key in figures else "" for key, how in shown.items()]
    return [f"{told['n']:,}" if told["n"] else "", *cells[:2], cells[2] + subset, *cells[3:]]


def traded(runs: dict[str, Any]) -> list[str]:
    """`sweep=tradeoff`: rate and distortion by β, for each number of latents."""
    lines = []
    for name, run in runs.items():
        figures = run["fidelity"]["figures"]
        beta, latents = name.removeprefix("beta").split("_latent")
        nats = [f"{value:.1f}" for value in (figures["kl"], figures["nll_elbo"] - figures["kl"], figures["nll_elbo"])]
        lines.append((int(latents), float(beta), [*nats, f"{figures['active_units']:.0f}"]))
    header = ["latents", "β", "rate: KL", "distortion", "sum: bound in nats", "active"]
    return [*heading(header), *(line(str(latents), f"{beta:g}", *cells) for latents, beta, cells in sorted(lines)), ""]


def directions(name: str, result: dict[str, Any]) -> list[str]:
    """A row for each direction of a translating run."""
    measured, lines = result["fidelity"], []
    figures = measured["figures"]
    (extractor,) = measured["protocol"]["extractors"].values()
    distance, kernel = extractor["distance"], extractor["kernel"]
    for direction, counts in measured["protocol"]["directions"].items():
        three = [f"{distance}_{direction}{of}" for of in ("", "_untranslated", "_real")]
        kernels = [f"{kernel}_{direction}{of}" for of in ("", "_untranslated")]
        pairs = [figures.get(f"{figure}_{direction}") for figure in ("l1", "pd_colour")]
        cells = [
            name, direction, *(f"{figures[key]:.3f}" for key in three),
            *(f"{1000 * figures[key]:.2f} ± {1000 * figures[f'{key}_error']:.2f}" for key in kernels),
            *("" if value is None else f"{value:.3f}" for value in pairs), f"{counts['translated']} / {counts['real']}",
            f"{result['counters']['images_seen']:,}", f"{result['counters']['seconds'] / 60:.0f}",
        ]  # fmt: skip
        lines.append(line(*cells))
    return lines


def translated(runs: dict[str, Any]) -> list[str]:
    header = ["result", "direction", "fd_colour", "untranslated", "floor", "1000 · kd_colour", "untranslated",
              "L1", "pd_colour", "N made / real", "images", "minutes"]  # fmt: skip
    return [*heading(header), *(line for item in runs.items() for line in directions(*item)), ""]


def beside(figures: dict[str, float], key: str, how: str) -> str:
    """A figure, and those of the last frame again and of black frames."""
    if key not in figures:
        return ""
    made, *others = (format(figures[f"{key}{of}"], how) for of in ("", "_repeat", "_black"))
    return f"{made} ({', '.join(others)})"


def continued(runs: dict[str, Any]) -> list[str]:
    """Predictions of frames; in parentheses the last frame again, and black ones."""
    header = ["result", "squared error a frame (last frame again, black)", "of the last frame's", "absolute error",
              "SSIM", "PSNR, dB",
              "`pd_colour`", "`fd_video`", "frames", "test clips", "clips learned", "minutes"]  # fmt: skip
    lines = []
    for name, result in runs.items():
        figures, protocol = result["fidelity"]["figures"], result["fidelity"]["protocol"]
        shown = {"mse_a_frame": ".1f", "mae_a_frame": ".1f", "ssim": ".3f", "psnr": ".1f", "pd_colour": ".3f",
                 "fd_video": ".2f"}  # fmt: skip
        error, *others = (beside(figures, key, how) for key, how in shown.items())
        share = figures["mse_a_frame"] / figures["mse_a_frame_repeat"]
        cells = [
            name, f"**{error.replace(' (', '** (')}", f"{share:.2f}", *others,
            f"{protocol['given']} → {protocol['predicted']}", f"{protocol['clips']:,}",
            f"{result['counters']['images_seen']:,}", f"{result['counters']['seconds'] / 60:.0f}",
        ]  # fmt: skip
        lines.append(line(*cells))
    return [*heading(header), *lines, ""]


def animated(runs: dict[str, Any]) -> list[str]:
    """Sequences made from nothing."""
    header = ["result", "`fd_video`", "real clips' last frames", "black", "one digit throughout", "real clips",
              "sequences / real", "clips learned", "minutes"]  # fmt: skip
    lines = []
    for name, result in runs.items():
        figures, protocol = result["fidelity"]["figures"], result["fidelity"]["protocol"]
        three = [f"{figures[f'fd_video{end}']:.2f}" for end in ("", "_repeat", "_black")]
        steady = [f"{figures[key]:.1%}" if key in figures else "" for key in ("one_digit", "one_digit_real")]
        counts = f"{protocol['samples']:,} / {protocol['real']:,}"
        seen, minutes = f"{result['counters']['images_seen']:,}", f"{result['counters']['seconds'] / 60:.0f}"
        lines.append(line(name, f"**{three[0]}**", *three[1:], *steady, counts, seen, minutes))
    return [*heading(header), *lines, ""]


def segmented(results: dict[str, Any]) -> list[str]:
    """What a segmenter that was taught on real pictures finds in those that are made from label maps."""
    header = ["result", "mean IoU: real", "made", "made / real", "made, against another map", "test pictures",
              "hardware"]  # fmt: skip
    lines = []
    for name, result in results.items():
        real, made, other = (result["mean_iou"][key] for key in ("real", "made", "made_from_another_map"))
        cells = [f"{real:.3f}", f"{made:.3f}", f"**{result['made_over_real']:.2f}**", f"{other:.3f}"]
        lines.append(line(name, *cells, str(result["test_pictures"]), result["hardware"]))
    return [*heading(header), *lines, ""]


def searched(results: dict[str, Any]) -> list[str]:
    """The jobs of a search, in their order."""
    lines = []
    for name, result in results.items():
        kept = [key for key in result["jobs"][0] if key not in ("minutes", "error")]
        lines += heading([f"{name}: {kept[0]}", *kept[1:]])
        lines += [*(line(*(job[key] for key in kept)) for job in result["jobs"]), ""]
    return lines


def recorded(folder: str) -> dict[str, Any]:
    """The records in a folder by name."""
    return {path.stem: json.loads(path.read_text()) for path in sorted((HERE / folder).glob("*.json"))}


def main() -> None:
    results, losses, trades = recorded("results"), recorded("results/losses"), recorded("results/tradeoff")
    runs = {name: result for name, result in results.items() if "fidelity" in result}
    both = {name: run for name, run in runs.items() if "directions" in run["fidelity"]["protocol"]}
    modes = {name: run for name, run in runs.items() if "modes" in run["fidelity"]["figures"]}
    told = {name: run for name, run in runs.items() if any(f.endswith("_classes") for f in run["fidelity"]["figures"])}
    plane = {name for name, run in modes.items() if not run["fidelity"]["protocol"]["extractors"]}
    once = {name: run for name, run in runs.items() if not SEEDED.search(name)}
    minutes = {name: run for name, run in once.items() if of_minutes(name)}
    forecasts, clips = ({name: run for name, run in once.items() if key in run["fidelity"]["protocol"]} for key in KEYS)
    files = {
        f"{name} on {measured['protocol']['data']['test']}": {**runs[name], "fidelity": measured}
        for name, measured in recorded("results/test_file").items()
    }
    elsewhere = both.keys() | plane | forecasts.keys() | clips.keys()
    lines = sampled({name: run for name, run in once.items() if name not in elsewhere})
    lines += of_equal_time(minutes) if MINUTES in minutes else []
    lines += compared(losses) if losses else []
    latent = {name: run for name, run in once.items() if LIKELY & run["fidelity"]["figures"].keys()}
    lines += explained(latent) if latent else []
    lines += traded(trades) if trades else []
    lines += repeated(runs)
    lines += asked(told) if told else []
    lines += counted(modes) if modes else []
    lines += translated(both) if both else []
    lines += continued(dict(sorted({**forecasts, **files}.items()))) if forecasts else []
    lines += animated(clips) if clips else []
    lines += heading(["result", "command", "hardware"])
    lines += [f"| {name} | `{result['command']}` | {result['hardware']} |" for name, result in runs.items()]
    streets = {name: result for name, result in results.items() if "mean_iou" in result}
    lines += ["", *segmented(streets)] if streets else [""]
    benches = {name: result for name, result in results.items() if name.startswith("bench")}
    lines += [*raced(benches), *timed(benches)]
    for key, table in (("jobs", searched), ("scaling", scaled), ("memory", recomputed)):
        found = {name: result for name, result in results.items() if key in result}
        lines += table(found) if found else []
    readme = HERE / "README.md"
    text = readme.read_text().split(MARK)[0]
    readme.write_text(text + MARK + "\n\n" + "\n".join(lines).rstrip() + "\n")
    if "digits" in results:
        put("demo", demo(results["digits"]))
    put("likelihood", "\n".join(binarised(once)))


def binarised(runs: dict[str, Any]) -> list[str]:
    """What models of likelihood reach on MNIST, binarised once: the likeliest first."""
    rows = []
    for name, result in runs.items():
        figures, protocol = result["fidelity"]["figures"], result["fidelity"]["protocol"]
        nats = figures.get("nll", figures.get("nll_elbo"))
        if nats is None or not protocol["data"].get("binarize"):
            continue
        told = protocol["metrics"]["likelihood"]
        many = figures.get(f"nll_iw{told['k']}")
        cells = [f"{nats:.2f} ({'exact' if 'nll' in figures else 'bound'})"]
        cells += [
            f"{many:.2f} (k = {told['k']})" if many else "",
            f"{figures.get('bits', figures.get('bits_elbo')):.3f}",
        ]
        cells += [f"{figures['fd_grey']:.2f}", f"{result['counters']['seconds'] / 60:.0f}"]
        rows.append((nats, line(f"[{name}](experiments/recipe/{name}.yaml)", *cells)))
    header = ["recipe", "-log p(x) in nats", "by k draws, on some", "bits a value", "`fd_grey` of samples", "minutes"]
    return [*heading(header), *(cells for _, cells in sorted(rows))]


def put(name: str, text: str) -> None:
    """Writes what is between the marks of that name in the README of the project."""
    readme = HERE.parent / "README.md"
    before, mark, rest = readme.read_text().partition(MADE.format(name))
    _, end, after = rest.partition(END.format(name))
    readme.write_text(f"{before}{mark}\n{text}\n{end}{after}")


def demo(result: dict[str, Any]) -> str:
    """The sentence of the first screen."""
    measured = result["fidelity"]
    figures, protocol = measured["figures"], measured["protocol"]
    return (
        f"`fd_grey` **{figures['fd_grey']:.2f}** over {protocol['samples']:,} samples against {protocol['real']:,} "
        f"pictures of the training split (a Gaussian fitted to the pixels: {figures['fd_grey_gaussian']:.2f}),\n"
        f"after {result['counters']['seconds']:.0f} s on {result['hardware']}."
    )


if __name__ == "__main__":
    main()
