"""Restored images against clean ones: closed forms, and baselines that other programs compute."""

import numpy as np
import pytest
import torch
from PIL import Image

from gan_lab.data.damage.masks import Boxes, Unknown
from gan_lab.data.damage.noise import GaussianNoise
from gan_lab.data.damage.resolution import Smaller
from gan_lab.data.modules.restoration import RestorationDataModule
from gan_lab.data.sources.synthetic_domains import SyntheticAnimals
from gan_lab.evaluation.evaluators.select import select_evaluator
from gan_lab.evaluation.metrics.reconstruction import psnr
from gan_lab.evaluation.metrics.restoration import Restoration, bicubic, mean_fill, of_brightness
from gan_lab.evaluation.model_metric import EvalOptions


def data(damage, size=32):
    made = RestorationDataModule(SyntheticAnimals(20, 6), damage, "animals", 3, size, 4)
    made.setup("fit")
    return made


class Model:
    """Repairs images by a function."""

    channels, multiple, receptive_radius, device = 3, 1, 0, torch.device("cpu")

    def __init__(self, repair, factor=1, masks=False):
        self.repair, self.factor, self.masks = repair, factor, masks


def measured(model, data, batch_size=4):
    metric = Restoration(shape=(3, data.height, data.width))
    assert metric.applies_to(model, data)
    metric.update(model, data, EvalOptions(batch_size=batch_size, progress=False))
    return metric.compute()


def test_noise_has_the_psnr_of_its_level_whatever_the_batch():
    noisy = data(GaussianNoise(10.0))
    found = measured(Model(lambda image, known: image), noisy)
    clean = torch.cat(list(noisy.images("test")))
    made = noisy.fixed_damage(clean, range(len(clean)))
    each = 10 * (255**2 / (made.damaged.double() - clean).square().mean((1, 2, 3))).log10()
    assert found["psnr"] == pytest.approx(each.mean().item(), abs=1e-4) == found["psnr.damaged"]
    assert found["psnr"] == pytest.approx(10 * np.log10(255**2 / 10**2), abs=0.6), "clipping makes it a little less"
    again = measured(Model(lambda image, known: image), noisy, batch_size=1)
    assert all(again[key] == pytest.approx(value, abs=1e-5) for key, value in found.items())


def test_a_perfect_restoration_is_perfect_and_a_border_is_left_out():
    small = data(Smaller(2))
    clean = iter(list(small.images("test")))

    def repair(image, known):
        whole = next(clean).float() / 127.5 - 1
        whole[..., :2, :] = 0
        return whole

    found = measured(Model(repair, factor=2), small, batch_size=256)
    assert found["psnr"] == pytest.approx(100) and found["ssim"] == pytest.approx(1)
    assert found["psnr.bicubic"] < 50


def test_the_bicubic_baseline_is_that_of_pillow_without_its_rounding_between_the_passes():
    pixels = np.random.default_rng(0).integers(0, 256, (12, 10), np.uint8)
    expected = Image.fromarray(pixels.astype(np.float32)).resize((20, 24), Image.Resampling.BICUBIC)
    found = bicubic(torch.from_numpy(pixels)[None, None].float() / 127.5 - 1, 2)
    assert np.allclose((found[0, 0].numpy() + 1) * 127.5, np.asarray(expected).clip(0, 255), atol=1e-2)


def test_unknown_pixels_are_filled_by_the_mean():
    image = torch.tensor([[[[0.5, -1.0], [0.1, 0.3]]]])
    known = torch.tensor([[[[1.0, 0.0], [1.0, 1.0]]]])
    assert torch.allclose(mean_fill(image, known), torch.tensor([[[[0.5, 0.3], [0.1, 0.3]]]]))
    boxes = data(Unknown({"boxes": Boxes()}))
    found = measured(Model(lambda image, known: image, masks=True), boxes)
    assert "psnr.mean" in found and "psnr.damaged" not in found


def test_brightness_is_that_of_the_standard():
    image, other = torch.zeros(1, 3, 12, 12) - 1, torch.zeros(1, 3, 12, 12) + 1
    error = 219 / 255  # black is 16, white 235
    assert of_brightness(psnr)(image, other).item() == pytest.approx(-20 * np.log10(error), abs=1e-4)


def test_the_evaluator_states_protocol_baselines_and_a_sheet():
    small = data(Smaller(2))
    model = Model(lambda image, known: bicubic(image, 2), factor=2)
    evaluator = select_evaluator(model, small, n=4, metrics={"restoration": Restoration})
    result = evaluator.evaluate(model)
    assert result.metrics["psnr"] == result.metrics["psnr_bicubic"] and next(iter(result.metrics)) == "psnr"
    assert result.protocol["images"] == 4 and result.protocol["data"]["damage"] == {
        "Smaller": {"factor": 2, "methods": ["bicubic"]}
    }
    assert evaluator.comparison_text(result.protocol) == "4 test images, restored, against the clean ones"
    assert evaluator.sheet(model).image.shape[0] == 3
