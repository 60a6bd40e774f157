"""Fast Fourier convolutions: the published sizes, and a view of the whole image."""

import pytest
import torch

from gan_lab.common.errors import UserError
from gan_lab.networks.fourier import FourierUnit, Generator


@pytest.mark.parametrize(("blocks", "parameters"), [(9, 27_048_835), (18, 50_975_875)])
def test_it_has_the_published_parameters(blocks, parameters):
    """27 and 51 million in the paper; with its code's weights, taken in order, both give the same images."""
    with torch.device("meta"):
        network = Generator(blocks=blocks)
    assert sum(parameter.numel() for parameter in network.parameters()) == parameters


def test_shares_and_sizes_that_do_not_fit_are_refused():
    assert Generator(3, 4, 1, 1, share=0.13) and Generator(3, 4, 1, 1, share=0.0)
    with pytest.raises(ValueError, match=r"share=1\.0 is not valid"):
        Generator(3, 4, 1, 1, share=1.0)
    for size in (8, 20, [16, 12]):
        with pytest.raises(UserError, match="takes images of 16 px or more, in steps of 8"):
            Generator.check_data({"size": size}, num_downsamplings=3)


def test_a_unit_convolves_the_spectrum():
    unit = FourierUnit(1).eval()
    with torch.no_grad():
        unit.conv.weight.copy_(torch.eye(2).view(2, 2, 1, 1))
        x = torch.randn(1, 1, 6, 10)
        parts = torch.view_as_real(torch.fft.rfft2(x, norm="ortho")).clamp(min=0) / (1 + 1e-5) ** 0.5
        expected = torch.fft.irfft2(torch.view_as_complex(parts.contiguous()), s=(6, 10), norm="ortho")
        torch.testing.assert_close(unit(x), expected)


def test_each_pixel_depends_on_the_whole_image_and_not_on_unknown_pixels():
    torch.manual_seed(0)
    network = Generator(3, 8, 2, 1).eval()
    image, known = torch.rand(1, 3, 64, 96) * 2 - 1, torch.ones(1, 1, 64, 96)
    image.requires_grad_()
    known[..., :20, :20] = 0
    made = network(image, known)
    assert made.shape == image.shape and made.abs().max() <= 1
    made[0, 0, 2, 2].backward()
    assert image.grad[..., -1, -1].abs().max() > 0 and image.grad[..., :20, :20].abs().max() == 0
