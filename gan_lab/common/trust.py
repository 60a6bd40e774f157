"""The classes and functions that a checkpoint may name.

A checkpoint may come from a stranger, and instantiating it calls what it names. So it may name parts of models alone:
modules of ours that contain nothing else, and classes and functions of other packages one by one, because these
packages also have functions that import modules by name or open files. ``tests/common/test_trust.py`` walks through all
of it, and fails for anything that imports, opens, loads or evaluates.
"""

import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import FunctionType

from gan_lab.common.errors import UserError


def _named(module: str, names: str) -> frozenset[str]:
    return frozenset(f"{module}.{name}" for name in names.split())


_LAYERS = _named(
    "torch.nn",
    """
    AdaptiveAvgPool1d AdaptiveAvgPool2d AdaptiveAvgPool3d AdaptiveMaxPool1d AdaptiveMaxPool2d AdaptiveMaxPool3d
    AlphaDropout AvgPool1d AvgPool2d AvgPool3d BatchNorm1d BatchNorm2d BatchNorm3d Bilinear CELU ChannelShuffle
    CircularPad1d CircularPad2d CircularPad3d ConstantPad1d ConstantPad2d ConstantPad3d Conv1d Conv2d Conv3d
    ConvTranspose1d ConvTranspose2d ConvTranspose3d CosineSimilarity Dropout Dropout1d Dropout2d Dropout3d ELU Embedding
    EmbeddingBag FeatureAlphaDropout Flatten Fold FractionalMaxPool2d FractionalMaxPool3d GELU GLU GRU GRUCell GroupNorm
    Hardshrink Hardsigmoid Hardswish Hardtanh Identity InstanceNorm1d InstanceNorm2d InstanceNorm3d LPPool1d LPPool2d
    LPPool3d LSTM LSTMCell LayerNorm LeakyReLU Linear LocalResponseNorm LogSigmoid LogSoftmax MaxPool1d MaxPool2d
    MaxPool3d MaxUnpool1d MaxUnpool2d MaxUnpool3d Mish ModuleDict ModuleList MultiheadAttention PReLU PairwiseDistance
    ParameterDict ParameterList PixelShuffle PixelUnshuffle RMSNorm RNN RNNCell RReLU ReLU ReLU6 ReflectionPad1d
    ReflectionPad2d ReflectionPad3d ReplicationPad1d ReplicationPad2d ReplicationPad3d SELU Sequential SiLU Sigmoid
    Softmax Softmax2d Softmin Softplus Softshrink Softsign SyncBatchNorm Tanh Tanhshrink Threshold Transformer
    TransformerDecoder TransformerDecoderLayer TransformerEncoder TransformerEncoderLayer Unflatten Unfold Upsample
    UpsamplingBilinear2d UpsamplingNearest2d ZeroPad1d ZeroPad2d ZeroPad3d
    """,
)
_LOSSES = _named(
    "torch.nn",
    """
    BCELoss BCEWithLogitsLoss CTCLoss CosineEmbeddingLoss CrossEntropyLoss GaussianNLLLoss HingeEmbeddingLoss HuberLoss
    KLDivLoss L1Loss MSELoss MarginRankingLoss MultiLabelMarginLoss MultiLabelSoftMarginLoss MultiMarginLoss NLLLoss
    PoissonNLLLoss SmoothL1Loss SoftMarginLoss TripletMarginLoss
    """,
)
_FUNCTIONS = _named(
    "torch.nn.functional",
    """
    binary_cross_entropy binary_cross_entropy_with_logits celu cross_entropy elu glu hardsigmoid hardswish hardtanh
    huber_loss instance_norm kl_div l1_loss layer_norm leaky_relu log_softmax mish mse_loss normalize relu relu6 selu
    sigmoid silu smooth_l1_loss softmax softsign tanh tanhshrink
    """,
)
_INITIALISERS = _named(
    "torch.nn.init",
    """
    constant_ dirac_ eye_ kaiming_normal_ kaiming_uniform_ normal_ ones_ orthogonal_ sparse_ trunc_normal_ uniform_
    xavier_normal_ xavier_uniform_ zeros_
    """,
)
_NORMALISATIONS = _named("torch.nn.utils", "spectral_norm") | _named(
    "torch.nn.utils.parametrizations", "orthogonal spectral_norm weight_norm"
)
_OPTIMIZERS = _named(
    "torch.optim",
    "ASGD Adadelta Adafactor Adagrad Adam AdamW Adamax LBFGS Muon NAdam RAdam RMSprop Rprop SGD SparseAdam",
)
_SCHEDULES = _named(
    "torch.optim.lr_scheduler",
    """
    ConstantLR CosineAnnealingLR CosineAnnealingWarmRestarts CyclicLR ExponentialLR LinearLR MultiStepLR OneCycleLR
    PolynomialLR ReduceLROnPlateau StepLR
    """,
)
_VISION = _named(
    "torchvision.ops",
    "Conv2dNormActivation Conv3dNormActivation DropBlock2d DropBlock3d FrozenBatchNorm2d MLP Permute SqueezeExcitation "
    "StochasticDepth",
) | _named(
    "torchvision.transforms.v2",
    """
    CenterCrop ColorJitter Compose ElasticTransform GaussianBlur GaussianNoise Grayscale Normalize Pad
    RandomAdjustSharpness RandomAffine RandomApply RandomAutocontrast RandomChannelPermutation RandomChoice RandomCrop
    RandomEqualize RandomErasing RandomGrayscale RandomHorizontalFlip RandomInvert RandomPerspective RandomPosterize
    RandomResizedCrop RandomRotation RandomSolarize RandomVerticalFlip Resize
    """,
)

