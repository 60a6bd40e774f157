"""Writes the tables of experiments/README.md from results/*.json: `python experiments/table.py`."""

import json
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
DEMO, DEMO_END = "<!-- demo: made by experiments/table.py -->", "<!-- /demo -->"
MARK = "<!-- made from results/*.json by table.py: what is below is not written by hand -->"


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
        f"{figures[score]:.2f} ({figures[f'{score}_real']:.2f})",
        f"{protocol['samples']:,} / {protocol['real']:,} {protocol['split']}",
        f"{result['counters']['images_seen']:,}",
        f"{result['counters']['seconds'] / 60:.1f}",
        f"{speed:,.0f}" if speed else "",
        result["precision"],
    ]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    results = {path.stem: json.loads(path.read_text()) for path in sorted((HERE / "results").glob("*.json"))}
    runs = {name: result for name, result in results.items() if "fidelity" in result}
    header = ["result", "figure", "samples", "pixel Gaussian", "score (real)", "N samples / real", "images", "minutes",
              "images/s", "precision"]  # fmt: skip
    lines = [f"| {' | '.join(header)} |", "|" + "---|" * len(header), *(row(*item) for item in runs.items()), ""]
    lines += ["| result | command | hardware |", "|---|---|---|"]
    lines += [f"| {name} | `{result['command']}` | {result['hardware']} |" for name, result in runs.items()]
    readme = HERE / "README.md"
    text = readme.read_text().split(MARK)[0]
    readme.write_text(text + MARK + "\n\n" + "\n".join(lines) + "\n")
    if "digits" in results:
        put_demo(results["digits"], HERE.parent / "README.md")


def put_demo(result: dict[str, Any], readme: Path) -> None:
    """The sentence of the first screen, between its marks."""
    measured = result["fidelity"]
    figures, protocol = measured["figures"], measured["protocol"]
    sentence = (
        f"`fd_grey` **{figures['fd_grey']:.2f}** over {protocol['samples']:,} samples against {protocol['real']:,} "
        f"pictures of the training split (a Gaussian fitted to the pixels: {figures['fd_grey_gaussian']:.2f}),\n"
        f"after {result['counters']['seconds']:.0f} s on {result['hardware']}."
    )
    before, mark, rest = readme.read_text().partition(DEMO)
    _, end, after = rest.partition(DEMO_END)
    readme.write_text(f"{before}{mark}\n{sentence}\n{end}{after}")


if __name__ == "__main__":
    main()
