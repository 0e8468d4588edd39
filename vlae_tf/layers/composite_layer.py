from vlae_tf.checks import check_flag, check_number, check_seed
from vlae_tf.layers.configured_layer import ConfiguredLayer
from vlae_tf.layers.dropout import Dropout


class CompositeLayer(ConfiguredLayer):
    """A layer made of convolutions, and what all such layers have in common.

    Args:
        dropout: rate of the dropout inside.
        weight_norm: whether the layers inside are weight-normalised.
        seed: seed of the dropout.

    Raises:
        ValueError: for an invalid `dropout`.
    """

    def __init__(self, dropout=0.0, weight_norm=False, seed=None, **kwargs):
        super().__init__(**kwargs)
        self.dropout = check_number(dropout, "dropout", least=0, below=1)
        self.weight_norm = check_flag(weight_norm, "weight_norm")
        self.seed = None if seed is None else check_seed(seed)
        self._drop = None
        if self.dropout:
            self._drop = Dropout(dropout, seed=seed, dtype=self.dtype_policy)

    def _options(self):
        """The arguments that every layer inside is given."""
        return {"weight_norm": self.weight_norm, "dtype": self.dtype_policy}

    def _block_options(self, index):
        """The arguments of a block inside, which has a dropout of its own."""
        seed = None if self.seed is None else self.seed + index
        return {"dropout": self.dropout, "seed": seed, **self._options()}

    def _dropped(self, tensor, training):
        return tensor if self._drop is None else self._drop(tensor, training=training)
