"""What every model and every loss must do, by existing."""

import math

import pytest
import torch
from cases import CASES, limited, plain
from fitting import fit
from lightning.pytorch import Callback

import gan_lab
from gan_lab.common.capabilities import (
    HasDiscriminator,
    HasLikelihood,
    Predicts,
    Reconstructs,
    Repairs,
    Restores,
    Samples,
    SamplesClips,
    Stylizes,
    Translates,
    TranslatesAmong,
)
from gan_lab.common.constraints import height_and_width
from gan_lab.common.errors import UserError
from gan_lab.common.gradients import gradients
from gan_lab.common.instantiate import instantiate
from gan_lab.models.pix2pixhd import Pix2PixHD
from gan_lab.models.progressive import Progressive
from gan_lab.training.alternating import AlternatingModule
from gan_lab.training.callbacks.fidelity import Fidelity

BATCH = 4
SCALES = [f"discriminator.scales.{number}." for number in range(3)]
DISCRIMINATORS = ("discriminator.", "frame_discriminator.", "clip_discriminator.", *SCALES)


def image_shape(configuration):
    data = configuration["data"]
    return [data["channels"], *height_and_width(data["size"])]


def live(model):
    """Parameters by name, the averaged copies left out."""
    return {name: value for name, value in model.named_parameters() if not name.startswith("ema.")}


@pytest.fixture(params=CASES, ids=lambda case: " ".join(case))
def configuration(request, tmp_path):
    return plain(request.param, tmp_path, *limited(BATCH))


def test_phases_are_disjoint_and_complete(configuration):
    model = instantiate(configuration["model"])
    assert isinstance(model, AlternatingModule)
    parts = [part for phase in model.phases() if phase.optimizer is None for part in model.trainable(phase.name)]
    owners = [id(p) for part in parts for p in part.parameters() if p.requires_grad]
    assert len(owners) == len(set(owners))
    assert set(owners) == {id(p) for p in live(model).values() if p.requires_grad}


def test_a_turn_changes_exactly_its_own_parameters_through_finite_gradients(configuration, monkeypatch):
    """Watched until every phase has had two turns: what follows a layer that begins at 0 moves in the second."""
    phases = instantiate(configuration["model"]).phases()
    rounds = 2 * math.lcm(*(phase.interval for phase in phases)) * (4 if any(phase.begin for phase in phases) else 1)
    configuration["model"]["engine"]["budget"]["images"] = BATCH * rounds
    moved = {}

    def after_step(self, phase):
        own(self, phase)
        now = {name: value.detach().clone() for name, value in live(self).items()}
        changed = {name for name in now if not torch.equal(now[name], before[name])}
        mine = {id(p) for part in self.trainable(phase) for p in part.parameters()}
        expected = {name for name, value in live(self).items() if id(value) in mine and value.requires_grad}
        assert changed <= expected, f"{phase} changed {sorted(changed - expected)}"
        for name in expected:
            gradient = live(self)[name].grad
            if gradient is None and isinstance(self, Progressive | Pix2PixHD):  # a layer that this stage leaves out
                assert name not in changed, f"{name} moved without a gradient"
                continue
            assert gradient is not None and gradient.isfinite().all(), f"{name} has no finite gradient"
        before.update(now)
        moved[phase] = changed | moved.get(phase, set())

    cls = type(instantiate(configuration["model"]))
    own = cls.after_step
    before = {}
    monkeypatch.setattr(cls, "after_step", after_step)
    monkeypatch.setattr(
        cls, "on_train_start", lambda self: before.update({n: v.detach().clone() for n, v in live(self).items()})
    )
    _, model = fit(configuration)
    assert set(moved) == {phase.name for phase in model.phases()}
    still = {name for name, value in live(model).items() if value.requires_grad}.difference(*moved.values())
    # Losses that compare real with fake do not see what is added to both, nor does the hinge within its margin.
    biases = [
        [name for name in live(model) if name.startswith(discriminator) and name.endswith("bias")]
        for discriminator in DISCRIMINATORS
    ]
    assert still <= {each[-1] for each in biases if each} and not any(live(model)[name].grad.any() for name in still)
    assert model.images_seen == BATCH * rounds


