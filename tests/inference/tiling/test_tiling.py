import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from translators import generator, lively

from gan_lab.inference.tiling.blending import blend, starts, windows
from gan_lab.inference.tiling.fixed import tiles
from gan_lab.inference.tiling.maps import InMemory, OnDisk
from gan_lab.inference.tiling.parts import halo, take_apart
from gan_lab.inference.tiling.tiling import Passes, Statistics

CPU = torch.device("cpu")


def picture(height=36, width=52, channels=3):
    return torch.rand(1, channels, height, width, generator=torch.Generator().manual_seed(1)) * 2 - 1


def stored(x):
    made = InMemory(*x.shape[1:])
    made.write(0, x)
    return made


def tiled(network, x, numbers, make=InMemory):
    rows = []
    Passes(make, numbers).run(take_apart(network), stored(x), lambda start, part: rows.append((start, part)), CPU)
    assert [start for start, _ in rows] == list(np.cumsum([0] + [part.shape[2] for _, part in rows[:-1]]))
    return torch.cat([part for _, part in rows], 2)


NETWORKS = {
    "instance": {"blocks": 2},
    "affine": {"norm": "instance"},
    "batch": {"norm": "batch"},
    "layer": {"norm": "layer"},
    "none": {"norm": "none"},
    "antialias": {"antialias": True},
    "dropout": {"dropout": 0.5},
}


@pytest.mark.parametrize("options", NETWORKS.values(), ids=NETWORKS)
@pytest.mark.parametrize("numbers", [1, 3000], ids=["rows", "strips"])
@torch.no_grad()
def test_exact_tiles_give_what_the_network_gives_at_once(options, numbers):
    network, x = generator(**options).eval(), picture()
    torch.testing.assert_close(tiled(network, x, numbers), network(x), atol=2e-5, rtol=0)


@pytest.mark.parametrize(
    "layers",
    [
        [nn.Conv2d(3, 4, 5, padding=2, padding_mode="replicate"), nn.InstanceNorm2d(4), nn.LeakyReLU(0.2)],
        [nn.Conv2d(3, 4, 3, dilation=2, padding=2), nn.GroupNorm(2, 4), nn.ConvTranspose2d(4, 3, 4, 2, 1)],
        [nn.ReflectionPad2d((1, 2, 3, 0)), nn.Conv2d(3, 4, 3, padding=1), nn.Sigmoid(), nn.InstanceNorm2d(4)],
        [nn.Conv2d(3, 6, 4, 3, 1, groups=3), nn.GroupNorm(1, 6, affine=False), nn.ConvTranspose2d(6, 3, 5, 3, 2, 1)],
    ],
    ids=["replicate", "dilated", "padded twice", "stride 3"],
)
@torch.no_grad()
def test_other_layers_too(layers):
    network, x = lively(nn.Sequential(*layers), 0.5).eval(), picture()
    torch.testing.assert_close(tiled(network, x, 200), network(x), atol=2e-5, rtol=0)


@torch.no_grad()
def test_a_map_on_disk_gives_back_what_was_written(tmp_path):
    made = OnDisk(3, 9, 5, tmp_path)
    x = picture(9, 5)
    for start, stop in ((4, 9), (0, 4)):
        made.write(start, x[:, :, start:stop])
    torch.testing.assert_close(made.read(2, 7), x[:, :, 2:7], atol=0, rtol=0)
    assert not list(tmp_path.iterdir()), "the file has no name that a kill could leave behind"
    network = generator().eval()
    torch.testing.assert_close(tiled(network, picture(), 1000, OnDisk), network(picture()), atol=2e-5, rtol=0)


def test_no_more_maps_than_two_and_the_input_of_a_block():
    alive, most = set(), []

    class Counted(InMemory):
        def __init__(self, *shape):
            super().__init__(*shape)
            alive.add(self)
            most.append(len(alive))

        def close(self):
            super().close()
            alive.remove(self)

    tiled(generator(blocks=3).eval(), picture(), 1000, Counted)
    assert max(most) == 3 and not alive


def test_statistics_of_parts_are_those_of_the_whole():
    x = picture(40, 30).double() * 3 + 1000
    statistics = Statistics()
    for part in x.split([1, 20, 19], 2):
        statistics.add(part)
    torch.testing.assert_close(statistics.mean, x.mean((0, 2, 3)), atol=1e-10, rtol=0)
    torch.testing.assert_close(statistics.variance, x.var((0, 2, 3), correction=0), atol=1e-9, rtol=0)


