"""EXIF tags: images are read whatever their tags hold."""

from io import BytesIO

import numpy as np
import pytest
from odd_images import ODD_TAGS, with_tags
from PIL import Image

from gan_lab.common.domains import Domain
from gan_lab.data.reading.images import decode_image, read_image
from gan_lab.data.reading.resize import ResizeSpec

ROTATED = {"doubled", "text in a number", "zero denominator", "gps", "maker note", "plain"}


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
@pytest.mark.parametrize("name", ODD_TAGS)
def test_odd_tags_never_make_an_image_unreadable(photo, name):
    content = with_tags(photo, ODD_TAGS[name])
    decoded = Image.open(BytesIO(content)).convert("RGB")
    upright = np.rot90(np.asarray(decoded), -1) if name in ROTATED else np.asarray(decoded)
    height, width = upright.shape[:2]
    found = decode_image(BytesIO(content), ResizeSpec((height, width), (height, width), 3))
    loaded = read_image(BytesIO(content), Domain())
    assert np.array_equal(found.pixels, upright.transpose(2, 0, 1))
    assert np.array_equal(loaded.pixels, found.pixels)
    assert ("rotated as EXIF says" in loaded.notes) == (name in ROTATED)


def test_tags_that_cannot_be_written_again_are_dropped_with_a_note(photo):
    loaded = read_image(BytesIO(with_tags(photo, ODD_TAGS["text in a number"])), Domain())
    assert loaded.exif == b"" and "EXIF tags that cannot be written dropped" in loaded.notes
    mixed = Image.Exif()
    mixed.load(read_image(BytesIO(with_tags(photo, ODD_TAGS["gps"])), Domain()).exif)
    assert dict(mixed)[0x010F] == "Maker" and 0x0112 not in mixed
    assert mixed.get_ifd(0x8825)[2] == (1.0, 2.0, 3.0)
    assert "unreadable EXIF tags dropped" in read_image(BytesIO(with_tags(photo, ODD_TAGS["garbage"])), Domain()).notes
