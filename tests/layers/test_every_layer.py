"""What every layer promises: it can be saved, works in any precision, and uses each weight."""

import functools
import inspect
import json

import keras
import numpy as np
import pytest
from keras import ops

import vlae_tf.layers
from tests.gradients import gradient, randomise, weight_gradients
from vlae_tf.layers import (
    MADE,
    MLP,
    ConditionalGaussian,
    Conv2D,
    ConvMADE,
    Dense,
    DenseBlock,
    GatedMaskedBlock,
    GatedPixelCNN,
    GatedStackBlock,
    LocalPixelCNN,
    MaskedConv2D,
    MaskedDense,
    ResidualBlock,
    ResidualPixelCNN,
)

ROW, IMAGE, MAPS = (4,), (4, 5, 2), (4, 5, 3)
NETWORKS = {
    "local": (lambda **kw: LocalPixelCNN(3, filters=2, blocks=1, **kw), IMAGE, MAPS),
    "local, kernels": (
        lambda **kw: LocalPixelCNN(1, 2, 1, first_kernel_size=(3, 5), block_kernel_size=1, **kw),
        IMAGE,
        MAPS,
    ),
    "residual": (lambda **kw: ResidualPixelCNN(filters=2, depth=3, **kw), IMAGE, MAPS),
    "residual, untied": (lambda **kw: ResidualPixelCNN(2, 2, 4, tied=False, **kw), IMAGE, MAPS),
    "gated": (lambda **kw: GatedPixelCNN(3, filters=2, blocks=2, **kw), IMAGE, MAPS),
    "local, groups": (lambda **kw: LocalPixelCNN(4, 2, 1, groups=2, **kw), IMAGE, MAPS),
    "gated, groups": (lambda **kw: GatedPixelCNN(4, 4, 2, groups=2, **kw), IMAGE, MAPS),
}
LAYERS = {
    "dense": (lambda **kw: Dense(3, **kw), ROW),
    "dense, no bias": (lambda **kw: Dense(3, use_bias=False, init_scale=0.5, **kw), ROW),
    "masked dense": (lambda **kw: MaskedDense(3, mask=np.tri(4, 3), **kw), ROW),
    "mlp": (lambda **kw: MLP([3, 2], "elu", "he_normal", **kw), ROW),
    "conditional gaussian": (lambda **kw: ConditionalGaussian(2, [3], **kw), ROW),
    "convolution": (lambda **kw: Conv2D(3, (3, 1), strides=2, **kw), IMAGE),
    "upsampling": (lambda **kw: Conv2D(3, 3, upsample=2, **kw), IMAGE),
    "masked convolution": (lambda **kw: MaskedConv2D(4, 3, "A", groups=2, **kw), IMAGE),
    "rows above": (lambda **kw: MaskedConv2D(4, 3, mask_type="above", **kw), IMAGE),
    "residual block": (lambda **kw: ResidualBlock(3, strides=2, **kw), IMAGE),
    "residual block, 1x1": (lambda **kw: ResidualBlock(2, kernel_size=1, **kw), IMAGE),
    "dense block": (lambda **kw: DenseBlock(3, steps=2, strides=2, **kw), IMAGE),
    "dense block, growing": (lambda **kw: DenseBlock(2, growth=3, upsample=2, **kw), IMAGE),
    "gated block": (lambda **kw: GatedMaskedBlock(2, **kw), IMAGE, MAPS),
    "gated stacks": (lambda **kw: GatedStackBlock(2, **kw), IMAGE, IMAGE, MAPS),
    # Mean-only returns a None, which Keras lets into no functional model.
    "made": (lambda **kw: MADE(4, [6, 5], False, [2, 0, 1, 3], "elu", **kw), ROW),
    "convolutional made": (
        lambda **kw: ConvMADE((2, 3, 2), 4, groups=2, mean_only=False, order="reverse", **kw),
        (12,),
    ),
    "made, context": (
        lambda **kw: MADE(4, [6], mean_only=False, context_size=4, activation="tanh", **kw),
        ROW,
        ROW,
    ),
    **NETWORKS,
}
# One of each kind also on JAX: compiling each takes long.
ON_JAX = ("masked convolution", "gated stacks", "made, context", "residual")


@pytest.fixture(
    params=[
        pytest.param(name, marks=[pytest.mark.jax] if name in ON_JAX else []) for name in LAYERS
    ]
)
def name(request):
    return request.param


def inputs_of(shapes, rows=3):
    random = np.random.default_rng(0)
    return [random.normal(size=(rows, *shape)).astype("float32") for shape in shapes]


def flat(outputs):
    return [o for o in keras.tree.flatten(outputs) if o is not None]


@functools.cache
def built(name):
    """Inputs, and a model of the layer with and without weight normalisation, side by side.

    The model has random weights, and is shared by all tests.
    """
    make, *shapes = LAYERS[name]
    layers = [make(weight_norm=weight_norm) for weight_norm in (False, True)]
    symbols = [keras.Input(shape) for shape in shapes]
    model = keras.Model(symbols, flat([layer(*symbols) for layer in layers]))
    return randomise(model), [ops.convert_to_tensor(x) for x in inputs_of(shapes)]


def test_every_public_layer_is_tried_here():
    public = {getattr(vlae_tf.layers, name) for name in vlae_tf.layers.__all__}
    leaves = {c for c in public if isinstance(c, type) and issubclass(c, keras.layers.Layer)}
    tried = {type(make()) for make, *_ in LAYERS.values()}
    bases = {"CompositeLayer", "ConfiguredLayer", "KernelLayer"}
    assert tried == leaves - {getattr(vlae_tf.layers, name) for name in bases}


