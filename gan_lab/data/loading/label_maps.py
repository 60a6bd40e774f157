"""The class ids in the pixels of label maps, and whether they are those of the classes."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from gan_lab.common.class_names import listed
from gan_lab.common.domains import UNKNOWN, Domain
from gan_lab.common.errors import UserError
from gan_lab.data.loading.batches import batches_in_order
from gan_lab.data.loading.rendered import Rendered
from gan_lab.data.types import Int64Array


def count_ids(sets: Sequence[Rendered]) -> dict[int, int]:
    """Returns the number of pixels with each class id that occurs, by id."""
    counts: Int64Array = np.zeros(256, np.int64)
    for rendered in sets:
        for maps in batches_in_order(replace(rendered, spec=replace(rendered.spec, size=None))):
            counts += np.bincount(maps[:, 0].numpy().reshape(-1), minlength=256)
    return {int(number): int(counts[number]) for number in np.flatnonzero(counts)}


def describe_ids(found: Mapping[int, int], domain: Domain) -> str:
    """Says which ids there are, with their shares of the pixels, and which mean no class."""
    total = sum(found.values())
    shares = {number: f"{number} ({count / total:.1%})" for number, count in found.items()}
    classes = [shares[number] for number in found if number in domain.class_ids]
    others = [shares[number] for number in found if number not in domain.class_ids]
    text = f"class ids {listed(classes)}" if classes else "no id of a class"
    return text + (f"; no class: {listed(others)}" if others else "")


def check_ids(found: Mapping[int, int], domain: Domain, key: str) -> None:
    """Checks that label maps have the ids of the classes; see ``misfit``.

    Raises:
        UserError: for other ids; it names the key that maps them.
    """
    if wrong := misfit(found, domain, key):
        raise UserError(wrong)


def misfit(found: Mapping[int, int], domain: Domain, key: str) -> str:
    """Says what is wrong if label maps have other ids than the classes; empty if nothing is.

    Beside two of the classes, or if the domain has a channel for it, 255 may mean that there is no class.

    Args:
        found: pixels by id.
        domain: the classes, which may state their ids: then all other ids mean that there is no class.
        key: the user's name for the domain, such as "data.domains.b".
    """
    ids, known = sorted(found), [number for number in found if number in domain.class_ids]
    foreign = [number for number in ids if number not in known]
    if not foreign or (known and domain.ids) or (foreign == [UNKNOWN] and (domain.unknown or len(known) > 1)):
        return ""
    advice = f"give {key}.labels={ids[-1] + 1}, or {key}.ids=[…] with the id of each class"
    if len(ids) == domain.labels:
        advice = f"give {key}.ids=[{','.join(map(str, ids))}]"
    stated = f"ids={list(domain.ids)}" if domain.ids else f"labels={domain.labels}"
    return f"{key}.{stated} does not fit label maps with the ids {listed([*map(str, ids)])}: {advice}."
