"""MoCoGAN: constant contents, exchangeable motions, and the inputs of both discriminators."""

import pytest
import torch
from cases import limited, plain

from gan_lab.common.errors import UserError
from gan_lab.common.instantiate import instantiate
from gan_lab.losses.penalties import WeightClip
from gan_lab.networks.mocogan import ClipDiscriminator, Generator
from gan_lab.training.noise import KeyedStream


class Codes(torch.nn.Module):
    """Returns the latents themselves as pixels."""

    def forward(self, latents):
        return latents[:, :, None, None]


@pytest.fixture
def model(tmp_path):
    torch.manual_seed(0)
    return instantiate(plain(["model=mocogan"], tmp_path, *limited(8))["model"]).eval()


def showing_codes(model):
    """Returns the model with frames that show their codes, (N, T, content + motion)."""
    model.generator.frame = Codes()
    return model


def test_each_motion_code_is_the_grus_step_from_the_one_before():
    generator, noise = Generator(Codes(), motion=3), torch.randn(2, 4, 3)
    one = generator.motion(noise[:, 1], noise[:, 0])
    two = generator.motion(noise[:, 2], one)
    three = generator.motion(noise[:, 3], two)
    torch.testing.assert_close(generator.codes(noise), torch.stack([one, two, three], 1))


def test_a_clip_has_one_content_and_moves(model):
    clips = showing_codes(model).generator(torch.randn(2, 5), torch.randn(2, 7, 10))[..., 0, 0]
    assert clips.shape == (2, 6, 15)
    assert (clips[:, :, :5] == clips[:, :1, :5]).all() and (clips[:, 1:, 5:] != clips[:, :-1, 5:]).all()


def test_contents_and_motions_can_be_exchanged(model):
    model.ema = None
    codes = [showing_codes(model).sample_clips(3, 4, seed=1, motion=motion)[..., 0, 0] for motion in (None, 0, 1)]
    content, motion = ([each.split([50, 10], 2)[part] for each in codes] for part in (0, 1))
    assert torch.equal(content[0], content[1]) and torch.equal(content[0], content[2])
    for number, shared in enumerate(motion[1:]):
        torch.testing.assert_close(shared, motion[0][number].expand(3, -1, -1), msg="all move as that one does")
    assert not torch.equal(motion[0][0], motion[0][1])


def test_clips_of_a_label(tmp_path):
    torch.manual_seed(0)
    case = ["model=mocogan", "conditional=true"]
    model = instantiate(plain(case, tmp_path, *limited(8))["model"]).eval()
    cyclic, second = model.sample_clips(4, 2, seed=1), model.sample_clips(4, 2, seed=1, label=1)
    torch.testing.assert_close(cyclic[1], second[1], atol=1e-5, rtol=0)
    assert (cyclic[0] - second[0]).abs().max() > 1e-4
    with pytest.raises(UserError, match="classes 0 to 2"):
        model.sample_clips(1, 2, label=3)
    batch = {"frames": torch.rand(3, 4, 3, 16, 16) * 2 - 1, "label": torch.tensor([2, 0, 1])}
    labels = []
    model.frame_discriminator.forward = lambda shown, label: labels.append(label) or shown.mean((1, 2, 3))
    model.g_losses(batch, model.shared_forward(batch, KeyedStream(0, "draw")), KeyedStream(0, "g"))
    assert torch.equal(labels[0], batch["label"])


def test_the_frame_discriminator_sees_frames_of_the_clips(model):
    real, fake, at = torch.randn(2, 4, 3, 16, 16), torch.randn(2, 4, 3, 16, 16), torch.tensor([3, 1])
    inputs = model.discriminator_inputs({"frames": real}, {"fake": fake, "at": at}, KeyedStream(0, "d"))
    (_, real_frames, fake_frames), (_, real_clips, fake_clips) = inputs["frame"], inputs["clip"]
    assert torch.equal(real_frames, torch.stack([real[0, 3], real[1, 1]])) and real_clips is real
    assert torch.equal(fake_frames, torch.stack([fake[0, 3], fake[1, 1]])) and fake_clips is fake


def test_discriminator_inputs_are_augmented(model):
    batch = {"frames": torch.rand(4, 4, 3, 16, 16) * 2 - 1}
    shared_tensors, seen = model.shared_forward(batch, KeyedStream(0, "draw")), []
    model.augment = {"black": lambda shown, noise: seen.append(shown.shape[1:]) or torch.zeros_like(shown)}
    model.d_losses(batch, shared_tensors, KeyedStream(0, "d"))
    model.g_losses(batch, shared_tensors, KeyedStream(0, "g"))
    image, clip = (3, 16, 16), (4, 3, 16, 16)
    assert seen == [image, image, clip, clip, image, clip]


def test_weights_of_both_discriminators_are_clipped_after_their_steps(model):
    model.objective.projection, moved = WeightClip(0.01), [model.frame_discriminator, model.clip_discriminator]
    model.after_step("generator")
    assert all(max(p.abs().max() for p in discriminator.parameters()) > 0.01 for discriminator in moved)
    model.after_step("discriminators")
    assert all(max(p.abs().max() for p in discriminator.parameters()) <= 0.01 for discriminator in moved)


def test_the_generator_learns_from_both_discriminators(model):
    batch = {"frames": torch.rand(4, 4, 3, 16, 16) * 2 - 1}
    model.train()
    shared_tensors = model.shared_forward(batch, KeyedStream(0, "draw"))
    losses = model.g_losses(batch, shared_tensors, KeyedStream(0, "g"))
    assert set(losses.terms) == {"adversarial_frame", "adversarial_clip"}
    losses.total.backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in model.generator.motion.parameters())


@pytest.mark.parametrize(("length", "logits"), [(1, 1), (4, 1), (8, 1), (16, 4)])
def test_clips_of_any_length_have_logits(length, logits):
    discriminator = ClipDiscriminator(1, 32, 32, length, base=4)
    assert discriminator(torch.randn(2, length, 1, 32, 32)).shape == (2, 1, logits)
