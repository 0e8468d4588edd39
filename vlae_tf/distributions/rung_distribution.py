from vlae_tf.backend import split_sizes, tfd
from vlae_tf.distributions.code_distribution import CodeDistribution


class RungDistribution(CodeDistribution, tfd.Distribution):
    """A distribution over a code made of rungs side by side: what its subclasses share.

    A subclass writes `from_noise` and `_log_prob`.

    Args:
        sizes: sizes of the rungs, from the bottom up.
        dtype: dtype of codes and log-densities.
        parameters: dict of the arguments of the subclass.
        name: name of the distribution.

    Shapes: event `(sum(sizes),)`.

    Reference:
        Burda et al., "Importance Weighted Autoencoders", 2016, equations 1 and 2.
    """

    def __init__(self, sizes, dtype, parameters, name):
        self._sizes = list(sizes)
        super().__init__(
            dtype=dtype,
            reparameterization_type=tfd.FULLY_REPARAMETERIZED,
            validate_args=False,
            allow_nan_stats=True,
            parameters=parameters,
            name=name,
        )

    def _event_shape(self):
        return [sum(self._sizes)]

    _event_shape_tensor = _event_shape

    def split(self, code):
        """The parts of a code, one for each rung."""
        return split_sizes(code, self._sizes)
