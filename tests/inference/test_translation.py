import numpy as np
import pytest
import torch
from translators import Model, generator, lively

from gan_lab.common.capabilities import Translates
from gan_lab.common.domains import Domain
from gan_lab.common.errors import UserError
from gan_lab.common.images import to_float, to_uint8
from gan_lab.inference.tiling.parts import decompose
from gan_lab.inference.translation import Tiling, Translator, resize
from gan_lab.networks.unet import Generator as UNet


def pixels(height, width, channels=3, high=256):
    noise = torch.Generator().manual_seed(0)
    return torch.randint(high, (channels, height, width), generator=noise, dtype=torch.uint8)


def test_the_test_double_translates():
    assert isinstance(Model(generator()), Translates)


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (5, 3), (8, 8), (37, 30)])
@torch.no_grad()
def test_any_size_is_padded_by_reflection_and_cropped(size):
    model, image = Model(generator()), pixels(*size)
    result = Translator(model, "a2b")(image)
    assert result.pixels.shape == (3, *size) and result.tiling == ""
    high, wide = (max(8, -(-side // 4) * 4) for side in size)
    padded = np.pad(image.numpy(), ((0, 0), (0, high - size[0]), (0, wide - size[1])), "reflect")
    expected = to_uint8(model.network(to_float(torch.from_numpy(padded)[None])))[0, :, : size[0], : size[1]]
    assert torch.equal(result.pixels, expected)


def test_resizing_is_antialiased_and_of_label_maps_exact():
    steps = torch.tensor([0, 9]).to(torch.uint8).repeat_interleave(8).expand(1, 16, 16)
    assert resize(steps, (4, 4), nearest=True).unique().tolist() == [0, 9]
    fine = torch.tensor([0, 200]).to(torch.uint8).repeat(8).expand(3, 16, 16)
    assert (resize(fine, (4, 4))[:, :, 1:3].int() - 100).abs().max() <= 2
    assert Translator(Model(generator()), "a2b", size=(12, 20))(pixels(30, 30)).pixels.shape == (3, 12, 20)


@torch.no_grad()
def test_label_maps_are_encoded_one_hot_and_decoded_to_ids():
    model = Model(generator(channels=5, out_channels=4), a=Domain(labels=5), b=Domain(labels=4))
    ids = pixels(24, 20, channels=1, high=7)  # 5 and 6 are no class
    one_hot = torch.stack([(ids[0] == k).float() for k in range(5)])[None]
    expected = model.network(one_hot).argmax(1).to(torch.uint8)
    assert torch.equal(Translator(model, "a2b")(ids).pixels, expected)
    tiled = Translator(model, "a2b", tiling=Tiling(8))(ids)
    assert tiled.tiling == "in exact tiles" and torch.equal(tiled.pixels, expected)


@pytest.mark.parametrize("stats", ["exact", "fast"])
@torch.no_grad()
def test_tiles_have_the_edges_of_objects_of_the_whole_label_map(stats):
    """Without norm layers both ways of tiling give the whole's result."""
    model = Model(generator(channels=4, norm="none"), a=Domain(labels=2, unknown=True, instances=True))
    maps = pixels(40, 36, channels=2, high=3)
    whole = Translator(model, "a2b")(maps)
    tiled = Translator(model, "a2b", tiling=Tiling(16, stats=stats))(maps)
    assert tiled.tiling.startswith(f"in {stats} tiles") and (tiled.pixels.int() - whole.pixels.int()).abs().max() <= 1
    resized = Translator(model, "a2b", size=(20, 18))(maps)
    assert torch.equal(resized.pixels, Translator(model, "a2b")(maps[:, 1::2, 1::2]).pixels)


@pytest.mark.parametrize("scratch", ["disk", "memory"])
def test_exact_tiles_equal_the_whole_image(scratch, tmp_path):
    model, image = Model(generator()), pixels(61, 75)
    whole = Translator(model, "a2b")(image).pixels.int()
    tiled = Translator(model, "a2b", tiling=Tiling(16, scratch=scratch, folder=tmp_path))(image)
    assert tiled.tiling == "in exact tiles" and (tiled.pixels.int() - whole).abs().max() <= 1
    assert not list(tmp_path.iterdir())


def test_fast_tiles_report_an_error_estimate():
    model, image = Model(generator()), pixels(61, 75)
    whole = Translator(model, "a2b")(image).pixels.int()
    tiled = Translator(model, "a2b", tiling=Tiling(16, stats="fast"))(image)
    assert tiled.tiling.startswith("in fast tiles, about 0.0 of 255 levels"), "a small image is not downscaled"
    assert (tiled.pixels.int() - whole).abs().max() <= 1


def test_a_network_with_a_global_receptive_field_is_blended():
    model, image = Model(lively(UNet(filters=4, num_downsamplings=4)), multiple=16), pixels(40, 70)
    result = Translator(model, "a2b", tiling=Tiling(20))(image)
    assert "blended" in result.tiling and result.pixels.shape == image.shape
    assert result.pixels.float().std() > 0
    assert Translator(model, "a2b", tiling=Tiling(80))(image).tiling == "", "one tile holds it"


def test_a_model_that_does_more_than_its_network_is_not_decomposed():
    class More(Model):
        def translate(self, image, to, seed=0, start=0):
            return -super().translate(image, to)

    assert "blended" in Translator(More(generator()), "a2b", tiling=Tiling(16))(pixels(32, 32)).tiling


def test_auto_tiles_images_that_do_not_fit_into_memory():
    model = Model(generator())
    maps = 4 * 8 * 64 * 64  # bytes, filters, pixels
    assert Translator(model, "a2b", tiling=Tiling(memory=5 * maps))(pixels(64, 64)).tiling == ""
    assert Translator(model, "a2b", tiling=Tiling(memory=4 * maps - 1))(pixels(64, 64)).tiling == "in exact tiles"
    assert Translator(model, "a2b", tiling=Tiling(None, memory=1))(pixels(64, 64)).tiling == ""


def test_tiling_leaves_the_network_as_it_was():
    network = generator(norm="batch")
    model = Model(network)
    model.translate = lambda image, to, seed=0, start=0: network(image)
    network.train()
    translator = Translator(model, "a2b", tiling=Tiling(16, stats="fast"))
    translator.parts = decompose(network)
    before = network.layers[2].running_mean.clone()
    translator(pixels(32, 32))
    assert all(module.training for module in network.modules())
    assert torch.equal(network.layers[2].running_mean, before)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [({"tile": 0}, "tile=0"), ({"tile": "big"}, "512"), ({"stats": "x"}, "exact or fast"), ({"scratch": "x"}, "disk")],
)
def test_invalid_options_are_refused(wrong, message):
    with pytest.raises(UserError, match=message):
        Tiling(**wrong)


def test_a_direction_that_the_model_does_not_have_is_refused():
    with pytest.raises(UserError, match="Model does not translate b2a: give direction=a2b"):
        Translator(Model(generator()), "b2a")
