"""The training step of all methods, on small GANs without batch statistics."""

import contextlib
from functools import partial

import pytest
import torch
from lightning.pytorch import Trainer
from torch import nn

from gan_lab.common.errors import UserError
from gan_lab.losses.adversarial import NonSaturating, Relativistic, Wasserstein
from gan_lab.losses.objective import AdversarialObjective
from gan_lab.losses.penalties import R1, R2, GradientPenalty
from gan_lab.models.bases.gan import GANModule
from gan_lab.models.bases.latents import Normal
from gan_lab.training.alternating import to_channels_last
from gan_lab.training.budget import Budget
from gan_lab.training.checkpoint import load_weights
from gan_lab.training.options import EngineOptions
from gan_lab.training.schedules import Linear
from gan_lab.training.trainer_checks import check_batch_norm

N, SHAPE = 8, (1, 4, 4)
IMAGES = torch.rand(4 * N, *SHAPE, generator=torch.Generator().manual_seed(0)) * 2 - 1


class Counting(nn.Sequential):
    """Records for every call whether gradients were enabled, and the dtype of the output."""

    def __init__(self, *layers):
        super().__init__(*layers)
        self.calls = []

    def forward(self, x):
        out = x
        for layer in self:
            out = layer(out)
        self.calls.append((torch.is_grad_enabled(), out.dtype))
        return out


def make(iterations=1, rate=0.1, cls=GANModule, **options):
    torch.manual_seed(0)
    generator = Counting(nn.Linear(3, 16), nn.Tanh(), nn.Unflatten(1, SHAPE))
    discriminator = Counting(nn.Flatten(), nn.Linear(16, 8), nn.Tanh(), nn.Linear(8, 1))
    sgd = partial(torch.optim.SGD, lr=rate)
    game = {name: options.pop(name) for name in ("loss", "penalties", "n_critic") if name in options}
    engine = {name: options.pop(name) for name in [*options] if name in EngineOptions.__dataclass_fields__}
    objective = AdversarialObjective(**{"loss": NonSaturating(), **game})
    engine = EngineOptions(**{"budget": Budget(images=N * iterations), **engine})
    return cls(generator, discriminator, Normal(3), objective, sgd, sgd, engine=engine, **options)


def fit(module, precision="32-true", **more):
    loader = torch.utils.data.DataLoader([{"image": image} for image in IMAGES], N)
    quiet = {
        "logger": False,
        "enable_checkpointing": False,
        "enable_model_summary": False,
        "enable_progress_bar": False,
    }
    trainer = Trainer(
        accelerator="cpu", max_epochs=-1, precision=precision, use_distributed_sampler=False, **quiet, **more
    )
    trainer.fit(module, loader)
    return module


def weights(module):
    return torch.cat(
        [p.detach().flatten() for p in (*module.generator.parameters(), *module.discriminator.parameters())]
    )


def test_the_generator_runs_once_an_iteration_and_without_a_graph_if_it_does_not_step():
    assert [grad for grad, _ in fit(make(3)).generator.calls] == [True, True, True]
    assert [grad for grad, _ in fit(make(3, n_critic=3)).generator.calls] == [False, False, True]


def test_micro_batches_train_like_the_whole_batch():
    options = {"penalties": {"gradient_penalty": GradientPenalty(1.0)}}
    whole, parts = fit(make(3, **options)), fit(make(3, micro_batches=4, **options))
    torch.testing.assert_close(weights(parts), weights(whole), atol=1e-6, rtol=1e-5)
    with pytest.raises(UserError, match="micro-batches"):
        fit(make(micro_batches=3))


def test_loss_and_penalty_share_one_float32_pass_of_the_discriminator():
    module = fit(make(penalties={"r1": R1(), "r2": R2()}), "bf16-mixed")
    # The discriminator's phase: real and fake once each, in float32; then the generator's, in bfloat16.
    assert [dtype for _, dtype in module.discriminator.calls] == [torch.float32, torch.float32, torch.bfloat16]


def test_a_lazy_penalty_has_the_same_weight_on_average(monkeypatch):
    """interval=4 acts in one of four iterations with four times the weight."""
    seen = []
    own = GANModule.d_losses
    monkeypatch.setattr(GANModule, "d_losses", lambda *turn: seen.append(own(*turn)) or seen[-1])
    module = fit(make(8, rate=0.0, loss=Wasserstein(), penalties={"r1": R1(2.0, interval=4)}))
    assert [i for i, losses in enumerate(seen) if "r1" in losses.terms] == [0, 4]
    real = IMAGES[:N].clone().requires_grad_()
    (gradient,) = torch.autograd.grad(module.discriminator(real).sum(), real)
    r1 = gradient.flatten(1).square().sum(1).mean().item() / 2
    assert seen[0].terms["r1"].item() == pytest.approx(4 * 2.0 * r1, rel=1e-5)


