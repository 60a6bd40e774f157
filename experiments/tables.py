"""Tables of recorded runs, as lines of Markdown. Each function takes records (JSON as dicts) by their names."""

import re
from collections.abc import Sequence
from math import sqrt
from statistics import mean, stdev
from typing import Any

from markup import heading, line

Record = dict[str, Any]
Records = dict[str, Record]

SEEDED = re.compile(r"_seed\d+$")
"""Ends the names of runs that repeat another run with a different seed."""

MINUTES = "fashion_minutes"
"""The recipe that the other recipes of equal time extend: DCGAN's."""


def values(record: Record) -> dict[str, float]:
    """Returns the metrics of a run by name."""
    found: dict[str, float] = record["fidelity"]["figures"]
    return found


def protocol(record: Record) -> dict[str, Any]:
    """Returns the protocol that the metrics of a run were measured by."""
    found: dict[str, Any] = record["fidelity"]["protocol"]
    return found


def extractors(record: Record) -> list[dict[str, str]]:
    """Returns the names of the distance, the score and the kernel distance of each of the run's extractors."""
    return [dict(found) for found in protocol(record)["extractors"].values()]


def extractor(record: Record) -> dict[str, str]:
    """Returns those of the run's first extractor, by which its best checkpoint is chosen."""
    return extractors(record)[0]


def images_seen(record: Record) -> str:
    return f"{record['counters']['images_seen']:,}"


def minutes(record: Record, digits: int = 0) -> str:
    return f"{record['counters']['seconds'] / 60:.{digits}f}"


def fd_grey(record: Record) -> float:
    return float(values(record)["fd_grey"])


def mean_and_deviation(numbers: list[float]) -> str:
    """Returns the mean and the standard deviation; a single number has no deviation."""
    return f"**{mean(numbers):.2f}**" + (f" ± {stdev(numbers):.2f}" if len(numbers) > 1 else "")


def by_seedless_name(records: Records) -> dict[str, list[Record]]:
    """Groups runs that differ in their seed alone."""
    groups: dict[str, list[Record]] = {}
    for name, record in records.items():
        groups.setdefault(SEEDED.sub("", name), []).append(record)
    return groups


def samples(runs: Records) -> list[str]:
    """Returns one row for each run that generates images: distance, score, counts, speed."""
    header = ["result", "metric", "samples", "pixel Gaussian", "score (real)", "N samples / real", "images", "minutes",
              "images/s", "precision"]  # fmt: skip
    return [*heading(header), *(_sample_row(*item) for item in runs.items()), ""]


def _sample_row(name: str, run: Record) -> str:
    metrics, counts, names = values(run), protocol(run), extractor(run)
    distance, score = names["distance"], names["score"]
    speed = run.get("throughput", {}).get("images_per_second")
    cells = [
        distance,
        f"**{metrics[distance]:.2f}**",
        f"{metrics[f'{distance}_gaussian']:.2f}",
        f"{metrics[score]:.2f} ({metrics[f'{score}_real']:.2f})" if score in metrics else "",
        f"{counts['samples']:,} / {counts['real']:,} {counts['split']}",
        images_seen(run),
        minutes(run, digits=1),
        f"{speed:,.0f}" if speed else "",
        run["precision"],
    ]
    return line(name, *cells)


def laptop(runs: Records) -> list[str]:
    """Returns one row for each run with ``scale=laptop`` that generates images, in the features of ``general``."""
    header = ["result", "fd_general", "held-out (N)", "pixel Gaussian", "mind_general", "held-out", "fdr_general",
              "N samples / real", "images", "minutes", "images/s"]  # fmt: skip
    lines = []
    for name, run in runs.items():
        found, counts = values(run), protocol(run)
        ratio = found.get("fdr_general")  # left out where there are few held-out images
        cells = [
            f"**{found['fd_general']:.1f}**", f"{found['fd_general_real']:.1f} ({counts['held_out']['n']})",
            f"{found['fd_general_gaussian']:.1f}", f"{found['mind_general']:.1f}", f"{found['mind_general_real']:.1f}",
            f"{ratio:.2f}" if ratio else "", f"{counts['samples']:,} / {counts['real']:,}", images_seen(run),
            minutes(run), f"{run['throughput']['images_per_second']:,.0f}",
        ]  # fmt: skip
        lines.append(line(name, *cells))
    return [*heading(header), *lines, ""]


