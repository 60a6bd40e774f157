"""Adaptive augmentation against its definitions (Karras et al. 2020b, appendix B)."""

import math

import pytest
import torch
from torch.autograd import gradgradcheck

from gan_lab.common.errors import UserError
from gan_lab.training import wavelets
from gan_lab.training.ada import ADA, POWERS, SETS, Maybe, band_gains, colours, cut_out, filtered, geometry, recoloured
from gan_lab.training.noise import KeyedStream
from gan_lab.training.warping import bilinear, gathered, rotation, scaling, translation, warped


def make_images(n=4, shape=(3, 16, 24)):
    return torch.rand(n, *shape, generator=torch.Generator().manual_seed(0)) * 2 - 1


def make_waves(n=4, height=16, width=16):
    """Images without fine detail, which filters leave as they are."""
    y, x = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
    along = torch.linspace(0.5, 1.5, n)[:, None, None]
    return torch.stack([(0.3 * along * y + 0.4 * x + phase).cos() for phase in range(3)], 1)


def mirrored(index, side):
    """The pixel that is seen at an index of an image that goes on as its mirror image."""
    while not 0 <= index < side:
        index = -index if index < 0 else 2 * (side - 1) - index
    return index


# The filters.


@pytest.mark.parametrize("taps", [wavelets.SYM6, wavelets.SYM2])
def test_wavelets_are_orthogonal_to_their_shifts_by_two(taps):
    taps = torch.tensor(taps, dtype=torch.float64)
    for shift in range(0, len(taps), 2):
        assert float(taps[shift:] @ taps[: len(taps) - shift]) == pytest.approx(float(shift == 0), abs=1e-6)
    assert float(taps.sum()) == pytest.approx(math.sqrt(2))


