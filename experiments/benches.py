"""Tables of benchmarks: speed, memory, scaling."""

from typing import Any

from markup import heading, line


def speed_table(results: dict[str, Any]) -> list[str]:
    """Returns ratios of median speeds from interleaved runs."""
    header = ["result", "of", "over a bare loop, same precision", "over a bare fp32 loop", "precision", "hardware"]
    lines = [
        f"| {name} | {of} | {ratios['ours_over_same']:.3f} | {ratios.get('ours_over_example', '')} "
        f"| {result['precision']} | {result['hardware']} |"
        for name, result in results.items()
        for of, ratios in result.items()
        if isinstance(ratios, dict) and "ours_over_same" in ratios
    ]
    return [*heading(header), *lines, ""]


def timing_table(results: dict[str, Any]) -> list[str]:
    """Returns how long measuring takes, and how many times faster it is than torchmetrics."""
    header = ["result", "of", "seconds: torchmetrics", "ours", "times faster", "hardware"]
    lines = []
    for name, result in results.items():
        for of, timed in result.items():
            seconds = timed.get("seconds", {}) if isinstance(timed, dict) else {}
            for ours in (key for key in seconds if key != "torchmetrics"):
                both = [f"{seconds[key]:.2f}" for key in ("torchmetrics", ours)]
                what = of + ours.removeprefix("ours").replace("_", " ")
                lines.append(line(name, what, *both, f"**{timed[f'{ours}_faster']:.2f}**", result["hardware"]))
    return [*heading(header), *lines, ""]


def scaling_table(results: dict[str, Any]) -> list[str]:
    """Returns the speed of two processes against twice the speed of one."""
    header = ["result", "of", "images/s: one process", "two", "two / twice one", "hardware"]
    lines = [
        line(name, of, f"{speed['one']}", f"{speed['two']}", f"**{speed['over_ideal']:.2f}**", result["hardware"])
        for name, result in results.items()
        for of, speed in result["scaling"].items()
    ]
    return [*heading(header), *lines, ""]


def memory_table(results: dict[str, Any]) -> list[str]:
    """Returns memory and time of a training step whose activations are kept, or recomputed (checkpointing)."""
    header = ["result", "of", "peak MiB: kept", "recomputed", "ratio", "seconds per step: kept", "recomputed",
              "hardware"]  # fmt: skip
    lines = []
    for name, result in results.items():
        for of, measured in result["memory"].items():
            peaks, seconds = ([measured[key][how] for how in ("kept", "recomputed")] for key in ("peak_mib", "seconds"))
            cells = [*(f"{peak:.0f}" for peak in peaks), f"**{measured['recomputed_over_kept']:.2f}**"]
            lines.append(line(name, of, *cells, *(f"{each:.2f}" for each in seconds), result["hardware"]))
    return [*heading(header), *lines, ""]


def gpu_table(results: dict[str, Any]) -> list[str]:
    """Returns speed, memory and use of a GPU by StyleGAN2's training."""
    header = ["result", "px", "batch", "setting", "images/s", "over the published speed", "GiB", "use of the device",
              "hardware"]  # fmt: skip
    lines = []
    for name, result in results.items():
        for setting, found in result["gpu"].items():
            speed = found.get("images_per_second")
            cells = [f"{speed:.1f}", f"{speed / result['published']:.2f}"] if speed else [found["failed"], ""]
            cells += [f"{found['peak_gib']:.1f}"] if "peak_gib" in found else [""]
            cells += [f"{found['use_of_the_device']:.0%}"] if "use_of_the_device" in found else [""]
            lines.append(line(name, str(result["size"]), str(result["batch"]), setting, *cells, result["hardware"]))
    return [*heading(header), *lines, ""]


def race_table(results: dict[str, Any]) -> list[str]:
    """Returns speeds, first steps and peaks of memory beside those of other projects' scripts."""
    header = ["of", "precision", "images/s: peer", "ours", "ours / peer", "quartiles", "limit of the core",
              "first step (s): peer", "ours", "peak (GiB): peer", "ours", "hardware"]  # fmt: skip
    lines = []
    for result in results.values():
        for of, row in result["race"].items():
            for ours in (key for key in ("ours", "ours_fp32") if key in row):
                precision = "32-true" if ours == "ours_fp32" else row["precision"]
                ratio, quartiles = row[ours]["speed_over_peer"], "{:.2f} to {:.2f}".format(*row[ours]["quartiles"])
                speeds, starts, peaks = (
                    [f"{row[side][key]:{digits}}" for side in ("peer", ours)]
                    for key, digits in (("images_per_second", ".3g"), ("first_step_s", ".1f"), ("peak_gib", ".2f"))
                )
                limit = row[ours]["limit"]
                most = f"{limit['images_per_second']:.3g} ({limit['share']:.0%} reached)"
                cells = [*speeds, f"**{ratio:.2f}**", quartiles, most, *starts, *peaks]
                lines.append(line(of, precision, *cells, row["hardware"]))
    return [*heading(header), *lines, ""]


