"""Keys of the last version in a user's own YAML are understood for one version, each with a warning."""

from collections.abc import Iterator, Sequence

from omegaconf import DictConfig, OmegaConf, open_dict

from gan_lab.cli.config.deprecations import present_key
from gan_lab.common.renames import KEYS


def move_old_keys(config: DictConfig) -> None:
    """Moves what stands under old keys to the present ones, and warns of each; it wins over what stands there.

    Args:
        config: the composed configuration, which is changed. Interpolations stay as they are.
    """
    for pattern in KEYS:
        for path in [*_matching(config, pattern.split("."))]:
            *parents, last = path
            node = OmegaConf.select(config, ".".join(parents)) if parents else config
            with open_dict(config):
                value = node._get_node(last)
                del node[last]
                OmegaConf.update(config, present_key(".".join(path)), value, merge=True)


def _matching(node: object, pattern: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """Yields the paths below a node that a pattern leads to, in which ``*`` stands for any one key."""
    if not pattern:
        yield ()
    elif isinstance(node, DictConfig) and not (node._is_none() or node._is_interpolation() or node._is_missing()):
        for key in [*node] if pattern[0] == "*" else pattern[:1]:
            if key in [*node]:  # "in" alone denies keys without a value
                yield from ((str(key), *rest) for rest in _matching(node._get_node(key), pattern[1:]))
