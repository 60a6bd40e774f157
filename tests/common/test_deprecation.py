"""Modules, classes, methods and arguments of the last version work for one version, with a warning."""

import csv
import importlib
import subprocess
import sys
import warnings
from functools import partial
from pathlib import Path

import pytest
import torch
from cases import limited, plain
from fitting import fit
from lightning.pytorch import Trainer
from lightning.pytorch.loggers import CSVLogger

from gan_lab.common.deprecation import RenamedWarning, accept_old_attributes
from gan_lab.common.instantiate import instantiate, resolve_target
from gan_lab.common.old_modules import CHANGED, OLD_PACKAGES
from gan_lab.common.renames import MODULES, NAMES
from gan_lab.common.types import Losses, Phase
from gan_lab.common.upgrade import renamed
from gan_lab.losses.adversarial import Wasserstein
from gan_lab.losses.penalties import R1
from gan_lab.models.bases.latents import Normal
from gan_lab.training.budget import Budget

PACKAGE = Path(__file__).parents[2] / "gan_lab"

README = """
from gan_lab.core.gan import GANModule
from gan_lab.types import Terms


class ModeSeekingGAN(GANModule):
    \"\"\"MSGAN (Mao et al. 2019): as far apart as latents are, so far apart shall be their pictures.\"\"\"

    def __init__(self, seeking: float = 1.0, **gan):
        super().__init__(**gan)
        self.seeking = seeking

    def draw(self, batch, noise):
        latents = self.prior(noise, len(batch["image"]))
        return {"fake": self.generator(latents, *self.told(batch)), "latents": latents}

    def g_terms(self, batch, drawn, noise):
        terms = super().g_terms(batch, drawn, noise)
        latents, pictures = (self.apart(drawn[name]) for name in ("latents", "fake"))
        return Terms({**terms.losses, "seeking": self.seeking * (latents / (pictures + 1e-5)).mean()}, terms.logs)

    def apart(self, x):
        \"\"\"From each to the next, in L1.\"\"\"
        return (x - x.roll(1, 0)).abs().flatten(1).mean(1)
"""
"""The example of the last version's README, word for word."""


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Makes a module of a user's own from its source."""
    monkeypatch.syspath_prepend(tmp_path)

    def make(name, source):
        (tmp_path / f"{name}.py").write_text(source)
        monkeypatch.delitem(sys.modules, name, raising=False)
        return importlib.import_module(name)

    return make


