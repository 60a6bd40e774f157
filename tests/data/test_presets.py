"""Every configuration of conf/data makes a data module, and states what models interpolate."""

from functools import cache

import pytest
from omegaconf import OmegaConf

from gan_lab.cli.config.compose import compose
from gan_lab.cli.config.paths import home
from gan_lab.common.domains import Domain
from gan_lab.common.instantiate import instantiate
from gan_lab.common.trust import DATA_MODULES
from gan_lab.data.modules.clips import ClipsDataModule
from gan_lab.data.modules.images import ImageDataModule
from gan_lab.data.modules.points import PointsDataModule
from gan_lab.data.modules.streams import StreamDataModule
from gan_lab.data.modules.translation import TranslationDataModule
from gan_lab.data.reading.archives import ARCHIVES

NAMES = sorted(path.stem for path in (home("conf") / "data").glob("*.yaml"))


@cache
def plain(name):
    own = ("folder", "domains", "frames", "parquet", "stream")
    needed = {key: ["data.root=nowhere"] for key in own} | {"restoration": ["damage=jpeg"]}
    needed["labelled"] = [f"data.domains.a.{each}" for each in ("labels=3", "unknown=false", "instances=true")]
    config = compose([f"data={name}", *needed.get(name, [])])
    return OmegaConf.to_container(config.data, resolve=True)


@pytest.mark.parametrize("name", NAMES)
def test_a_configuration_builds_its_module(name):
    stated = plain(name)
    data = instantiate(stated, DATA_MODULES)
    assert stated["name"] == data.name == name
    kinds = {"layout": PointsDataModule, "domains": TranslationDataModule, "length": ClipsDataModule}
    kinds["lanes"] = StreamDataModule
    assert isinstance(data, next((kind for key, kind in kinds.items() if key in stated), ImageDataModule))
    if "domains" in stated:
        assert stated["paired"] is data.paired
        assert {side: Domain(**domain) for side, domain in stated["domains"].items()} == data.domains


def test_every_archive_has_its_configuration():
    assert set(ARCHIVES) == {name for name in NAMES if plain(name).get("archive")}
    assert all(plain(name)["archive"] == name and plain(name)["root"] == f"data/{name}" for name in ARCHIVES)


def test_fake_domains_take_any_shape():
    changes = [
        "data.domains.a.labels=4",
        "data.domains.b.channels=1",
        "data.size=[8,16]",
        "data.count=6",
        "batch_size=2",
    ]
    config = compose(["data=fake_paired", *changes])
    batch = next(iter(instantiate(OmegaConf.to_container(config.data, resolve=True)).train_dataloader()))
    assert batch["source"].shape == batch["target"].shape == (2, 1, 8, 16) and batch["source"].max() == 3
