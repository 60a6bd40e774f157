"""Edges that are found and blurred."""

import torch

from gan_lab.losses.edges import WIDTH, edges, with_smooth_edges


def step(side=32):
    image = torch.full((1, 3, side, side), -0.8)
    image[..., side // 2 :] = 0.8
    return image


def test_a_step_is_found_with_what_lies_around_it():
    found = edges(step())[0, 0]
    columns = found.any(0).nonzero().flatten().tolist()
    assert columns == list(range(16 - 1 - WIDTH // 2, 16 + 1 + WIDTH // 2)) and found[:, columns].all()
    assert not edges(torch.linspace(-1, 1, 32).expand(1, 3, 32, 32)).any(), "a ramp has no edge"


def test_edges_become_smooth_and_the_rest_stays():
    image = step()
    image[:, :, :, :8] += 0.05 * torch.randn(1, 3, 32, 8, generator=torch.Generator().manual_seed(0))
    smooth = with_smooth_edges(image)
    assert torch.equal(smooth[..., :12], image[..., :12]) and torch.equal(smooth[..., 20:], image[..., 20:])
    steps = smooth[..., 1:] - smooth[..., :-1]
    assert steps[..., 12:19].max() < 0.8 and (steps[..., 12:19] >= -1e-6).all()
    torch.testing.assert_close(smooth[..., 13:19].mean(), torch.tensor(0.0), atol=0.02, rtol=0)
