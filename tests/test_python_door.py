"""Training from Python: by the parts of a composed run, and from plain arguments with a plain Trainer."""

import doctest
import json
from functools import partial
from types import SimpleNamespace

import hydra
import pytest
import torch
from cases import plain
from hydra.core.global_hydra import GlobalHydra
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.callbacks import EarlyStopping, ModelSummary
from lightning.pytorch.loggers import CSVLogger

import gan_lab
from gan_lab.cli import composition
from gan_lab.cli.config.hydra_versions import version_arguments
from gan_lab.common import runs
from gan_lab.common.deprecation import RenamedWarning
from gan_lab.common.errors import UserError
from gan_lab.common.instantiate import instantiate
from gan_lab.data import presets
from gan_lab.data.loading.loader import sampler_position
from gan_lab.evaluation.metrics.frechet import FrechetDistance
from gan_lab.losses.adversarial import LeastSquares, NonSaturating
from gan_lab.losses.likelihoods import Gaussian
from gan_lab.losses.objective import AdversarialObjective
from gan_lab.models.bases.gan import GANModule
from gan_lab.models.bases.latents import Normal
from gan_lab.models.cyclegan import CycleGAN
from gan_lab.models.vae import VAE
from gan_lab.networks import dcgan, patchgan, resnet
from gan_lab.networks.vae import MLPDecoder, MLPEncoder
from gan_lab.training.budget import Budget
from gan_lab.training.callbacks.fidelity import Fidelity
from gan_lab.training.options import EngineOptions

TINY = [
    "model=dcgan",
    "data=fake",
    "data.channels=1",
    "data.size=16",
    "model.generator.base=4",
    "model.discriminator.base=4",
]
TINY += ["batch_size=4", "trainer=cpu", "logger=none"]
QUICK = ["callbacks.samples=null", "callbacks.fidelity=null"]
BARE = ["callbacks=none"]


def weights(path):
    return torch.load(path, weights_only=True)["state_dict"]


def test_it_trains_as_the_command_does(tmp_path, monkeypatch, capsys):
    from gan_lab.train import train

    arguments = [*TINY, *QUICK, "budget.images=12"]
    train.run(*arguments, f"run_dir={tmp_path}/command")
    model, data, trainer = gan_lab.compose("train", *arguments, f"run_dir={tmp_path}/python", "record=null")
    trainer.fit(model, datamodule=data)
    one, other = (weights(tmp_path / folder / "last.ckpt") for folder in ("command", "python"))
    assert one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)
    config, other = (json.loads((tmp_path / folder / "config.json").read_text()) for folder in ("command", "python"))
    assert not runs.differing_keys(config, other)
    record, other = (json.loads((tmp_path / folder / "run.json").read_text()) for folder in ("command", "python"))
    assert record.keys() == other.keys() and record["state"] == other["state"] == "finished"
    torch.testing.assert_close(gan_lab.load(tmp_path / "python/last.ckpt").sample(2), model.eval().sample(2))


def test_parts_are_built_when_they_are_used_and_can_be_changed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = gan_lab.compose("train", *TINY, *BARE, "budget.images=8", "model.generator.base=8")
    assert run.config["model"]["generator"]["base"] == 8 and type(run.config["model"]) is dict
    run.config["model"]["n_critic"] = 2
    run.trainer.fit(run.model, datamodule=run.data)
    assert run.model.n_critic == 2 and run.model.images_seen == 8
    assert run.model is run.model and run.trainer is run.trainer
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_was_cut_short_goes_on(tmp_path):
    arguments = [*TINY, *QUICK, f"runs={tmp_path}", "resume=auto"]
    first = gan_lab.compose("train", *arguments, "budget.images=16")
    first.trainer.callbacks.append(Break())
    with pytest.raises(RuntimeError, match="power cut"):
        first.trainer.fit(first.model, datamodule=first.data)
    (folder,) = (path.parent for path in tmp_path.rglob("run.json"))
    assert json.loads((folder / "run.json").read_text())["state"] == "failed"
    again = gan_lab.compose("train", *arguments, "budget.images=16")
    again.trainer.fit(again.model, datamodule=again.data)
    assert again.model.images_seen == 16 and again.trainer.default_root_dir == str(folder)
    assert json.loads((folder / "run.json").read_text())["state"] == "finished"