def styles(runs: Records) -> list[str]:
    """Returns one row for each model that gives photographs a style."""
    header = ["result", "style left", "content lost", "sum", "photographs / pictures", "images", "minutes", "images/s"]
    lines = []
    for name, run in runs.items():
        found, counts = values(run), protocol(run)
        cells = [f"{found[key]:.2f}" for key in ("style_left", "content_lost")]
        cells += [f"**{found['stylisation']:.2f}**", f"{counts['images']:,} / {counts['pictures']:,}", images_seen(run)]
        lines.append(line(name, *cells, minutes(run), f"{run['throughput']['images_per_second']:,.0f}"))
    return [*heading(header), *lines, ""]


def restorers(runs: Records) -> list[str]:
    """Returns one row for each model that restores photographs, with the result without a model in parentheses.

    All are measured on crops of the size of training, without the border that the protocol states.
    """
    header = ["result", "PSNR (dB)", "of Y", "SSIM", "pd_colour", "fd_general", "test crops (px)", "in parentheses",
              "images", "minutes", "images/s"]  # fmt: skip
    lines = []
    for name, run in runs.items():
        found = values(run)
        plain = next(way for way in ("bicubic", "mean", "damaged") if f"psnr_{way}" in found)
        digits = {"psnr": 2, "psnr_y": 2, "ssim": 3, "pd_colour": 3, "fd_general": 1}
        cells = [
            f"**{found[key]:.{n}f}** ({found[f'{key}_{plain}']:.{n}f})" if key in found else ""
            for key, n in digits.items()
        ]
        height, width = protocol(run)["data"]["size"]
        cells += [f"{protocol(run)['images']} ({height}×{width})", plain, images_seen(run), minutes(run)]
        lines.append(line(name, *cells, f"{run['throughput']['images_per_second']:,.0f}"))
    return [*heading(header), *lines, ""]


def is_laptop(name: str) -> bool:
    """Returns whether a run of this name was made with ``scale=laptop``."""
    return name.startswith("laptop_")


def has_equal_time(name: str) -> bool:
    """Returns whether a run is one of the methods that were trained for six minutes on Fashion-MNIST."""
    return name.startswith("fashion_") and not name.startswith("fashion_mnist_")


def equal_time(runs: Records) -> list[str]:
    """Returns the methods on Fashion-MNIST, the best first, and the pixel Gaussian that all must improve on."""
    lines = heading(["six minutes on Fashion-MNIST", "networks", "fd_grey", "score", "parameters: G + D", "images"])
    for name, run in sorted(runs.items(), key=lambda item: fd_grey(item[1])):
        family = run["networks"]["generator"].split(".")[-2]
        sizes = " + ".join(f"{run['parameters'][network]:,}" for network in ("generator", "discriminator"))
        method = "dcgan" if name == MINUTES else name.removeprefix("fashion_")
        score = f"{values(run)['cs_grey']:.2f}"
        lines.append(line(method, family, f"**{fd_grey(run):.2f}**", score, sizes, images_seen(run)))
    gaussian = [f"{values(runs[MINUTES])[f'{metric}_grey_gaussian']:.2f}" for metric in ("fd", "cs")]
    return [*lines, line("pixel Gaussian", "", *gaussian, "", ""), ""]


