"""Choosing samples: copies and doubtful ones are left out."""

import pytest
import torch

from gan_lab.common.errors import UserError
from gan_lab.common.images import to_float
from gan_lab.evaluation.curation import Curator
from gan_lab.evaluation.features.general import General


def shades(n, dark, seed):
    """Noisy grey images, uint8 (n, 3, 32, 32)."""
    noise = torch.randint(0, 90, (n, 3, 32, 32), generator=torch.Generator().manual_seed(seed))
    return (noise + (0 if dark else 160)).to(torch.uint8)


def test_the_wanted_class_is_kept_but_no_copies():
    images, labels = torch.cat([shades(20, True, 0), shades(20, False, 1)]), torch.arange(2).repeat_interleave(20)
    curator = Curator.of(General(), images, labels)
    new = curator.judge(to_float(shades(6, False, 2)), 1)
    assert (new.confidence > 0.8).all() and (new.nearest > 0).all()
    assert not curator.judge(to_float(shades(6, True, 3)), 1).kept.any()
    copies = curator.judge(to_float(images[20:26]), 1)
    assert (copies.confidence > 0.8).all() and not copies.kept.any() and copies.nearest.max() < 1e-2
    assert not curator.judge(to_float(shades(1, True, 4)), 7).kept.any()


def test_one_class_is_too_few():
    with pytest.raises(UserError, match="ten images of two classes"):
        Curator.of(General(), shades(12, True, 0), torch.zeros(12))
