"""Drawings of horse-like animals in a landscape, in a plain or a striped coat, with their label maps."""

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from gan_lab.data.types import UInt8Array

Colour = tuple[int, ...]
Point = tuple[float, float]
Floats = NDArray[np.float32]
T = TypeVar("T")

CLASSES = ("sky", "hill", "ground", "tree", "coat", "hair and hooves")
SKY, HILL, GROUND, TREE, COAT, HAIR, BODY, NECK, HEAD, LEG = range(10)
"""Parts that a pixel can show. From ``BODY`` on they belong to the coat, and each has its own direction of stripes."""

CLASSES_OF_PARTS = np.array([SKY, HILL, GROUND, TREE, COAT, HAIR, COAT, COAT, COAT, COAT], np.uint8)
SKIES = (
    ((88, 152, 220), (210, 230, 242)),
    ((52, 104, 188), (168, 204, 236)),
    ((112, 104, 160), (252, 192, 142)),
    ((150, 162, 176), (220, 222, 222)),
    ((236, 164, 108), (252, 228, 176)),
)
GROUNDS = ((112, 150, 70), (150, 160, 82), (196, 172, 106), (86, 128, 72), (206, 190, 140))
HILLS = ((120, 142, 130), (142, 150, 122), (152, 138, 150), (98, 122, 104))
COATS = ((134, 84, 46), (172, 112, 62), (96, 60, 40), (192, 152, 98), (118, 114, 112), (150, 72, 42))
NECKS = ((48, 70), (18, 42), (-60, -46))
"""Ranges of the neck's angle in degrees above the horizontal: watching, walking, grazing."""
VERSION = 1
"""Version of the drawings, a part of the key of cached pixels."""

SUPERSAMPLING = 2
"""Factor by which drawings are made larger, before pixels are averaged."""


class Canvas:
    """An image and the part that each of its pixels shows, drawn together.

    The unit of coordinates is the image's height; x points right from its middle, y down from its top.

    Args:
        height, width: in pixels.
    """

    def __init__(self, height: int, width: int) -> None:
        self.height, self.width = height, width
        self.image, self.parts = Image.new("RGB", (width, height)), Image.new("L", (width, height))
        self.brush, self.marker = ImageDraw.Draw(self.image), ImageDraw.Draw(self.parts)

    def pixel(self, point: Point) -> Point:
        """Converts coordinates to pixels."""
        return self.width / 2 + point[0] * self.height, point[1] * self.height

    def polygon(self, points: Sequence[Point], colour: Colour, part: int) -> None:
        """Fills a polygon."""
        outline = [self.pixel(point) for point in points]
        self.brush.polygon(outline, fill=colour)
        self.marker.polygon(outline, fill=part)

    def disc(self, centre: Point, radius: float, colour: Colour, part: int, flat: float = 1.0) -> None:
        """Fills a disc, or an ellipse whose height is ``flat`` times its width."""
        (x, y), r = self.pixel(centre), radius * self.height
        box = x - r, y - r * flat, x + r, y + r * flat
        self.brush.ellipse(box, fill=colour)
        self.marker.ellipse(box, fill=part)

    def limb(self, points: Sequence[Point], radii: Sequence[float], colour: Colour, part: int) -> None:
        """Fills discs at the points, and the area between consecutive ones."""
        for (px, py), (qx, qy), r, s in zip(points, points[1:], radii, radii[1:], strict=False):
            far = max(float(np.hypot(qx - px, qy - py)), 1e-9)
            x, y = (py - qy) / far, (qx - px) / far  # the unit normal
            corners = [(px + r * x, py + r * y), (qx + s * x, qy + s * y), (qx - s * x, qy - s * y)]
            self.polygon([*corners, (px - r * x, py - r * y)], colour, part)
        for point, radius in zip(points, radii, strict=True):
            self.disc(point, radius, colour, part)


