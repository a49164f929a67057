"""What comes out of a stack of convolutions, by arithmetic alone, so that sizes can be checked before any work."""

from collections.abc import Sequence

from vae_lab.errors import UsageError


def convolved(size: int, kernel: int, stride: int, padding: str) -> int:
    """Length of an axis after a convolution; 0 or less when the kernel does not fit."""
    return -(-size // stride) if padding == "same" else (size - kernel) // stride + 1


def transposed(size: int, kernel: int, stride: int, padding: str) -> int:
    """Length of an axis after a transposed convolution."""
    return size * stride if padding == "same" else size * stride + max(kernel - stride, 0)


def layer_sizes(
    start: Sequence[int],
    kernels: Sequence[int],
    strides: Sequence[int],
    paddings: Sequence[str],
    transpose: bool = False,
) -> list[tuple[int, int]]:
    """Returns (height, width) before and after each layer.

    Raises:
      UsageError: where the lists differ in length or a kernel does not fit into what reaches it.
    """
    if not len(kernels) == len(strides) == len(paddings):
        raise UsageError(
            f"kernels, strides and paddings describe {len(kernels)}, {len(strides)} and {len(paddings)} layers; "
            "give each as many entries as there are layers"
        )
    step = transposed if transpose else convolved
    sizes = [(int(start[0]), int(start[1]))]
    for kernel, stride, padding in zip(kernels, strides, paddings, strict=True):
        height, width = (step(size, kernel, stride, padding) for size in sizes[-1])
        if min(height, width) < 1:
            raise UsageError(
                f"a {kernel}x{kernel} kernel with {padding} padding does not fit what reaches layer {len(sizes)}, "
                f"{sizes[-1][0]}x{sizes[-1][1]}"
            )
        sizes.append((height, width))
    return sizes
