"""Deeper convolutional encoder."""

from vae_lab.encoder.conv import Conv


class ConvDeep(Conv):
    """`Conv` with five layers, down to one vector: what differs is in the settings."""
