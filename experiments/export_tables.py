"""Tables of exports (``export_table.py``), for docs."""

from collections.abc import Mapping
from typing import Any

from markup import heading, line


def parity_table(record: Mapping[str, Any]) -> list[str]:
    """Returns a row for each graph of each model: its differences from the model, or why there are none."""
    lines = []
    for model, found in sorted(record["parity"].items()):
        if "error" in found:
            lines.append(line(f"`{model}`", "", found["error"], "", "", ""))
        for graph, each in found.get("graphs", {}).items():
            sizes = ", ".join("×".join(map(str, size)) for size in each["sizes"])
            cells = [f"{each[key]:.1e}" for key in ("largest", "mean")]
            lines.append(line(f"`{model}`", f"`{graph}`", sizes, *cells, f"{each['scale']:.2g}"))
    return [*heading(["model", "graph", "sizes (px)", "largest difference", "mean", "scale"]), *lines]


def export_speed_table(record: Mapping[str, Any]) -> list[str]:
    """Returns a row for each family: images a second in torch and in ONNX Runtime."""
    lines = [
        line(
            name, f"`{each['graph']}`, {each['side']} px", f"{each['torch']:.3g}", f"{each['onnxruntime']:.3g}",
            f"{each['ratio']:.2f}", f"{each['bytes'] / 1e6:.1f}", f"{each['bytes'] / each['weights'] - 1:+.1%}",
        )
        for name, each in record["speed"].items()
    ]  # fmt: skip
    header = ["network", "graph", "torch, images/s", "ONNX Runtime", "ratio", "file (MB)", "more than its weights"]
    return [*heading(header), *lines, "", f"On one thread of: {record['hardware']}."]
