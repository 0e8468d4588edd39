"""The wavefront: what an autoregressive network sees, the order that this allows, and drawing.

Nothing here knows a layer: any network that takes a `cache`, or none, can be drawn from.
"""

from vlae_tf.layers.wavefront.column_cache import ColumnCache
from vlae_tf.layers.wavefront.drawing import column_order, draw, draws_by_columns
from vlae_tf.layers.wavefront.order import Wavefront
from vlae_tf.layers.wavefront.receptive_field import ReceptiveField, sides

__all__ = [
    "ColumnCache",
    "ReceptiveField",
    "Wavefront",
    "column_order",
    "draw",
    "draws_by_columns",
    "sides",
]
