"""What comes out of a stack of convolutions, by arithmetic alone, so that sizes can be checked before any work."""

from collections.abc import Sequence

from vae_lab.errors import UsageError


def convolved(size: int, kernel: int, stride: int, padding: str) -> int:
    """Length of an axis after a convolution; 0 or less when the kernel does not fit."""
    return -(-size // stride) if padding == "same" else (size - kernel) // stride + 1


def transposed(size: int, kernel: int, stride: int, padding: str) -> int:
    """Length of an axis after a transposed convolution."""
    return size * stride if padding == "same" else size * stride + max(kernel - stride, 0)


STEPS = {"conv": convolved, "transposed": transposed}


def layer_sizes(
    start: Sequence[int],
    kernels: Sequence[int],
    strides: Sequence[int],
    paddings: Sequence[str],
    kinds: Sequence[str],
) -> list[tuple[int, int]]:
    """Returns (height, width) before and after each layer, whose kind is conv or transposed.

    Raises:
      UsageError: where the lists differ in length or a kernel does not fit into what reaches it.
    """
    if not len(kernels) == len(strides) == len(paddings) == len(kinds):
        raise UsageError(
            f"kernels, strides, paddings and kinds describe {len(kernels)}, {len(strides)}, {len(paddings)} and "
            f"{len(kinds)} layers; give each as many entries as there are layers"
        )
    sizes = [(int(start[0]), int(start[1]))]
    for kernel, stride, padding, kind in zip(kernels, strides, paddings, kinds, strict=True):
        height, width = (STEPS[kind](size, kernel, stride, padding) for size in sizes[-1])
        if min(height, width) < 1:
            raise UsageError(
                f"a {kernel}x{kernel} kernel with {padding} padding does not fit what reaches layer {len(sizes)}, "
                f"{sizes[-1][0]}x{sizes[-1][1]}"
            )
        sizes.append((height, width))
    return sizes
