"""Encoders and decoders: shapes, weights counted by hand, initial values, and gradients to every weight."""

import itertools
import math

import keras
import numpy as np
import pytest
import tensorflow as tf
from omegaconf import OmegaConf

from vae_lab.config import compose, options, parts
from vae_lab.config.checks.budget import decoder_of, encoder_of
from vae_lab.config.settings import settings_of
from vae_lab.errors import UsageError
from vae_lab.layers.conv_sizes import layer_sizes
from vae_lab.layers.gated import GatedDense
from vae_lab.layers.residual import ResidualBlock

GREY_8, GREY_28, COLOUR_32 = (8, 8, 1), (28, 28, 1), (32, 32, 3)
SHAPES = (GREY_8, GREY_28, COLOUR_32)
ENCODERS = ("conv", "conv_deep", "conv_spatial", "gated_mlp", "linear", "mlp", "resnet")
DECODERS = ("conv", "conv_spatial", "gated_mlp", "linear", "mlp", "resnet")
SEED = 5

# Small settings that fit any of the shapes; elu, for which no unit is ever dead.
CONV = {"filters": [3, 4], "kernels": [3, 3], "strides": [1, 2], "paddings": ["valid", "same"], "activation": "elu"}
SMALL_ENCODER = {
    "conv": CONV,
    "conv_deep": CONV,
    "conv_spatial": CONV | {"filters": [3], "paddings": ["same", "same"]},
    "gated_mlp": {"hidden": [5, 6]},
    "linear": {},
    "mlp": {"hidden": [5, 6], "activation": "elu"},
    "resnet": {"filters": [3, 4], "blocks": [1, 2], "activation": "elu"},
}
UPWARD = {
    "filters": [4],
    "kernels": [3, 3],
    "strides": [2, 1],
    "paddings": ["same", "same"],
    "kinds": ["transposed", "conv"],
    "activation": "elu",
}
SMALL_DECODER = {
    "conv": UPWARD,  # and its base, half the image
    "conv_spatial": UPWARD,
    "gated_mlp": {"hidden": [5, 6]},
    "linear": {},
    "mlp": {"hidden": [5, 6], "activation": "elu"},
    "resnet": {"filters": [4, 3], "blocks": [2, 1], "activation": "elu"},
}


def option(axis, name, **settings):
    """The YAML of an option, with changed settings; a key that it lacks is an error."""
    loaded = OmegaConf.load(options.CONF / axis / f"{name}.yaml")
    OmegaConf.set_struct(loaded, True)
    loaded.merge_with(settings)
    return loaded


def encoder(name, shape, output_size=4, **settings):
    keras.utils.set_random_seed(SEED)
    network = parts.make(option("encoder", name, **settings), output_size=output_size)
    network.build((None, *shape))
    return network


def small_encoder(name, shape, **settings):
    return encoder(name, shape, **(SMALL_ENCODER[name] | settings))


def decoder(name, shape, output_bias=None, latent_shape=(3,), **settings):
    keras.utils.set_random_seed(SEED)
    network = parts.make(
        option("decoder", name, **settings), latent_shape=latent_shape, output_shape=shape, output_bias=output_bias
    )
    network.build((None, *latent_shape))
    return network


