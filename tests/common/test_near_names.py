import pytest

from gan_lab.common.near_names import nearest, slips

MODELS = ["cgan", "cyclegan", "dcgan", "infogan", "lsgan", "pixelcnn", "vae", "wgan", "wgan_gp"]


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        *(("dcgann", "dcgan"), ("dcgn", "dcgan"), ("wgna", "wgan"), ("vea", "vae")),
        *(("cyclgean", "cyclegan"), ("ifogann", "infogan")),
        *(("stylegan2", None), ("stylegan", None), ("biggan", None), ("ddpm", None), ("va", None), ("", None)),
    ],
)
def test_a_name_is_proposed_for_a_slip_and_not_for_another_name(name, meant):
    assert nearest(name, MODELS) == meant
    assert nearest(name, []) is None


def test_slips_are_counted():
    words = ("fid", "fdi", "fd", "fids", "fad", "kid", "")
    assert [slips("fid", each) for each in words] == [0, 1, 1, 1, 1, 1, 3]