def _landscape(rng: np.random.Generator, canvas: Canvas, horizon: float) -> None:
    top, bottom = _one_of(rng, SKIES)
    down = np.linspace(0, 1, max(2, int(canvas.height * horizon)))[:, None, None]
    sky = Image.fromarray((np.array(top) * (1 - down) + np.array(bottom) * down).astype(np.uint8))
    canvas.image.paste(sky.resize((canvas.width, sky.height)), (0, 0))
    half = canvas.width / canvas.height / 2
    if rng.random() < 0.5:
        sun = rng.uniform(-half, half), rng.uniform(0.08, 0.25)
        canvas.disc(sun, 0.05, _mixed(bottom, (255, 250, 220), 0.8), SKY)
    for _ in range(int(rng.integers(0, 3))):
        _cloud(rng, canvas, half, _mixed(bottom, (255, 255, 255), 0.7))
    _hills(rng, canvas, half, horizon)
    ground = _one_of(rng, GROUNDS)
    canvas.polygon([(-half, horizon), (half, horizon), (half, 1.1), (-half, 1.1)], ground, GROUND)
    for _ in range(14):
        x, y = rng.uniform(-half, half), rng.uniform(horizon + 0.02, 1)
        shade = _mixed(ground, (0, 0, 0) if rng.random() < 0.5 else (255, 255, 230), rng.uniform(0.06, 0.16))
        canvas.disc((x, y), rng.uniform(0.03, 0.12) * (0.4 + y - horizon), shade, GROUND, flat=0.22)
    if rng.random() < 0.5:
        _tree(rng, canvas, (rng.uniform(-half, half), horizon + rng.uniform(0.01, 0.06)))


def _cloud(rng: np.random.Generator, canvas: Canvas, half: float, colour: Colour) -> None:
    x, y = rng.uniform(-half, half), rng.uniform(0.05, 0.3)
    for step in range(4):
        canvas.disc((x + 0.045 * step, y + rng.uniform(-0.01, 0.01)), rng.uniform(0.03, 0.06), colour, SKY, flat=0.5)


def _hills(rng: np.random.Generator, canvas: Canvas, half: float, horizon: float) -> None:
    x, phases = np.linspace(-half, half, 24), rng.uniform(0, 2 * np.pi, 2)
    rise = rng.uniform(0.02, 0.1) * (1.2 + np.sin(3 * x + phases[0]) + 0.5 * np.sin(8 * x + phases[1])) / 2
    ridge = list(zip(x.tolist(), (horizon - rise).tolist(), strict=True))
    canvas.polygon([*ridge, (half, horizon + 0.05), (-half, horizon + 0.05)], _one_of(rng, HILLS), HILL)


def _tree(rng: np.random.Generator, canvas: Canvas, foot: Point) -> None:
    (x, y), tall = foot, rng.uniform(0.16, 0.3)
    trunk, leaves = (92, 70, 52), _mixed((70, 104, 52), (130, 140, 70), rng.random())
    canvas.limb([(x, y), (x + 0.01, y - tall)], [0.014, 0.009], trunk, TREE)
    for step in (-1, 0, 1):
        canvas.disc((x + 0.06 * step, y - tall - 0.02 * (step == 0)), rng.uniform(0.06, 0.08), leaves, TREE, flat=0.5)