_REFUSED = """
gan_lab torch torchvision torchaudio torchmetrics torch_fidelity lightning lightning_fabric lightning_utilities
pytorch_lightning functorch torchgen hydra hydra_plugins omegaconf antlr4 numpy scipy sklearn pandas PIL safetensors
wandb tensorboard rich jinja2 yaml optuna joblib cloudpickle dill fsspec filelock requests urllib3 huggingface_hub
pip setuptools pkg_resources wheel
"""
"""Packages, besides Python's own, that users' methods are not part of: ``trust=`` does not take them."""


@dataclass(frozen=True)
class Trust:
    """The modules and names that a checkpoint may use.

    Args:
        modules: modules and packages of ours all public classes and functions of which it may name.
        names: single classes and functions.
        deferred: functions that it may name with ``_partial_`` alone, each with the arguments that it may give: nothing
            calls them before the model is trained further.
        users: the user's own modules, as ``trust=`` gives them.
    """

    modules: tuple[str, ...]
    names: frozenset[str] = frozenset()
    deferred: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    users: tuple[str, ...] = ()

    def extended(self, modules: Sequence[str]) -> "Trust":
        """Returns the same with modules of the user's own.

        Raises:
            UserError: for modules of Python, of gan_lab, and of the packages that it is made with.
        """
        for module in modules:
            if reason := _never(module):
                raise UserError(f"trust=[{module}] is refused because {reason}: give a module of your own.")
        return replace(self, users=(*self.users, *modules))

    def check(self, path: str) -> None:
        """Checks a dotted path, before anything is imported.

        Raises:
            UserError: if a checkpoint may not name it.
        """
        public = all(part.isidentifier() and not part.startswith("_") for part in path.split("."))
        if not public or not (path in self.names or path in self.deferred or inside(path, self._packages)):
            raise self.distrust(path)

    def check_target(self, path: str, target: object) -> None:
        """Checks the object at a checked path: it must be a class or plain function that is defined where it says.

        A path must not lead through a module's imports, nor to methods, calls of which could be chained into anything.

        Raises:
            UserError: if it is something else.
        """
        module, _, name = path.rpartition(".")
        found = getattr(sys.modules.get(module), name, None) is target
        plain = isinstance(target, type | FunctionType) and target.__qualname__ == name
        origin = f"{getattr(target, '__module__', '')}.{name}"
        single = path in self.names or path in self.deferred
        at_home = inside(origin, [path.split(".")[0]] if single else self._packages)
        if not (found and plain and at_home):
            raise self.distrust(path)

    def foreign(self, node: object) -> list[str]:
        """Returns the user's own modules that a configuration names, as ``trust=`` takes them, in order."""
        if not isinstance(node, Mapping):
            return [each for value in node for each in self.foreign(value)] if isinstance(node, list | tuple) else []
        found = [module for value in node.values() for module in self.foreign(value)]
        module = str(node.get("_target_", "gan_lab")).split(".")[0]
        return list(dict.fromkeys(found if _never(module) else [module, *found]))

    @property
    def _packages(self) -> tuple[str, ...]:
        return (*self.modules, *self.users)

    def distrust(self, path: str) -> UserError:
        """Returns the error that refuses a path: it gives the user's own module to trust, and no other."""
        package = path.split(".")[0]
        if _never(package) or any(part.startswith("_") for part in path.split(".")):
            return UserError(
                f"The checkpoint names {path}, which is no part of a model that a checkpoint may name, and trust=[…] "
                "does not change that: give a checkpoint made of gan_lab's parts, torch.nn's layers and your modules."
            )
        return UserError(
            f"The checkpoint names {path}, which is no part of gan_lab: if you trust its author, add "
            f"trust=[{package}], which runs that module's code."
        )