def test_a_method_written_for_the_last_version_trains(module, tmp_path):
    with pytest.warns(RenamedWarning) as warned:
        module("my_old_methods", README)
        overrides = [
            "model._target_=my_old_methods.ModeSeekingGAN",
            "+model.seeking=0.1",
            "log_every=1",
            "logger=default",
        ]
        configuration = plain(["model=dcgan"], tmp_path, *limited(12), *overrides)
        del configuration["logger"]["tensorboard"]
        _, model = fit(configuration)
    said = {str(each.message) for each in warned if issubclass(each.category, DeprecationWarning)}
    assert {
        "gan_lab.core.gan.GANModule is now gan_lab.models.bases.gan.GANModule.",
        "gan_lab.types.Terms is now gan_lab.common.types.Losses.",
        "ModeSeekingGAN.draw is now shared_forward.",
        "ModeSeekingGAN.g_terms is now g_losses.",
        "ModeSeekingGAN.told is now condition.",
        "Losses.losses is now terms.",
    } <= said
    assert model.iteration == 3
    with (tmp_path / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert float(rows[0]["train/generator/seeking"]) > 0


@pytest.mark.parametrize("old", [*MODULES, *NAMES])
def test_what_the_tables_name_is_what_it_has_become(old):
    """Every module and name imports under its old path and is the same object as the present one."""
    if old in MODULES:
        found, present = (importlib.import_module(f"gan_lab.{path}") for path in (old, MODULES[old]))
        names = [name for name, value in vars(present).items() if getattr(value, "__module__", "") == present.__name__]
        pairs = [(found, name, present, name) for name in names if f"{old}.{name}" not in NAMES]
    else:
        (place, _, name), (present, _, new) = (path.rpartition(".") for path in (old, NAMES[old]))
        found, present = (importlib.import_module(f"gan_lab.{path}") for path in (place, present))
        pairs = [(found, name, present, new)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RenamedWarning)
        for module, name, other, new in pairs:
            assert getattr(module, name) is getattr(other, new)


def test_no_old_module_is_a_present_one():
    for old in MODULES:
        path = PACKAGE.joinpath(*old.split("."))
        assert not path.with_suffix(".py").exists() and not [*path.glob("*.py")], old


def test_packages_of_the_last_version_have_their_modules():
    assert {"core", "metrics", "callbacks", "editing", "reports"} <= OLD_PACKAGES
    assert not OLD_PACKAGES & {"data", "networks", "losses", "models", "training", "common"}
    import gan_lab.core
    from gan_lab.core import gan as by_name

    assert gan_lab.core.gan is by_name
    with pytest.raises(ImportError):
        from gan_lab.core.gan import NoSuchClass  # noqa: F401
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("gan_lab.core.nothing")


def test_a_module_of_the_last_version_is_no_command():
    done = subprocess.run([sys.executable, "-m", "gan_lab.core.gan"], capture_output=True, text=True)
    assert done.returncode == 1 and len(done.stderr.splitlines()) == 1 and "gan_lab.core.gan" in done.stderr


def test_a_module_in_its_place_has_the_names_that_it_lost(monkeypatch):
    assert "losses.penalties" in CHANGED
    import gan_lab.losses.penalties as penalties

    monkeypatch.setitem(NAMES, "losses.penalties.Ridge", "losses.penalties.R1")
    with pytest.warns(RenamedWarning, match=r"gan_lab\.losses\.penalties\.Ridge is now gan_lab\.losses\.penalties\.R1"):
        assert penalties.Ridge is penalties.R1
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = penalties.nothing


def test_importing_the_package_imports_nothing_slow():
    script = "import sys, gan_lab; print([n for n in ('torch', 'lightning', 'hydra', 'inspect') if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_target_may_be_named_by_its_old_path():
    with pytest.warns(RenamedWarning, match="is now gan_lab.models.bases.gan.GANModule"):
        found = resolve_target("gan_lab.core.gan.GANModule")
    assert f"{found.__module__}.{found.__qualname__}" == renamed("gan_lab.core.gan.GANModule")


BASE = """
from gan_lab.common.types import Losses
from gan_lab.training.alternating import AlternatingModule


class Base(AlternatingModule):
    calls = ()

    def shared_forward(self, batch, noise):
        return {"base": batch}

    def d_losses(self, batch, shared, noise):
        return "base"

    @property
    def num_labels(self):
        return 3

    def condition(self, batch):
        return ()


class New(Base):
    def d_losses(self, batch, shared, noise):
        return super().d_losses(batch, shared, noise) + " new"


class Old(New):
    raw = True

    def d_terms(self, batch, drawn, noise):
        return super().d_terms(batch, drawn, noise) + " old"

    def draw(self, picture):
        return "of another kind"

    @property
    def kinds(self):
        return super().kinds + 1


class Newer(Old):
    def d_losses(self, batch, shared, noise):
        return super().d_losses(batch, shared, noise) + " newer"


class Oldest(Newer):
    def d_terms(self, batch, drawn, noise):
        return super().d_terms(batch, drawn, noise) + " oldest"
"""


def test_old_and_new_names_go_through_the_same_classes(module):
    with pytest.warns(RenamedWarning):
        classes = module("my_family", BASE)
        for cls, said in {"Old": "base new old", "Newer": "base new old newer"}.items():
            model = getattr(classes, cls)(optimizers={})
            assert model.d_losses(0, 0, 0) == model.d_terms(0, 0, 0) == said
            assert (model.num_labels, model.kinds) == (4, 4)
            assert (model.use_live_weights, model.raw) == (True, True)
            assert model.told(0) == ()
            assert model.draw(0) == "of another kind" and model.shared_forward(1, 0) == {"base": 1}
        assert classes.Oldest(optimizers={}).d_losses(0, 0, 0) == "base new old newer oldest"


def test_attributes_by_their_old_names(module):
    with pytest.warns(RenamedWarning):
        model = module("my_family", BASE).New(optimizers={})
        model.raw = True
        assert model.use_live_weights
        model.objective = "an objective"
        assert model.adversary == "an objective"
        model.told = torch.nn.ReLU()  # a network of the user's own
        assert isinstance(model.told, torch.nn.ReLU)
        with pytest.raises(AttributeError):
            _ = model.replay


def test_parts_by_the_old_names_of_their_attributes():
    class Penalty:
        at = frozenset({"real"})

        def __init__(self):
            self.every = 4

    with pytest.warns(RenamedWarning) as warned:
        accept_old_attributes("Penalty", penalty := Penalty())
        assert (penalty.points, penalty.interval) == (frozenset({"real"}), 4)
    assert {str(each.message) for each in warned} == {"Penalty.at is now points.", "Penalty.every is now interval."}
    with pytest.warns(RenamedWarning):
        penalty.interval = 8
        accept_old_attributes("Penalty", penalty, other := Penalty())
        assert (penalty.every, other.every, other.interval) == (8, 4, 4)
        penalty.every = 2
        assert penalty.interval == 2 and "every" not in vars(penalty)


def test_parts_that_extend_ours_by_the_old_names_of_their_attributes():
    with pytest.warns(RenamedWarning):

        class Mine(R1):
            at = frozenset({"fake"})

            def __init__(self):
                super().__init__(every=4)
                self.weight = 2.0

        class Other(R1):
            def __init__(self):
                super().__init__()
                self.every = 16

        accept_old_attributes("Penalty", mine := Mine(), other := Other(), R1())
        assert (mine.points, mine.interval, mine.at, mine.every) == (frozenset({"fake"}), 4, frozenset({"fake"}), 4)
        assert (other.interval, R1().interval, R1().points) == (16, 1, frozenset({"real"}))

    class Judge(torch.nn.Module):
        def judge(self, features):
            return features + 1

    with pytest.warns(RenamedWarning):
        accept_old_attributes("Discriminator", network := Judge())
        assert network.logits(1) == network.judge(1) == 2


def test_arguments_by_their_old_names():
    with pytest.warns(RenamedWarning, match=r"Phase\(every=…\) is now interval=…"):
        phase = Phase("critic", terms=print, every=5, fresh=True)
    assert (phase.losses, phase.interval, phase.new_batch) == (print, 5, True)
    with pytest.warns(RenamedWarning):
        assert Losses(losses={"a": 1}).terms == {"a": 1}
    node = {"_target_": "gan_lab.losses.penalties.R1", "weight": 1.0, "every": 4, "interval": 1}
    with pytest.warns(RenamedWarning, match="every of gan_lab.losses.penalties.R1 is now interval"):
        assert instantiate(node).interval == 4


def test_models_take_old_arguments_from_users_subclasses(module):
    source = """
from gan_lab.core.gan import GANModule

class Mine(GANModule):
    def __init__(self, **gan):
        super().__init__(fresh_for_generator=True, **gan)
"""
    with pytest.warns(RenamedWarning, match="fresh_for_generator=… is now new_batch_for_generator=…|is now"):
        mine = module("my_arguments", source).Mine
        part = torch.nn.Linear(2, 1)
        sgd = partial(torch.optim.SGD, lr=0.1)
        model = mine(
            generator=part, discriminator=part, prior=Normal(2), loss=Wasserstein(), g_optimizer=sgd, d_optimizer=sgd
        )
        assert model.new_batch and model.fresh
        assert isinstance(model.objective.loss, Wasserstein) and model.n_critic == 1


METRICS = """
from gan_lab.metrics.gathering import Comparison, Gathered
from gan_lab.metrics.probes import Probe


class Mean(Gathered):
    def __init__(self):
        super().__init__("of all")
        self.sum_state("total", 1)

    def add(self, values, index):
        self.total += values.double().mean()

    def compute(self):
        return self.total / self.count


class Brightness(Comparison):
    sees = "images"

    def __init__(self):
        super().__init__(Mean(), Mean())

    def compare(self, real, fake):
        return {"brightness": float(fake - real)}


class Ours(Probe):
    def suits(self, model, data):
        return model == "ours"

    def update(self, model, data, how=None): ...

    def compute(self):
        return {}
"""


def test_metrics_written_for_the_last_version(module):
    with pytest.warns(RenamedWarning):
        mine = module("my_old_metrics", METRICS)
        assert mine.Brightness.input == mine.Brightness.sees == "images"
        brightness = mine.Brightness()
        brightness.real.update(torch.zeros(2, 3))
        brightness.fake.update(torch.ones(2, 3))
        assert brightness.compute() == {"brightness": 0.5}
        assert brightness.real.about == brightness.real.key == ["Mean", "of all"]
        assert brightness.real.merged().keys() == {"count", "total"}
        assert mine.Ours().applies_to("ours", None) and not mine.Ours().suits("theirs", None)


GAME = """
import torch
from gan_lab.core.alternating import AlternatingModule
from gan_lab.core.ema import EMA
from gan_lab.core.sampling import LatentModule
from gan_lab.types import Phase, Terms


class Game(LatentModule):
    shares_graph = "generator"

    def __init__(self, generator, critic, optimizer, ema_half_life=100, **core):
        networks = {"generator": generator}
        super().__init__(
            optimizers={"critic": optimizer, "generator": optimizer}, ema=EMA(networks, ema_half_life), **core
        )
        self.generator, self.critic, self.shown = generator, critic, []

    def phases(self):
        return [Phase("critic", self.d_terms), Phase("generator", self.g_terms, every=2)]

    def trainable(self, phase):
        return [self.critic if phase == "critic" else self.generator]

    def draw(self, batch, noise):
        return {"fake": self.generator(self.prior(noise, len(batch["image"])), *self.told(batch))}

    def d_terms(self, batch, drawn, noise):
        return Terms({"apart": self.critic(drawn["fake"]).mean() - self.critic(batch["image"]).mean()})

    def g_terms(self, batch, drawn, noise):
        return Terms({"apart": -self.critic(drawn["fake"]).mean()}, {"seed": torch.tensor(float(self.seed))})

    def stepped(self, phase):
        self.shown.append(phase)

    def picture(self, latents, *labels):
        return self.averaged("generator")(latents)
"""


def test_a_game_written_for_the_last_version_trains_and_samples(module, tmp_path):
    with pytest.warns(RenamedWarning):
        game = module("my_old_game", GAME).Game
        generator = torch.nn.Sequential(torch.nn.Linear(2, 16), torch.nn.Unflatten(1, (1, 4, 4)))
        critic = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, 1))
        sgd = partial(torch.optim.SGD, lr=0.1)
        model = game(generator, critic, sgd, prior=Normal(2), seed=7, budget=Budget(images=16), log_every=1)
        images = [{"image": torch.rand(1, 4, 4)} for _ in range(16)]
        quiet = {"enable_progress_bar": False, "enable_model_summary": False, "enable_checkpointing": False}
        logger = CSVLogger(tmp_path)
        trainer = Trainer(max_epochs=-1, accelerator="cpu", logger=logger, **quiet)
        trainer.fit(model, torch.utils.data.DataLoader(images, 4))
        logger.save()
        assert model.shown == ["critic", "critic", "generator", "critic", "critic", "generator"]
        assert (model.iteration, model.images_seen, model.seed) == (4, 16, 7)
        assert model.sample(3).shape == (3, 1, 4, 4) and model.kinds == 0
        assert model.ema.half_life == 100 and not torch.equal(
            model.averaged("generator")[0].weight, generator[0].weight
        )
    header = next(tmp_path.rglob("metrics.csv")).read_text()
    assert "train/generator/apart" in header and "train/generator/seed" in header