def test_a_lazy_penalty_that_is_not_due_when_a_row_is_written_is_in_it(monkeypatch):
    rows = []
    monkeypatch.setattr("gan_lab.training.alternating.log_losses", lambda _, outputs: rows.append(outputs))
    fit(make(4, penalties={"r1": R1(interval=2)}, log_every=2))
    assert [row["discriminator"].keys() - row["generator"].keys() >= {"r1"} for row in rows] == [True, True]


def test_clipping_bounds_a_phases_step():
    before, after = make(), fit(make(rate=1.0, clip=1e-3))
    for name in ("generator", "discriminator"):
        old, new = (nn.utils.parameters_to_vector(getattr(module, name).parameters()) for module in (before, after))
        assert (new - old).norm().item() == pytest.approx(1e-3, rel=1e-3)


def test_the_learning_rate_follows_the_share_of_the_budget():
    module = fit(make(4, lr_schedule=Linear(0.0)))
    for optimizer in module.optimizers():
        assert optimizer.param_groups[0]["lr"] == pytest.approx(0.1 * 0.25)  # three of four iterations were done


def test_other_quantities_are_scheduled_relative_to_their_initial_values():
    seen = []

    class Watched(GANModule):
        def after_step(self, phase):
            adam = self.phase_optimizers()["generator"].param_groups[0]
            r1 = self.objective.penalties["r1"].weight
            seen.append((adam["lr"], adam["betas"], r1, self.ema.half_life))

    adam, half = partial(torch.optim.Adam, lr=0.5, betas=(0.0, 0.8)), Linear(0.0, end=0.5)
    names = ("generator.beta2", "objective.penalties.r1.weight", "ema.half_life")
    module = make(2, schedules=dict.fromkeys(names, half), ema_half_life=100, penalties={"r1": R1(2.0)}, cls=Watched)
    module.make_optimizer["generator"] = adam
    fit(module)
    assert seen[0] == (0.5, (0.0, 0.8), 2.0, 100)
    assert seen[-1] == (0.5, (0.0, pytest.approx(0.6)), 1.5, 75)
    with pytest.raises(UserError, match=r"model\.engine\.schedules names ema\.length"):
        fit(make(schedules={"ema.length": half}))
    fit(make(schedules={"augment.noise.std": half, "objective.penalties.r1.weight": half}, augment={"noise": None}))
    with pytest.raises(UserError, match="momentum cannot follow a schedule"):
        fit(make(schedules={"generator.momentum": half}))
    rising = make(4, schedules={"generator.beta2": Linear(0.0, end=2.0)})
    rising.make_optimizer["generator"] = adam
    with pytest.raises(UserError, match="leads to Adam"):
        fit(rising)


