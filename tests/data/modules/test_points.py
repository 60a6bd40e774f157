from gan_lab.common.capabilities import KnownAgain
from gan_lab.data.modules.points import PointsDataModule


def test_a_resumed_run_knows_a_mixture_again():
    ring = {"layout": "ring", "spacing": 2.0, "deviation": 0.02, "scale": 4.0, "count": 100, "batch_size": 4}
    known = PointsDataModule(**ring)
    assert isinstance(known, KnownAgain) and known.identities()["train"]["count"] == 100
    assert PointsDataModule(**{**ring, "seed": 1, "batch_size": 8}).identities() == known.identities()
    for other in ({"spacing": 3.0}, {"deviation": 0.05}, {"layout": "grid"}):
        assert PointsDataModule(**{**ring, **other}).identities() != known.identities()
