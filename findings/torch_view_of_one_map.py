"""torch 2.15.0 on the CPU: instance norm's gradients are wrong for a batch of one whose gradients are channels_last.

``Tensor.view`` of a channels_last tensor (1, C, H, W), to the same shape, has the stride C in place of H·W·C in its
first dimension. That tensor still is contiguous in channels_last, as a dimension of size one has no neighbours, but
``native_batch_norm_backward`` takes it for contiguous and reads its numbers in the wrong order. ``F.instance_norm``
views its output so. It raises nothing; the error is as large as the gradient itself. Networks whose convolutions are
channels_last, such as CycleGAN's at its batch size of 1, give such gradients.

    python findings/torch_view_of_one_map.py
"""

import torch
import torch.nn.functional as F

torch.manual_seed(0)
print(torch.__version__)
gradient = torch.randn(1, 8, 6, 6).contiguous(memory_format=torch.channels_last)
print("strides:", gradient.stride(), "and of its view:", gradient.view(1, 8, 6, 6).stride())
for batch in (1, 2):
    x, gradient = torch.randn(batch, 8, 6, 6), torch.randn(batch, 8, 6, 6)
    exact = x.double().requires_grad_()
    variance, mean = torch.var_mean(exact, (2, 3), correction=0, keepdim=True)
    (expected,) = torch.autograd.grad((exact - mean) / (variance + 1e-5).sqrt(), exact, gradient.double())
    for layout in (torch.contiguous_format, torch.channels_last):
        x = x.detach().requires_grad_()
        (found,) = torch.autograd.grad(F.instance_norm(x), x, gradient.contiguous(memory_format=layout))
        error = float((found - expected).norm() / expected.norm())
        print(f"batch of {batch}, gradients {layout}: relative error {error:.1e}")
