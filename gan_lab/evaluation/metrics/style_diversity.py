"""The diversity of translations of one image in several styles.

Zhu et al. 2017, "Toward Multimodal Image-to-Image Translation", section 5, and Huang et al. 2018, "Multimodal
Unsupervised Image-to-Image Translation", section 5.2: the mean LPIPS distance of random pairs of translations of the
same image. Here it is the mean over all pairs.
"""

from itertools import combinations

import torch
from torch import Tensor

from gan_lab.common.precision import full_precision
from gan_lab.evaluation.features.perceptual import PairMetric


@torch.no_grad()
@full_precision()
def pairwise_diversity(images: Tensor, metric: PairMetric) -> Tensor:
    """Returns the mean distance between the translations of each source in S styles, float32 (N,).

    It is the mean over all S (S - 1) / 2 pairs: 0 if the style changes nothing.

    Args:
        images: translations of N sources in S styles each, (N, S, C, H, W) in [-1, 1].
        metric: maps images (N, C, H, W) and their partners (N, C, H, W) to distances (N,).

    Raises:
        ValueError: for fewer than two styles.
    """
    styles = images.shape[1]
    if styles < 2:
        raise ValueError(f"diversity needs at least 2 styles of each source, not {styles}")
    pairs = combinations(range(styles), 2)
    return torch.stack([metric(images[:, first], images[:, second]).float() for first, second in pairs]).mean(0)
