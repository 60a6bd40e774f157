"""DRAW: windows against plain loops, latents against closed forms, steps against one another."""

import math

import pytest
import torch
from torch import nn
from torch.distributions import Normal, kl_divergence

from gan_lab.losses.likelihoods import Bernoulli, DiscretizedLogistic
from gan_lab.networks.draw import CANVAS_GAIN, DRAW, IdentityEncoder, Read, Window, Write, _posterior, filterbank

HEIGHT, WIDTH, STEPS, DIM = 6, 9, 3, 2
LABELS = torch.tensor([0, 2, 1, 1])


def network(channels=1, likelihood=None, **more):
    """A small network with parameters that are large enough for images to differ."""
    torch.manual_seed(0)
    options = {"steps": STEPS, "dim": DIM, "units": 5, "read": 2, "write": 3} | more
    made = DRAW(channels, HEIGHT, WIDTH, likelihood or Bernoulli(), **options)
    for parameter in made.parameters():
        nn.init.normal_(parameter, 0, 0.4)
    return made


def normal(*shape, seed=1):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def random_images(channels=1):
    return normal(4, channels, HEIGHT, WIDTH).sign()


variants = pytest.mark.parametrize(
    "options",
    [{}, {"read": None, "write": None}, {"read": 1, "write": 1}, {"channels": 3, "likelihood": DiscretizedLogistic()}],
    ids=["windows", "plain", "single", "scales"],
)


def test_filters_equal_a_plain_loop():
    """Equations 19 to 26 as printed, with pixels and filters counted from 1."""
    size, parameters = 4, normal(3, 5) / 2
    found = filterbank(parameters, size, HEIGHT, WIDTH)
    for n, (g_x, g_y, log_variance, log_stride, log_intensity) in enumerate(parameters.tolist()):
        stride = (max(HEIGHT, WIDTH) - 1) / (size - 1) * math.exp(log_stride)
        for filters, length, g in ((found.rows, HEIGHT, g_y), (found.columns, WIDTH, g_x)):
            centre = (length + 1) / 2 * (g + 1)
            for i in range(1, size + 1):
                mean = centre + (i - size / 2 - 0.5) * stride
                heights = [math.exp(-((a - mean) ** 2) / (2 * math.exp(log_variance))) for a in range(1, length + 1)]
                expected = torch.tensor(heights) / sum(heights)
                torch.testing.assert_close(filters[n, 0, i - 1], expected, atol=1e-6, rtol=1e-4)
        assert found.intensity[n].item() == pytest.approx(math.exp(log_intensity), rel=1e-5)


def test_the_initial_window_is_centred_spans_the_image_and_writes_at_full_intensity():
    window = Window(28, 28, 4, 5, writes=True)
    rows, columns, intensity = window(torch.zeros(1, 4))
    torch.testing.assert_close(rows, columns)
    at = (rows[0, 0] * torch.arange(28)).sum(1)
    assert at[2].item() == pytest.approx(13.5) and at[0] < 2 and at[4] > 25
    assert ((rows[0, 0, 2].max() ** 2) / intensity).item() == pytest.approx(1, abs=0.1)
    assert Window(28, 28, 4, 5, writes=False)(torch.zeros(1, 4)).intensity.item() == 1


def aim(part, *parameters):
    """Gives a window constant parameters, whatever the state."""
    nn.init.zeros_(part.window.place.weight)
    part.window.place.bias.data = torch.tensor(parameters, dtype=torch.float32)


def test_a_patch_written_through_narrow_filters_is_read_again():
    """With filters of no width one pixel apart, a patch is written unchanged at its place, and read back."""
    size, units, state = 3, 4, normal(2, 4)
    write, read = Write(1, HEIGHT, WIDTH, units, size), Read(1, HEIGHT, WIDTH, units, size)
    log_stride = math.log((size - 1) / (WIDTH - 1))  # one pixel
    place = [2 * 4 / (WIDTH + 1) - 1, 2 * 3 / (HEIGHT + 1) - 1]  # column 4, row 3
    aim(write, *place, -9.0, log_stride, 0.7)
    aim(read, *place, -9.0, log_stride, 0.7)
    canvas = write(state)
    patch = write.patch(state).view(2, 1, size, size)
    expected = torch.zeros(2, 1, HEIGHT, WIDTH)
    expected[:, :, 1:4, 2:5] = patch / math.exp(0.7)
    torch.testing.assert_close(canvas, expected)
    glimpse = read(canvas, 2 * canvas, state).view(2, 2, size, size)
    torch.testing.assert_close(glimpse, torch.cat([patch, 2 * patch], 1))


