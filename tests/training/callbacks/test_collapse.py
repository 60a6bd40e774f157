"""A warning, once, when latents carry no information."""

from types import SimpleNamespace

import pytest
import torch

from gan_lab.training.callbacks.collapse import Collapse


def play(collapse, iterations, begin=0.0, budget=True, **logs):
    for i in range(iterations):
        module = SimpleNamespace(budget=budget or None, progress=begin + (1 - begin) * i / iterations)
        outputs = {"vae": {name: torch.tensor(value) for name, value in logs.items()}}
        collapse.on_train_batch_end(None, module, outputs, None, i)


@pytest.mark.parametrize(
    ("logs", "message"),
    [
        ({"kl_nats": 0.02}, r"posterior has collapsed.* 10 iterations.* 0\.02 nats.*model\.free_bits"),
        ({"usage": 0.031}, r"codebook has died.* 10 iterations 3\.1%.*model\.quantizer\.restart"),
    ],
)
def test_latents_without_information_give_one_warning(logs, message):
    with pytest.warns(UserWarning, match=message) as caught:
        play(Collapse(window=10), 60, **logs)
    assert len(caught) == 1


def test_informative_latents_give_no_warning(recwarn):
    play(Collapse(window=10), 60, kl_nats=0.6, usage=0.2, loss=0.0)
    play(Collapse(window=10, kl=0.01), 60, kl_nats=0.02)
    play(Collapse(window=10), 9, begin=0.5, kl_nats=0.0)
    assert not recwarn.list


def test_nothing_is_judged_before_a_share_of_the_budget(recwarn):
    play(Collapse(window=10, after=0.9), 95, kl_nats=0.0)
    assert not recwarn.list
    with pytest.warns(UserWarning, match="collapsed"):
        play(Collapse(window=10), 10, budget=False, kl_nats=0.0)


def test_a_resumed_run_does_not_repeat_its_warning(recwarn):
    first, second = Collapse(window=10), Collapse(window=10)
    play(first, 20, begin=0.5, usage=0.0)
    second.load_state_dict(first.state_dict())
    recwarn.clear()
    play(second, 20, begin=0.5, usage=0.0)
    assert not recwarn.list