def losses(runs: Records) -> list[str]:
    """Returns the losses of ``sweep=losses``, the best mean over seeds first, each with samples of its first seed."""
    lines = []
    for name, group in sorted(by_seedless_name(runs).items(), key=lambda item: mean(map(fd_grey, item[1]))):
        distances = [fd_grey(run) for run in group]
        cells = [", ".join(f"{distance:.2f}" for distance in distances), mean_and_deviation(distances)]
        lines.append(line(name, *cells, f"![{name}](results/losses/{name}_seed{group[0]['seed']}.png)"))
    first = next(iter(runs.values()))
    header = [f"loss, {images_seen(first)} images", "fd_grey", "mean ± deviation", "samples"]
    gaussian = f"{values(first)['fd_grey_gaussian']:.2f}"
    return [*heading(header), *lines, line("pixel Gaussian", "", gaussian, ""), ""]


def emoji(runs: Records) -> list[str]:
    """Returns the generators of ``sweep=emoji``, the nearest in colour first, and what held-out drawings and a pixel
    Gaussian have.
    """
    keys = ("fd_colour", "fd_general", "kd_general", "precision_general", "recall_general", "authenticity_general")

    def row(name: str, group: Sequence[Record], suffix: str = "") -> list[str]:
        found = [[values(run)[f"{key}{suffix}"] for run in group if f"{key}{suffix}" in values(run)] for key in keys]
        return [name, *(f"{mean(each):.3g}" if each else "" for each in found)]

    def of_colour(item: tuple[str, list[Record]]) -> float:
        return mean(values(run)["fd_colour"] for run in item[1])

    lines = []
    for name, group in sorted(by_seedless_name(runs).items(), key=of_colour):
        picture = f"![{name}](results/emoji/{name}_seed{group[0]['seed']}.png)"
        lines.append(line(*row(name, group), str(len(group)), images_seen(group[0]), picture))
    first = [next(iter(runs.values()))]
    for name, suffix in (("held-out drawings", "_real"), ("pixel Gaussian", "_gaussian")):
        lines.append(line(*row(name, first, suffix), "", "", ""))
    names = ["fd_colour", "fd_general", "kd_general", "precision", "recall", "authenticity"]
    header = ["emoji, 40 minutes of one core", *names, "seeds", "images seen", "samples"]
    return [*heading(header), *lines, ""]


REMEDIES = ("plain", "diffaugment", "ada", "transfer", "freeze", "recipe")
"""What helps with few images, in the order of the table; ``sweep=few`` says what each is."""


def few(runs: Records) -> list[str]:
    """Returns the remedies of ``sweep=few`` on each set, and how far each is below a plain GAN in fd_general."""
    groups = by_seedless_name(runs)
    keys = ("fd_general", "fd_colour", "precision_general", "recall_general", "authenticity_general")
    lines = []
    for name, group in sorted(groups.items(), key=lambda item: _set_and_remedy(item[0])):
        (images, remedy), found = name.rsplit("_", 1), {key: mean(values(run)[key] for run in group) for key in keys}
        plain = [values(run)["fd_general"] for run in groups.get(f"{images}_plain", ())]
        below = f"{1 - found['fd_general'] / mean(plain):.0%}" if plain and remedy != "plain" else ""
        cells = [f"**{found['fd_general']:.0f}**", below, *(f"{found[key]:.3g}" for key in keys[1:]), str(len(group))]
        cells += [images_seen(group[0]), minutes(group[0])]
        lines.append(line(images, remedy, *cells, f"![{name}](results/few/{name}_seed{group[0]['seed']}.png)"))
    names = ["fd_general", "below plain", "fd_colour", "precision", "recall", "authenticity", "seeds"]
    header = ["200 images of", "remedy", *names, "images seen", "minutes", "samples"]
    return [*heading(header), *lines, ""]


def _set_and_remedy(name: str) -> tuple[str, int]:
    images, remedy = name.rsplit("_", 1)
    return images, REMEDIES.index(remedy)


