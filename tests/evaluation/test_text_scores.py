"""Scores of texts, with an untrained CLIP model of a few numbers."""

import json

import pytest
import torch

from gan_lab.common.errors import UserError
from gan_lab.evaluation.text_scores import text_scores


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """The folder of a model with two layers, and of a tokenizer that knows letters."""
    from transformers import CLIPConfig, CLIPModel

    folder = tmp_path_factory.mktemp("clip")
    letters = [*"abcdefghijklmnopqrstuvwxyz"]
    words = ["<|startoftext|>", "<|endoftext|>", *letters, *(f"{letter}</w>" for letter in letters)]
    (folder / "vocab.json").write_text(json.dumps({word: number for number, word in enumerate(words)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "CLIPTokenizer"}))
    small = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2}
    torch.manual_seed(0)
    text = small | {"vocab_size": len(words), "bos_token_id": 0, "eos_token_id": 1, "max_position_embeddings": 32}
    config = CLIPConfig(text_config=text, vision_config=small | {"image_size": 16, "patch_size": 8}, projection_dim=6)
    CLIPModel(config).save_pretrained(folder)
    return folder


def test_scores_are_differences_of_cosines(clip):
    images = torch.rand(3, 3, 16, 16) * 2 - 1
    texts = {"old": ("a face", "an old face"), "young": ("an old face", "a face")}
    scores = text_scores(clip, texts, torch.device("cpu"))
    found = scores(images)
    torch.testing.assert_close(found["old"], -found["young"])
    assert found["old"].shape == (3,) and 0 < found["old"].abs().max() < 2
    torch.testing.assert_close(scores(images[1:2])["old"], found["old"][1:2])
    grey = scores(images[:, :1])["old"]
    torch.testing.assert_close(grey, scores(images[:, :1].expand(-1, 3, -1, -1))["old"])


def test_the_features_are_those_of_the_published_preprocessing(clip):
    """Beside the image processor of transformers, which works on files."""
    from transformers import CLIPImageProcessor, CLIPModel

    pixels = torch.randint(0, 256, (3, 16, 16), dtype=torch.uint8)
    inputs = CLIPImageProcessor(size={"shortest_edge": 16}, crop_size=16)(pixels, return_tensors="pt")
    model = CLIPModel.from_pretrained(clip)
    scores = text_scores(clip, {"b": ("a", "b")}, torch.device("cpu"))
    theirs = model(
        pixel_values=inputs["pixel_values"], input_ids=torch.tensor([[0, 28, 1], [0, 29, 1]])
    ).logits_per_image
    wanted = (theirs[0, 1] - theirs[0, 0]) / model.logit_scale.exp()
    torch.testing.assert_close(scores(pixels[None] / 127.5 - 1)["b"][0], wanted, atol=1e-5, rtol=1e-4)


def test_a_long_text_is_refused(clip):
    with pytest.raises(UserError, match="reads texts of 32 tokens at most"):
        text_scores(clip, {"a": ("a", "a b c " * 20)}, torch.device("cpu"))


def test_another_folder_is_refused(tmp_path):
    with pytest.raises(UserError, match="has no CLIP model"):
        text_scores(tmp_path, {"a": ("a", "b")}, torch.device("cpu"))