class Animal:
    """A horse-like animal with a random pose.

    The unit of its own coordinates is the length of its body; u points forwards from the rump, v upwards from the hips.

    Args:
        rng: source of the pose and the colours.
        highest: smallest y of the feet, in the image's coordinates.
    """

    def __init__(self, rng: np.random.Generator, highest: float) -> None:
        self.length = rng.uniform(0.32, 0.44)
        self.facing = 1 if rng.random() < 0.5 else -1
        self.leg = rng.uniform(0.66, 0.82)
        self.feet = rng.uniform(highest, 0.94)
        self.middle = rng.uniform(-0.05, 0.05) - 0.08 * self.facing
        low, high = _one_of(rng, NECKS)
        self.neck, self.reach = np.radians(rng.uniform(low, high)), rng.uniform(0.5, 0.62)
        self.stride = rng.uniform(-0.3, 0.3, 4)
        self.girth = rng.uniform(0.17, 0.21)
        self.coat = _mixed(_one_of(rng, COATS), _one_of(rng, COATS), 0.5 * rng.random())
        self.hair = _mixed(self.coat, (24, 18, 16), 0.75)

    def at(self, u: float, v: float) -> Point:
        """Converts the animal's coordinates to the image's."""
        return self.middle + self.facing * (u - 0.5) * self.length, self.feet - (self.leg + v) * self.length

    @property
    def poll(self) -> Point:
        """The end of the neck, in the animal's coordinates."""
        return 0.95 + self.reach * float(np.cos(self.neck)), 0.08 + self.reach * float(np.sin(self.neck))

    @property
    def muzzle(self) -> Point:
        """The end of the head, in the animal's coordinates."""
        angle = self.neck - np.radians(80 if self.neck > 0 else 25)
        return self.poll[0] + 0.26 * float(np.cos(angle)), self.poll[1] + 0.26 * float(np.sin(angle))

    def draw(self, canvas: Canvas) -> None:
        """Draws the animal in a plain coat, the far legs first."""
        far, girth = _mixed(self.coat, (0, 0, 0), 0.3), self.girth
        for u, swing in ((0.16, self.stride[0]), (0.84, self.stride[1])):
            self._leg(canvas, u, swing, far)
        self._limb(canvas, [(-0.1, 0.12), (-0.22, -0.02), (-0.24, -0.3)], [0.025, 0.025, 0.04], self.hair, HAIR)
        self._limb(canvas, [(0.03, 0.05), (0.5, 0.01), (0.92, 0.05)], [1.05 * girth, girth, girth], self.coat, BODY)
        (u, v), across = self.poll, (-np.sin(self.neck), np.cos(self.neck))
        mane = [(0.86 + 0.1 * across[0], 0.1 + 0.12 * across[1]), (u + 0.06 * across[0], v + 0.08 * across[1])]
        self._limb(canvas, mane, [0.07, 0.055], self.hair, HAIR)
        self._limb(canvas, [(0.93, 0.06), (u, v)], [0.16, 0.085], self.coat, NECK)
        self._limb(canvas, [(u, v), (u - 0.03, v + 0.16)], [0.04, 0.01], self.coat, HEAD)
        self._limb(canvas, [(u, v), self.muzzle], [0.095, 0.055], self.coat, HEAD)
        self._limb(canvas, [self.muzzle], [0.05], self.hair, HAIR)
        self._limb(canvas, [(u + 0.06, v + 0.02)], [0.018], (15, 12, 12), HAIR)
        for u, swing in ((0.0, self.stride[2]), (0.93, self.stride[3])):
            self._leg(canvas, u, swing, self.coat)

    def _leg(self, canvas: Canvas, u: float, swing: float, colour: Colour) -> None:
        hind = u < 0.5
        knee = u + 0.4 * swing + (-0.04 if hind else 0.03), -0.42 * self.leg
        hoof = u + 0.75 * swing - 0.02, 0.03 - self.leg
        self._limb(canvas, [(u, -0.02), knee, hoof], [0.14 if hind else 0.1, 0.05, 0.035], colour, LEG)
        self._limb(canvas, [hoof], [0.042], self.hair, HAIR)

    def _limb(self, canvas: Canvas, points: Sequence[Point], radii: Sequence[float], colour: Colour, part: int) -> None:
        sizes = [radius * self.length for radius in radii]
        canvas.limb([self.at(*point) for point in points], sizes, colour, part)

    def striped(self, canvas: Canvas, image: UInt8Array, parts: UInt8Array) -> UInt8Array:
        """Adds stripes across the body and around neck, head and legs.

        Args:
            canvas: what the animal was drawn on.
            image: its pixels, uint8 (H, W, 3).
            parts: the part of each pixel, uint8 (H, W).
        """
        rows, columns = _bounds(parts >= BODY)
        shown, pixels = parts[rows, columns], image[rows, columns].astype(np.float32)
        y, x = np.mgrid[rows, columns].astype(np.float32)
        u = ((x - canvas.width / 2) / canvas.height - self.middle) * self.facing / self.length + 0.5
        v = (self.feet - y / canvas.height) / self.length - self.leg
        wave = np.zeros_like(u)
        for part, field in self._fields(u, v).items():
            np.copyto(wave, field, where=shown == part)
        dark = (np.sin(2 * np.pi * wave) > 0.05) & (shown >= BODY)
        light = (shown >= BODY) & ~dark
        shade = pixels.sum(-1, keepdims=True) / sum(self.coat)  # the far legs stay darker
        pale, black = _mixed(self.coat, (250, 246, 238), 0.86), _mixed(self.coat, (16, 14, 16), 0.88)
        pixels = np.where(light[..., None], shade * np.array(pale), pixels)
        pixels = np.where(dark[..., None], shade * np.array(black), pixels)
        out = image.copy()
        out[rows, columns] = pixels.clip(0, 255).astype(np.uint8)
        return out

    def _fields(self, u: Floats, v: Floats) -> dict[int, Floats]:
        """A function of the coordinates for each part, which grows by one from stripe to stripe."""
        (pu, pv), (mu, mv) = self.poll, self.muzzle
        head = np.arctan2(mv - pv, mu - pu)
        along_neck = (u - 0.93) * np.cos(self.neck) + (v - 0.06) * np.sin(self.neck)
        along_head = (u - pu) * np.cos(head) + (v - pv) * np.sin(head)
        slanted = u + 0.5 * (u - 0.6) * (v + 0.1)
        return {BODY: 6.5 * slanted, NECK: 7.0 * along_neck, HEAD: 9.0 * along_head, LEG: 8.0 * v}


