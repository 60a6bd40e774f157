"""What Lightning and torchmetrics import for few programs waits until it is used, and works then."""

import subprocess
import sys

import pytest

from gan_lab.common import lean_imports


def python(code: str) -> str:
    """Runs code in a process of its own, where nothing is imported yet; returns what it prints."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_imports_wait_until_they_are_used_and_give_the_same():
    out = python("""
import sys
from gan_lab.common.lean_imports import put_off_imports
put_off_imports()
import lightning.pytorch, torchmetrics, torch
from lightning.fabric.wrappers import _unwrap_compiled
heavy = ["torchvision", "scipy.signal", "torch._dynamo", "torch_fidelity", "sympy", "transformers"]
layer = torch.nn.Linear(2, 2)
print([name for name in heavy if name in sys.modules], _unwrap_compiled(layer)[0] is layer)
from torchmetrics.functional.detection import intersection_over_union
print(intersection_over_union(torch.tensor([[0.0, 0, 2, 2]]), torch.tensor([[0.0, 0, 1, 2]])).item())
import scipy.signal, torchvision.models, torch._dynamo
print(scipy.signal.__file__ is not None, hasattr(torchvision.models.vgg16, "__code__"))
torch.optim.Adam(layer.parameters()).step()
print(_unwrap_compiled(torch.compile(layer))[0] is layer, _unwrap_compiled(layer)[0] is layer)
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
import torch_fidelity
print(torch_fidelity.calculate_metrics.__name__)
""")
    assert out.splitlines() == ["[] True", "0.5", "True True", "True True", "calculate_metrics"]


def test_a_version_that_does_more_with_them_is_imported_as_usual(tmp_path):
    (tmp_path / "torchmetrics").mkdir()
    (tmp_path / "torchmetrics" / "part.py").write_text("from torchvision.ops import box_iou\nclass Part(box_iou): ...")
    (tmp_path / "torchmetrics" / "__init__.py").write_text("import torchmetrics.part\nDONE = True")
    (tmp_path / "torchvision").mkdir()
    (tmp_path / "torchvision" / "__init__.py").write_text("")
    (tmp_path / "torchvision" / "ops.py").write_text("class box_iou: ...")
    assert python(f"""
import sys
sys.path.insert(0, {str(tmp_path)!r})
from gan_lab.common.lean_imports import put_off_imports
put_off_imports()
import torchmetrics, torchvision.ops
print(torchmetrics.DONE, issubclass(torchmetrics.part.Part, torchvision.ops.box_iou), torchmetrics.__loader__.__class__)
""").startswith("True True <class '_frozen_importlib_external.SourceFileLoader'>")


def test_it_is_left_alone_where_lightning_is_imported_already():
    import lightning  # noqa: F401

    before = [*sys.meta_path]
    lean_imports.put_off_imports()
    assert sys.meta_path == before


@pytest.mark.parametrize("command", ["sample", "translate", "reconstruct", "predict"])
def test_commands_that_need_none_of_them_import_none(command):
    out = python(f"""
import runpy, sys
sys.argv, sys.orig_argv = ["-m"], [sys.executable, "-m", "gan_lab.{command}"]
import gan_lab
gan_lab.load
from gan_lab.cli import session, samples, inputs
from gan_lab.inference import sampling, translate_files, reconstruction, prediction
import gan_lab.models.bases.gan, gan_lab.models.bases.translation, gan_lab.models.vae, gan_lab.models.forecasting
heavy = ("torchvision", "scipy.signal", "torch._dynamo", "sympy", "transformers")
print([name for name in heavy if name in sys.modules])
""")
    assert out.strip() == "[]"