def seeds(runs: Records) -> list[str]:
    """Returns mean and deviation over seeds, and the gap to the baseline of the same experiment."""
    measured = {name: run for name, run in runs.items() if "fd_grey" in values(run)}
    groups = {name: [*map(fd_grey, group)] for name, group in by_seedless_name(measured).items() if len(group) > 1}
    lines = []
    for name, distances in groups.items():
        baseline = MINUTES if has_equal_time(name) else min((base for base in groups if name.startswith(base)), key=len)
        gap = _gap(baseline, groups[baseline], distances) if baseline != name and baseline in groups else ["", ""]
        shown = ", ".join(f"{distance:.2f}" for distance in distances)
        lines.append(line(name, shown, mean_and_deviation(distances), *gap))
    header = ["over seeds", "fd_grey", "mean ± deviation", "against", "gap in pooled deviations"]
    return [*heading(header), *lines, ""] if lines else []


def _gap(baseline: str, before: list[float], after: list[float]) -> list[str]:
    pooled = sqrt((stdev(after) ** 2 + stdev(before) ** 2) / 2)
    gap = mean(before) - mean(after)
    return [f"{abs(gap) / mean(before):.0%} {'below' if gap > 0 else 'above'} {baseline}", f"{gap / pooled:.1f}"]


def modes(runs: Records) -> list[str]:
    """Returns the modes that were found, for data whose modes are known."""
    header = ["result", "modes", "good samples", "KL from uniform", "samples", "images", "minutes"]
    lines = []
    for name, run in runs.items():
        metrics, count = values(run), protocol(run)["data"].get("modes", 1000)
        cells = [
            f"**{metrics['modes']:.0f}** of {count:,}", f"{metrics['modes_good']:.1%}", f"{metrics['modes_kl']:.3f}",
            f"{protocol(run)['samples']:,}", images_seen(run), minutes(run, digits=1),
        ]  # fmt: skip
        lines.append(line(name, *cells))
    return [*heading(header), *lines, ""]


def labels(runs: Records) -> list[str]:
    """Returns how well conditional models generate the label that was asked for."""
    header = ["result", "metric", "whole", "mean within classes", "lowest", "highest",
              "samples of the requested label", "real images of their own label"]  # fmt: skip
    lines = []
    for name, run in runs.items():
        metrics, distance = values(run), extractor(run)["distance"]
        within = [value for key, value in metrics.items() if key.startswith(f"{distance}_class_")]
        distances = metrics[distance], metrics[f"{distance}_classes"], min(within), max(within)
        accuracy = [
            f"**{metrics[key]:.1%}**" if key in metrics else "" for key in ("label_accuracy", "label_accuracy_real")
        ]
        lines.append(line(name, distance, *(f"{value:.2f}" for value in distances), *accuracy))
    return [*heading(header), *lines, ""]


def likelihoods(runs: Records) -> list[str]:
    """Returns likelihoods of test images, exact or bounds, and the quality of reconstructions."""
    header = ["result", "N test", "nats: exact", "bound", "bound from k samples", "same images, one sample",
              "bits per value", "KL", "active", "distance: samples", "reconstructions", "PSNR, dB", "`pd_colour`",
              "sharpness", "codebook in use"]  # fmt: skip
    by_set = sorted(runs.items(), key=lambda item: str(protocol(item[1])["data"]["name"]))
    return [*heading(header), *(line(name, *_likelihood_cells(run)) for name, run in by_set), ""]


def _likelihood_cells(run: Record) -> list[str]:
    metrics, distance = values(run), extractor(run)["distance"]
    options = protocol(run)["metrics"].get("likelihood", {"n": 0, "k": 1})
    weighted = f"nll_iw{options['k']}"
    subset = f" (k = {options['k']}, N = {options['n_weighted']:,})" if weighted in metrics else ""
    bits = "bits" if "bits" in metrics else "bits_elbo"
    formats = {"nll": ".2f", "nll_elbo": ".2f", weighted: ".2f", f"{weighted}_elbo": ".2f", bits: ".3f", "kl": ".1f",
               "active_units": ".0f", distance: ".2f", f"{distance}_reconstructed": ".2f",
               "reconstruction_psnr": ".1f", "reconstruction_pd_colour": ".3f", "reconstruction_sharpness": ".2f",
               "codebook_usage": ".0%"}  # fmt: skip
    cells = [f"{metrics[key]:{form}}" if key in metrics else "" for key, form in formats.items()]
    return [f"{options['n']:,}" if options["n"] else "", *cells[:2], cells[2] + subset, *cells[3:]]