class Break(Callback):
    def on_train_batch_end(self, trainer, module, *_):
        if module.images_seen == 8:
            trainer.save_checkpoint(f"{trainer.default_root_dir}/last.ckpt")
            raise RuntimeError("power cut")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "batch_size=0"], "batch_size=0"),
        (["train", "model=cyclegan", "data=digits"], "two domains"),
        (["train", "+trainer.max_steps=5"], "max_steps"),
        (["train", "trainer.max_stepz=5"], "There is no key trainer.max_stepz"),
        (["train", "model=dcgann"], "There is no model=dcgann: did you mean dcgan?"),
        (["train", "data=folder"], "data.root must be given"),
        (["sample", "checkpoint=x"], "give 'train' instead of 'sample'"),
    ],
)
def test_it_refuses_what_the_command_refuses(arguments, message):
    with pytest.raises(UserError, match=message):
        gan_lab.compose(*arguments)


def test_paths_and_old_names_are_understood(tmp_path):
    folder = tmp_path / "a, b (1)=c"
    run = gan_lab.compose("train", *TINY, f"run_dir={folder}")
    assert run.config["run_dir"] == str(folder)
    with pytest.warns(RenamedWarning) as warned:
        run = gan_lab.compose("train", "model=convlstm", "data=moving_digits", "model.given=7")
    assert run.config["model"]["context_frames"] == 7 and warned[0].filename == __file__


def test_it_works_within_a_program_that_uses_hydra(tmp_path):
    (tmp_path / "mine.yaml").write_text("a: 1\n")
    with hydra.initialize_config_dir(str(tmp_path), **version_arguments()):
        assert gan_lab.compose("train", *TINY).config["batch_size"] == 4
        assert hydra.compose("mine") == {"a": 1}
    assert not GlobalHydra.instance().is_initialized()


def test_the_example_runs(capsys):
    failed, tried = doctest.testmod(composition)
    assert not failed and tried


ADAM = partial(torch.optim.Adam, lr=2e-4, betas=(0.5, 0.999))
BARE_TRAINER = {"accelerator": "cpu", "logger": False, "enable_progress_bar": False, "enable_model_summary": False}


def engine(**more):
    return EngineOptions(ema_half_life=100, log_every=3, **more)


def gan(**more):
    torch.manual_seed(0)
    image = {"channels": 1, "height": 16, "width": 16}
    networks = dcgan.Generator(latent=8, base=4, **image), dcgan.Discriminator(base=4, **image)
    return GANModule(*networks, Normal(8), AdversarialObjective(NonSaturating()), ADAM, ADAM, engine=engine(**more))


def digits():
    return presets.digits(name="digits", channels=1, classes=0, size=16, batch_size=256)


def vae():
    encoder, decoder = MLPEncoder(4, 1, 16, 16, widths=[8]), MLPDecoder(2, 2, 16, 16, widths=[8])  # mean and scale
    return VAE(encoder, decoder, Gaussian(), ADAM, Normal(2), engine=engine())


def cyclegan():
    generators = [resnet.Generator(filters=4, blocks=1) for _ in "ab"]
    discriminators = [patchgan.Discriminator(filters=4, layers=1) for _ in "ab"]
    objective, domains = AdversarialObjective(LeastSquares()), {side: {"channels": 3} for side in "ab"}
    return CycleGAN(*generators, *discriminators, domains, objective, ADAM, ADAM, engine=engine())


def plain2striped():
    domains = {side: {"channels": 3} for side in "ab"}
    images = {"name": "plain2striped", "domains": domains, "size": 16, "batch_size": 4}
    return presets.plain2striped(12, 4, 0, labels=False, paired=False, **images)


PLAIN = {"gan": (gan, digits, 6), "vae": (vae, digits, 6), "cyclegan": (cyclegan, plain2striped, 3)}


@pytest.mark.parametrize("name", PLAIN)
def test_plain_arguments_and_a_plain_trainer(name, tmp_path):
    """An epoch ends without a budget, losses are logged, and Lightning writes its own checkpoint."""
    model, data, per_epoch = (part if isinstance(part, int) else part() for part in PLAIN[name])
    trainer = Trainer(max_epochs=1, **{**BARE_TRAINER, "logger": CSVLogger(tmp_path)})
    trainer.fit(model, datamodule=data)
    assert (model.iteration, trainer.current_epoch, trainer.num_training_batches) == (per_epoch, 1, per_epoch)
    assert "train/" in next(tmp_path.rglob("metrics.csv")).read_text()
    assert len([*tmp_path.rglob("*.ckpt")]) == 1


