"""Domains: label maps as networks get them, with pixels of no class and edges of objects."""

import pytest
import torch

from gan_lab.common.domains import UNKNOWN, Domain, edges


def test_edges_are_the_pixels_beside_another_object():
    objects = torch.tensor([[1, 1, 2], [1, 1, 2], [3, 3, 3]], dtype=torch.uint8)[None, None]
    assert edges(objects)[0, 0].tolist() == [[0, 1, 1], [1, 1, 1], [1, 1, 1]]
    assert not edges(torch.zeros(1, 1, 3, 3)).any()


@pytest.mark.parametrize("unknown", (False, True))
@pytest.mark.parametrize("instances", (False, True))
def test_each_class_has_a_channel_and_so_have_no_class_and_edges_if_asked(unknown, instances):
    ids = torch.tensor([[0, 7], [9, UNKNOWN]], dtype=torch.uint8)[None, None]
    domain = Domain(labels=2, ids=(7, 9), unknown=unknown, instances=instances)
    stored = torch.cat([ids, ids], 1) if instances else ids
    maps = domain.encode(stored)
    assert (domain.stored_channels, domain.network_channels) == (stored.shape[1], maps.shape[1])
    assert maps[0, 0].tolist() == [[0, 1], [0, 0]] and maps[0, 1].tolist() == [[0, 0], [1, 0]]
    if unknown:
        assert maps[0, 2].tolist() == [[1, 0], [0, 1]]
        assert domain.decode(maps)[0, 0].tolist() == [[UNKNOWN, 7], [9, UNKNOWN]]
        assert (domain.visualize(maps)[0, :, 0, 0] == -1).all()
    if instances:
        assert maps[0, -1].tolist() == [[1, 1], [1, 1]]
