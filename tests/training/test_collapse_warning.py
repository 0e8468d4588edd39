import warnings

import pytest

from vlae_tf.training import CollapseWarning

pytestmark = pytest.mark.jax


def test_collapse_is_told_once_with_what_helps():
    callback = CollapseWarning(epochs=2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        callback.on_epoch_end(0, {"code_bits": 0.0})  # too early to tell
    with pytest.warns(UserWarning, match="after 2 epochs.*0.03 bits.*free bits.*warmup.*window"):
        callback.on_epoch_end(1, {"code_bits": 0.03})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        callback.on_epoch_end(2, {"code_bits": 0.0})


@pytest.mark.parametrize("logs", [{"code_bits": 0.0, "val_code_bits": 5.0}, {"code_bits": 0.2}, {}])
def test_living_code_is_left_alone(logs):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        CollapseWarning().on_epoch_end(9, logs)


def test_validation_counts_where_there_is_one():
    with pytest.warns(UserWarning, match="code has collapsed"):
        CollapseWarning().on_epoch_end(9, {"code_bits": 5.0, "val_code_bits": 0.0})