def test_a_users_class_gets_the_old_arguments_that_it_names(module, tmp_path):
    source = """
from gan_lab.core.gan import GANModule

class Named(GANModule):
    def __init__(self, n_critic=1, replay=None, budget=None, **gan):
        super().__init__(n_critic=n_critic, replay=replay, budget=budget, **gan)
        self.named = n_critic, replay, budget
"""
    with pytest.warns(RenamedWarning):
        module("my_named_arguments", source)
        own = ["model._target_=my_named_arguments.Named", "remedy=replay"]
        configuration = plain(["model=dcgan", "loss=wgan_gp"], tmp_path, *limited(12), *own)
        model = instantiate(configuration["model"])
        n_critic, replay, budget = model.named
        assert n_critic == 5 == model.objective.n_critic and replay is model.replay_pool and budget.images == 12
        assert model.engine.budget is budget


INVENTORY = [line.split(": ") for line in (Path(__file__).parent / "format1_names.txt").read_text().splitlines()]
"""Classes and functions of the last version, by module, of the parts that users extend or name."""


@pytest.mark.parametrize(("module", "names"), INVENTORY, ids=[module for module, _ in INVENTORY])
@pytest.mark.filterwarnings("ignore::gan_lab.common.deprecation.RenamedWarning")
def test_what_users_could_import_can_still_be_imported(module, names):
    found = importlib.import_module(f"gan_lab.{module}")
    assert [name for name in names.split() if not hasattr(found, name)] == []
