"""Plots the results of `sweep=tradeoff`: distortion -log p(x | z) over the rate KL, by the number of latents."""

import json
import re
from pathlib import Path
from typing import Any

from gan_lab.evaluation.reports.charts import Axes

HERE = Path(__file__).parent
NAME = re.compile(r"beta([\d.]+)_latent(\d+)")
INKS = ("#2a78c2", "#d1495b", "#2e8b57")


def points(folder: Path) -> dict[int, list[tuple[float, float, float]]]:
    """Returns, for each number of latents, (β, rate, distortion) in nats per test image, ordered by β."""
    found: dict[int, list[tuple[float, float, float]]] = {}
    for path in folder.glob("*.json"):
        beta, latents = NAME.fullmatch(path.stem).groups()  # type: ignore[union-attr]
        metrics: dict[str, Any] = json.loads(path.read_text())["fidelity"]["figures"]
        rate = metrics["kl"]
        found.setdefault(int(latents), []).append((float(beta), rate, metrics["nll_elbo"] - rate))
    return {latents: sorted(each) for latents, each in sorted(found.items())}


def draw(found: dict[int, list[tuple[float, float, float]]]) -> str:
    """Returns an SVG of the points with their β; the bound is constant along lines of equal sum."""
    rates, distortions = ([point[axis] for each in found.values() for point in each] for axis in (1, 2))
    axes = Axes(
        (0, 1.1 * max(rates)), (0.9 * min(distortions), 1.05 * max(distortions)), "rate: KL, nats", "distortion, nats"
    )
    marks = []
    for (latents, each), ink in zip(found.items(), INKS, strict=True):
        placed = [(beta, *axes.to_pixels(rate, distortion)) for beta, rate, distortion in each]
        line = " ".join(f"{x:.1f},{y:.1f}" for _, x, y in placed)
        marks.append(f'<polyline fill="none" stroke="{ink}" stroke-width="1.5" points="{line}"/>')
        marks += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{ink}"/>' for _, x, y in placed]
        marks += [f'<text x="{x + 6:.1f}" y="{y - 5:.1f}">{beta:g}</text>' for beta, x, y in placed]
        _, x, y = placed[0]
        marks.append(f'<text x="{x - 8:.1f}" y="{y + 14:.1f}" text-anchor="end" fill="{ink}">{latents} latents</text>')
    svg = axes.svg("Distortion over rate, with β at each point", "".join(marks))
    alone = 'xmlns="http://www.w3.org/2000/svg" width="560" height="260" font-family="sans-serif" font-size="11"'
    return svg.replace("<svg ", f'<svg {alone} fill="#777" ', 1).replace('class="grid"', 'stroke="#bbb"')


if __name__ == "__main__":
    (HERE / "results" / "tradeoff.svg").write_text(draw(points(HERE / "results" / "tradeoff")) + "\n")
