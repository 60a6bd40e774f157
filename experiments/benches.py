"""Tables of what benches measured: speed, memory, scaling."""

from typing import Any

from markup import heading, line


def raced(results: dict[str, Any]) -> list[str]:
    """Ratios of medians from interleaved runs."""
    header = ["result", "of", "over a bare loop, same precision", "over a bare fp32 loop", "precision", "hardware"]
    lines = [
        f"| {name} | {of} | {figures['ours_over_same']:.3f} | {figures.get('ours_over_example', '')} "
        f"| {result['precision']} | {result['hardware']} |"
        for name, result in results.items()
        for of, figures in result.items()
        if isinstance(figures, dict) and "ours_over_same" in figures
    ]
    return [*heading(header), *lines, ""]


def timed(results: dict[str, Any]) -> list[str]:
    """Seconds of what measuring takes, and how many times faster ours is than torchmetrics."""
    header = ["result", "of", "seconds: torchmetrics", "ours", "times faster", "hardware"]
    lines = []
    for name, result in results.items():
        for of, figures in result.items():
            seconds = figures.get("seconds", {}) if isinstance(figures, dict) else {}
            for ours in (key for key in seconds if key != "torchmetrics"):
                each = [f"{seconds[key]:.2f}" for key in ("torchmetrics", ours)]
                what = of + ours.removeprefix("ours").replace("_", " ")
                lines.append(line(name, what, *each, f"**{figures[f'{ours}_faster']:.2f}**", result["hardware"]))
    return [*heading(header), *lines, ""]


def scaled(results: dict[str, Any]) -> list[str]:
    """What a second process gains."""
    header = ["result", "of", "images/s: one process", "two", "two / twice one", "hardware"]
    lines = [
        line(name, of, f"{speed['one']}", f"{speed['two']}", f"**{speed['over_ideal']:.2f}**", result["hardware"])
        for name, result in results.items()
        for of, speed in result["scaling"].items()
    ]
    return [*heading(header), *lines, ""]


def recomputed(results: dict[str, Any]) -> list[str]:
    """What a training step holds and takes if what time steps compute is kept, or computed again."""
    header = ["result", "of", "peak MiB: kept", "recomputed", "ratio", "seconds a step: kept", "recomputed", "hardware"]
    lines = []
    for name, result in results.items():
        for of, figures in result["memory"].items():
            peaks, seconds = ([figures[key][how] for how in ("kept", "recomputed")] for key in ("peak_mib", "seconds"))
            cells = [*(f"{peak:.0f}" for peak in peaks), f"**{figures['recomputed_over_kept']:.2f}**"]
            lines.append(line(name, of, *cells, *(f"{each:.2f}" for each in seconds), result["hardware"]))
    return [*heading(header), *lines, ""]