def command_table(results: dict[str, Any]) -> list[str]:
    """Returns seconds and peaks of memory of whole commands beside those of other projects; the slowest is one."""
    header = ["command", "images", "program", "seconds", "times faster than the slowest", "peak (GiB)", "hardware"]
    lines = []
    for result in results.values():
        for of, found in result["commands"].items():
            programs = {name: each for name, each in found.items() if name != "images"}
            slowest = max(each["seconds"] for each in programs.values())
            for name, each in programs.items():
                cells = [f"{each['seconds']:.1f}", f"**{slowest / each['seconds']:.2f}**", f"{each['peak_gib']:.2f}"]
                lines.append(line(of, str(found["images"]), name, *cells, result["hardware"]))
    return [*heading(header), *lines, ""]


def growth_table(record: dict[str, Any]) -> list[str]:
    """Returns what sets of images cost by their number and side: seconds, memory and disk."""
    header = ["images", "side (px)", "first start (s)", "later starts (s)", "epoch (s)", "ImageFolder's (s)",
              "peak (MiB)", "cache (MiB)"]  # fmt: skip
    lines = []
    for row in (*record["growth"]["images"], *record["growth"]["side"][1:]):
        other = f"{row['image_folder']:.2g}" if "image_folder" in row else ""
        cells = [f"{row['first']:.0f}", f"{row['later']:.1f}", f"{row['epoch']:.2g}", other]
        lines.append(line(f"{row['images']:,.0f}", f"{row['side']:.0f}", *cells, f"{row['peak_first']:.0f}",
                          f"{row['cache_mib']:.0f}"))  # fmt: skip
    start = record["growth"]["images"][0]["start"]
    return [*heading(header), *lines, "", f"Importing takes {start:.0f} MiB. One thread of: {record['hardware']}."]


def stream_table(record: dict[str, Any]) -> list[str]:
    """Returns what images in shards cost by their number, and those of a folder: seconds, memory and speed."""
    header = ["images", "in", "start (s)", "peak (MiB)", "images/s, loader", "images/s, training", "on disk (MiB)"]
    lines = []
    for row in record["stream"]:
        training, disk = (f"{row[key]:,.0f}" if key in row else "" for key in ("training", "mib"))
        cells = [f"{row['start']:.1f}", f"{row['peak']:.0f}", f"{row['epoch']:,.0f}", training, disk]
        lines.append(line(f"{row['images']:,}", row["kind"], *cells))
    imported = record["stream"][0]["imported"]
    return [*heading(header), *lines, "", f"Importing takes {imported:.0f} MiB. One thread of: {record['hardware']}."]


def quality_table(results: dict[str, Any]) -> list[str]:
    """Returns the minutes of processor time until samples are good."""
    header = ["result", "images", "goal", "program", "minutes to the goal", "best", "hardware"]
    lines = []
    for name, result in results.items():
        for images, programs in result["time_to_quality"].items():
            for program, found in programs.items():
                ((metric, goal),) = found["goal"].items()
                values = [each[metric] for each in found["found"].values()]
                best = min(values) if metric.startswith("fd") else max(values)
                minutes, last = found["minutes_to_goal"], max(map(float, found["found"]))
                reached = f"**{minutes:g}**" if minutes is not None else f"not in {last:g}"
                lines.append(
                    line(name, images, f"{metric} {goal:g}", program, reached, f"{best:.2f}", result["hardware"])
                )
    return [*heading(header), *lines, ""]


def suite_table(results: dict[str, Any]) -> list[str]:
    """Returns how long the metrics of given features take before and after a change."""
    header = [
        "result",
        "samples x real",
        "seconds: before, first",
        "again",
        "after, first",
        "again",
        "times faster",
        "hardware",
    ]
    lines = []
    for name, result in results.items():
        for of, found in result["suite"].items():
            cells = [
                f"{found['seconds'][turn][side]:.0f}" for side in ("before", "after") for turn in ("first", "again")
            ]
            faster = ", ".join(f"**{found['times_faster'][turn]:.1f}**" for turn in ("first", "again"))
            lines.append(line(name, of, *cells, faster, found["hardware"]))
    return [*heading(header), *lines, ""]