def _never(module: str) -> str:
    """Returns why ``trust=`` never takes a module, or an empty text."""
    package = module.split(".")[0]
    if package == "gan_lab":
        return "a checkpoint may name the parts of gan_lab that models are made of anyhow, and no others"
    if package in sys.stdlib_module_names or package in _REFUSED.split():
        return f"{package} has functions that run any code"
    if not all(part.isidentifier() and not part.startswith("_") for part in module.split(".")):
        return "it is not the name of a public module"
    return ""


def trust_argument(modules: Sequence[str]) -> str:
    """Returns what a command over a checkpoint needs besides: `` 'trust=[my_methods]'`` for a shell, or nothing."""
    return " " + shlex.quote(f"trust=[{','.join(modules)}]") if modules else ""


def inside(path: str, packages: Sequence[str]) -> bool:
    """Says whether a dotted path is one of these, or lies in one."""
    return any(path == package or path.startswith(f"{package}.") for package in packages)


MODEL_PARTS = Trust(
    modules=(
        "gan_lab.losses",
        "gan_lab.models",
        "gan_lab.networks",
        "gan_lab.training.ada",
        "gan_lab.training.augment",
        "gan_lab.training.budget",
        "gan_lab.training.growth",
        "gan_lab.training.image_pool",
        "gan_lab.training.options",
        "gan_lab.training.schedules",
    ),
    names=_LAYERS | _LOSSES | _FUNCTIONS | _INITIALISERS | _NORMALISATIONS | _OPTIMIZERS | _SCHEDULES | _VISION,
    deferred={
        "gan_lab.evaluation.features.perceptual.GeneralDistance": (),
        "gan_lab.evaluation.features.perceptual.perceptual_distance": ("networks", "shortest"),
        "gan_lab.evaluation.features.maps.general": ("taps",),
        "gan_lab.evaluation.features.maps.timm_maps": ("network", "taps"),
        "gan_lab.evaluation.features.maps.vgg19": ("taps",),
    },
)
"""The parts of a model."""

DAMAGE = tuple(f"gan_lab.data.damage.{name}" for name in ("coding", "masks", "noise", "resolution"))
DATA_MODULES = Trust(modules=("gan_lab.data.presets", "gan_lab.data.modules.points", *DAMAGE))
"""Data modules. They read files, so a checkpoint's own paths are used with care; see ``gan_lab.cli.session``."""
