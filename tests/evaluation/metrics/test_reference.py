"""Metrics of image files, compared with torch-fidelity on the same files with the same extractor."""

import json

import pytest
import torch
import torch_fidelity
from PIL import Image
from torch_fidelity.feature_extractor_base import FeatureExtractorBase

from gan_lab.evaluate import evaluate
from gan_lab.evaluation.features.extractors import Colour

REAL, FAKE, SUBSET = 240, 144, 100
"""More and fewer than the 192 features: one side keeps moments, the other a table."""


class Reference(FeatureExtractorBase):
    """Our colour network as torch-fidelity takes extractors."""

    def __init__(self, name, features_list, **kwargs):
        super().__init__(name, features_list)
        self.colour = Colour()

    @staticmethod
    def get_provided_features_list():
        return "features", "logits"

    @staticmethod
    def get_default_feature_layer_for_metric(metric):
        return "logits" if metric == "isc" else "features"

    @staticmethod
    def can_be_compiled():
        return False

    def forward(self, images):
        found = dict(zip(("features", "logits"), self.colour(images), strict=True))
        return tuple(found[name] for name in self.features_list)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    folder, random = tmp_path_factory.mktemp("images"), torch.Generator().manual_seed(0)
    for name, count, contrast in (("real", REAL, 1.0), ("fake", FAKE, 0.7)):
        (folder / name).mkdir()
        coarse = torch.rand(count, 3, 5, 5, generator=random)
        smooth = torch.nn.functional.interpolate(coarse, (40, 36), mode="bicubic").clamp(0, 1) * contrast
        for number, pixels in enumerate((255 * smooth).round().to(torch.uint8)):
            Image.fromarray(pixels.permute(1, 2, 0).numpy()).save(folder / name / f"{number:04d}.png")
    return folder


@pytest.fixture(scope="module")
def theirs(folders):
    torch_fidelity.register_feature_extractor("reference", Reference)
    return torch_fidelity.calculate_metrics(
        input1=str(folders / "fake"), input2=str(folders / "real"), feature_extractor="reference",
        fid=True, kid=True, isc=True, prc=True, kid_subset_size=SUBSET, kid_subsets=7,
        cuda=False, cache=False, verbose=False, save_cpu_ram=True, batch_size=32,
    )  # fmt: skip


def test_every_metric_equals_torch_fidelity(folders, theirs):
    subsets = [f"metrics.kernel.{key}" for key in ("subsets=7", f"size={SUBSET}")]
    evaluate.run(
        f"real={folders}/real", f"fake={folders}/fake", "device=cpu", "batch_size=37", "page=false",
        "metrics=[distance,kernel,score,precision_recall]", "extractor=colour", *subsets, f"output={folders}/ours.json",
    )  # fmt: skip
    ours = json.loads((folders / "ours.json").read_text())["figures"]
    assert ours["fd_colour"] == pytest.approx(theirs["frechet_inception_distance"], rel=1e-5)
    assert ours["kd_colour"] == pytest.approx(theirs["kernel_inception_distance_mean"], abs=1e-6)
    assert ours["kd_colour_std"] == pytest.approx(theirs["kernel_inception_distance_std"], abs=1e-6)
    assert ours["cs_colour"] == pytest.approx(theirs["inception_score_mean"], rel=1e-5)
    assert ours["cs_colour_std"] == pytest.approx(theirs["inception_score_std"], rel=1e-5)
    for name, count in (("precision", FAKE), ("recall", REAL)):  # theirs are in float32
        assert round(ours[f"{name}_colour"] * count, 6) == round(theirs[name] * count)
    assert 0 < ours["precision_colour"] < 1 and ours["fd_colour"] > 0.1
