"""PyTorch eager, on a tensor in memory."""

import numpy as np
import torch
from torch.nn import functional

from benchmarks.specification import ADAM, SCALE_FLOOR, Means, Spec, initial_weights


def build(spec: Spec, pixels: np.ndarray):
    """See `benchmarks.peers`."""
    torch.manual_seed(0)
    images = torch.from_numpy(np.ascontiguousarray(pixels.transpose(0, 3, 1, 2)))
    encoder, decoder = torch.nn.ModuleList(), torch.nn.ModuleList()
    layers = (*spec.encoder, *spec.decoder)
    for index, (layer, weights) in enumerate(zip(layers, initial_weights(spec), strict=True)):
        (encoder if index < len(spec.encoder) else decoder).append(_module(layer, *weights))
    parameters = [*encoder.parameters(), *decoder.parameters()]
    optimizer = torch.optim.Adam(
        parameters, ADAM["learning_rate"], (ADAM["beta_1"], ADAM["beta_2"]), ADAM["epsilon"], fused=True
    )

    def network(layers, modules, x):
        for layer, module in zip(layers, modules, strict=True):
            shape = layer.inputs if layer.kind == "dense" else (layer.inputs[2], *layer.inputs[:2])
            x = module(x.reshape(-1, *shape))
            x = functional.relu(x) if layer.relu else x
        return x

    def step(rows):
        grey = images[rows].float() / (spec.levels - 1)
        x = (torch.rand_like(grey) < grey).float()
        loc, raw_scale = network(spec.encoder, encoder, x).chunk(2, dim=-1)
        scale = SCALE_FLOOR + functional.softplus(raw_scale)
        z = loc + scale * torch.randn_like(loc)
        logits = network(spec.decoder, decoder, z).reshape(x.shape)
        rate = 0.5 * (loc**2 + scale**2 - 1 - 2 * scale.log()).sum() / len(x)
        distortion = functional.binary_cross_entropy_with_logits(logits, x, reduction="sum") / len(x)
        optimizer.zero_grad()
        (rate + distortion).backward()
        optimizer.step()
        return torch.stack([-(rate + distortion), rate, distortion]).detach()

    def train(epochs):
        for _ in range(epochs):
            sums = torch.zeros(3)
            for rows in torch.randperm(len(images)).split(spec.batch_size):
                sums += step(rows)
        return Means(*(sums / (len(images) // spec.batch_size)).tolist())

    return train


def _module(layer, kernel, bias):
    size = {} if layer.kind == "dense" else {"kernel_size": layer.kernel, "stride": layer.stride}
    if layer.kind == "dense":
        module = torch.nn.Linear(layer.inputs[0], layer.outputs[0])
        kernel = kernel.T
    elif layer.kind == "conv":
        module = torch.nn.Conv2d(layer.inputs[-1], layer.outputs[-1], **size)
        kernel = kernel.transpose(3, 2, 0, 1)
    else:
        # "same" keeps size x stride places. Where kernel - stride is odd, Keras cuts one more off the far end and
        # PyTorch can only do so at the near one: a mirrored kernel, the same work.
        cut = layer.kernel - layer.stride
        module = torch.nn.ConvTranspose2d(
            layer.inputs[-1], layer.outputs[-1], **size, padding=(cut + 1) // 2, output_padding=cut % 2
        )
        kernel = kernel.transpose(3, 2, 0, 1)
    with torch.no_grad():
        module.weight.copy_(torch.from_numpy(kernel.copy()))
        module.bias.copy_(torch.from_numpy(bias))
    return module
