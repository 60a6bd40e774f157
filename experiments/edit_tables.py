"""Tables of recorded edits, as lines of Markdown: inversions, directions, samples as training data."""

from typing import Any

from markup import heading, line

Results = dict[str, Any]
"""Records by name."""


def round_trip_table(results: Results) -> list[str]:
    """Returns how near generators come to images."""
    header = ["result", "model", "images seen", "images", "space", "n", "PSNR", "SSIM", "pd_colour", "hardware"]
    lines = []
    for name, result in results.items():
        report = result["round_trip"]
        for of, n in report["n"].items():
            for space, found in report[of].items():
                figures = [f"{found['psnr']:.1f}", f"{found['ssim']:.3f}", f"{found['pd_colour']:.3f}"]
                facts = [report["model"], f"{report['images_seen']:,}", of.replace("_", " "), space, str(n)]
                lines.append(line(name, *facts, *figures, report["hardware"]))
    return [*heading(header), *lines, ""]


def projector_table(results: Results) -> list[str]:
    """Returns the speed of inversion beside a public projector's."""
    header = ["result", "images", "px", "steps of images/s: projector.py", "ours", "ours / theirs", "quartiles",
              "peak (GiB): projector.py", "ours", "hardware"]  # fmt: skip
    lines = []
    for name, result in results.items():
        report = result["projector"]
        peer, ours = report["race"]["peer"], report["race"]["ours"]
        speeds = [f"{each['images_per_second']:.3g}" for each in (peer, ours)]
        quartiles = "{:.2f} to {:.2f}".format(*ours["quartiles"])
        peaks = [f"{each['peak_gib']:.2f}" for each in (peer, ours)]
        facts = [name, str(report["images"]), str(report["size"])]
        lines.append(line(*facts, *speeds, f"**{ours['speed_over_peer']:.2f}**", quartiles, *peaks, report["hardware"]))
    return [*heading(header), *lines, ""]


def directions_table(results: Results) -> list[str]:
    """Returns how attributes answer to their directions, and what these leak, plain and alone."""
    header = [
        "result",
        "model",
        "attribute",
        "method",
        "evidence",
        "answers to -3 … 3",
        "monotone",
        "leaks alone / plain",
    ]
    lines = []
    for name, result in results.items():
        report = result["directions"]
        for method, found in report["methods"].items():
            for attribute, evidence in found["evidence"].items():
                answers = " ".join(f"{each:+.2f}" for each in found["answers"][attribute])
                facts = [attribute, method, f"{evidence:.2f}", answers, "yes" if found["monotone"][attribute] else "no"]
                leaked = f"{found['leaked_by_only'][attribute]:.2f}"
                lines.append(line(name, f"{report['model']}, {report['images_seen']:,} images", *facts, leaked))
    return [*heading(header), *lines, ""]


def augmented_table(results: Results) -> list[str]:
    """Returns the accuracy of a classifier with samples as training data and without, over seeds."""
    names = {"images": "the images alone", "samples": "samples alone", "both": "images and samples",
             "moved": "moved copies of the images", "moved_and_samples": "moved copies and samples"}  # fmt: skip
    header = ["result", "training data", "test accuracy, mean over seeds", "change, with its standard error"]
    lines = []
    for name, result in results.items():
        report = result["augmented"]
        changes = {"samples": "samples_over_images", "both": "both_over_images", "moved": "moved_over_images",
                   "moved_and_samples": "samples_beside_moved"}  # fmt: skip
        for key, text in names.items():
            accuracy = sum(row[key] for row in report["seeds"]) / len(report["seeds"])
            change = report.get(changes.get(key, ""))
            over = " over moved copies" if key == "moved_and_samples" else ""
            shown = f"{change['change']:+.2%} ± {change['error']:.2%}{over}" if change else ""
            lines.append(line(name, text, f"{accuracy:.2%}", shown))
    return [*heading(header), *lines, ""]
