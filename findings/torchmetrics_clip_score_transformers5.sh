#!/usr/bin/env bash
# torchmetrics 1.9.0 with transformers 5.24.0: CLIPScore raises AttributeError at its first image.
#
# One would guess that the two go together: torchmetrics asks for transformers 4.10 or newer, its extra "multimodal"
# installs the newest, and the metric can be made.
# Seen: CLIPModel.get_image_features and get_text_features of transformers 5 return a BaseModelOutputWithPooling where
# they returned a tensor, and the metric divides what they return by its norm: "object has no attribute 'norm'". The
# features, projected into the space that both share, are in the field pooler_output; in what CLIPVisionModel returns,
# a field of the same name holds features before the projection, of another width. Code that ranks images by a text,
# as for directions in a generator's latent space, meets the same.
#
# Source: torchmetrics/functional/multimodal/clip_score.py, _clip_score_update; transformers/models/clip/modeling_clip.py.
# A model class of one's own that returns pooler_output from both methods works, and so does transformers below 5.
#
# Exits with 1 if the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet torch==2.15.0 torchmetrics==1.9.0 transformers==5.24.0 numpy==2.4.6
env/bin/python - <<'PYTHON'
import torch
from torchmetrics.multimodal import CLIPScore
from transformers import CLIPConfig, CLIPModel, CLIPVisionModel

small = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2}
vision = small | {"image_size": 16, "patch_size": 8}
config = CLIPConfig(text_config=small | {"vocab_size": 50, "eos_token_id": 1}, vision_config=vision, projection_dim=6)
pixels, words = torch.zeros(1, 3, 16, 16), torch.tensor([[0, 7, 1]])


def processor(text=None, images=None, **options):
    """Stands for CLIPProcessor: what it computes does not matter here."""
    return {"pixel_values": pixels} if text is None else {"input_ids": words, "attention_mask": torch.ones(1, 3)}


class Unwrapped(CLIPModel):
    def get_image_features(self, *arguments, **options):
        return super().get_image_features(*arguments, **options).pooler_output

    def get_text_features(self, *arguments, **options):
        return super().get_text_features(*arguments, **options).pooler_output


image = torch.zeros(3, 16, 16, dtype=torch.uint8)
try:
    CLIPScore(lambda: (CLIPModel(config).eval(), processor))(image, "a face")
    failed = ""
except AttributeError as error:
    failed = str(error)
print("CLIPScore with CLIPModel:", failed or "works")
with torch.no_grad():
    score = CLIPScore(lambda: (Unwrapped(config).eval(), processor))(image, "a face")
print("CLIPScore with pooler_output:", float(score))
projected = CLIPModel(config).get_image_features(pixels).pooler_output.shape[1]
before = CLIPVisionModel(config.vision_config)(pixels).pooler_output.shape[1]
print("width of pooler_output:", projected, "from get_image_features,", before, "from CLIPVisionModel")
raise SystemExit("norm" not in failed or (projected, before) != (6, 8))
PYTHON
