"""``translate`` among many domains and in styles."""

import re
import sys

import numpy as np
import pytest
import torch
from PIL import Image
from restylers import COLOURS, Recolour, painted
from torch import nn
from translators import checkpoint, node

from gan_lab.common.domains import Domain
from gan_lab.common.images import to_float, to_uint8
from gan_lab.inference.restyling import StyledTranslator, restyled
from gan_lab.inference.translation import Tiling
from gan_lab.translate import translate


class Tinted(nn.Module):
    """Translates to b in a tint."""

    multiple, directions, domains = 1, ("a2b",), {"a": Domain(), "b": Domain()}

    def __init__(self):
        super().__init__()
        self.gain = nn.Parameter(torch.ones(1))

    def translator(self, to):
        return self

    def forward(self, image):
        return image

    def random_styles(self, n, to, seed=0, start=0):
        return torch.tensor([[(7 * seed + start + i) / 20] for i in range(n)])

    def styles_of(self, image, of):
        return image.mean((1, 2, 3))[:, None]

    def restyle(self, image, to, styles):
        return self.gain * (0.5 * image + styles[:, :, None, None]).clamp(-1, 1)

    def translate(self, image, to, seed=0, start=0):
        return self.restyle(image, to, self.random_styles(len(image), to, seed, start))


@pytest.fixture
def call(tmp_path, monkeypatch):
    """Calls translate with a model, on two images in the folder in."""
    path = checkpoint(tmp_path / "last.ckpt", node("cyclegan.CycleGAN"))
    content = torch.load(path, weights_only=True)
    content["gan_lab"]["data"] = {"size": 32, "channels": 3}
    torch.save(content, path)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").mkdir()
    for name, domain, size in (("a", 0, (32, 32)), ("b", 1, (50, 41))):
        save(f"in/{name}.png", domain, size)

    def run(model, *arguments):
        monkeypatch.setattr("gan_lab.training.checkpoint.model_of", lambda *_: model)
        monkeypatch.setattr(sys, "argv", ["gan_lab", f"checkpoint={path}", "device=cpu", "input=in", *arguments])
        translate()

    return run


def save(name, domain, size=(32, 32), brightness=0.0):
    width, height = size
    shapes = torch.zeros(1, 1, height, width)
    shapes[..., 4:12] = 1
    pixels = to_uint8(painted(shapes, torch.tensor([domain]), torch.tensor([brightness])))[0]
    Image.fromarray(pixels.permute(1, 2, 0).numpy()).save(name)


def read(name):
    return torch.from_numpy(np.array(Image.open(name))).permute(2, 0, 1)


def hue(name):
    """Returns the number of the domain with an image's colour."""
    return int((COLOURS @ (read(name).float().mean((1, 2)) - 127)).argmax())


def test_a_domain_is_named_or_numbered_and_style_i_of_the_seed_is_that_of_image_i(call, tmp_path):
    call(Recolour(), "output=out", "to=blue", "seed=3")
    call(Recolour(), "output=again", "to=2", "seed=3")
    model = Recolour()
    for number, name in enumerate(("a.png", "b.png")):
        image = to_float(read(f"in/{name}")[None])
        wanted = to_uint8(restyled(model, image, 2, model.random_styles(1, 2, seed=3, start=number)))[0]
        assert torch.equal(read(f"out/{name}"), wanted) and torch.equal(read(f"again/{name}"), wanted)
    assert hue("out/a.png") == 2


def test_several_styles_are_those_of_seeds_in_subfolders(call, capsys):
    call(Recolour(), "output=out", "to=green", "styles=3", "seed=4")
    for seed in (4, 5, 6):
        call(Recolour(), f"output=one{seed}", "to=green", f"seed={seed}")
        for name in ("a.png", "b.png"):
            assert torch.equal(read(f"out/seed{seed}/{name}"), read(f"one{seed}/{name}"))
    assert not torch.equal(read("out/seed4/a.png"), read("out/seed5/a.png"))
    assert "Translated 2 of 2 images to out/seed6" in capsys.readouterr().out


def test_a_reference_gives_its_style_and_a_folder_of_them_a_result_each(call, tmp_path):
    (tmp_path / "styles" / "more").mkdir(parents=True)
    save("styles/dark.jpg", 2, (64, 80), -0.15)
    save("styles/more/light.png", 2, (32, 32), 0.15)
    save("styles/light.gif", 2, (32, 32), 0.1)
    call(Recolour(), "output=one", "to=blue", "reference=styles/dark.jpg")
    call(Recolour(), "output=all", "to=blue", "reference=styles")
    folders = sorted(path.name for path in (tmp_path / "all").iterdir())
    assert folders == ["dark", "light", "more_light"]
    assert torch.equal(read("one/a.png"), read("all/dark/a.png"))
    means = [read(f"all/{name}/b.png").float().mean() for name in ("dark", "light", "more_light")]
    assert means[0] < means[1] < means[2]
    assert read("all/dark/b.png").shape == (3, 41, 50)


