"""The table of models that translate among many domains."""

from tables import Record, heading, images_seen, line, minutes, protocol, values

WAYS = ("latent", "reference")


def among_domains(runs: dict[str, Record]) -> list[str]:
    """Returns a row for each run and way of choosing styles: the mean over pairs of domains, what real images have in
    parentheses.
    """
    header = ["result", "styles from", "fd_general", "a trained network agrees", "a classifier of features agrees",
              "diversity", "pose", "pairs", "images", "minutes"]  # fmt: skip
    lines = []
    for name, run in runs.items():
        found = values(run)
        for way in (each for each in WAYS if f"fd_general_{each}" in found):
            keys = [key for key in ("diversity", "pose") if f"{key}_colour_{way}" in found]
            cells = [
                f"**{found[f'fd_general_{way}']:.1f}** ({found['fd_general_real']:.1f})",
                _agreement(found, "agreement", way), _agreement(found, "agreement_general", way),
                *[""] * (2 - len(keys)), *(f"{found[f'{key}_colour_{way}']:.2f}" for key in keys),
                str(len(protocol(run)["pairs"])), images_seen(run), minutes(run),
            ]  # fmt: skip
            styled = {"latent": "a random vector", "reference": "another image"} if "diversity" in keys else {}
            lines.append(line(name, styled.get(way, "none"), *cells))
    return [*heading(header), *lines, ""]


def _agreement(found: dict[str, float], key: str, way: str) -> str:
    return f"{found[f'{key}_{way}']:.1%} ({found[f'{key}_real']:.1%})" if f"{key}_{way}" in found else ""
