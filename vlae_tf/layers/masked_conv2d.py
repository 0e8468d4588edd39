import keras
import numpy as np
from keras import ops

from vlae_tf.backend import full_precision
from vlae_tf.checks import check_choice, check_integer, check_pair, refuse
from vlae_tf.layers.conv2d import Conv2D
from vlae_tf.layers.kernel_layer import KernelLayer
from vlae_tf.layers.wavefront import sides


@keras.saving.register_keras_serializable(package="vlae_tf")
class MaskedConv2D(KernelLayer):
    """Convolution in which a pixel sees only what comes before it in raster order.

        y[i, j] = b + sum over (di, dj) allowed of x[i + di, j + dj] W[di, dj]

    | type    | rows above | left in the pixel's row | pixel itself | right in the pixel's row |
    |---------|------------|-------------------------|--------------|--------------------------|
    | "A"     | yes        | yes                     | no           | no                       |
    | "B"     | yes        | yes                     | yes          | no                       |
    | "above" | yes        | no                      | no           | no                       |
    | "rows"  | yes        | yes                     | yes          | yes                      |

    A stack that starts with type A and continues with type B is autoregressive; so is one that
    starts with "above" and continues with "rows" (the vertical stack of a gated PixelCNN). With
    `groups` > 1 the channels fall into that many ordered groups (three for R, G, B): at the pixel
    itself group g sees the groups before it (type A), or those and itself (type B).

    Rows below the pixel are never allowed, so the kernel does not store them: a 3x3 layer costs six
    taps.

    Args:
        filters: number of output channels, a multiple of `groups`.
        kernel_size: height and width of the whole (unmasked) kernel, an integer or two. The height
            is odd; an even width has one column more to the left of the pixel than to the right.
        mask_type: "A", "B", "above" or "rows".
        groups: number of ordered channel groups in input and output.
        **kwargs: arguments of `KernelLayer`.

    Input shape: `(batch, height, width, channels)`; output shape: `(batch, height, width,
    filters)`.

    Raises:
        ValueError: for an even height, an unknown mask type, or channels that do not fall into
            `groups`.

    Example:
        >>> import keras
        >>> from vlae_tf.layers import MaskedConv2D
        >>> tuple(MaskedConv2D(8, 3, mask_type="A")(keras.ops.ones((1, 5, 5, 1))).shape)
        (1, 5, 5, 8)

    Reference:
        van den Oord et al., "Pixel Recurrent Neural Networks", 2016, section 3.4; "Conditional
        Image Generation with PixelCNN Decoders", 2016, section 2.2.
    """

    def __init__(self, filters, kernel_size, mask_type="B", groups=1, **kwargs):
        super().__init__(**kwargs)
        self.kernel_size = check_pair(kernel_size, "kernel_size", odd_height=True)
        self.mask_type = check_choice(mask_type, "mask_type", ("A", "B", "above", "rows"))
        self.groups = check_integer(groups, "groups", least=1)
        self.filters = check_integer(filters, "filters", least=1)
        if filters % groups:
            refuse("filters", f"a multiple of `groups`, {groups}", filters)

    def kernel_shape(self, input_shape):
        channels = input_shape[-1]
        if channels % self.groups:
            raise ValueError(
                f"The input's channels must be a multiple of `groups`={self.groups}. "
                f"Received: input with shape {tuple(input_shape)}"
            )
        height, width = self.kernel_size
        return (height // 2 + 1, width, channels, self.filters)

    def kernel_mask(self, shape):
        if self.mask_type == "rows":
            return None
        mask = np.ones(shape, "float32")
        last, centre = shape[0] - 1, shape[1] // 2
        mask[last] = 0.0
        if self.mask_type != "above":
            mask[last, :centre] = 1.0
            group_in = np.arange(shape[2]) * self.groups // shape[2]
            group_out = np.arange(shape[3]) * self.groups // shape[3]
            earlier = np.less if self.mask_type == "A" else np.less_equal
            mask[last, centre] = earlier(group_in[:, None], group_out[None, :])
        return mask

    def apply_kernel(self, inputs, kernel):
        height, width = self.kernel_size
        if (height, width) != (1, 1):
            left, right = self.sides
            inputs = ops.pad(inputs, [[0, 0], [height // 2, 0], [left, right], [0, 0]])
        return ops.conv(inputs, kernel, padding="valid", data_format="channels_last")

    @property
    def sides(self):
        """How many columns the kernel reaches to the left of the pixel, and to the right."""
        return sides(self.kernel_size[1])

    @property
    def slope(self):
        """Least slope of a wavefront along which the layer's inputs come no later than its outputs.

        Type A and "above" must not look at their own column; "rows" looks ahead in any case.
        """
        right = self.sides[1]
        slopes = {"A": right, "B": max(right - 1, 0)}
        return slopes.get(self.mask_type, 0) if self.kernel_size[0] > 1 else 0

    def _column(self, column, cache):
        height, width = self.kernel_size
        up, (left, right) = height // 2, self.sides
        # How far ahead the column given lies: the last one known, the layer's own, or further.
        lead = {"B": cache.lead, "rows": cache.lead + right}.get(self.mask_type, -1)
        mask = self.kernel_mask((up + 1, width, 1, 1))
        mask = np.ones((up + 1, width)) if mask is None else mask[:, :, 0, 0]
        ago = lead - cache.lead + (cache.slope + 1) * np.arange(up, -1, -1)[:, None]
        ago = np.where(mask, ago + left - np.arange(width), 0)
        history = cache.history(cache.crop(full_precision(column), lead), ago.max())
        products = []
        for row in np.flatnonzero(mask.any(axis=1)):
            taps = np.flatnonzero(mask[row])
            matrices = cache.constant(lambda row=row, taps=taps: [self._tap(row, t) for t in taps])
            columns = [history[steps] for steps in ago[row, taps]]
            products.append(_rolled(self._sum_of_products(columns, matrices), up - row))
        if self.mask_type == "A" and self.groups > 1:
            # The channels before, of the pixels that are being drawn.
            own = cache.constant(lambda: self._tap(up, left))
            current = ops.cast(cache.current, self.compute_dtype)
            products.append(self._sum_of_products([current], [own]))
        if not products:
            return ops.zeros((*ops.shape(column)[:-1], self.filters), self.compute_dtype)
        return sum(products[1:], start=products[0])

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.filters)


def pointwise(filters, groups=1, **kwargs):
    """A 1x1 convolution that keeps the order of the channel groups."""
    if groups == 1:
        return Conv2D(filters, 1, **kwargs)
    return MaskedConv2D(filters, 1, groups=groups, **kwargs)


def _rolled(column, slots):
    # As `ops.roll`, which takes several times as long on TensorFlow.
    slots %= column.shape[1]
    if not slots:
        return column
    return ops.concatenate([column[:, -slots:], column[:, :-slots]], axis=1)
