"""What a model gives of fixed inputs, by the name of the method: for comparisons between versions."""

import torch

from gan_lab.common.capabilities import (
    Encodes,
    HasLikelihood,
    Predicts,
    Quantizes,
    Reconstructs,
    Restores,
    Samples,
    SamplesClips,
    Translates,
)

SHAPE = (3, 16, 16)


def outputs_of(model):
    """Tensors by the name of the output, of a model made for pictures of ``SHAPE``."""
    draw = torch.Generator().manual_seed(1)
    model.eval()
    found = {}
    if isinstance(model, Samples):
        found["samples"] = model.sample(3, seed=3)
    images = (torch.rand(2, *SHAPE, generator=draw) > 0.5) * 2.0 - 1
    mask = torch.zeros(2, 1, *SHAPE[1:])
    mask[:, :, : SHAPE[1] // 2] = 1
    if isinstance(model, Encodes):
        found["latents"] = model.encode(images)
    if isinstance(model, Reconstructs):
        found["reconstructions"] = model.reconstruct(images)
    if isinstance(model, Quantizes):
        found["codes"] = model.codes(images)
    if isinstance(model, HasLikelihood):
        found["log likelihood"] = model.log_likelihood(images, k=2, seed=3)
    if isinstance(model, Restores):
        found["restored"] = model.restore(images, mask, seed=3)
    if isinstance(model, Predicts):
        found["predicted"] = model.predict(torch.rand(2, model.context_frames, *SHAPE, generator=draw) * 2 - 1, 3)
    if isinstance(model, SamplesClips):
        found["clips"] = model.sample_clips(2, 4, seed=3)
    if isinstance(model, Translates):
        for direction in model.directions:
            source = torch.rand(2, model.domains[direction[0]].network_channels, 16, 16, generator=draw) * 2 - 1
            found[direction] = model.translate(source, direction[-1], seed=3)
    return found


def summary(output):
    """The shape, the mean, the deviation, and 24 values spread over the tensor, as plain numbers."""
    values = output.double().flatten()
    spread = values[torch.linspace(0, len(values) - 1, min(24, len(values))).long()]
    numbers = [values.mean().item(), values.std(correction=0).item(), *spread.tolist()]
    return {"shape": [*output.shape], "values": [float(f"{number:.6g}") for number in numbers]}
