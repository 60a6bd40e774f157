"""Vector quantisation: nearest entries, straight-through gradients, moving averages, restarts."""

import pytest
import torch

from gan_lab.networks.quantizer import Quantizer, perplexity
from gan_lab.training.noise import KeyedStream


@pytest.fixture
def vectors():
    return torch.randn(4, 3, 5, 2, generator=torch.Generator().manual_seed(0))


def flat(x):
    return x.movedim(1, -1).flatten(0, -2)


def test_vectors_become_their_nearest_entries_with_straight_through_gradients(vectors):
    book = Quantizer(7, 3)
    vectors.requires_grad_()
    made, codes = book(vectors)
    assert codes.shape == (4, 5, 2)
    assert torch.equal(codes.flatten(), torch.cdist(flat(vectors), book.weight).argmin(1))
    torch.testing.assert_close(flat(made), book.weight[codes.flatten()])
    (made * 3).sum().backward()
    assert (vectors.grad == 3).all()


@pytest.mark.parametrize("decay", [None, 0.99])
def test_the_commitment_loss_moves_vectors_and_the_codebook_loss_entries(vectors, decay):
    book = Quantizer(7, 3, decay)
    vectors.requires_grad_()
    commitment, codebook = book.losses(vectors, book.nearest(vectors))
    distances = (vectors - book.embed(book.nearest(vectors))).square().mean()
    assert commitment.item() == pytest.approx(distances.item())
    assert codebook.item() == pytest.approx(0 if decay else distances.item())
    commitment.backward()
    assert vectors.grad.any()
    if decay is None:
        assert book.weight.grad is None
        codebook.backward()
        assert book.weight.grad.any()


def test_entries_move_to_the_mean_of_the_vectors_that_choose_them(vectors):
    book = Quantizer(2, 3, decay=0.0, restart=0)  # without memory
    codes = book.nearest(vectors)
    book.update(vectors, codes, KeyedStream(0, "a"))
    for entry in range(2):
        expected = flat(vectors)[codes.flatten() == entry].mean(0)
        torch.testing.assert_close(book.weight[entry], expected)


def test_an_update_is_a_moving_average_of_sums_and_counts(vectors):
    book = Quantizer(2, 3, decay=0.9, restart=0)
    sums, counts = book.sums.clone(), book.counts.clone()
    codes = book.nearest(vectors)
    book.update(vectors, codes, KeyedStream(0, "a"))
    chosen = torch.nn.functional.one_hot(codes.flatten(), 2).float()
    expected = (0.9 * sums + 0.1 * chosen.t() @ flat(vectors)) / (0.9 * counts + 0.1 * chosen.sum(0))[:, None]
    torch.testing.assert_close(book.weight, expected)


@pytest.mark.parametrize("decay", [None, 0.5])
def test_unused_entries_restart_at_vectors(vectors, decay):
    book = Quantizer(8, 3, decay, restart=0.5)
    with torch.no_grad():
        book.weight[1:] = 1e3
    for step in range(200):  # counts average over a hundred steps if entries learn by gradient
        statistics = book.update(vectors, book.nearest(vectors), KeyedStream(0, step))
    assert len(book.nearest(vectors).unique()) > 4
    assert statistics["usage"] > 0.5
    distances = torch.cdist(book.weight.detach(), flat(vectors)).min(1).values
    assert (distances < 3).all()


def test_perplexity():
    assert perplexity(torch.tensor([5.0, 5.0, 0.0, 0.0])).item() == pytest.approx(2)
    assert perplexity(torch.tensor([3.0, 0.0])).item() == pytest.approx(1)
