"""What a decoder's last layer starts from, as a Keras initializer; zeros where no bias is asked for."""

import keras
import numpy as np


def per_channel(output_bias):
    """An array of one entry a channel, or None -> the bias initializer of a convolution."""
    return "zeros" if output_bias is None else keras.initializers.Constant(np.asarray(output_bias).reshape(-1))


def per_pixel(output_bias, output_shape):
    """An array that broadcasts to `output_shape`, or None -> the bias initializer of a dense layer."""
    if output_bias is None:
        return "zeros"
    return keras.initializers.Constant(np.broadcast_to(output_bias, output_shape).reshape(-1))
