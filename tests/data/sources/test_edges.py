import numpy as np

from gan_lab.data.reading.resize import ResizeSpec
from gan_lab.data.sources.arrays import ArrayImages
from gan_lab.data.sources.edges import EdgeMaps, canny


def disc(size=64, radius=20, inside=200, outside=50):
    y, x = np.mgrid[:size, :size] - (size - 1) / 2
    return np.where(np.hypot(x, y) < radius, inside, outside).astype(np.uint8), np.hypot(x, y)


def test_a_step_is_one_line_where_it_is():
    image = np.full((20, 30), 40, np.uint8)
    image[:, 13:] = 160
    for grey, edges in ((image, canny(image)), (image.T, canny(image.T).T)):
        assert grey.any() and (edges.sum(1) == 1).all() and set(np.nonzero(edges)[1]) <= {12, 13}


def test_a_disc_has_its_outline_alone():
    image, distance = disc()
    edges = canny(image)
    assert abs(distance[edges] - 20).max() < 1.5
    angle = np.arctan2(*(np.argwhere(edges) - 31.5).T)
    assert np.histogram(angle, 24, (-np.pi, np.pi))[0].min() > 0, "closed all around"
    assert not (edges[1:, 1:] & edges[:-1, 1:] & edges[1:, :-1] & edges[:-1, :-1]).any(), "thin"


def test_a_faint_edge_counts_where_it_continues_a_strong_one():
    """Smoothed, a step has twice its height in Sobel's units, nearly: one of 40 lies between the thresholds."""
    image = np.full((24, 80), 20, np.uint8)
    image[12:] += 40
    assert not canny(image).any()
    image[12:] = np.linspace(60, 160, 80)
    assert canny(image)[10:14].any(0).all() and not canny(image, low=120, high=130)[:, :10].any()


def test_flat_images_and_noise_have_no_edges():
    assert not canny(np.full((16, 16), 90, np.uint8)).any()
    noise = np.random.default_rng(0).normal(128, 6, (64, 64)).astype(np.uint8)
    assert not canny(noise).any()


def test_edge_maps_have_the_channels_of_the_spec():
    images = ArrayImages(np.stack([disc()[0]])[:, None].repeat(3, 1))
    (edge_map,) = EdgeMaps(images, sigma=1.0, low=0.1, high=0.2).render(ResizeSpec((64, 64), (64, 64), 3))
    assert edge_map.pixels.shape == (3, 64, 64)
    assert (edge_map.pixels == edge_map.pixels[0]).all()
    assert set(np.unique(edge_map.pixels)) == {0, 255}
