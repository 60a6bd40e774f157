import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from translators import generator, lively

from gan_lab.inference.tiling.blending import blend, tile_starts, windows
from gan_lab.inference.tiling.exact import ChannelStatistics, ExactTiling
from gan_lab.inference.tiling.fast import fast_tiles
from gan_lab.inference.tiling.maps import InMemory, OnDisk
from gan_lab.inference.tiling.parts import decompose, halo

CPU = torch.device("cpu")


def image(height=36, width=52, channels=3):
    return torch.rand(1, channels, height, width, generator=torch.Generator().manual_seed(1)) * 2 - 1


def stored(x):
    rows = InMemory(*x.shape[1:])
    rows.write(0, x)
    return rows


def tiled(network, x, numbers, make=InMemory):
    rows = []
    ExactTiling(make, numbers).run(decompose(network), stored(x), lambda start, part: rows.append((start, part)), CPU)
    assert [start for start, _ in rows] == list(np.cumsum([0] + [part.shape[2] for _, part in rows[:-1]]))
    return torch.cat([part for _, part in rows], 2)


NETWORKS = {
    "instance": {"blocks": 2},
    "affine": {"norm": "instance"},
    "batch": {"norm": "batch"},
    "layer": {"norm": "layer"},
    "none": {"norm": "none"},
    "antialias": {"antialias": True},
    "resize": {"upsample": "resize"},
    "dropout": {"dropout": 0.5},
}


@pytest.mark.parametrize("options", NETWORKS.values(), ids=NETWORKS)
@pytest.mark.parametrize("numbers", [1, 3000], ids=["rows", "strips"])
@torch.no_grad()
def test_exact_tiles_give_the_networks_output(options, numbers):
    network, x = generator(**options).eval(), image()
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
def test_other_layers_are_exact_too(layers):
    network, x = lively(nn.Sequential(*layers), 0.5).eval(), image()
    torch.testing.assert_close(tiled(network, x, 200), network(x), atol=2e-5, rtol=0)


@torch.no_grad()
def test_a_map_on_disk_returns_what_was_written(tmp_path):
    rows = OnDisk(3, 9, 5, tmp_path)
    x = image(9, 5)
    for start, stop in ((4, 9), (0, 4)):
        rows.write(start, x[:, :, start:stop])
    torch.testing.assert_close(rows.read(2, 7), x[:, :, 2:7], atol=0, rtol=0)
    assert not list(tmp_path.iterdir()), "the file has no name that a kill could leave behind"
    network = generator().eval()
    torch.testing.assert_close(tiled(network, image(), 1000, OnDisk), network(image()), atol=2e-5, rtol=0)


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

    tiled(generator(blocks=3).eval(), image(), 1000, Counted)
    assert max(most) == 3 and not alive


def test_statistics_of_parts_are_those_of_the_whole():
    x = image(40, 30).double() * 3 + 1000
    statistics = ChannelStatistics()
    for part in x.split([1, 20, 19], 2):
        statistics.add(part)
    torch.testing.assert_close(statistics.mean, x.mean((0, 2, 3)), atol=1e-10, rtol=0)
    torch.testing.assert_close(statistics.variance, x.var((0, 2, 3), correction=0), atol=1e-9, rtol=0)


def test_unknown_modules_are_not_decomposed():
    assert decompose(nn.Sequential(nn.Conv2d(3, 3, 3), nn.AdaptiveAvgPool2d(1))) is None
    assert decompose(nn.Conv2d(3, 3, 3, padding="same")) is None


@torch.no_grad()
def test_the_output_does_not_depend_on_anything_beyond_the_halo():
    network = generator(norm="batch").eval()
    reach = halo(decompose(network))
    x = image(2 * reach + 24, 16)
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
    error = fast_tiles(decompose(network), small, crop, put, tuple(x.shape[2:]), tile, 4)
    return result, error


@pytest.mark.parametrize("options", [{}, {"norm": "batch"}, {"antialias": True}], ids=str)
@torch.no_grad()
def test_fast_tiles_with_exact_statistics_are_exact(options):
    network, x = generator(**options).eval(), image(100, 76)
    result, error = fast(network, x, x)
    torch.testing.assert_close(result, network(x), atol=2e-5, rtol=0)
    assert error.largest < 1e-4


@torch.no_grad()
def test_the_error_estimate_of_fast_tiles_has_the_size_of_the_true_error():
    network, x = generator(blocks=2).eval(), nn.functional.interpolate(image(25, 19), (100, 76), mode="bilinear")
    result, error = fast(network, x, x[:, :, ::2, ::2])
    true = (result - network(x)).abs().mean()
    assert true > 0.01 and true / 3 < error.mean < 3 * true
    assert "of 255 levels" in str(error)


@pytest.mark.parametrize(("size", "tile"), [(100, 32), (64, 32), (33, 32), (20, 32)])
def test_windows_sum_to_one_at_every_pixel(size, tile):
    starts, total = tile_starts(size, tile), torch.zeros(size)
    for start, window in zip(starts, windows(starts, tile, size), strict=True):
        total[start : start + tile] += window
    torch.testing.assert_close(total, torch.ones(size))
    assert starts[-1] == max(0, size - tile)


@pytest.mark.parametrize(("height", "width"), [(90, 50), (32, 40), (20, 20)])
def test_blending_reproduces_tiles_that_agree(height, width):
    x, rows = image(height, width), []
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


def test_a_large_image_in_a_quarter_of_the_memory(tmp_path):
    """2,048 px, 8 filters: each way in its own process, measured by the rise of its peak memory."""
    worker = str(Path(__file__).with_name("tile_worker.py"))
    files = [tmp_path / str(tile) for tile in (0, 256)]
    commands = [[sys.executable, worker, file.name, "2048", str(file)] for file in files]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for command in commands]
    whole, parts = (int(process.communicate(timeout=120)[0]) for process in processes)
    assert parts < whole / 4, f"{parts >> 20} MiB in tiles, {whole >> 20} MiB at once"
    at_once, in_tiles = (np.fromfile(file, np.float32) for file in files)
    assert at_once.size == in_tiles.size == 3 * 2048 * 2048 and at_once.std() > 0.1
    assert np.abs(at_once - in_tiles).max() < 1e-3