def test_the_sheet_shows_references_above_their_columns(call, tmp_path):
    (tmp_path / "styles").mkdir()
    for name, brightness in (("dark", -0.1), ("light", 0.1)):
        save(f"styles/{name}.png", 2, (32, 32), brightness)
    call(Recolour(), "output=out", "to=blue", "reference=styles", "sheet=true")
    page = (tmp_path / "out" / "index.html").read_text()
    assert re.findall("<h2>(.*?)</h2>", page) == ["reference", "a.png", "b.png"]
    assert re.findall("<figcaption>(.*?)</figcaption>", page) == ["dark", "light", *["input", "dark", "light"] * 2]
    assert page.count("<figure></figure>") == 1, "references stand above their results"
    assert 'href="light/b.png"' in page and 'href="dark/b.png"' in page and "→ blue" in page


def test_styles_between_two_domains(call):
    image = to_float(read("in/a.png")[None])
    model = Tinted()
    for keys, style in ((["to=b"], 0.0), (["direction=a2b", "seed=1"], 0.35), (["styles=1", "seed=2"], 0.7)):
        call(Tinted(), "output=out", "overwrite=true", *keys)
        wanted = to_uint8(model.restyle(image, "b", torch.tensor([[style]])))[0]
        assert torch.equal(read("out/a.png"), wanted), keys
    save("reference.png", 1, brightness=0.1)
    call(Tinted(), "output=out", "overwrite=true", "reference=reference.png")
    style = model.styles_of(to_float(read("reference.png")[None]), "b")
    assert torch.equal(read("out/a.png"), to_uint8(model.restyle(image, "b", style))[0])


@pytest.mark.parametrize(
    ("model", "keys", "said"),
    [
        (Recolour, [], "There is no domain to translate to: give to= one of red, green, blue."),
        (Recolour, ["to=grean"], "to=grean is not valid: did you mean green?"),
        (Recolour, ["to=7"], "to=7 is not valid: the model knows the classes 0 to 2."),
        (Recolour, ["direction=a2b"], "translates among several domains: give to= one of red, green, blue."),
        (Recolour, ["to=red", "reference=note.txt"], "reference=note.txt is no picture: give a picture, or a folder"),
        (Recolour, ["to=red", "reference=broken.png"], "reference=broken.png cannot be read as a picture: broken.png"),
        (Recolour, ["to=red", "reference=none"], "reference=none does not exist"),
        (Recolour, ["to=red", "reference=in", "styles=2"], "leave out one of them."),
        (Recolour, ["to=red", "styles=2", "output=x.png", "input=in/a.png"], "There are 2 results of each image"),
        (Recolour, ["to=red", "styles=0"], "styles=0 is not valid"),
        (lambda: Recolour(styled=False), ["to=red", "reference=in"], "Recolour has no styles: leave out reference=."),
        (lambda: Recolour(styled=False), ["to=red", "styles=2"], "Recolour has no styles: leave out styles=."),
        (Tinted, ["to=c"], "Tinted does not translate to c: give to=b."),
        (Tinted, ["to=a"], "Tinted does not translate to a: give to=b."),
        (Tinted, ["to=b", "direction=a2b"], "to= and direction= say the same"),
        (None, ["reference=in"], "CycleGAN has no styles: leave out reference=."),
        (None, ["styles=3"], "CycleGAN has no styles: leave out styles=."),
    ],
)
def test_refusals_are_one_sentence(call, monkeypatch, capsys, tmp_path, model, keys, said):
    from gan_lab.common.instantiate import instantiate

    (tmp_path / "note.txt").write_text("text")
    (tmp_path / "broken.png").write_text("no picture")
    with pytest.raises(SystemExit) as end:
        call(instantiate(node("cyclegan.CycleGAN")) if model is None else model(), *keys)
    sentence = capsys.readouterr().err.strip().splitlines()[-1]
    assert end.value.code == 2 and said in sentence and sentence.endswith("."), sentence


def test_images_too_large_for_memory_are_tiled_in_one_style():
    model = Tinted()
    pixels = (torch.arange(64)[None, :, None] + torch.arange(48)[None, None]).expand(3, -1, -1).byte()
    whole = StyledTranslator(model, "b", seed=2)(pixels, 1).pixels
    tiled = StyledTranslator(model, "b", seed=2, tiling=Tiling(16))(pixels, 1)
    assert "blended" in tiled.tiling and (tiled.pixels.int() - whole.int()).abs().max() <= 1
