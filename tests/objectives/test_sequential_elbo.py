"""The sequential ELBO: every step for itself, and the last one alone in log p(x)."""

import numpy as np
import pytest
from keras import ops

from tests.gradients import randomise, weight_gradients
from tests.systems import SHAPE, sequential
from tests.tiny import numpy_of, tiny_model
from vlae_tf.networks import ChainDecoder
from vlae_tf.objectives import ELBO, SequentialELBO

pytestmark = pytest.mark.jax
IMAGES = (np.random.default_rng(0).random((6, *SHAPE)) < 0.5).astype("float32")


def model_of(**parts):
    return randomise(tiny_model(SHAPE, 2, **sequential(**parts)))


def terms_of(model, training=True):
    found = model.objective(IMAGES, model=model, training=training)
    return {name: numpy_of(value) for name, value in found.items()}


def test_the_elbo_is_that_of_the_last_step():
    found, plain = terms_of(model_of()), terms_of(model_of(objective=ELBO()))
    for name in ("elbo", "reconstruction", "kl"):
        np.testing.assert_allclose(found[name], plain[name], rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(found["reconstruction_2"], found["reconstruction"])
    assert np.abs(found["reconstruction_1"] - found["reconstruction_2"]).max() > 1e-3


@pytest.mark.parametrize("weight", [0.0, 1.0, 3.0])
def test_the_loss_counts_every_step(weight):
    found = terms_of(model_of(objective=SequentialELBO([1, 1], weight)))
    expected = -found["elbo"].mean() - weight * found["reconstruction_1"].mean()
    np.testing.assert_allclose(found["loss"], expected, rtol=1e-5)
    evaluated = terms_of(model_of(objective=SequentialELBO([1, 1], weight)), training=False)
    np.testing.assert_allclose(evaluated["loss"], -evaluated["elbo"].mean(), rtol=1e-5)


def test_no_gradient_goes_from_a_step_to_the_one_before():
    def of_first_step(objective):
        model = model_of(objective=objective)
        gradients = weight_gradients(
            model.decoder._first,
            lambda: model.objective(IMAGES, model=model, training=True)["loss"],
        )
        return max(np.abs(g).max() for g in gradients.values() if g is not None)

    assert of_first_step(SequentialELBO([1, 1], step_weight=0.0)) == 0
    assert of_first_step(SequentialELBO([1, 1], step_weight=1.0)) > 1e-3
    # The plain ELBO trains the chain as one network.
    assert of_first_step(ELBO()) > 1e-4


def test_a_step_keeps_what_its_mask_keeps():
    decoder = ChainDecoder((4, 4, 1), [2, 1], maps=3, filters=[2, 3], blocks=0, units=4)
    code = ops.convert_to_tensor(np.random.default_rng(1).normal(size=(5, 3)).astype("float32"))
    decoder(code)
    randomise(decoder, 0.3)
    last = decoder._steps[0]._last
    kernel, bias = last.get_weights()
    # The second half of the channels is the mask: shut, then open.
    for mask, same in ((-1e4, True), (1e4, False)):
        last.set_weights([kernel * np.repeat([1.0, 0.0], 3), np.repeat([0.0, mask], 3)])
        first, second = (numpy_of(maps) for maps in decoder.chain(code))
        assert np.allclose(first, second) == same


def test_rungs_and_decoder_must_fit():
    with pytest.raises(ValueError, match="needs a decoder in steps, such as `ChainDecoder`"):
        tiny_model(SHAPE, 2, objective=SequentialELBO([1, 1]))
    with pytest.raises(ValueError, match="`rungs` must be the same in all parts"):
        model_of(objective=SequentialELBO([2]))
    with pytest.raises(ValueError, match="add up to the 2 numbers of the code"):
        model_of(decoder=ChainDecoder(SHAPE, [1, 2], filters=[2]), objective=ELBO())
