"""Losses of content and style: closed forms."""

import torch

from gan_lab.losses.style import content_loss, gram, style_loss, total_variation


def maps(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_a_gram_matrix_has_the_mean_products_of_features():
    x = maps(2, 3, 4, 5)
    expected = torch.einsum("nchw,ndhw->ncd", x, x) / 20
    torch.testing.assert_close(gram(x), expected)
    shuffled = x.flatten(2)[:, :, torch.randperm(20)].view_as(x)
    torch.testing.assert_close(gram(shuffled), expected, msg="it does not depend on places")


def test_a_mask_takes_the_products_of_a_region():
    x, mask = maps(1, 3, 6, 8), torch.zeros(1, 1, 12, 16)
    mask[..., :6] = 1
    torch.testing.assert_close(gram(x, mask), gram(x[..., :3]))
    torch.testing.assert_close(gram(x, torch.ones(1, 1, 3, 4)), gram(x))


def test_losses_are_relative_to_their_targets():
    one, other = [maps(1, 4, 4), maps(1, 6, 6, seed=1)], [maps(1, 4, 4, seed=2), maps(1, 6, 6, seed=3)]
    assert style_loss(one, one) == content_loss(one, one) == 0
    torch.testing.assert_close(style_loss([torch.zeros(1, 2, 2)], [maps(1, 2, 2)]), torch.tensor(1.0))
    scaled = style_loss([5 * each for each in one], [5 * each for each in other])
    torch.testing.assert_close(scaled, style_loss(one, other))
    wanted = mean_of([9 / x.var(correction=0) for x in one])
    torch.testing.assert_close(content_loss([x + 3 for x in one], one).item(), wanted)


def mean_of(values):
    return torch.stack(values).mean().item()


def test_total_variation_is_the_mean_square_of_steps():
    ramp = torch.arange(5.0).view(1, 1, 1, 5).expand(1, 2, 4, 5)
    assert total_variation(ramp) == 1 and total_variation(torch.ones(1, 1, 3, 3)) == 0
    assert total_variation(torch.arange(3.0).view(1, 1, 1, 3)) == 1 and total_variation(torch.ones(1, 3, 1, 1)) == 0
