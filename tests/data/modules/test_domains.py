from collections import Counter

import numpy as np
import pytest
import torch
from lightning.pytorch import LightningModule, Trainer
from PIL import Image

from gan_lab.common.capabilities import LabelledImages
from gan_lab.common.errors import UserError
from gan_lab.data import presets
from gan_lab.data.loading.resized_crops import AREA, RATIO, boxes
from gan_lab.data.modules.domains import DomainsDataModule
from gan_lab.data.sources.arrays import ArrayImages

SIZES = (12, 5, 3)


class Numbered:
    """Images of 4 × 4 whose pixels are their number, in domains of 12, 5 and 3 images."""

    def splits(self):
        labels = np.repeat(np.arange(3), SIZES)
        pixels = np.tile(np.arange(20, dtype=np.uint8)[:, None, None, None], (1, 1, 4, 4))
        images = ArrayImages(pixels, labels, 3)
        return {"train": images, "test": images.take(np.arange(0, 20, 4))}


def module(source=None, **options):
    given = {"name": "it", "channels": 1, "classes": None, "size": 4, "batch_size": 6, "crop": "center"} | options
    return DomainsDataModule(source or Numbered(), **given)


def batches(data, count, start=0, **position):
    data.setup("fit")
    loader = data.train_dataloader()
    loader.sampler.start_at(start)
    iterator = iter(loader)
    return [next(iterator) for _ in range(count)]


def shown(batch, name="image"):
    return batch[name][:, 0, 0, 0].tolist()


