"""The mutual information of image and code, against its definition and its two ends."""

import numpy as np
import pytest
from keras import ops
from scipy.special import logsumexp
from scipy.stats import norm

from tests.integrable import integrable_model
from tests.systems import SHAPE, SIZE, iwae_of_two_layers
from tests.tiny import tiny_model
from vlae_tf.evaluation import mutual_information
from vlae_tf.seeds import row_seeds

pytestmark = pytest.mark.jax


@pytest.mark.parametrize("batch_size", [1, 3, 128])
def test_it_is_that_of_the_definition(wide_model, images, batch_size):
    found = mutual_information(wide_model, images, seed=5, batch_size=batch_size)
    x = images.astype("float32")
    codes = ops.convert_to_numpy(wide_model.draw_codes(x, row_seeds(5, len(x)))).astype("float64")
    posterior = wide_model.posterior(x)
    loc, scale = (ops.convert_to_numpy(p) for p in (posterior.center(), posterior.spread()))
    log_q = norm.logpdf(codes[:, None], loc, scale).sum(axis=-1)
    expected = np.mean(np.diag(log_q) - logsumexp(log_q, axis=1)) + np.log(len(x))
    assert found["nats"] == pytest.approx(expected, abs=1e-5)
    assert found["num_images"] == 7 and found["most"] == pytest.approx(np.log(7))


@pytest.mark.parametrize(("factor", "spread", "expected"), [(0.0, 0.0, 0.0), (1e3, -5.0, 1.0)])
def test_codes_tell_nothing_or_everything(images, factor, spread, expected):
    model = integrable_model(3)
    dense = model.posterior_family._dense
    kernel, _ = dense.get_weights()
    dense.set_weights([kernel * np.repeat([factor, 0.0], 3), np.repeat([0.0, spread], 3)])
    found = mutual_information(model, images)
    assert found["nats"] == pytest.approx(expected * np.log(7), abs=1e-3)


@pytest.mark.parametrize("kind", ["flow", "two layers"])
def test_a_posterior_that_is_no_normal_gives_the_same_in_any_batches(images, kind):
    if kind == "flow":
        model = integrable_model(2, "iaf")
    else:
        model = tiny_model(SHAPE, SIZE, **iwae_of_two_layers())
    found = [mutual_information(model, images, batch_size=size)["nats"] for size in (1, 3, 128)]
    np.testing.assert_allclose(found, found[0], atol=1e-5)


def test_what_is_no_model_and_codes_that_are_no_numbers_are_refused(images):
    with pytest.raises(ValueError, match="`model` must be a `VAE`.*Received: model='mnist_static'"):
        mutual_information("mnist_static", images)
    model = integrable_model(2)
    for weight in model.posterior_family.weights:
        weight.assign(np.full(weight.shape, np.nan))
    with pytest.raises(ValueError, match="finite"):
        mutual_information(model, images)