def test_a_phase_with_a_new_batch_has_its_own_real_images_and_fakes():
    seen_by = {}

    class Watched(GANModule):
        def d_losses(self, batch, shared, noise):
            seen_by.setdefault("discriminator", (batch["image"], shared["fake"]))
            return super().d_losses(batch, shared, noise)

        def g_losses(self, batch, shared, noise):
            seen_by.setdefault("generator", (batch["image"], shared["fake"].detach()))
            return super().g_losses(batch, shared, noise)

    module = fit(make(2, new_batch_for_generator=True, loss=Relativistic(), budget=Budget(images=N), cls=Watched))
    assert torch.equal(seen_by["discriminator"][0], IMAGES[: N // 2])
    assert torch.equal(seen_by["generator"][0], IMAGES[N // 2 : N])
    assert not torch.equal(seen_by["generator"][1], seen_by["discriminator"][1])
    assert [grad for grad, _ in module.generator.calls] == [False, True] * 2
    assert (module.iteration, module.images_seen) == (2, N)
    epoch = fit(make(new_batch_for_generator=True, budget=Budget(epochs=1)))
    assert epoch.images_seen == 4 * N


def test_budgets_end_a_run():
    assert fit(make(budget=Budget(epochs=1.5))).iteration == 6
    assert fit(make(budget=Budget(images=N * 5 - 1))).images_seen == N * 5
    assert fit(make(budget=Budget(minutes=1e-9))).iteration == 1


def test_a_run_depends_on_its_seed_alone():
    one, two, other = (weights(fit(make(3, seed=seed))) for seed in (1, 1, 2))
    assert torch.equal(one, two)
    assert not torch.equal(one, other)


def test_compiled_networks_run_as_they_are_where_a_penalty_differentiates_twice(monkeypatch):
    in_place = nn.Module.compile
    monkeypatch.setattr(nn.Module, "compile", lambda self: in_place(self, backend="aot_eager"))
    for penalty in (R1(interval=2), GradientPenalty(), R2()):
        plain, compiled = (fit(make(4, penalties={"penalty": penalty}, compile=on)) for on in (False, True))
        assert all(network._compiled_call_impl is not None for network in (compiled.generator, compiled.discriminator))
        torch.testing.assert_close(weights(compiled), weights(plain), atol=1e-6, rtol=1e-5)


def test_batch_norm_under_a_per_sample_penalty_is_refused():
    torch.manual_seed(0)
    discriminator = nn.Sequential(nn.BatchNorm2d(1), nn.Flatten(), nn.Linear(16, 1))
    adam, objective = torch.optim.Adam, AdversarialObjective(NonSaturating(), {"r1": R1()})
    with pytest.raises(UserError, match=r"r1 .* loss\.discriminator\.norm"):
        GANModule(nn.Linear(3, 16), discriminator, Normal(3), objective, adam, adam)


def test_init_from_copies_matching_weights(tmp_path):
    source = fit(make(2))
    torch.save({"gan_lab": {}, "state_dict": source.state_dict(), "counters": {}}, tmp_path / "a.ckpt")
    target = make()
    assert load_weights(target, tmp_path / "a.ckpt", 1.0) == (1.0, [])
    assert torch.equal(weights(target), weights(source)) and target.iteration == 0
    with pytest.raises(UserError, match="same networks"):
        load_weights(nn.Linear(2, 2), tmp_path / "a.ckpt")


def test_init_from_says_how_much_fits_and_refuses_too_little(tmp_path):
    source = nn.ModuleDict({"a": nn.Linear(3, 1), "b": nn.Linear(15, 1)})  # 4 and 16 parameters
    torch.save({"gan_lab": {}, "state_dict": source.state_dict(), "counters": {}}, tmp_path / "a.ckpt")
    wider = nn.ModuleDict({"a": nn.Linear(3, 1), "b": nn.Linear(15, 2), "ema": nn.Linear(99, 1)})
    before = wider.state_dict()["a.weight"].clone()
    with pytest.raises(UserError, match=r"only 11% of this model's parameters .* init_share=0"):
        load_weights(wider, tmp_path / "a.ckpt", 0.5)
    assert torch.equal(wider.state_dict()["a.weight"], before)
    taken = load_weights(wider, tmp_path / "a.ckpt")
    assert taken.share == 4 / 36 and {"b.weight", "b.bias"} < {*taken.left_out}
    assert torch.equal(wider["a"].weight, source["a"].weight)


@pytest.mark.parametrize(
    ("layer", "options", "said"),
    [
        (nn.BatchNorm1d(16), {"batch_size": 1}, r"batch_size=1 leaves .* of generator, .* batch_size=2, or networks"),
        (nn.BatchNorm1d(16), {"batch_size": 2, "ranks": 2}, "batch_size=2 over 2 processes leaves"),
        (nn.BatchNorm1d(16), {"batch_size": 4, "micro": 4}, "batch_size=4 in 4 micro-batches leaves .* batch_size=8"),
        (nn.BatchNorm1d(16), {"batch_size": 2, "ranks": 2, "synchronised": True}, None),
        (nn.BatchNorm1d(16), {"batch_size": 2}, None),
        (nn.BatchNorm1d(16), {"batch_size": None}, None),
        (nn.LayerNorm(16), {"batch_size": 1}, None),
    ],
)
def test_batch_norm_over_one_example_is_refused(layer, options, said):
    module = make(micro_batches=options.pop("micro", 1))
    module.generator.append(layer)
    with pytest.raises(UserError, match=said) if said else contextlib.nullcontext():
        check_batch_norm(module, **options)


def test_images_with_statistics_of_their_own_may_be_trained_on_one_by_one():
    module = make()
    module.inference_options = {"batch_statistics": True}
    module.generator.append(nn.BatchNorm2d(1))
    check_batch_norm(module, 1)
    module.generator.append(nn.BatchNorm1d(1))
    with pytest.raises(UserError, match="batch norms of generator"):
        check_batch_norm(module, 1)


@pytest.mark.parametrize(("channels", "kernel"), [(8, 3), (8, 1), (1, 3)])
def test_every_convolution_gives_maps_with_channels_last(channels, kernel):
    layer = nn.Conv2d(channels, 4, kernel)
    to_channels_last(layer)
    assert layer(torch.randn(2, channels, 8, 8)).is_contiguous(memory_format=torch.channels_last)
