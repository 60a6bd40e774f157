"""Agreement of translations with their target: what classifiers of real images of the domains take them for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor, nn

from gan_lab.common.bounds import Natural, PositiveInt, Seed
from gan_lab.common.capabilities import LabelledImages
from gan_lab.data.class_view import ClassView
from gan_lab.data.subsets import capped_count, evenly_spaced
from gan_lab.evaluation.cache import cached_apart
from gan_lab.evaluation.feature_classifier import FeatureClassifier, features_of
from gan_lab.evaluation.features.extractors import Extractor, resize
from gan_lab.evaluation.statistics import Comparison, NotApplicableError, Statistic, Values
from gan_lab.evaluation.trained_classifier import SIZE, WIDTHS, Labelled, classified, train_classifier
from gan_lab.networks.classifier import Classifier

FITTED = 200
"""Training images of each domain that a classifier of features is fitted to."""
VERSION = 1
"""Version of the training: increment it when the network, or how ``trained_classifier`` trains it, changes."""


class Predicts(Protocol):
    """Finds classes."""

    def predicted(self, values: Tensor) -> Tensor:
        """Returns the most probable classes, int64 (N,), of features (N, D) or images uint8 (N, C, H, W)."""


@dataclass(frozen=True)
class DomainImages:
    """Training images of domains, and the classifiers that learn from them, each made once.

    Args:
        data: a data module of many domains.
        domains: numbers of those with enough images.
        names: of all domains.
        device: on which networks are trained.
        cache_dir: where they are kept for the next run; None for the usual folder.
        progress: shows progress bars.
    """

    data: LabelledImages
    domains: Sequence[int]
    names: Sequence[str]
    device: torch.device | str = "cpu"
    cache_dir: str | None = None
    progress: bool = False
    made: dict[tuple[int, ...], "TrainedNetwork"] = field(default_factory=dict, init=False)

    def images(self, most: int, size: int | None = None) -> Labelled:
        """Returns training images and their domains.

        Args:
            most: number of images of each domain, at most; they are evenly spaced.
            size: side in pixels to which they are resized; None for their own size.

        Returns:
            images uint8 (N, C, H, W), and numbers of their domains, int64 (N,).
        """
        images, labels = [], []
        for number in self.domains:
            view = ClassView(self.data, number)
            for _, part in evenly_spaced(view, "train", capped_count(view, "train", most)):
                images.append(part if size is None else resize(part, size).round().clamp(0, 255).byte())
                labels.append(torch.full((len(part),), number))
        return torch.cat(images), torch.cat(labels)

    def network(self, n_train: PositiveInt, steps: PositiveInt, seed: Seed) -> "TrainedNetwork":
        """Returns a network of the domains, trained here or before; see ``TrainedAgreement``."""
        chosen = n_train, steps, seed
        if chosen not in self.made:
            views = {number: ClassView(self.data, number).fingerprint("train") for number in self.domains}
            key = ["domain classifier", VERSION, *WIDTHS, *chosen, self.data.channels, len(self.names), views]
            states = cached_apart(key, lambda: self._states(*chosen), self.cache_dir)
            network = Classifier(self.data.channels, len(self.names), WIDTHS)
            network.load_state_dict(states)
            self.made[chosen] = TrainedNetwork(network.to(self.device).eval(), str(key))
        return self.made[chosen]

    def _states(self, n_train: int, steps: int, seed: int) -> dict[str, Tensor]:
        network = train_classifier(self.images(n_train, SIZE), len(self.names), steps, seed, self.device, self.progress)
        return {name: state.cpu().contiguous() for name, state in network.state_dict().items()}


@dataclass(frozen=True)
class TrainedNetwork:
    """A network of domains.

    Args:
        network: see ``trained_classifier.train_classifier``.
        key: identifies what it was trained on, and how.
    """

    network: nn.Module
    key: str

    def predicted(self, values: Tensor) -> Tensor:
        """Returns the most probable domains, int64 (N,), of images uint8 (N, C, H, W)."""
        return classified(self.network, values)


@dataclass(frozen=True)
class DomainClassifiers:
    """Classifiers of the real domains over features, by extractor.

    Args:
        by_extractor: by the extractor's name.
        names: of the domains.
        key: identifies what they were fitted to.
    """

    by_extractor: Mapping[str, FeatureClassifier]
    names: Sequence[str]
    key: str

    @classmethod
    def fitted(cls, extractors: Sequence[Extractor], domains: DomainImages) -> "DomainClassifiers":
        """Fits classifiers to training images of each of the domains, at most ``FITTED``."""
        images, labels = domains.images(FITTED)
        found = {each.name: FeatureClassifier.of(each, features_of(each, images), labels) for each in extractors}
        return cls(found, domains.names, f"{domains.data.fingerprint('train')} {labels.tolist()}")


class PredictedDomains(Statistic[Tensor]):
    """Counts the images that a classifier assigns to each domain, exact over ranks.

    Args:
        classifier: of features, or of images.
        classes: K, the number of domains.
        key: identifies the classifier.
    """

    number: Tensor

    def __init__(self, classifier: Predicts, classes: PositiveInt, key: str) -> None:
        super().__init__(classes, key)
        self.classifier = classifier
        self.add_sum_state("number", classes, dtype=torch.int64)

    def accumulate(self, values: Tensor, index: Tensor) -> None:
        """Adds features (m, d), or images uint8 (m, C, H, W), with the numbers ``index`` (m,)."""
        predicted = self.classifier.predicted(values)
        self.number += torch.bincount(predicted, minlength=len(self.number)).to(self.number.device)

    def compute(self) -> Tensor:
        """Returns the shares of the domains over all ranks, float64 (K,) (collective)."""
        return self.number.cpu().double() / int(self.count)


class ClassifierAgreement(Comparison[Tensor, Tensor]):
    """``agreement``: the share of images that a classifier of the real domains assigns to the target; on the real side,
    its accuracy. ``agreement_predicted`` has the shares of all domains.

    Args:
        target: the domain.
        classifier: of features, or of images.
        classes: the number of domains.
        key: identifies the classifier.
    """

    def __init__(self, target: int, classifier: Predicts, classes: PositiveInt, key: str) -> None:
        super().__init__(PredictedDomains(classifier, classes, key), PredictedDomains(classifier, classes, key))
        self.target = target

    def compare(self, real: Tensor, fake: Tensor) -> Values:
        """Returns the metrics of shares (K,) and (K,)."""
        return {
            "agreement": float(fake[self.target]),
            "agreement.accuracy": float(real[self.target]),
            "agreement.predicted": fake.tolist(),
        }


class Agreement(ClassifierAgreement):
    """The agreement of logistic regression over the features of an extractor.

    Args:
        target: the domain.
        extractor: computes the features.
        classifiers: of the domains.

    Raises:
        NotApplicableError: if there is none over the features of the extractor.
    """

    def __init__(self, target: int, extractor: Extractor, classifiers: DomainClassifiers) -> None:
        if extractor.name not in classifiers.by_extractor:
            raise NotApplicableError(f"no classifier was fitted to the features of {extractor.name}.")
        super().__init__(target, classifiers.by_extractor[extractor.name], len(classifiers.names), classifiers.key)


class TrainedAgreement(ClassifierAgreement):
    """The agreement of a small network that is trained on real images of the domains.

    It sees what tells these domains from each other, such as a colour, where the features of an extractor were made for
    other things. It is trained once for a data set, and kept in the cache.

    Args:
        target: the domain.
        domains: the real images.
        n_train: maximal number of training images of each domain.
        steps: optimizer steps, with batches of 128 images at 32 px.
        seed: of the network's weights and batches.
    """

    input = "images"

    def __init__(
        self,
        target: Natural,
        domains: DomainImages,
        n_train: PositiveInt = 2000,
        steps: PositiveInt = 300,
        seed: Seed = 0,
    ) -> None:
        network = domains.network(n_train, steps, seed)
        super().__init__(target, network, len(domains.names), network.key)