def test_a_doubled_side_is_the_convolution_of_a_mirrored_one_with_zeros_between():
    side, border = 7, 3
    line = torch.randn(side, dtype=torch.float64)
    samples = []
    for sample in range(-2 * border, 2 * (side + border)):
        parts = (
            tap * line[mirrored((sample + 5 - place) // 2, side)]
            for place, tap in enumerate(wavelets.SYM6)
            if (sample + 5 - place) % 2 == 0
        )
        samples.append(math.sqrt(2) * sum(parts))
    torch.testing.assert_close(wavelets.doubling(side, border) @ line, torch.stack(samples))


@pytest.mark.parametrize("side", [2, 3, 16])
def test_halving_undoes_doubling(side):
    wide = wavelets.doubling(side, 4)[8 - wavelets.BEFORE : 8 + 2 * side + wavelets.BEFORE]
    torch.testing.assert_close(wavelets.halving(side) @ wide, torch.eye(side, dtype=torch.float64))


def test_bands_add_up_and_hold_an_octave_each():
    bands, side = wavelets.bands(128), 128
    torch.testing.assert_close(bands.sum(0), torch.eye(side, dtype=torch.float64))
    taps, place = torch.tensor(wavelets.SYM2, dtype=torch.complex128), torch.arange(4)

    def passes(frequency):  # the half-band filter of the wavelet, whose response is |H|² / 2
        return float((taps * torch.exp(-1j * frequency * place)).sum().abs().square() / 2)

    for cycles in (2, 12, 24, 52):  # of 64, the highest frequency
        w = math.pi * cycles / 64
        low = [passes(w), passes(w) * passes(2 * w), passes(w) * passes(2 * w) * passes(4 * w)]
        expected = [low[2], low[1] - low[2], low[0] - low[1], 1 - low[0]]
        wave = (w * (torch.arange(side, dtype=torch.float64) - 63)).cos()
        found = (bands @ wave)[:, 63]  # where the wave is 1
        assert found.tolist() == pytest.approx(expected, abs=1e-6)


# Moves.


def test_an_image_that_stays_is_unchanged_up_to_its_edges():
    images = make_images()
    torch.testing.assert_close(warped(images, torch.eye(3).repeat(4, 1, 1)), images, atol=1e-5, rtol=0)


def test_flips_and_right_angles_move_pixels():
    images, inner = make_waves(), (..., slice(4, 12), slice(4, 12))
    flipped = warped(images, scaling(torch.full((4,), -1.0), torch.ones(4)))
    torch.testing.assert_close(flipped[inner], images.flip(3)[inner], atol=0.01, rtol=0)
    turned = warped(images, rotation(torch.full((4,), math.pi / 2)))
    torch.testing.assert_close(turned[inner], images.rot90(-1, (2, 3))[inner], atol=0.01, rtol=0)


def test_shifts_by_whole_pixels_are_exact():
    images = make_images()
    moved = warped(images, translation(torch.tensor([[3.0, -2.0]]).repeat(4, 1)))
    torch.testing.assert_close(moved[:, :, :14, 3:], images[:, :, 2:, :-3], atol=1e-5, rtol=0)


def test_beyond_its_edges_an_image_is_its_mirror_image():
    images = make_waves()
    for rows in (3, 12, 40):  # from the second on, further than the border that is computed
        moved = warped(images, translation(torch.tensor([[0.0, rows]]).repeat(4, 1)))
        expected = torch.stack([images[:, :, mirrored(row - rows, 16)] for row in range(16)], 2)
        torch.testing.assert_close(moved, expected, atol=0.1, rtol=0)


def test_a_rotation_and_a_scale_move_a_spot_where_they_should():
    y, x = torch.meshgrid(torch.arange(32) - 15.5, torch.arange(32) - 15.5, indexing="ij")
    spot = torch.exp(-((x - 6).square() + (y - 2).square()) / 8)[None, None]
    matrix = rotation(torch.tensor([0.5])) @ scaling(torch.tensor([1.2]), torch.tensor([0.8]))
    moved = warped(spot, matrix)[0, 0]
    place = torch.stack([(moved * x).sum(), (moved * y).sum()]) / moved.sum()
    torch.testing.assert_close(place, (matrix[0] @ torch.tensor([6.0, 2.0, 1.0]))[:2], atol=0.1, rtol=0)


def test_sampling_by_gathered_pixels_is_bilinear():
    images, grid = make_images(), torch.rand(4, 9, 11, 2) * 2.4 - 1.2
    torch.testing.assert_close(gathered(images, grid), bilinear(images, grid))
    few, grid = images[:1, :1, :3, :4].double().requires_grad_(), grid[:1, :2, :3].double().requires_grad_()
    assert gradgradcheck(lambda x, where: gathered(x, where).pow(2), (few, grid))


# Distributions and closed forms.


def test_with_probability_one_the_moves_have_the_stated_spreads():
    n = 20_000
    blit = geometry(Maybe(1.0, n, KeyedStream(0)), (16, 32), ["blit"])
    turns = blit[:, :2, :2].flatten(1).round().unique(dim=0)
    assert len(turns) == 8  # four right angles, mirrored or not
    assert blit[:, :2, 2].round().unique(dim=0).shape == (45, 2)  # -4 … 4 columns, -2 … 2 rows
    moves = geometry(Maybe(1.0, n, KeyedStream(0)), (16, 32), ["geometry"])
    logs = torch.linalg.det(moves[:, :2, :2]).log2()
    assert logs.std().item() == pytest.approx(2 * 0.2, rel=0.02)
    assert moves[:, :2, 2].std(0).tolist() == pytest.approx([4.0, 2.0], rel=0.03)


def test_with_probability_p_at_least_one_of_two_rotations_is_made():
    moves = geometry(Maybe(0.3, 40_000, KeyedStream(0)), (16, 16), ["geometry"])
    straight = (moves[:, 0, 1].abs() < 1e-6) & (moves[:, 1, 0].abs() < 1e-6)
    assert straight.float().mean().item() == pytest.approx(0.7, abs=0.01)


def test_colours_keep_grey_where_they_should():
    n, grey = 4000, torch.tensor([0.5, 0.5, 0.5, 1.0])
    matrices = colours(Maybe(1.0, n, KeyedStream(0)), grey=False)
    results = matrices @ grey
    torch.testing.assert_close(results[:, 0], results[:, 1], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(results[:, 3], torch.ones(n))
    black = (matrices @ torch.tensor([0.0, 0.0, 0.0, 1.0]))[:, 0]
    white = (matrices @ torch.ones(4))[:, 0]
    contrast = (white - black).abs().log2()
    assert contrast.std().item() == pytest.approx(0.5, rel=0.05)
    assert ((white - black) < 0).float().mean().item() == pytest.approx(0.5, abs=0.03)  # inverted
    assert (black / 2 ** (contrast)).abs().std().item() == pytest.approx(0.2 * math.sqrt(1 - 2 / math.pi), rel=0.05)


def test_hue_turns_about_grey_and_saturation_stretches_away_from_it():
    matrices = colours(Maybe(1.0, 2000, KeyedStream(0)), grey=False)[:, :3, :3]
    chroma = torch.tensor([[1.0, -1.0, 0.0], [1.0, 1.0, -2.0]])
    chroma = chroma / chroma.norm(dim=1, keepdim=True)
    turned = matrices @ chroma.T  # both columns keep their angle and stay orthogonal to grey
    torch.testing.assert_close(turned.sum(1), torch.zeros(2000, 2), atol=1e-4, rtol=0)
    torch.testing.assert_close(turned[:, :, 0].norm(dim=1), turned[:, :, 1].norm(dim=1), rtol=1e-4, atol=0)
    angles = torch.atan2(turned[:, :, 0] @ chroma[1], turned[:, :, 0] @ chroma[0])
    assert angles.histc(8, -math.pi, math.pi).min() > 200
    gain = torch.linalg.vector_norm(turned[:, :, 0], dim=1) / (matrices @ torch.ones(3))[:, 0].abs()
    assert gain.log2().std().item() == pytest.approx(1.0, rel=0.05)


def test_colours_of_a_grey_image_are_the_mean_of_the_rows():
    matrices = colours(Maybe(1.0, 4, KeyedStream(0)), grey=True)
    images = make_images(4, (1, 4, 4))
    coloured = recoloured(images.expand(-1, 3, -1, -1), matrices)
    torch.testing.assert_close(recoloured(images, matrices), coloured.mean(1, keepdim=True))


def test_band_gains_keep_the_expected_power():
    class OnlyOne(Maybe):
        """Changes one band."""

        bands = iter(range(4))

        def __call__(self, values, neutral, p=None):
            return values if next(self.bands) == 2 else torch.full_like(values, neutral)

    gains = band_gains(OnlyOne(1.0, 100, KeyedStream(0)))
    assert gains.std() > 0.2
    torch.testing.assert_close(gains.square() @ POWERS, torch.ones(100))
    torch.testing.assert_close(gains[:, 0], gains[:, 3])
    only_last = torch.ones(1, 4)
    only_last[0, 3] = 2.0
    images = make_images(1)
    torch.testing.assert_close(filtered(images, torch.ones(1, 4)), images, atol=1e-5, rtol=0)
    sharper = filtered(images, only_last)
    rows, columns = (
        torch.eye(side) + wavelets.bands(side)[3].float() for side in images.shape[2:]
    )  # once more the highest octave
    torch.testing.assert_close(sharper, rows @ images @ columns.T, atol=1e-5, rtol=1e-5)


def test_cutout_covers_half_of_either_side_around_its_centre():
    holes = cut_out(torch.ones(2, 3, 8, 16), torch.tensor([0.5, 0.0]), torch.tensor([[0.25, 0.5], [0.5, 0.5]]))
    expected = torch.ones(8, 16)
    expected[0:4, 4:12] = 0
    assert torch.equal(holes[0], expected.expand(3, -1, -1))
    assert torch.equal(holes[1], torch.ones(3, 8, 16))


# The whole.


@pytest.mark.parametrize("letter", "nkc")
def test_images_are_changed_with_probability_p(letter):
    """Of noise and cutout it is p; of four changes of colour and one that half of the draws leave out, at least one."""
    p, images = 0.3, torch.full((4000, 3, 8, 8), 0.5)
    images[:, 0] = 0.1  # a colour, so that hue and saturation can change it
    changed = (ADA(letter, p=p)(images, KeyedStream(0)) - images).abs().flatten(1).amax(1) > 1e-6
    expected = p if letter in "nk" else 1 - (1 - p) ** 4 * (1 - p / 2)
    assert float(changed.float().mean()) == pytest.approx(expected, abs=0.03)


def test_noise_has_a_half_normal_deviation_of_a_tenth():
    """Section B.3: σ = |N(0, 0.1²)| for each image."""
    deviations = ADA("n", p=1.0)(torch.zeros(4000, 1, 16, 16), KeyedStream(0)).flatten(1).std(1)
    assert float(deviations.mean()) == pytest.approx(0.1 * math.sqrt(2 / math.pi), rel=0.03)
    assert float(deviations.square().mean()) == pytest.approx(0.01, rel=0.06)


def test_the_papers_name_of_all_transformations_is_known():
    assert ADA("bgcfnc").transformations == ADA("bgcfnk").transformations == [*SETS.values()]


@pytest.mark.parametrize("pipeline", ["bg", "c", "f", "n", "k", "bgcfnk"])
def test_it_is_twice_differentiable(pipeline):
    """The second derivative of a smooth function of the output agrees with finite differences."""
    images = make_images(2, (3, 4, 4)).double().requires_grad_()
    change = ADA(pipeline, p=1.0)
    assert gradgradcheck(lambda x: change(x, KeyedStream(0)).pow(3).sum(), images)
    assert change(make_images(), KeyedStream(0)).dtype == torch.float32


def test_parts_of_a_batch_are_changed_as_in_the_whole():
    images, change = make_images(), ADA("bgcfnk", p=0.7)
    whole = change(images, KeyedStream(0))
    halves = [change(half, KeyedStream(0, part=i, parts=2)) for i, half in enumerate(images.chunk(2))]
    torch.testing.assert_close(torch.cat(halves), whole, atol=1e-5, rtol=1e-5)


def test_p_follows_the_signs():
    change, sure, unsure = ADA(images=1000, interval=2), torch.tensor(0.9), torch.tensor(0.1)
    assert torch.equal(change(make_images(), KeyedStream(0)), make_images())
    change.follow(sure, 50)
    assert change.p == 0
    change.follow(sure, 50)
    assert change.p == pytest.approx(0.1)
    change.follow(sure, 50)
    other = ADA(images=1000, interval=2)
    other.load_state_dict(change.state_dict())
    for each in (change, other):  # both halves of an interval count
        each.follow(torch.tensor(0.4), 50)
        assert each.p == pytest.approx(0.2)
        for _ in range(8):
            each.follow(unsure, 50)
        assert each.p == 0
    fixed = ADA(p=0.3, target=None)
    fixed.follow(sure, 50)
    assert fixed.p == 0.3


@pytest.mark.parametrize(
    "data", [{"size": 1, "channels": 2}, {"size": 32, "channels": 3, "length": 8}, {"size": 32, "channels": 4}]
)
def test_what_it_cannot_change_is_refused(data):
    with pytest.raises(UserError, match="ADA"):
        ADA.check_data(data)
