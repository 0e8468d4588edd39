import math

import keras
from keras import ops

from vlae_tf.backend import split_sizes
from vlae_tf.checks import (
    check_image_shape,
    check_integer,
    check_integers,
    check_ladder_units,
    check_number,
    check_rungs,
)
from vlae_tf.layers import MLP, ConfiguredLayer, Dense


@keras.saving.register_keras_serializable(package="vlae_tf")
class LadderDecoder(ConfiguredLayer):
    """Fully connected network from the rungs of a code to maps: the mirror of `LadderEncoder`.

        h_L = MLP_L(z_L),    h_l = MLP_l(h_{l+1}) + gate_l * a(z_l W_l + b_l),    maps = h_1 W + b

    The rung at the top goes through all stages, the one at the bottom through the last alone.

    Args:
        image_shape: `(height, width, channels)`.
        rungs: sizes of the parts of the code, from the bottom up.
        units: for each stage, from the bottom up, a list of the sizes of its layers in the
            encoder's order; the decoder goes through them in the opposite order.
        maps: channels of the output.
        gate: first value of each gate. A small one lets the rungs above learn first.
        activation: function a, or its name in `keras.activations`.
        kernel_initializer: initialiser of the kernels.
        weight_norm: whether the layers are weight-normalised.

    Input shape: `(batch, sum(rungs))`; output shape: `(batch, height, width, maps)`.

    Raises:
        ValueError: for another number of rungs than of stages, sizes that are no positive integers,
            or a code of another size than the sum of the rungs.

    Example:
        >>> import keras
        >>> from vlae_tf.networks import LadderDecoder
        >>> decoder = LadderDecoder((6, 6, 1), rungs=[2, 1], units=[[8], [6, 4]])
        >>> tuple(decoder(keras.ops.ones((2, 3))).shape)
        (2, 6, 6, 1)

    Reference:
        Zhao et al., "Learning Hierarchical Features from Generative Models", ICML 2017, section 5;
        gates as in the authors' code.
    """

    def __init__(
        self,
        image_shape,
        rungs,
        units=((512,), (512,), (512,)),
        maps=1,
        gate=0.1,
        activation="relu",
        kernel_initializer="glorot_uniform",
        weight_norm=False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.image_shape = check_image_shape(image_shape)
        self.units = check_ladder_units(units)
        self.rungs = check_integers(rungs, "rungs", least=1, length=len(self.units))
        self.maps = check_integer(maps, "maps", least=1)
        self.gate = check_number(gate, "gate")
        options = (activation, kernel_initializer, weight_norm)
        self._stages = [MLP(sizes[::-1], *options, dtype=self.dtype_policy) for sizes in self.units]
        # Every rung but the one at the top joins the way down by a layer of its own.
        self._sides = [
            MLP(sizes[:1], *options, dtype=self.dtype_policy) for sizes in self.units[:-1]
        ]
        self.activation = self._stages[0].activation
        self.kernel_initializer = self._stages[0].kernel_initializer
        self.weight_norm = weight_norm
        self._last = Dense(
            math.prod(self.image_shape[:2]) * maps,
            kernel_initializer=self.kernel_initializer.clone(),
            weight_norm=weight_norm,
            dtype=self.dtype_policy,
        )

    def build(self, input_shape):
        check_rungs(self.rungs, input_shape[-1])
        shape = (None, self.rungs[-1])
        for stage in reversed(self._stages):
            stage.build(shape)
            shape = stage.compute_output_shape(shape)
        self._gates = []
        for size, side in zip(self.rungs, self._sides, strict=False):
            side.build((None, size))
            initializer = keras.initializers.Constant(self.gate)
            shape_of_gate = (side.units[-1],)
            self._gates.append(
                self.add_weight(shape=shape_of_gate, initializer=initializer, name="gate")
            )
        self._last.build(shape)

    def call(self, inputs):
        *rungs, top = split_sizes(inputs, self.rungs)
        h = self._stages[-1](top)
        lower = list(zip(rungs, self._stages, self._sides, self._gates, strict=False))
        for rung, stage, side, gate in reversed(lower):
            h = stage(h) + gate * side(rung)
        return ops.reshape(self._last(h), self.compute_output_shape((-1,)))

    def compute_output_shape(self, input_shape):
        return (input_shape[0], *self.image_shape[:2], self.maps)
