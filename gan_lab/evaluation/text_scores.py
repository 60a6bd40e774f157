"""Scores of attributes that are named in words, by CLIP (Radford et al. 2021), which is not part of the package."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gan_lab.common.errors import UserError

MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
"""Of the channels that CLIP was trained with, for images in [0, 1]."""


class TextScores(nn.Module):
    """Maps images to how much nearer they are to one text than to another, by cosines of CLIP's features.

    Args:
        model: a ``transformers.CLIPModel``.
        texts: features of the texts by attribute: of the images without it, and of those with it, (2, D).
    """

    mean: Tensor
    std: Tensor

    def __init__(self, model: Any, texts: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.model, self.texts = model, dict(texts)
        self.side = int(model.config.vision_config.image_size)
        self.register_buffer("mean", torch.tensor(MEAN).view(3, 1, 1))
        self.register_buffer("std", torch.tensor(STD).view(3, 1, 1))

    @torch.no_grad()
    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Returns differences of cosines (N,) by attribute, of images (N, C, H, W) in [-1, 1]."""
        seen = F.interpolate(images.float(), (self.side, self.side), mode="bicubic", antialias=True).clamp(-1, 1)
        found = _features(self.model.get_image_features(((seen.expand(-1, 3, -1, -1) + 1) / 2 - self.mean) / self.std))
        cosines = {name: found @ each.to(found).T for name, each in self.texts.items()}
        return {name: each[:, 1] - each[:, 0] for name, each in cosines.items()}


def text_scores(
    folder: Path, texts: Mapping[str, tuple[str, str]], device: torch.device
) -> Callable[[Tensor], dict[str, Tensor]]:
    """Returns a function from images (N, C, H, W) in [-1, 1] to scores (N,) by attribute.

    Args:
        folder: of CLIP's weights and tokenizer, as ``transformers`` stores them; nothing is downloaded.
        texts: by attribute, what images without it show, and images with it.
        device: that computes.

    Raises:
        UserError: without transformers, and for a folder without such a model.
    """
    try:
        from transformers import AutoTokenizer, CLIPModel
    except ImportError as error:
        raise UserError('Directions of texts need transformers: pip install "gan_lab[text]".') from error
    try:
        model = CLIPModel.from_pretrained(folder, local_files_only=True, use_safetensors=True).eval()
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, KeyError) as error:
        raise UserError(
            f"clip={folder} has no CLIP model of transformers: give the folder of a downloaded one."
        ) from error
    most = int(model.config.text_config.max_position_embeddings)
    if long := [text for pair in texts.values() for text in pair if len(tokenizer(text)["input_ids"]) > most]:
        raise UserError(f"CLIP reads texts of {most} tokens at most: shorten {long[0]!r}.")
    with torch.no_grad():
        rows = {
            name: _features(model.get_text_features(**tokenizer([*pair], padding=True, return_tensors="pt")))
            for name, pair in texts.items()
        }
    return TextScores(model.requires_grad_(False), rows).to(device)


def _features(output: Any) -> Tensor:
    """Returns features (N, D) of length 1: some versions of transformers wrap them."""
    found: Tensor = output if isinstance(output, Tensor) else output.pooler_output
    return F.normalize(found, dim=1)