def small_decoder(name, shape, output_bias=None, **settings):
    height, width, _ = shape
    latent_shape = (height // 2, width // 2, 3) if name == "conv_spatial" else (3,)
    base = {"base": [height // 2, width // 2, 5]} if name == "conv" else {}
    return decoder(name, shape, output_bias, latent_shape, **(SMALL_DECODER[name] | base | settings))


SMALL = [("encoder", name) for name in ENCODERS] + [("decoder", name) for name in DECODERS]


def small(axis, name, shape=GREY_8, **settings):
    return (small_encoder if axis == "encoder" else small_decoder)(name, shape, **settings)


def noise(network, batch=6):
    shape = (batch, *network.input_shape[1:])
    return tf.constant(np.random.default_rng(0).normal(size=shape), tf.float32)


def sizes(network):
    """Height of each layer's output that has one."""
    return [layer.output.shape[1] for layer in network.layers if len(layer.output.shape) == 4]


def kernels(network):
    return [weight for weight in network.trainable_variables if "kernel" in weight.path]


def test_every_network_is_tried_here():
    for axis, names in (("encoder", ENCODERS), ("decoder", DECODERS)):
        assert {path.stem for path in (options.CONF / axis).glob("*.yaml")} == set(names)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", ENCODERS)
def test_encoder_output_shape(name, shape):
    network = small_encoder(name, shape)
    expected = (shape[0] // 2, shape[1] // 2, 4) if name == "conv_spatial" else (4,)
    assert network.output_shape == (None, *expected)
    assert network(tf.zeros((2, *shape))).shape == (2, *expected)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", DECODERS)
def test_decoder_output_shape(name, shape):
    network = small_decoder(name, shape)
    assert network.output_shape == (None, *shape)
    assert network(noise(network, 2)).shape == (2, *shape)


@pytest.mark.parametrize("shape", [(9, 14, 1), (5, 5, 2)])
@pytest.mark.parametrize("stages", [1, 2, 3])
def test_resnet_fits_images_of_any_size(shape, stages):
    settings = {"filters": [2] * stages, "blocks": [1] * stages}
    assert encoder("resnet", shape, **settings)(tf.zeros((2, *shape))).shape == (2, 4)
    assert decoder("resnet", shape, **settings)(tf.zeros((2, 3))).shape == (2, *shape)


def test_default_conv_is_the_cvae_tutorial_s_network():
    down, up = encoder("conv", GREY_28), decoder("conv", GREY_28, latent_shape=(2,))
    assert sizes(down) == [13, 6]
    assert sizes(up) == [7, 14, 28, 28]
    # 3x3 kernels: 1 -> 32 and 32 -> 64 channels; 6 * 6 * 64 numbers -> means and scales of 2 latents.
    assert down.count_params() == (9 * 1 * 32 + 32) + (9 * 32 * 64 + 64) + (6 * 6 * 64 * 4 + 4)
    # 2 latents -> 7 * 7 * 32 numbers; 3x3 kernels: 32 -> 64, 64 -> 32 and 32 -> 1 channels.
    assert up.count_params() == (2 * 1568 + 1568) + (9 * 32 * 64 + 64) + (9 * 64 * 32 + 32) + (9 * 32 * 1 + 1)
    assert [layer.activation.__name__ for layer in up.layers if hasattr(layer, "kernel")] == [
        *("relu", "relu", "relu", "linear")
    ]


def test_default_conv_deep_sizes_and_weights():
    network = encoder("conv_deep", GREY_28, output_size=8)
    assert sizes(network) == [28, 24, 12, 8, 4, 1]
    convolutions = (25 * 1 * 32 + 32) + (25 * 32 * 32 + 32) + (25 * 32 * 64 + 64) + (25 * 64 * 64 + 64)
    assert network.count_params() == convolutions + (16 * 64 * 128 + 128) + (128 * 8 + 8)


def test_conv_deep_takes_one_half_from_the_pixels_and_keeps_a_fifth_of_what_is_negative():
    network, plain = encoder("conv_deep", GREY_28), encoder("conv", GREY_28)
    x = noise(network)
    convolutions = [layer for layer in network.layers if hasattr(layer, "kernel")]
    by_hand = x - 0.5
    for layer in convolutions[:-1]:
        by_hand = tf.nn.conv2d(by_hand, layer.kernel, layer.strides, layer.padding.upper()) + layer.bias
        by_hand = tf.where(by_hand > 0, by_hand, 0.2 * by_hand)
    by_hand = tf.reshape(by_hand, (len(x), -1)) @ convolutions[-1].kernel + convolutions[-1].bias
    np.testing.assert_allclose(network(x), by_hand, atol=1e-5)
    assert not any(isinstance(layer, keras.layers.Rescaling) for layer in plain.layers)


def test_default_conv_spatial_sizes_and_weights():
    down = encoder("conv_spatial", GREY_28, output_size=8)
    up = decoder("conv_spatial", GREY_28, latent_shape=(7, 7, 4))
    assert sizes(down) == [20, 14, 7]
    assert sizes(up) == [14, 20, 28, 28]
    # 9x9, 7x7 and 3x3 kernels; then 3x3, 7x7, 9x9 and 3x3.
    first, last = 81 * 1 * 64 + 64, 9 * 64 * 8 + 8
    assert down.count_params() == first + (49 * 64 * 64 + 64) + last
    first, last = 9 * 4 * 64 + 64, 9 * 64 * 1 + 1
    assert up.count_params() == first + (49 * 64 * 64 + 64) + (81 * 64 * 64 + 64) + last
    assert down.output_shape == (None, 7, 7, 8)


def test_dense_layers_follow_the_convolutions_and_are_not_linear():
    network = encoder("conv", GREY_28, hidden=[16], paddings=["same", "same"])
    dense = [layer for layer in network.layers if isinstance(layer, keras.layers.Dense)]
    assert [layer.activation.__name__ for layer in dense] == ["relu", "linear"]
    convolutions = (9 * 1 * 32 + 32) + (9 * 32 * 64 + 64)
    assert network.count_params() == convolutions + (7 * 7 * 64 * 16 + 16) + (16 * 4 + 4)


def test_conv_spatial_keeps_the_grid():
    """A pixel touches no feature beyond its reach: what a dense layer in between would break."""
    network = small_encoder("conv_spatial", GREY_28)
    x = np.zeros((2, *GREY_28), np.float32)
    x[1, 0, 0, 0] = 1.0
    black, dotted = network(x).numpy()
    changed = np.argwhere(np.any(np.abs(black - dotted) > 0, axis=-1))
    assert changed.tolist() == [[0, 0]]


def test_gated_mlp_weights():
    # Each gated layer has two dense layers: 64 -> 5 -> 6; the last is one dense layer, 6 -> 4.
    assert small_encoder("gated_mlp", GREY_8).count_params() == 2 * (64 * 5 + 5) + 2 * (5 * 6 + 6) + (6 * 4 + 4)
    assert small_decoder("gated_mlp", GREY_8).count_params() == 2 * (3 * 5 + 5) + 2 * (5 * 6 + 6) + (6 * 64 + 64)


def test_linear_weights():
    assert encoder("linear", COLOUR_32).count_params() == 32 * 32 * 3 * 4 + 4
    assert decoder("linear", COLOUR_32).count_params() == 3 * 32 * 32 * 3 + 32 * 32 * 3


def test_mlp_weights():
    assert small_encoder("mlp", GREY_8).count_params() == (64 * 5 + 5) + (5 * 6 + 6) + (6 * 4 + 4)
    assert small_decoder("mlp", GREY_8).count_params() == (3 * 5 + 5) + (5 * 6 + 6) + (6 * 64 + 64)


def test_resnet_sizes_and_weights():
    down, up = small_encoder("resnet", GREY_28), small_decoder("resnet", GREY_28)
    # Stride 2: 1 -> 3 channels, one block of two 3 -> 3; stride 2: 3 -> 4, two blocks of two 4 -> 4; 7 * 7 * 4 -> 4.
    blocks_of_3, blocks_of_4 = 2 * (9 * 3 * 3 + 3), 2 * 2 * (9 * 4 * 4 + 4)
    assert sizes(down) == [14, 14, 7, 7, 7, 7]
    assert down.count_params() == (9 * 1 * 3 + 3) + blocks_of_3 + (9 * 3 * 4 + 4) + blocks_of_4 + (196 * 4 + 4)
    # 3 -> 7 * 7 * 4; two blocks; up to 14, 4 -> 3 channels; one block; up to 28, 3 -> 3; the output, 3 -> 1.
    assert sizes(up) == [7, 7, 7, 14, 14, 14, 28, 28, 28, 28]
    convolutions = (9 * 4 * 3 + 3) + (9 * 3 * 3 + 3) + (9 * 3 * 1 + 1)
    assert up.count_params() == (3 * 196 + 196) + blocks_of_4 + blocks_of_3 + convolutions


@pytest.mark.parametrize(
    ("down", "up"),
    [
        ("mlp", "mlp"),
        ("linear", "linear"),
        ("conv", "conv"),
        ("conv_deep", "conv"),
        ("resnet", "resnet"),
        ("conv_spatial", "conv_spatial"),
    ],
)
def test_what_is_counted_before_work_are_the_weights_of_the_networks(down, up):
    """All but the biases, and a latent of one parameter each, in place of what the posterior takes."""
    cfg = compose.compose_unchecked("data=mnist", f"encoder={down}", f"decoder={up}", "latent_size=4")
    latent_shape = (7, 7, 4) if up == "conv_spatial" else (4,)
    for held, network in (
        (encoder_of(cfg), encoder(down, GREY_28)),
        (decoder_of(cfg), decoder(up, GREY_28, latent_shape=latent_shape)),
    ):
        assert held.weights == sum(math.prod(w.shape) for w in network.trainable_weights if len(w.shape) > 1)


def test_the_numbers_of_a_step_are_those_of_its_layers():
    cfg = compose.compose_unchecked("data=mnist", "encoder=resnet", "decoder=conv", "latent_size=4")
    # The mirrored networks' layers of above: what each puts out for one image.
    assert encoder_of(cfg).outputs == 3 * 14 * 14 * 32 + 3 * 7 * 7 * 64
    assert decoder_of(cfg).outputs == 7 * 7 * 32 + 14 * 14 * 64 + 28 * 28 * 32 + 28 * 28


def test_conv_decoder_mixes_transposed_and_plain_layers():
    network = decoder(
        "conv",
        COLOUR_32,
        base=[8, 8, 4],
        filters=[5, 6],
        kernels=[3, 3, 4],
        strides=[2, 2, 1],
        paddings=["valid", "valid", "valid"],
        kinds=["transposed", "transposed", "conv"],
    )
    assert sizes(network) == [8, 17, 35, 32]
    transposed = [isinstance(layer, keras.layers.Conv2DTranspose) for layer in network.layers[-3:]]
    assert transposed == [True, True, False]
    assert network.count_params() == (3 * 256 + 256) + (9 * 4 * 5 + 5) + (9 * 5 * 6 + 6) + (16 * 6 * 3 + 3)


@pytest.mark.parametrize("kind", ["conv", "transposed"])
@pytest.mark.parametrize("padding", ["same", "valid"])
def test_size_arithmetic_is_keras_s(kind, padding):
    layer_of = {"conv": keras.layers.Conv2D, "transposed": keras.layers.Conv2DTranspose}[kind]
    for kernel, stride, size in itertools.product(range(1, 6), range(1, 4), range(4, 10)):
        layer = layer_of(1, kernel, stride, padding)
        try:
            expected = tuple(layer.compute_output_shape((None, size, size + 1, 1))[1:3])
        except ValueError:
            with pytest.raises(UsageError):
                layer_sizes((size, size + 1), [kernel], [stride], [padding], [kind])
            continue
        found = layer_sizes((size, size + 1), [kernel], [stride], [padding], [kind])
        assert found == [(size, size + 1), expected], (kernel, stride, size)
        if size == 5:  # and what Keras says is what it does
            assert tuple(layer(tf.zeros((1, size, size + 1, 1))).shape[1:3]) == expected


def fans(kernel):
    """Glorot's fan-in plus fan-out; of a convolution, its kernel's area times channels in and out."""
    return math.prod(kernel.shape[:-2]) * sum(kernel.shape[-2:])


@pytest.mark.parametrize(("axis", "name"), SMALL)
def test_initializer_sets_the_kernels_spread(axis, name):
    settings = {"initializer": "glorot_uniform"} if (axis, name) != ("decoder", "linear") else {}
    if axis == "encoder":
        network = encoder(name, GREY_28, output_size=20, **settings)
    else:
        latent_shape = (7, 7, 20) if name == "conv_spatial" else (20,)
        network = decoder(name, GREY_28, latent_shape=latent_shape, **settings)
    for kernel in kernels(network):
        expected = math.sqrt(2 / fans(kernel))
        # A uniform sample's standard deviation has a standard error of sigma sqrt(0.2 / n).
        standard_error = expected * math.sqrt(0.2 / math.prod(kernel.shape))
        assert abs(np.sqrt(np.mean(kernel.numpy() ** 2)) - expected) < 4 * standard_error, kernel.path
    assert all(np.all(weight == 0) for weight in network.weights if "bias" in weight.path)


@pytest.mark.parametrize(("axis", "name"), SMALL)
def test_every_kernel_follows_its_initializer_setting(axis, name):
    constant = {"initializer": {"class_name": "Constant", "config": {"value": 3.0}}}
    if axis == "decoder":
        constant |= {"output_initializer": {"class_name": "Constant", "config": {"value": 4.0}}}
    if (axis, name) == ("decoder", "linear"):
        del constant["initializer"]
    values = [np.unique(kernel.numpy()).tolist() for kernel in kernels(small(axis, name, **constant))]
    assert values == [[3.0]] * (len(values) - 1) + [[4.0 if axis == "decoder" else 3.0]]


def test_gated_dense_is_a_linear_map_times_the_sigmoid_of_another():
    keras.utils.set_random_seed(SEED)
    layer = GatedDense(4, "glorot_uniform", "gated")
    layer.build((None, 3))
    x = np.random.default_rng(0).normal(size=(5, 3))
    a, b, c, d = (np.random.default_rng(i).normal(size=weight.shape) for i, weight in enumerate(layer.weights))
    layer.set_weights([a, b, c, d])
    np.testing.assert_allclose(layer(x), (x @ a + b) / (1 + np.exp(-(x @ c + d))), rtol=1e-5)


def test_residual_block_adds_to_its_input():
    layer = ResidualBlock(1, "relu", "ones", "block")
    x = np.zeros((1, 5, 5, 1), np.float32)
    x[0, 2, 2, 0], x[0, 0, 4, 0] = 1.0, -7.0
    found = layer(tf.constant(x)).numpy()[0, :, :, 0]
    # relu leaves the 1; one kernel of ones spreads it over 3x3, the next to 5x5 products of 1 2 3 2 1.
    spread = np.array([1.0, 2.0, 3.0, 2.0, 1.0])
    np.testing.assert_allclose(found, x[0, :, :, 0] + np.outer(spread, spread), rtol=1e-6)


def test_resnet_is_the_identity_plus_nothing_where_its_second_kernels_are_zero():
    layer = ResidualBlock(2, "elu", "glorot_uniform", "block")
    x = tf.constant(np.random.default_rng(0).normal(size=(2, 4, 4, 2)), tf.float32)
    layer(x)
    layer.second.kernel.assign(tf.zeros_like(layer.second.kernel))
    np.testing.assert_array_equal(layer(x), x)


@pytest.mark.parametrize("axis", ["encoder", "decoder"])
def test_linear_networks_are_affine(axis):
    network = small(axis, "linear")
    x, y = noise(network, 2)[:1], noise(network, 2)[1:]
    origin = network(tf.zeros_like(x))
    sum_of_both = network(2 * x - 3 * y) - origin
    np.testing.assert_allclose(sum_of_both, 2 * (network(x) - origin) - 3 * (network(y) - origin), atol=1e-5)


SPATIAL_8 = (
    "encoder=conv_spatial",
    "decoder=conv_spatial",
    "encoder.kernels=[3,3,3]",
    "decoder.kernels=[3,3,3,3]",
    "encoder.filters=[4,4]",
    "decoder.filters=[4,4,4]",
    "latent_size=2",
)

FITTING = {
    "spatial": (SPATIAL_8, (2, 2, 2)),
    "spatial into dense": (SPATIAL_8[:1] + SPATIAL_8[2:3] + SPATIAL_8[6:], (2, 2, 2)),
    "residual": (("encoder=resnet", "decoder=resnet", "latent_size=2"), (2,)),
    "gated": (("encoder=gated_mlp", "decoder=gated_mlp", "latent_size=2"), (2,)),
    "linear": (("encoder=linear", "decoder=linear", "latent_size=2"), (2,)),
}


@pytest.mark.parametrize(("overrides", "latent_shape"), FITTING.values(), ids=FITTING)
def test_fitting_networks_make_a_model(overrides, latent_shape):
    cfg = compose.compose(*overrides)
    model = parts.make_model(settings_of(cfg), GREY_8, 2, np.full(GREY_8, 0.3))
    assert model.latent_shape == latent_shape
    z = model.latent_prior().sample((5, 3), seed=[0, 1])
    assert model.decode(z).log_prob(tf.ones((3, *GREY_8))).shape == (5, 3)
    assert model(tf.zeros((3, *GREY_8))).shape == (3, *GREY_8)


SMALL_BASE = ("decoder=conv", "decoder.base=[2,2,4]")

UNFIT = {
    "no grid for a spatial decoder": (
        ["decoder=conv_spatial"],
        "decoder=conv_spatial takes latents on a grid, and encoder=mlp keeps none; use encoder=conv_spatial",
    ),
    "spatial decoder of another size": (
        [*SPATIAL_8, "decoder.strides=[1,1,1,1]"],
        "decoder=conv_spatial makes 6x6 images from the encoder's 2x2, and data=digits has 8x8; change strides",
    ),
    "plain layer in the decoder that shrinks": (
        [
            *SMALL_BASE,
            "decoder.kinds=[transposed,transposed,conv]",
            "decoder.kernels=[3,3,2]",
            "decoder.paddings=[same,same,valid]",
        ],
        "decoder=conv makes 7x7 images from decoder.base=[2, 2, 4], and data=digits has 8x8; change decoder.base, ",
    ),
    "plain layer that does not fit": (
        [*SMALL_BASE, "decoder.kinds=[conv,transposed,transposed]", "decoder.paddings=[valid,same,same]"],
        "decoder=conv: a 3x3 kernel with valid padding does not fit what reaches layer 1, 2x2",
    ),
    "unknown kind": (["decoder=conv", "decoder.kinds=[up,up,up]"], "must be conv or transposed"),
    "kinds of another length": (
        ["decoder=conv", "decoder.kinds=[transposed]"],
        "decoder.kinds=['transposed'] has 1 entries for 3 layers",
    ),
    "stages without blocks": (
        ["encoder=resnet", "encoder.blocks=[1]"],
        "encoder.blocks=[1] and encoder.filters=[32, 64] must be whole numbers of at least 1, one of each a stage",
    ),
    "empty stage": (["decoder=resnet", "decoder.blocks=[1,0]"], "decoder.blocks=[1, 0] and decoder.filters=[64, 32]"),
}


@pytest.mark.parametrize(("overrides", "message"), UNFIT.values(), ids=UNFIT)
def test_networks_that_do_not_fit_are_refused_before_any_work(overrides, message):
    with pytest.raises(UsageError) as error:
        compose.compose(*overrides)
    assert message in str(error.value)
