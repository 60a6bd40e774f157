"""PNG files of 16 bits, as other programs read them."""

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.io import ImageReadMode, decode_image

from gan_lab.common.image_files import REDUCED, write_image
from gan_lab.common.png import write_png16


@pytest.mark.parametrize("compression", [0, 1, 9])
@pytest.mark.parametrize("channels", [1, 3])
def test_all_levels_come_back(tmp_path, channels, compression):
    pixels = torch.randint(0, 65536, (channels, 7, 5), dtype=torch.int32)
    exif = Image.Exif()
    exif[0x010E] = "a title"
    write_png16(tmp_path / "a.png", pixels, exif.tobytes(), compression)
    found = decode_image(str(tmp_path / "a.png"), ImageReadMode.UNCHANGED)
    assert found.dtype == torch.uint16 and torch.equal(found.int(), pixels)
    with Image.open(tmp_path / "a.png") as image:
        assert image.getexif()[0x010E] == "a title"
        if channels == 1:
            assert np.array_equal(np.asarray(image), pixels[0].numpy())


def test_other_formats_keep_eight_bits_and_say_so(tmp_path):
    pixels = torch.tensor([0, 128, 129, 257, 65535], dtype=torch.int32).expand(3, 1, 5)
    assert write_image(tmp_path / "a.tif", pixels) == [REDUCED]
    assert np.asarray(Image.open(tmp_path / "a.tif"))[0, :, 0].tolist() == [0, 0, 1, 1, 255]
    assert write_image(tmp_path / "a.png", pixels) == []
