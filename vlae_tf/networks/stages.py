"""What encoder and decoder share: stages of blocks, of one kind or the other."""

from vlae_tf.checks import check_choice, check_integers, refuse
from vlae_tf.layers import DenseBlock, ResidualBlock

_BLOCKS = {"residual": ResidualBlock, "dense": DenseBlock}


def block_class(block):
    """The layer that the argument `block` names."""
    return _BLOCKS[check_choice(block, "block", tuple(_BLOCKS))]


def check_blocks(blocks, filters):
    """`blocks`, an integer or one for each stage of `filters`, as a list of one for each stage."""
    counts = blocks if isinstance(blocks, (list, tuple)) else [blocks] * len(filters)
    try:
        return check_integers(counts, "blocks", least=0, length=len(filters))
    except ValueError:
        expected = f"an integer, at least 0, or one for each of the {len(filters)} stages"
        return refuse("blocks", f"{expected} of `filters`", blocks)