def binarised(runs: Records, recipes: str) -> list[str]:
    """Returns what models with a likelihood reach on MNIST, binarised once, the most likely first.

    Args:
        runs: records by name; others than these are left out.
        recipes: the path of the folder of recipes, as the page that shows the table links to it.
    """
    rows = []
    for name, run in runs.items():
        metrics = values(run)
        nats = metrics.get("nll", metrics.get("nll_elbo"))
        if nats is None or not protocol(run)["data"].get("binarize"):
            continue
        k = protocol(run)["metrics"]["likelihood"]["k"]
        weighted = metrics.get(f"nll_iw{k}")
        cells = [
            f"{nats:.2f} ({'exact' if 'nll' in metrics else 'bound'})",
            f"{weighted:.2f} (k = {k})" if weighted else "",
            f"{metrics.get('bits', metrics.get('bits_elbo')):.3f}",
            f"{fd_grey(run):.2f}",
            minutes(run),
        ]
        rows.append((nats, line(f"[{name}]({recipes}/{name}.yaml)", *cells)))
    header = ["recipe", "-log p(x) in nats", "from k samples, on some images", "bits per value", "`fd_grey` of samples",
              "minutes"]  # fmt: skip
    return [*heading(header), *(cells for _, cells in sorted(rows))]


def tradeoff(runs: Records) -> list[str]:
    """Returns rate and distortion by β for each number of latents, from ``sweep=tradeoff``."""
    lines = []
    for name, run in runs.items():
        metrics = values(run)
        beta, latents = name.removeprefix("beta").split("_latent")
        nats = [metrics["kl"], metrics["nll_elbo"] - metrics["kl"], metrics["nll_elbo"]]
        cells = [*(f"{value:.1f}" for value in nats), f"{metrics['active_units']:.0f}"]
        lines.append((int(latents), float(beta), cells))
    header = ["latents", "β", "rate: KL", "distortion", "sum: bound in nats", "active"]
    return [*heading(header), *(line(str(latents), f"{beta:g}", *cells) for latents, beta, cells in sorted(lines)), ""]


def translations(runs: Records) -> list[str]:
    """Returns a row for each direction and extractor of each run that translates."""
    header = ["result", "direction", "metric", "value", "untranslated", "floor", "1000 · kernel distance",
              "untranslated", "L1", "pd_colour", "N translated / real", "images", "minutes"]  # fmt: skip
    return [*heading(header), *(row for item in runs.items() for row in _directions(*item)), ""]


def _directions(name: str, run: Record) -> list[str]:
    metrics, lines = values(run), []
    for direction, counts in protocol(run)["directions"].items():
        pairs = [metrics.get(f"{metric}_{direction}") for metric in ("l1", "pd_colour")]
        for names in extractors(run):
            distance, kernel = names["distance"], names["kernel"]
            distances = [f"{distance}_{direction}{end}" for end in ("", "_untranslated", "_real")]
            kernels = [f"{kernel}_{direction}{end}" for end in ("", "_untranslated")]
            cells = [
                name, direction, distance, *(f"{metrics[key]:.3f}" for key in distances),
                *(_thousandfold(metrics, key) for key in kernels),
                *("" if value is None else f"{value:.3f}" for value in pairs),
                f"{counts['translated']} / {counts['real']}", images_seen(run), minutes(run),
            ]  # fmt: skip
            lines.append(line(*cells))
    return lines