@pytest.mark.parametrize("workers", [0, 2])
def test_epochs_are_those_of_an_endless_run_and_are_resumed(workers, tmp_path):
    def fit(epochs, model, data, **more):
        trainer = Trainer(max_epochs=epochs, default_root_dir=tmp_path, **BARE_TRAINER)
        data.workers = workers
        trainer.fit(model, datamodule=data, **more)
        return trainer, model

    def state(model):
        return torch.cat([value.flatten().float() for value in model.state_dict().values()])

    _, endless = fit(-1, gan(budget=Budget(images=18 * 256)), digits())
    _, whole = fit(3, gan(), digits())
    first, _ = fit(1, gan(), digits())
    first.save_checkpoint(tmp_path / "first.ckpt")
    _, resumed = fit(3, gan(), digits(), ckpt_path=tmp_path / "first.ckpt")
    assert endless.iteration == whole.iteration == resumed.iteration == 18
    assert torch.equal(state(endless), state(whole)) and torch.equal(state(endless), state(resumed))


def test_a_checkpoint_within_an_epoch_is_resumed(tmp_path):
    class Save(Callback):
        def on_train_batch_end(self, trainer, module, *_):
            if module.iteration == 8:
                trainer.save_checkpoint(tmp_path / "mid.ckpt")

    whole, resumed = gan(), gan()
    Trainer(max_epochs=3, callbacks=[Save()], default_root_dir=tmp_path, **BARE_TRAINER).fit(whole, datamodule=digits())
    trainer = Trainer(max_epochs=3, default_root_dir=tmp_path, **BARE_TRAINER)
    trainer.fit(resumed, datamodule=digits(), ckpt_path=tmp_path / "mid.ckpt")
    assert resumed.iteration == whole.iteration == 18
    for name, value in whole.state_dict().items():
        assert torch.equal(resumed.state_dict()[name], value), name


MODELS = ["wgan_gp", "r3gan", "vae_gan", "vqgan", "mocogan", "simvp", "pix2pix"]


@pytest.mark.parametrize("name", MODELS)
def test_every_model_fits_a_plain_trainer(name, tmp_path):
    config = plain([f"model={name}"], tmp_path, "data.count=16")
    model, data = instantiate(config["model"]), instantiate(config["data"])
    trainer = Trainer(max_epochs=1, default_root_dir=tmp_path, **BARE_TRAINER)
    trainer.fit(model, datamodule=data)
    assert trainer.current_epoch == 1 and model.iteration == 4 // model.batches_per_iteration


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_steps": 10}, "counts the steps of every optimizer: give max_epochs"),
        ({"strategy": "ddp"}, "strategy='ddp_find_unused_parameters_true'"),
        ({"gradient_clip_val": 0.5}, r"engine=EngineOptions\(clip=0.5\)"),
        ({"accumulate_grad_batches": 4}, r"engine=EngineOptions\(micro_batches=4\)"),
    ],
)
def test_settings_of_a_trainer_that_cannot_work_are_refused(options, message, tmp_path):
    trainer = Trainer(default_root_dir=tmp_path, **BARE_TRAINER, **options)
    with pytest.raises(UserError, match=message):
        trainer.fit(gan(), datamodule=digits())


def test_a_sampler_that_lightning_would_replace_is_refused():
    trainer = SimpleNamespace(world_size=2, _accelerator_connector=SimpleNamespace(use_distributed_sampler=True))
    with pytest.raises(UserError, match="use_distributed_sampler=False"):
        sampler_position(trainer)


def test_a_dry_run_of_lightning_works(tmp_path):
    model = gan()
    Trainer(fast_dev_run=True, default_root_dir=tmp_path, **BARE_TRAINER).fit(model, datamodule=digits())
    assert model.iteration == 1


def test_a_loader_without_its_data_module_is_refused(tmp_path):
    """Outside of a Trainer it is endless: ``max_epochs=1`` would never end."""
    data = digits()
    data.setup("fit")
    trainer = Trainer(max_epochs=1, default_root_dir=tmp_path, **BARE_TRAINER)
    with pytest.raises(UserError, match=r"give trainer\.fit\(model, datamodule=data\)"):
        trainer.fit(gan(), data.train_dataloader())


def test_checkpoints_of_a_plain_trainer_are_loaded(tmp_path):
    run = gan_lab.compose("train", *TINY, *BARE, "budget.images=16")
    trainer = Trainer(max_epochs=1, default_root_dir=tmp_path, **BARE_TRAINER)
    trainer.fit(run.model, datamodule=run.data)
    trainer.save_checkpoint(tmp_path / "last.ckpt")
    loaded = gan_lab.load(tmp_path)  # a folder stands for its last checkpoint
    assert loaded.images_seen == 16
    torch.testing.assert_close(loaded.sample(2), run.model.eval().sample(2))