def draw(seed: int, index: int, striped: bool, height: int, width: int) -> tuple[UInt8Array, UInt8Array]:
    """Draws one animal in a landscape.

    Scene, pose and colours are functions of (seed, index) alone, for any size and coat.

    Returns:
        The image uint8 (3, H, W), and the class of each pixel uint8 (1, H, W), an index of ``CLASSES``.
    """
    rng, canvas = np.random.default_rng([seed, index]), Canvas(SUPERSAMPLING * height, SUPERSAMPLING * width)
    horizon = rng.uniform(0.4, 0.6)
    _landscape(rng, canvas, horizon)
    animal = Animal(rng, max(horizon + 0.16, 0.76))
    animal.draw(canvas)
    parts, image = np.asarray(canvas.parts), np.asarray(canvas.image)
    if striped:
        image = animal.striped(canvas, image, parts)
    mean = Image.fromarray(image).reduce(SUPERSAMPLING)
    return np.asarray(mean).transpose(2, 0, 1), CLASSES_OF_PARTS[parts[None, ::SUPERSAMPLING, ::SUPERSAMPLING]]


def _bounds(mask: NDArray[np.bool_]) -> tuple[slice, slice]:
    """The smallest rectangle that contains the whole mask."""
    found = [np.flatnonzero(mask.any(axis)) for axis in (1, 0)]
    if not found[0].size:
        return slice(0, 1), slice(0, 1)
    return slice(int(found[0][0]), int(found[0][-1]) + 1), slice(int(found[1][0]), int(found[1][-1]) + 1)


def _mixed(one: Sequence[float], other: Sequence[float], share: float) -> Colour:
    return tuple(round(a + share * (b - a)) for a, b in zip(one, other, strict=True))


def _one_of(rng: np.random.Generator, choices: Sequence[T]) -> T:
    return choices[int(rng.integers(len(choices)))]