def _thousandfold(metrics: dict[str, float], key: str) -> str:
    return f"{1000 * metrics[key]:.2f} ± {1000 * metrics[f'{key}_error']:.2f}" if key in metrics else ""


def predictions(runs: Records) -> list[str]:
    """Returns the errors of predicted frames, with the two baselines in parentheses: last frame repeated, and black."""
    header = ["result", "squared error per frame (last frame repeated, black)", "of the last frame's", "absolute error",
              "SSIM", "PSNR, dB", "`pd_colour`", "`fd_video`", "frames", "test clips", "training clips seen",
              "minutes"]  # fmt: skip
    formats = {"mse_a_frame": ".1f", "mae_a_frame": ".1f", "ssim": ".3f", "psnr": ".1f", "pd_colour": ".3f",
               "fd_video": ".2f"}  # fmt: skip
    lines = []
    for name, run in runs.items():
        metrics, counts = values(run), protocol(run)
        error, *others = (_with_baselines(metrics, key, form) for key, form in formats.items())
        share = metrics["mse_a_frame"] / metrics["mse_a_frame_repeat"]
        cells = [
            name, f"**{error.replace(' (', '** (')}", f"{share:.2f}", *others,
            f"{counts['given']} → {counts['predicted']}", f"{counts['clips']:,}", images_seen(run), minutes(run),
        ]  # fmt: skip
        lines.append(line(*cells))
    return [*heading(header), *lines, ""]


def _with_baselines(metrics: dict[str, float], key: str, form: str) -> str:
    if key not in metrics:
        return ""
    predicted, *baselines = (format(metrics[f"{key}{end}"], form) for end in ("", "_repeat", "_black"))
    return f"{predicted} ({', '.join(baselines)})"


def clips(runs: Records) -> list[str]:
    """Returns a row for each run that generates clips."""
    header = ["result", "`fd_video`", "real clips' last frames", "black", "one digit throughout", "real clips",
              "N generated / real", "training clips seen", "minutes"]  # fmt: skip
    lines = []
    for name, run in runs.items():
        metrics = values(run)
        distances = [f"{metrics[f'fd_video{end}']:.2f}" for end in ("", "_repeat", "_black")]
        steady = [f"{metrics[key]:.1%}" if key in metrics else "" for key in ("one_digit", "one_digit_real")]
        counts = f"{protocol(run)['samples']:,} / {protocol(run)['real']:,}"
        cells = [f"**{distances[0]}**", *distances[1:], *steady, counts, images_seen(run), minutes(run)]
        lines.append(line(name, *cells))
    return [*heading(header), *lines, ""]


def commands(runs: Records) -> list[str]:
    """Returns the command and the hardware of every run."""
    lines = [line(name, f"`{run['command']}`", run["hardware"]) for name, run in runs.items()]
    return [*heading(["result", "command", "hardware"]), *lines, ""]


def segmentations(results: Records) -> list[str]:
    """Returns how well a segmenter trained on real images recognises images that were generated from label maps."""
    header = ["result", "mean IoU: real", "generated", "generated / real", "generated, against another map",
              "test images", "hardware"]  # fmt: skip
    lines = []
    for name, result in results.items():
        real, generated, other = (result["mean_iou"][key] for key in ("real", "made", "made_from_another_map"))
        cells = [f"{real:.3f}", f"{generated:.3f}", f"**{result['made_over_real']:.2f}**", f"{other:.3f}"]
        lines.append(line(name, *cells, str(result["test_pictures"]), result["hardware"]))
    return [*heading(header), *lines, ""]


def searches(results: Records) -> list[str]:
    """Returns the jobs of each search in their order."""
    lines = []
    for name, result in results.items():
        kept = [key for key in result["jobs"][0] if key not in ("minutes", "error")]
        lines += heading([f"{name}: {kept[0]}", *kept[1:]])
        lines += [*(line(*(job[key] for key in kept)) for job in result["jobs"]), ""]
    return lines
