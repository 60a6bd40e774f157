"""Public sets of image pairs and of two domains: where they are, their sizes and checksums."""

from gan_lab.data.reading.download import Archive

_CYCLEGAN = (
    "http://efrosgans.eecs.berkeley.edu/cyclegan/datasets/{}.zip",
    "https://people.eecs.berkeley.edu/~taesung_park/CycleGAN/datasets/{}.zip",
)
_PIX2PIX = ("http://efrosgans.eecs.berkeley.edu/pix2pix/datasets/{}.tar.gz",)


def _unpaired(name: str, size: int, sha256: str, images: int | None = None) -> Archive:
    """A set of Zhu et al. 2017. Size and checksum are those in TensorFlow Datasets' list."""
    return Archive(tuple(url.format(name) for url in _CYCLEGAN), size, sha256, images)


def _paired(name: str) -> Archive:
    """A set of Isola et al. 2017. No checksum is published."""
    return Archive(tuple(url.format(name) for url in _PIX2PIX))


ARCHIVES = {
    "horse2zebra": _unpaired(
        "horse2zebra", 116867962, "a74d9d392eecca9966b51287a76ca126af473d9de4f3e8fc0e9cda08fa1730a1", 2661
    ),
    "apple2orange": _unpaired(
        "apple2orange", 78456409, "845a191e9af8926408ea597001cd03a452e3300a1f44a79fe329b3d59f6e3eb8"
    ),
    "summer2winter": _unpaired(
        "summer2winter_yosemite", 132640856, "167fe1726807a9d22bd106b4a6c0bd7953b688af924ac1bf967439c4961e49f9"
    ),
    "monet2photo": _unpaired(
        "monet2photo", 305231073, "88f91b00fc228f97c9411fbf1880ec1d119c98f1722e4cfcfaa2fb35fac05b04"
    ),
    "vangogh2photo": _unpaired(
        "vangogh2photo", 306590349, "362c3473e70be0944bda08d49d660eafdc2854df55d697835b8186d1d79caaff"
    ),
    "ukiyoe2photo": _unpaired(
        "ukiyoe2photo", 292946532, "02a2a2fb5ecf425ca1bf86aca7304377da64a2a1d3b86df54eb65e4068bf3b08"
    ),
    "cezanne2photo": _unpaired(
        "cezanne2photo", 279885071, "3a6c10ca21f9485862f1cbd707744b9dc258954a04631271d23a3605eeb63cff"
    ),
    "iphone2dslr": _unpaired(
        "iphone2dslr_flower", 339964458, "8fcb5e374d631b107e1d961b8c4cd0a186aa2a4ff3e279923f4c426128de7113"
    ),
    "maps_unpaired": _unpaired("maps", 1476754427, "639534f69dbf9f36bef8d6292a7698006361221f83f0285d7c9ca78afe6e8a9e"),
    "cityscapes_unpaired": _unpaired(
        "cityscapes", 279601602, "d2f6910fd056c1ee9873777ae838e7ac4a2c833598ae62a04188e5ab2f4ea036"
    ),
    "facades_unpaired": _unpaired(
        "facades", 35135868, "9a31ebf3a31b9b5cd195dd5bf62e9308e00cb94604d1019e3889ac84248695c0"
    ),
    **{name: _paired(name) for name in ("facades", "maps", "cityscapes", "edges2shoes", "edges2handbags", "night2day")},
}
"""Archives by the names of their presets."""