def test_what_is_not_known_is_not_taken_apart():
    assert take_apart(nn.Sequential(nn.Conv2d(3, 3, 3), nn.AdaptiveAvgPool2d(1))) is None
    assert take_apart(nn.Conv2d(3, 3, 3, padding="same")) is None


@torch.no_grad()
def test_beyond_the_halo_nothing_counts():
    network = generator(norm="batch").eval()
    reach = halo(take_apart(network))
    x = picture(2 * reach + 24, 16)
    changed = x.clone()
    changed[:, :, 0] += 1
    moved = (network(changed) - network(x)).abs().amax((0, 1, 3)).nonzero().flatten()
    assert reach - 12 <= moved.max() <= reach, "nor is it much too wide"


@torch.no_grad()
def fast(network, x, small, tile=24):
    result = torch.full_like(x, torch.nan)

    def put(top, left, part):
        result[:, :, top : top + part.shape[2], left : left + part.shape[3]] = part

    crop = lambda top, bottom, left, right: x[:, :, top:bottom, left:right].clone()  # noqa: E731
    gap = tiles(take_apart(network), small, crop, put, tuple(x.shape[2:]), tile, 4)
    return result, gap


@pytest.mark.parametrize("options", [{}, {"norm": "batch"}, {"antialias": True}], ids=str)
@torch.no_grad()
def test_fast_tiles_do_not_show_and_are_exact_where_their_statistics_are(options):
    network, x = generator(**options).eval(), picture(100, 76)
    result, gap = fast(network, x, x)
    torch.testing.assert_close(result, network(x), atol=2e-5, rtol=0)
    assert gap.largest < 1e-4


@torch.no_grad()
def test_the_gap_of_fast_tiles_is_of_the_size_of_the_true_one():
    network, x = generator(blocks=2).eval(), nn.functional.interpolate(picture(25, 19), (100, 76), mode="bilinear")
    result, gap = fast(network, x, x[:, :, ::2, ::2])
    true = (result - network(x)).abs().mean()
    assert true > 0.01 and true / 3 < gap.mean < 3 * true
    assert "of 255 levels" in str(gap)


@pytest.mark.parametrize(("size", "tile"), [(100, 32), (64, 32), (33, 32), (20, 32)])
def test_windows_cover_every_pixel_with_a_weight_of_one(size, tile):
    begins, total = starts(size, tile), torch.zeros(size)
    for begin, window in zip(begins, windows(begins, tile, size), strict=True):
        total[begin : begin + tile] += window
    torch.testing.assert_close(total, torch.ones(size))
    assert begins[-1] == max(0, size - tile)


@pytest.mark.parametrize(("height", "width"), [(90, 50), (32, 40), (20, 20)])
def test_blending_gives_back_what_tiles_agree_on(height, width):
    x, rows = picture(height, width), []
    crop = lambda top, bottom, left, right: x[:, :, top:bottom, left:right]  # noqa: E731
    blend(lambda tile: 2 * tile, crop, lambda start, part: rows.append(part), (height, width), 32)
    torch.testing.assert_close(torch.cat(rows, 2), 2 * x)


def test_blending_leaves_no_edge_where_tiles_disagree():
    tone, rows = iter(range(100)), []
    crop = lambda top, bottom, left, right: torch.zeros(1, 1, bottom - top, right - left)  # noqa: E731
    blend(lambda tile: tile + next(tone), crop, lambda start, part: rows.append(part), (64, 96), 32)
    result = torch.cat(rows, 2)
    assert result.max() - result.min() > 10
    assert result.diff(dim=3).abs().max() < 0.2, "a step of one, spread over half a tile"


def test_a_large_picture_in_a_quarter_of_the_memory(tmp_path):
    """2,048 px, 8 filters: each way in a process of its own, its peak above what it began with."""
    worker = str(Path(__file__).with_name("tile_worker.py"))
    files = [tmp_path / str(tile) for tile in (0, 256)]
    commands = [[sys.executable, worker, file.name, "2048", str(file)] for file in files]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for command in commands]
    whole, parts = (int(process.communicate(timeout=120)[0]) for process in processes)
    assert parts < whole / 4, f"{parts >> 20} MiB in tiles, {whole >> 20} MiB at once"
    at_once, in_tiles = (np.fromfile(file, np.float32) for file in files)
    assert at_once.size == in_tiles.size == 3 * 2048 * 2048 and at_once.std() > 0.1
    assert np.abs(at_once - in_tiles).max() < 1e-3