def equal(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def test_every_domain_is_equally_likely_and_no_image_is_repeated_before_all_were_drawn():
    drawn = batches(module(), 20)
    of_domain = np.repeat(np.arange(3), SIZES)
    for image, label in (("image", "label"), ("reference", "to"), ("second_reference", "to")):
        assert all((np.bincount(batch[label], minlength=3) == 2).all() for batch in drawn)
        numbers = [number for batch in drawn for number in shown(batch, image)]
        assert [int(of_domain[number]) for number in numbers] == [int(k) for batch in drawn for k in batch[label]]
        for domain, size in enumerate(SIZES):
            own = [number for number in numbers if of_domain[number] == domain]
            passes = [own[begin : begin + size] for begin in range(0, len(own) // size * size, size)]
            assert len(passes) >= 3 and all(len(set(each)) == size for each in passes)
            assert len({tuple(each) for each in passes}) > 1, "each pass has an order of its own"


def test_references_are_two_images_of_a_domain_that_does_not_follow_the_image():
    drawn = batches(module(), 20)
    partners = [
        pair for each in drawn for pair in zip(shown(each, "reference"), shown(each, "second_reference"), strict=True)
    ]
    assert all(a != b for a, b in partners)
    assert len({b for a, b in partners if a == 0}) > 1, "an image has other partners in other passes"
    pairs = Counter((int(k), int(to)) for batch in drawn for k, to in zip(batch["label"], batch["to"], strict=True))
    assert len(pairs) == 9 and max(pairs.values()) < 3 * min(pairs.values())
    assert "reference" not in batches(module(references=False), 1)[0]


def test_batches_depend_on_seed_and_iteration_alone_and_ranks_share_them():
    whole = batches(module(crop="resized"), 5)
    resumed = batches(module(crop="resized"), 2, start=3)
    assert all(equal(a, b) for a, b in zip(whole[3:], resumed, strict=True))
    assert not equal(whole[0], batches(module(crop="resized", seed=1), 1)[0])

    class OfRank:
        world_size, max_epochs = 2, -1
        lightning_module = type("Module", (LightningModule,), {"iteration": 0})()

    for rank in (0, 1):
        data = module(crop="resized")
        data.setup("fit")
        data.trainer = OfRank()
        data.trainer.global_rank = rank
        part = next(iter(data.train_dataloader()))
        assert equal(part, {name: value[3 * rank : 3 * rank + 3] for name, value in whole[0].items()})


def test_an_epoch_is_as_many_draws_as_images():
    class Counted(LightningModule):
        iteration, labels = 0, ()

        def training_step(self, batch, _):
            self.iteration += 1
            assert batch["image"].dtype == torch.float32 and batch["image"].abs().max() <= 1
            self.labels += (batch["label"],)

        def configure_optimizers(self):
            return None

    quiet = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False)
    module_ = Counted()
    Trainer(max_epochs=2, accelerator="cpu", **quiet).fit(module_, datamodule=module())
    assert len(module_.labels) == 2 * (20 // 6)


def test_boxes_have_the_areas_and_ratios_of_stargan_v2_and_lie_within_the_image():
    left, top, right, bottom = boxes(np.arange(4000), 0).T
    area, ratio = (right - left) * (bottom - top), (right - left) / (bottom - top)
    assert min(left.min(), top.min()) >= 0 and max(right.max(), bottom.max()) <= 1
    assert AREA[0] <= area.min() < 0.81 and 0.95 < area.max() <= 1
    assert RATIO[0] <= ratio.min() < 0.92 and 1.08 < ratio.max() <= RATIO[1]
    assert abs((left / (1 - right + left)).mean() - 0.5) < 0.02


def test_half_of_the_images_are_enlarged_crops(tmp_path):
    """A horizontal ramp of colours: a crop begins later or ends earlier."""
    ramp = np.tile(np.linspace(0, 255, 64).astype(np.uint8), (64, 1))
    for domain in "ab":
        (tmp_path / domain).mkdir()
        for number in range(10):
            Image.fromarray(ramp).save(tmp_path / domain / f"{number}.png")
    options = {"channels": 1, "classes": None, "size": 32, "batch_size": 64, "name": "it", "flip": False}
    (batch,) = batches(presets.domains(str(tmp_path), **options), 1)
    spans = (batch["image"][:, 0, 0, -1].int() - batch["image"][:, 0, 0, 0].int()).numpy()
    whole = spans == spans.max()
    assert 20 <= whole.sum() <= 44 and spans.min() >= 0.85 * spans.max()
    assert (spans[~whole] < spans.max()).all() and len(set(spans.tolist())) > 5


def test_every_cache_gives_the_same_batches(make_folder, tmp_path):
    root = make_folder([f"{name}/{n}.png" for name in "ab" for n in range(6)])
    options = {"channels": 3, "classes": None, "size": [6, 8], "batch_size": 8, "name": "it"}

    def of(cache):
        return batches(presets.domains(str(root), cache=cache, cache_dir=str(tmp_path / cache), **options), 2)

    of_memory = of("memory")
    for cache in ("disk", "packed"):
        assert all(equal(a, b) for a, b in zip(of_memory, of(cache), strict=True))
    assert of_memory[0]["reference"].shape == (8, 3, 6, 8)


def test_a_tenth_of_each_domain_is_held_out(make_folder):
    root = make_folder(
        [f"{name}/{n}.png" for name, count in (("cat", 40), ("dog", 10), ("fox", 2)) for n in range(count)]
    )
    data = presets.domains(str(root), channels=3, classes=None, size=8, batch_size=4, name="it")
    data.setup("fit")
    assert isinstance(data, LabelledImages) and data.class_names == ["cat", "dog", "fox"] and data.classes == 3
    assert data.describe()["domains"] == {"train": [36, 9, 2], "test": [4, 1, 0]}


def test_domains_are_the_values_of_a_column(make_folder):
    root = make_folder([f"train/{n}.png" for n in range(6)] + [f"test/{n}.png" for n in range(6, 9)])
    tones = ["10", "2", "2", "10", "", "2", "10", "2", "10"]
    (root / "t.csv").write_text("file,tone\n" + "".join(f"{n}.png,{tone}\n" for n, tone in enumerate(tones)))
    options = {"channels": 3, "classes": None, "size": 8, "batch_size": 4, "name": "it"}
    data = presets.domains(str(root), attributes="t.csv", chosen=["tone"], **options)
    assert data.class_names == ["2", "10"]
    assert data.labels("train").tolist() == [1, 0, 0, 1, 0] and data.labels("test").tolist() == [1, 0, 1]


def test_several_columns_are_attributes_whose_digits_number_the_domains(make_folder):
    root = make_folder([f"{n}.png" for n in range(40)])
    rows = [(n, n % 2, "yes" if n % 4 < 2 else "no") for n in range(40)]
    (root / "t.csv").write_text("file,Male,Smiling\n" + "".join(f"{n}.png,{a},{b}\n" for n, a, b in rows))
    options = {"channels": 3, "classes": None, "size": 8, "batch_size": 8, "name": "it", "references": False}
    data = presets.domains(str(root), attributes="t.csv", chosen=["Male", "Smiling"], **options)
    assert data.class_names == ["none", "Male", "Smiling", "Male+Smiling"]
    drawn = batches(data, 4)
    assert all((each["attributes"] @ torch.tensor([1.0, 2.0]) == each["label"]).all() for each in drawn)
    assert all(each["attributes"].shape == (8, 2) for each in drawn)
    single = presets.domains(str(root), attributes="t.csv", chosen=["Male"], **options | {"references": True})
    assert single.class_names == ["not Male", "Male"]


@pytest.mark.parametrize(
    ("files", "options", "said"),
    [
        (["cat/1.png", "cat/2.png"], {}, "has images of no two domains: give a folder"),
        (["cat/1.png", "cat/2.png", "cat/3.png", "dog/1.png"], {}, r"Too few training images of dog \(1\): .*two diff"),
        (["a/1.png", "a/2.png", "b/1.png", "b/2.png"], {"classes": 3}, "has 2 classes: give data.classes=2"),
        (["a/1.png", "b/1.png"], {"chosen": ["x"]}, "data.chosen= names columns of a table"),
        (["a/1.png", "b/1.png"], {"attributes": "t.csv"}, "give 1 to 12 columns"),
        (["a/1.png", "b/1.png"], {"attributes": "t.csv", "chosen": ["smilng"]}, "did you mean smiling?"),
        (["a/1.png", "b/1.png"], {"attributes": "t.csv", "chosen": ["smiling", "age"]}, "Refer|has the value 30"),
        (["a/1.png", "b/1.png"], {"attributes": "no.csv", "chosen": ["x"]}, "no.csv cannot be read"),
        (["a/1.png", "b/1.png"], {"crop": "random"}, "crop"),
    ],
)
def test_refusals_are_one_sentence(make_folder, files, options, said):
    root = make_folder(files)
    (root / "t.csv").write_text("file,smiling,age\na/1.png,1,30\nb/1.png,0,31\n")
    with pytest.raises(UserError, match=said) as error:
        given = {"channels": 3, "classes": None, "size": 8, "batch_size": 4, "name": "it"} | options
        presets.domains(str(root), **given).setup("fit")
    assert "\n" not in str(error.value)


def test_damaged_images_are_left_out_of_crops_too(make_folder):
    root = make_folder([f"{name}/{n}.png" for name in "ab" for n in range(101)])
    (root / "a" / "5.png").write_bytes(b"no image")
    data = presets.domains(str(root), channels=3, classes=None, size=8, batch_size=64, name="it", flip=False)
    data.setup("fit")
    wide = data._wide
    assert len(wide) == len(data.decoded("train")) and (wide.labels == data.decoded("train").labels).all()
    for n in range(5):
        (root / "b" / f"{n}.png").write_bytes(b"no image")
    with pytest.raises(UserError, match="more than 1 %"):
        presets.domains(str(root), channels=3, classes=None, size=8, batch_size=64, name="it").setup("fit")
