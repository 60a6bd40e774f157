"""Writes tables of recorded results into experiments/README.md, README.md and pages of docs: ``make results``."""

import json
from pathlib import Path

import edit_tables
import tables
from benches import (
    command_table,
    gpu_table,
    growth_table,
    memory_table,
    quality_table,
    race_table,
    scaling_table,
    speed_table,
    stream_table,
    suite_table,
    timing_table,
)
from domain_table import among_domains
from export_tables import export_speed_table, parity_table
from ladder_table import ladder_tables
from order_table import order_tables
from photo_tables import restorer_table, stylisation_table
from tables import Record, Records

HERE = Path(__file__).parent
ROOT = HERE.parent
BEGIN, END = "<!-- {}: written by experiments/table.py -->", "<!-- /{} -->"
"""Around a block that this program writes, by its name."""

BLOCKS = {
    "demo": ROOT / "README.md",
    "ladder": ROOT / "docs" / "metrics.md",
    "order": ROOT / "docs" / "metrics.md",
    "likelihood": ROOT / "docs" / "likelihood.md",
    "growth": ROOT / "docs" / "data.md",
    "stream": ROOT / "docs" / "data.md",
    "restorers": ROOT / "docs" / "restoring.md",
    "stylisations": ROOT / "docs" / "styling.md",
    "exports": ROOT / "docs" / "exporting.md",
    "export_speed": ROOT / "docs" / "exporting.md",
}
"""The page that holds each block."""

MARK = "<!-- written from results/*.json by table.py: do not edit what is below -->"
"""Everything below it in experiments/README.md is written by this program."""

LIKELIHOODS = {"nll", "nll_elbo", "reconstruction_mse"}
"""Metrics of autoencoders and autoregressive models."""


def main() -> None:
    results = read("results")
    runs = {name: result for name, result in results.items() if "fidelity" in result}
    readme = HERE / "README.md"
    lines = [*tables_of_runs(runs), *tables_of_benches(results)]
    readme.write_text(readme.read_text().split(MARK)[0] + MARK + "\n\n" + "\n".join(lines).rstrip() + "\n")
    if "digits" in results:
        write_block("demo", demo(results["digits"]))
    if "ladder" in results:
        write_block("ladder", "\n".join(ladder_tables(results["ladder"]["ladder"], results["ladder"]["held_out"])))
    if "order" in results:
        write_block("order", "\n".join(order_tables(results["order"])))
    for name, table in (
        ("restorers", restorer_table),
        ("stylisations", stylisation_table),
        ("growth", growth_table),
        ("stream", stream_table),
    ):
        if name in results:
            write_block(name, "\n".join(table(results[name])))
    if "export" in results:
        write_block("exports", "\n".join(parity_table(results["export"])))
        write_block("export_speed", "\n".join(export_speed_table(results["export"])))
    write_block("likelihood", "\n".join(tables.binarised(without_seeds(runs), "../experiments/recipe")))


def read(folder: str) -> Records:
    """Returns the records in a folder by name."""
    return {path.stem: json.loads(path.read_text()) for path in sorted((HERE / folder).glob("*.json"))}


def without_seeds(runs: Records) -> Records:
    """Returns the runs that do not repeat another one with a different seed."""
    return {name: run for name, run in runs.items() if not tables.SEEDED.search(name)}


def with_protocol(runs: Records, key: str) -> Records:
    """Returns the runs whose protocol has the key."""
    return {name: run for name, run in runs.items() if key in tables.protocol(run)}