@pytest.mark.parametrize("network", NETWORKS)
def test_one_image_serves_many_rows_of_conditioning(network):
    model, (image, maps) = built(network)
    network = next(layer for layer in model.layers if hasattr(layer, "receptive_field"))
    expected = network(ops.repeat(image[:1], 3, axis=0), maps)
    np.testing.assert_allclose(network(image[:1], maps), expected, atol=1e-5)
    assert np.ptp(expected, axis=0).max() > 0.01


def test_config_is_complete_and_json(name):
    layer = LAYERS[name][0](weight_norm=True, dtype="mixed_bfloat16", name="mine")
    config = json.loads(json.dumps(keras.saving.serialize_keras_object(layer)))
    assert config["registered_name"] == f"vlae_tf>{type(layer).__name__}"
    again = keras.saving.deserialize_keras_object(config)
    assert type(again) is type(layer)
    assert again.get_config() == layer.get_config()
    arguments = set(inspect.signature(type(layer).__init__).parameters) - {"self", "kwargs"}
    assert arguments and arguments <= set(layer.get_config())


def test_saved_model_gives_the_same_outputs(name, tmp_path):
    model, inputs = built(name)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    for one, other in zip(flat(model(inputs)), flat(again(inputs)), strict=True):
        np.testing.assert_array_equal(one, other)


def test_symbolic_shapes_are_the_true_ones(name):
    model, inputs = built(name)
    for output, value in zip(model.outputs, flat(model(inputs)), strict=True):
        assert (3, *output.shape[1:]) == tuple(value.shape)
        assert output.dtype == keras.backend.standardize_dtype(value.dtype)


@pytest.mark.parametrize("weight_norm", [False, True])
def test_mixed_precision_computes_in_bfloat16_and_keeps_float32_weights(name, weight_norm):
    make, *shapes = LAYERS[name]
    layer = make(weight_norm=weight_norm, dtype="mixed_bfloat16")
    outputs = flat(layer(*inputs_of(shapes)))
    assert layer.compute_dtype == "bfloat16"
    assert {w.dtype for w in layer.trainable_variables} == {"float32"}
    kind = "float32" if name in NETWORKS else "bfloat16"
    assert {keras.backend.standardize_dtype(o.dtype) for o in outputs} == {kind}
    # The convolutions of a network are in bfloat16, only its last layer is not.
    inner = [sub.compute_dtype for sub in layer._flatten_layers(include_self=False)]
    assert inner.count("float32") == (1 if kind == "float32" else 0)


def test_every_weight_matters(name):
    model, inputs = built(name)
    grads = weight_gradients(model, lambda: sum(ops.sum(ops.square(o)) for o in model(inputs)))
    assert len(grads) == len(model.trainable_variables) > 0
    assert all(np.any(g != 0) for g in grads.values()), grads


def test_rows_of_a_batch_do_not_mix(name):
    model, inputs = built(name)
    for index, x in enumerate(inputs):

        def second_row(x, index=index):
            given = [*inputs[:index], x, *inputs[index + 1 :]]
            return sum(ops.sum(ops.square(o[1])) for o in model(given))

        grad = gradient(second_row, x)
        assert np.any(grad[1] != 0)
        assert np.all(grad[[0, 2]] == 0)


@pytest.mark.parametrize(
    ("make", "sizes"),
    [
        (LocalPixelCNN, {"blocks": 1}),
        (ResidualPixelCNN, {"depth": 3}),
        (GatedPixelCNN, {"blocks": 1}),
        (ResidualBlock, {}),
        (DenseBlock, {}),
        (GatedMaskedBlock, {}),
    ],
)
def test_dropout_is_for_training_alone(make, sizes):
    layer = make(filters=4, dropout=0.5, seed=0, **sizes)
    x = inputs_of([(4, 4, 4)])[0]
    layer(x)
    randomise(layer)
    quiet = [np.asarray(layer(x, training=False)) for _ in range(2)]
    noisy = [np.asarray(layer(x, training=True)) for _ in range(2)]
    np.testing.assert_array_equal(*quiet)
    assert np.any(noisy[0] != noisy[1])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LocalPixelCNN(blocks=-1), "`blocks` must be .*, at least 0. Received: blocks=-1"),
        (lambda: GatedPixelCNN(blocks=0), "`blocks` must be .*, at least 1. Received: blocks=0"),
        (lambda: GatedPixelCNN(blocks=1.5), "`blocks` must be an integer.* Received: blocks=1.5"),
        (
            lambda: ResidualPixelCNN(depth=0),
            "`depth` must be an integer, at least 1. Received: depth=0",
        ),
        (
            lambda: DenseBlock(4, steps=0),
            "`steps` must be an integer, at least 1. Received: steps=0",
        ),
        (lambda: LocalPixelCNN(first_kernel_size=4), "`first_kernel_size` must be of odd height"),
        (lambda: GatedPixelCNN(block_kernel_size=(2, 3)), "`block_kernel_size` must be of odd"),
        (lambda: ResidualBlock(4, kernel_size=0), "`kernel_size` must be a positive integer"),
        (lambda: ResidualBlock(4, weight_norm="no"), "`weight_norm` must be True or False"),
        (lambda: MADE(4, [4], activation="tanhh"), "`activation` must be a function, or a name"),
    ],
)
def test_invalid_sizes_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_an_argument_that_is_not_kept_is_named():
    class Forgetful(Conv2D):
        def __init__(self, filters, colour, *args, **kwargs):
            super().__init__(filters, *args, **kwargs)

    with pytest.raises(ValueError, match="`colour` must be kept as an attribute of that name"):
        Forgetful(2, "red", 3).get_config()