def test_a_checkpoint_of_plain_arguments_says_how_to_load_it(tmp_path):
    model, path = gan(), tmp_path / "plain.ckpt"
    trainer = Trainer(max_epochs=1, default_root_dir=tmp_path, **BARE_TRAINER)
    trainer.fit(model, datamodule=digits())
    trainer.save_checkpoint(path)
    with pytest.raises(UserError, match="build it again in the same way, and give the file to load_from_checkpoint"):
        gan_lab.load(path)
    again = gan()
    parts = {name: getattr(again, name) for name in ("generator", "discriminator", "prior", "objective", "engine")}
    loaded = GANModule.load_from_checkpoint(path, **parts, g_optimizer=ADAM, d_optimizer=ADAM, weights_only=True)
    assert loaded.images_seen == model.images_seen
    torch.testing.assert_close(loaded.eval().sample(2), model.eval().sample(2))


class Measure(Callback):
    def on_train_batch_end(self, trainer, module, *_):
        if module.iteration % 2 == 0:
            trainer.callback_metrics["quick_x"] = torch.tensor(1.0)


@pytest.mark.parametrize("epochs", [-1, 9])
def test_early_stopping_is_asked_after_each_measurement(epochs, tmp_path):
    run = gan_lab.compose("train", *TINY, *BARE, "budget.images=400", "data.count=8")
    callbacks = [Measure(), EarlyStopping("quick_x", patience=2)]
    trainer = Trainer(max_epochs=epochs, callbacks=callbacks, default_root_dir=tmp_path, **BARE_TRAINER)
    trainer.fit(run.model, datamodule=run.data)
    # Measured at 2, 4 and 6, and asked before the next iteration; with epochs of two iterations at their ends.
    assert run.model.iteration == (7 if epochs == -1 else 6)


def test_early_stopping_of_a_metric_that_is_not_measured_is_refused(tmp_path):
    run = gan_lab.compose("train", *TINY, *BARE, "budget.images=400")
    run.trainer.callbacks += [Measure(), EarlyStopping("quick_y")]
    with pytest.raises(UserError, match=r"'quick_y'.* is not measured: give one of quick_x"):
        run.trainer.fit(run.model, datamodule=run.data)


@pytest.mark.parametrize(
    ("monitor", "every", "sentence"),
    [
        ("val_loss", None, "is not measured during training, where nothing is: give the Trainer a Fidelity callback"),
        ("fd_grey", 16, "is not measured during training: give the name of a quick metric, such as quick_fd_general"),
    ],
)
@pytest.mark.parametrize("epochs", [-1, 2])
def test_early_stopping_of_a_metric_that_nothing_measures_is_refused_at_once(
    monitor, every, sentence, epochs, tmp_path
):
    run = gan_lab.compose("train", *TINY, *BARE, "budget.images=400")
    measuring = [Fidelity(every, 8, str(tmp_path), None, {"fd": FrechetDistance}, progress=False)] if every else []
    callbacks = [*measuring, EarlyStopping(monitor)]
    trainer = Trainer(max_epochs=epochs, callbacks=callbacks, default_root_dir=tmp_path, **BARE_TRAINER)
    with pytest.raises(UserError, match=sentence):
        trainer.fit(run.model, datamodule=run.data)
    assert run.model.iteration == 0


def test_early_stopping_waits_for_the_first_measurement_where_epochs_end_before_it(tmp_path):
    run = gan_lab.compose("train", *TINY, *BARE, "budget.images=400", "data.count=8")
    stopping = EarlyStopping("quick_z")
    options = {"max_epochs": 9, "callbacks": [Measure(), stopping], "default_root_dir": tmp_path, **BARE_TRAINER}
    run.data.batch_size = 8  # one iteration is an epoch, and the second one is measured
    with pytest.raises(UserError, match=r"'quick_z'.* is not measured: give one of quick_x"):
        Trainer(**options).fit(run.model, datamodule=run.data)
    assert run.model.iteration == 2


def test_a_summary_of_the_model_is_printed_if_it_is_asked_for():
    made = [
        gan_lab.compose("train", *TINY, *BARE, *more).trainer for more in ([], ["+trainer.enable_model_summary=true"])
    ]
    assert [any(isinstance(each, ModelSummary) for each in trainer.callbacks) for trainer in made] == [False, True]


@pytest.mark.parametrize("argument", ["precision=32", "logger=false", "log_every_n_steps=5", "limit_val_batches=1"])
def test_arguments_of_the_trainer_that_would_have_no_effect_are_refused(argument):
    with pytest.raises(UserError, match=rf"trainer\.{argument.split('=')[0]} is not supported"):
        gan_lab.compose("train", *TINY, f"+trainer.{argument}")