def tables_of_runs(runs: Records) -> list[str]:
    """Returns all tables of trained models."""
    once, losses, trades = without_seeds(runs), read("results/losses"), read("results/tradeoff")
    both, modes = with_protocol(runs, "directions"), {n: r for n, r in runs.items() if "modes" in tables.values(r)}
    conditional = {n: r for n, r in runs.items() if any(key.endswith("_classes") for key in tables.values(r))}
    forecasts, clips = with_protocol(once, "predicted"), with_protocol(once, "frames")
    stylists = with_protocol(once, "pictures")
    damaged = {name: run for name, run in once.items() if "damage" in tables.protocol(run)["data"]}
    points = {name for name, run in modes.items() if not tables.protocol(run)["extractors"]}
    laptop = {name: run for name, run in once.items() if tables.is_laptop(name) and name not in both}
    many = {name: run for name, run in once.items() if "agreement_general" in tables.values(run)}
    others = (
        many.keys()
        | both.keys()
        | points
        | forecasts.keys()
        | clips.keys()
        | laptop.keys()
        | stylists.keys()
        | damaged.keys()
    )
    minutes = {name: run for name, run in once.items() if tables.has_equal_time(name)}
    latent = {name: run for name, run in once.items() if LIKELIHOODS & tables.values(run).keys()}
    parts = (
        ("Generated images", tables.samples, {name: run for name, run in once.items() if name not in others}),
        ("Half an hour on a laptop", tables.laptop, laptop),
        ("Methods at equal time", tables.equal_time, minutes if tables.MINUTES in minutes else {}),
        ("Losses at an equal number of images", tables.losses, losses),
        ("Generators of emoji", tables.emoji, read("results/emoji")),
        ("Few images", tables.few, read("results/few")),
        ("Likelihood and reconstruction", tables.likelihoods, latent),
        ("Rate and distortion", tables.tradeoff, trades),
        ("Means over seeds", tables.seeds, runs),
        ("Conditional models", tables.labels, conditional),
        ("Modes", tables.modes, modes),
        ("Translations", tables.translations, both),
        ("Translations among domains", among_domains, many),
        ("Restorers", tables.restorers, damaged),
        ("Trained styles", tables.styles, stylists),
        ("Predicted frames", tables.predictions, dict(sorted({**forecasts, **on_test_file(forecasts)}.items()))),
        ("Generated clips", tables.clips, clips),
        ("Commands", tables.commands, runs),
    )
    return [row for title, table, chosen in parts if chosen for row in titled(title, table(chosen))]


def titled(title: str, lines: list[str]) -> list[str]:
    """Returns a table below its title; without a table, nothing."""
    return [f"### {title}", "", *lines] if lines else []


def on_test_file(runs: Records) -> Records:
    """Returns the same runs, measured on another test file."""
    found = {}
    for name, measured in read("results/test_file").items():
        if name in runs:
            found[f"{name} on {measured['protocol']['data']['test']}"] = {**runs[name], "fidelity": measured}
    return found


def tables_of_benches(results: Records) -> list[str]:
    """Returns the tables of what is no trained model: the segmenter, speed, searches, scaling, memory."""
    benches = {name: result for name, result in results.items() if name.startswith("bench")}
    streets = {name: result for name, result in results.items() if "mean_iou" in result}
    parts = (
        ("Streets from label maps", tables.segmentations, streets),
        ("Speed of training", speed_table, benches),
        ("Speed of metrics", timing_table, benches),
        *(
            (title, table, {name: result for name, result in results.items() if key in result})
            for title, table, key in (
                ("Speed beside other projects' scripts", race_table, "race"),
                ("Commands beside other projects'", command_table, "commands"),
                ("Time to quality beside other projects' scripts", quality_table, "time_to_quality"),
                ("Speed of the standard metrics", suite_table, "suite"),
                ("Search", tables.searches, "jobs"),
                ("Two processes", scaling_table, "scaling"),
                ("Memory of checkpointing", memory_table, "memory"),
                ("StyleGAN2 on a GPU", gpu_table, "gpu"),
                ("Images found in generators again", edit_tables.round_trip_table, "round_trip"),
                ("Inversion beside a public projector", edit_tables.projector_table, "projector"),
                ("Directions of attributes", edit_tables.directions_table, "directions"),
                ("Samples as training data", edit_tables.augmented_table, "augmented"),
            )
        ),
    )
    return [row for title, table, chosen in parts if chosen for row in titled(title, table(chosen))]


def write_block(name: str, text: str) -> None:
    """Replaces the text between the marks of a block."""
    page = BLOCKS[name]
    before, mark, rest = page.read_text().partition(BEGIN.format(name))
    _, end, after = rest.partition(END.format(name))
    page.write_text(f"{before}{mark}\n{text}\n{end}{after}")


def demo(run: Record) -> str:
    """Returns the sentence below the first image of README.md."""
    metrics, counts = tables.values(run), tables.protocol(run)
    few = counts["held_out"]["n"]
    return (
        f"`fd_grey` **{metrics['fd_grey']:.2f}** over {counts['samples']:,} samples against {counts['real']:,} images "
        f"of the training split (a Gaussian fitted to\nthe pixels: {metrics['fd_grey_gaussian']:.2f}). "
        f"{few} samples are {metrics['fdr_grey']:.2f} times as far from them as {few} held-out digits. Our "
        f"classifier is\nsure of {metrics['confident']:.0%} of the samples, and of "
        f"{metrics['confident_real']:.0%} of real digits. This took {run['counters']['seconds']:.0f} s on\n"
        f"{run['hardware']}."
    )


if __name__ == "__main__":
    main()