def test_a_discriminator_of_images_judges_them_with_gradients_that_are_asked_for(configuration):
    torch.manual_seed(0)
    model = instantiate(configuration["model"]).eval()
    assert isinstance(model, HasDiscriminator) == (isinstance(model, Samples) and hasattr(model, "discriminator"))
    if not isinstance(model, HasDiscriminator):
        return
    image = torch.rand(BATCH, *image_shape(configuration))
    assert not model.discriminator_logits(image, None).requires_grad
    with gradients():
        logits = model.discriminator_logits(image.requires_grad_(), None)
        (found,) = torch.autograd.grad(logits.mean(), image)
    assert len(logits) == BATCH and logits.dtype == torch.float32 and found.abs().max() > 0


def test_samples_survive_a_checkpoint(configuration, tmp_path):
    trainer, model = fit(configuration)
    trainer.save_checkpoint(tmp_path / "last.ckpt")
    loaded = gan_lab.load(tmp_path / "last.ckpt")
    assert loaded.images_seen == BATCH
    for name, value in model.state_dict().items():
        assert torch.equal(value, loaded.state_dict()[name]), name
    if isinstance(loaded, Samples):
        samples = loaded.sample(5, seed=3)
        assert samples.shape == (5, *image_shape(configuration))
        assert samples.dtype == torch.float32
        assert samples.abs().max() <= 1
        torch.testing.assert_close(model.sample(5, seed=3), samples, atol=1e-5, rtol=0)
        # Sample i is the same whatever it is made together with.
        torch.testing.assert_close(loaded.sample(2, seed=3, start=3), samples[3:], atol=1e-5, rtol=0)
    pictures = (
        (torch.rand(3, *image_shape(configuration)) > 0.5) * 2.0 - 1 if configuration["data_kind"] == "image" else None
    )
    if isinstance(loaded, Reconstructs):
        again = loaded.reconstruct(pictures)
        assert again.shape == pictures.shape and again.dtype == torch.float32 and again.abs().max() <= 1
        torch.testing.assert_close(model.reconstruct(pictures), again, atol=1e-5, rtol=0)
    if isinstance(loaded, HasLikelihood):
        nats = loaded.log_likelihood(pictures, k=3, seed=3)
        assert nats.shape == (3,) and nats.dtype == torch.float32 and nats.isfinite().all() and (nats < 0).all()
        torch.testing.assert_close(
            loaded.log_likelihood(pictures[1:], k=3, seed=3, start=1), nats[1:], rtol=1e-5, atol=0
        )
    if isinstance(loaded, Restores):
        mask = torch.zeros(3, 1, *pictures.shape[2:])
        mask[:, :, : pictures.shape[2] // 2] = 1
        whole = loaded.restore(pictures, mask, seed=3)
        assert whole.shape == pictures.shape and whole.abs().max() <= 1
        assert torch.equal(whole * mask, pictures * mask)
    if isinstance(loaded, Repairs):
        channels, height, width = image_shape(configuration)
        damaged = torch.rand(3, channels, height // loaded.factor, width // loaded.factor) * 2 - 1
        known = (torch.rand(3, 1, *damaged.shape[2:]) > 0.3).float() if loaded.masks else None
        repaired = loaded.repair(damaged, known)
        assert repaired.shape == (3, channels, height, width) and repaired.dtype == torch.float32
        assert repaired.abs().max() <= 1
        part = None if known is None else known[1:]
        torch.testing.assert_close(model.repair(damaged[1:], part), repaired[1:], atol=1e-5, rtol=0)
        if known is not None:
            assert torch.equal(repaired[known.expand_as(repaired) == 1], damaged[known.expand_as(damaged) == 1])
    if isinstance(loaded, Stylizes):
        photos, styles = torch.rand(3, 3, 16, 24) * 2 - 1, [torch.rand(1, 3, 20, 12) * 2 - 1] * loaded.any_style
        made = loaded.stylize(photos, styles)
        assert made.shape == photos.shape and made.dtype == torch.float32 and made.abs().max() <= 1
        torch.testing.assert_close(model.stylize(photos[1:], styles), made[1:], atol=1e-5, rtol=0)
    if isinstance(loaded, Predicts):
        frames = torch.rand(3, loaded.context_frames, *image_shape(configuration)) * 2 - 1
        made = loaded.predict(frames, 5)
        assert made.shape == (3, 5, *image_shape(configuration)) and made.dtype == torch.float32
        assert made.abs().max() <= 1
        torch.testing.assert_close(model.predict(frames, 5), made, atol=1e-5, rtol=0)
        assert loaded.predict(frames[:, :1], 1).shape == (3, 1, *image_shape(configuration))
    if isinstance(loaded, SamplesClips):
        clips = loaded.sample_clips(4, 5, seed=3)
        assert clips.shape == (4, 5, *image_shape(configuration)) and clips.dtype == torch.float32
        torch.testing.assert_close(model.sample_clips(4, 5, seed=3), clips, atol=1e-5, rtol=0)
        torch.testing.assert_close(loaded.sample_clips(2, 3, seed=3, start=2), clips[2:, :3], atol=1e-5, rtol=0)
    if isinstance(loaded, Translates):
        for direction in loaded.directions:
            source, to = loaded.domains[direction[0]], direction[-1]
            pictures = torch.rand(2, source.network_channels, 16, 32) * 2 - 1
            out = loaded.translate(pictures, to, seed=3)
            assert out.shape == (2, loaded.domains[to].network_channels, 16, 32)
            assert out.dtype == torch.float32
            assert out.abs().max() <= 1
            torch.testing.assert_close(model.translate(pictures, to, seed=3), out, atol=1e-5, rtol=0)
            torch.testing.assert_close(loaded.translate(pictures[1:], to, 3, start=1), out[1:], atol=1e-5, rtol=0)
    if isinstance(loaded, TranslatesAmong):
        pictures, to = torch.rand(3, *image_shape(configuration)) * 2 - 1, torch.tensor([0, 2, 1])
        styles = loaded.random_styles(3, to, seed=3)
        torch.testing.assert_close(loaded.random_styles(2, to[1:], seed=3, start=1), styles[1:], atol=1e-5, rtol=0)
        assert loaded.styles_of(pictures, to).shape == styles.shape
        out = loaded.restyle(pictures, to, styles)
        assert out.shape == pictures.shape and out.dtype == torch.float32 and out.abs().max() <= 1
        torch.testing.assert_close(model.restyle(pictures[1:], to[1:], styles[1:]), out[1:], atol=1e-5, rtol=0)
        torch.testing.assert_close(loaded.restyle(pictures[1:2], 2, styles[1:2]), out[1:2], atol=1e-5, rtol=0)
        with pytest.raises(UserError, match="3"):
            loaded.restyle(pictures, 3, styles)


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_resumed_equals_uninterrupted(configuration, precision, tmp_path):
    """From the middle of an epoch, to the bit: weights, averages, buffers and optimizers."""
    configuration |= {"precision": precision}
    configuration["model"]["engine"]["budget"]["images"] = BATCH * 7
    whole, _ = fit(configuration)
    whole.save_checkpoint(tmp_path / "whole.ckpt")
    fit(configuration, SaveAt(3, tmp_path / "part.ckpt"))
    continued, _ = fit(configuration, resume=tmp_path / "part.ckpt")
    continued.save_checkpoint(tmp_path / "continued.ckpt")
    one, two = (torch.load(tmp_path / name, weights_only=True) for name in ("whole.ckpt", "continued.ckpt"))
    assert one["counters"]["images_seen"] == two["counters"]["images_seen"] == BATCH * 7
    assert_equal(one["state_dict"], two["state_dict"])
    assert_equal(one["optimizer_states"], two["optimizer_states"])
    assert_equal(one["extra_state"], two["extra_state"])


def test_resumed_equals_uninterrupted_across_epochs_with_workers_and_callbacks(tmp_path):
    """As a user has it: two loader workers, epochs of four batches, pictures and figures between."""
    more = ["callbacks=default", "callbacks.progress=null", "callbacks.samples.every=8", "callbacks.fidelity.every=12",
            "callbacks.fidelity.n=8", "data.workers=2", "data.count=18"]  # fmt: skip
    configuration = plain(["model=dcgan"], tmp_path, *more, *limited(BATCH * 11))
    whole, _ = fit(configuration)
    whole.save_checkpoint(tmp_path / "whole.ckpt")
    part = None
    for stop in (3, 4, 7, 8, 11):  # again and again: in the middle and at the ends of epochs
        fit(configuration, SaveAt(stop, tmp_path / f"{stop}.ckpt"), part)
        part = tmp_path / f"{stop}.ckpt"
    one, two = (torch.load(path, weights_only=True) for path in (tmp_path / "whole.ckpt", part))
    assert_equal(one["state_dict"], two["state_dict"])
    assert_equal(one["optimizer_states"], two["optimizer_states"])


def test_a_run_whose_budget_is_used_up_is_not_trained_further(tmp_path):
    configuration = plain(["model=gan"], tmp_path, *limited(BATCH * 2))
    fit(configuration, SaveAt(2, tmp_path / "done.ckpt"))
    _, model = fit(configuration, resume=tmp_path / "done.ckpt")
    assert model.iteration == 2


def test_what_is_set_of_callbacks_that_are_left_out_does_no_harm(tmp_path):
    trainer, _ = fit(plain(["model=gan", "debug=smoke"], tmp_path, *limited(BATCH)))
    assert not [each for each in trainer.callbacks if isinstance(each, Fidelity)]


def test_compiled_networks_train_beside_an_adaptive_weight(tmp_path):
    few = ["model.encoder.num_downsamplings=1", "model.discriminator_begin=0.25", "compile=true"]
    _, model = fit(plain(["model=vqgan"], tmp_path, *limited(4 * BATCH), *few))
    assert model.encoder._compiled_call_impl is not None and model.decoder._compiled_call_impl is None


def test_micro_batches_train_as_the_whole_batch(tmp_path):
    how = [*limited(2 * BATCH), "precision=32-true", "data.size=8", "model.engine.ema_half_life=0"]
    one, two = (fit(plain(["model=iwae"], tmp_path, *how, f"model.engine.micro_batches={n}"))[1] for n in (1, 2))
    for name, value in live(one).items():
        torch.testing.assert_close(live(two)[name], value, atol=1e-4, rtol=1e-3, msg=name)


def test_compiled_networks_train(tmp_path):
    _, model = fit(plain(["model=dcgan", "loss=r1"], tmp_path, *limited(BATCH), "data.size=8", "compile=true"))
    assert model.generator._compiled_call_impl is not None
    assert model.discriminator._compiled_call_impl is not None
    assert model.generator.layers[0].weight.grad.isfinite().all()


def test_a_compiled_stylegan2_trains_as_it_is(tmp_path):
    """Penalised iterations run uncompiled: of R1 in the first of four, of path lengths in every second."""
    how = [*limited(4 * BATCH), "precision=32-true", "data.size=8", "loss.penalties.r1.interval=4"]
    how += ["model.path_length_interval=2", "model.engine.ema_half_life=0"]
    one, two = (fit(plain(["model=stylegan2"], tmp_path, *how, f"compile={on}"))[1] for on in ("false", "true"))
    assert two.generator.synthesis._compiled_call_impl is not None
    for name, value in live(one).items():
        torch.testing.assert_close(live(two)[name], value, atol=1e-3, rtol=1e-2, msg=name)


class SaveAt(Callback):
    """Saves at the end of an iteration, as the program's own callback does, and ends the run."""

    def __init__(self, iteration, path):
        self.iteration, self.path = iteration, path

    def on_train_batch_end(self, trainer, module, *_):
        if module.iteration == self.iteration:
            trainer.save_checkpoint(self.path)
            trainer.should_stop = True


def assert_equal(one, two, path=""):
    assert type(one) is type(two), path
    if isinstance(one, dict):
        assert one.keys() == two.keys(), path
        for key in one:
            assert_equal(one[key], two[key], f"{path}.{key}")
    elif isinstance(one, list):
        for i, (a, b) in enumerate(zip(one, two, strict=True)):
            assert_equal(a, b, f"{path}[{i}]")
    elif isinstance(one, torch.Tensor):
        assert torch.equal(one, two), path
    else:
        assert one == two, path