def test_windows_at_any_place_and_of_any_width_are_finite():
    for extreme in (-1e6, 1e6):
        for i in range(5):
            parameters = torch.zeros(1, 5)
            parameters[0, i] = extreme
            found = filterbank(parameters.requires_grad_(), 3, HEIGHT, WIDTH)
            (found.rows.square().sum() + found.columns.square().sum() + found.intensity.log().sum()).backward()
            assert all(each.isfinite().all() for each in (*found, parameters.grad))
            torch.testing.assert_close(found.rows.sum(3), torch.ones(1, 1, 3))


def test_the_kl_is_the_closed_form_and_the_ratio_that_of_the_densities():
    parameters, epsilon = normal(4, 6), normal(4, 3, seed=2)
    z, kl, ratio = _posterior(parameters, epsilon)
    mean, scale = parameters[:, :3], (5 * (parameters[:, 3:] / 5).tanh()).exp()
    posterior, prior = Normal(mean, scale), Normal(torch.zeros(3), torch.ones(3))
    torch.testing.assert_close(z, mean + scale * epsilon)
    torch.testing.assert_close(kl, kl_divergence(posterior, prior))
    torch.testing.assert_close(ratio, prior.log_prob(z) - posterior.log_prob(z), atol=1e-5, rtol=1e-5)


@variants
def test_decoding_the_inferred_sample_gives_the_inferred_output(options):
    """The decoder alone, given the sample, passes through the same canvases as together with the encoder."""
    made = network(classes=3, **options)
    images, epsilon = random_images(options.get("channels", 1)), normal(4, made.latent)
    found = made.infer(images, epsilon, LABELS)
    assert found.sample.shape == found.kl.shape == found.log_ratio.shape == (4, STEPS * DIM)
    torch.testing.assert_close(made(found.sample, LABELS), found.output)
    canvases = made.canvases(found.sample, LABELS)
    assert canvases.shape == (4, STEPS, len(made.canvas[0]), HEIGHT, WIDTH)
    torch.testing.assert_close(canvases[:, -1], found.output)
    assert not torch.allclose(canvases[:, -1], canvases[:, -2])


def test_a_canvas_does_not_depend_on_later_latents():
    made, epsilon = network(), normal(4, STEPS * DIM)
    other = torch.cat([epsilon[:, : 2 * DIM], normal(4, DIM, seed=3)], 1)
    one, two = made.canvases(epsilon), made.canvases(other)
    assert torch.equal(one[:, :2], two[:, :2]) and not torch.allclose(one[:, 2], two[:, 2])


def test_the_encoder_reads_the_image_and_the_error_image(monkeypatch):
    made, images, seen = network(), random_images(), []

    def read(images, error, state):
        seen.append((images, error))
        return own(images, error, state)

    own = made.read.forward
    monkeypatch.setattr(made.read, "forward", read)
    found = made.infer(images, normal(4, made.latent))
    drawn = [CANVAS_GAIN * made.canvas.expand(4, -1, -1, -1), *made.canvases(found.sample).unbind(1)]
    for (image, error), canvas in zip(seen, drawn, strict=False):
        assert torch.equal(image, images)
        torch.testing.assert_close(error, images - (2 * canvas.sigmoid() - 1))
    assert len(seen) == STEPS


@variants
def test_gradient_reaches_every_parameter(options):
    made = network(classes=3, **options)
    found = made.infer(random_images(options.get("channels", 1)), normal(4, made.latent), LABELS)
    (found.output.square().sum() + found.kl.sum()).backward()
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in made.parameters())


def test_output_and_posterior_depend_on_the_label():
    made, images, epsilon = network(classes=3), random_images(), normal(4, STEPS * DIM)
    assert not torch.allclose(made(epsilon, LABELS), made(epsilon, LABELS.flip(0)))
    one, two = (made.infer(images, epsilon, labels) for labels in (LABELS, LABELS.flip(0)))
    assert not torch.allclose(one.sample, two.sample)
    torch.testing.assert_close(made(epsilon[:1], LABELS[:1]), made(epsilon, LABELS)[:1])


def test_the_identity_encoder_returns_its_input():
    images = random_images()
    assert IdentityEncoder()(images, LABELS) is images and not [*IdentityEncoder().parameters()]


def test_numbers_below_one_are_refused_by_name():
    for name in ("steps", "dim", "units", "read", "write"):
        with pytest.raises(ValueError, match=f"model.decoder.{name}=0"):
            network(**{name: 0})
