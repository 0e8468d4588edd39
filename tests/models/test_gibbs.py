"""The chain image, code, image: its steps against the transition written out."""

import numpy as np
import pytest
from keras import ops

from tests.integrable import ALL_IMAGES, IMAGES, integrable_model
from vlae_tf.seeds import row_seeds


@pytest.fixture(scope="module")
def model():
    return integrable_model(2)


@pytest.mark.jax
def test_a_step_draws_the_code_from_its_posterior_and_the_image_from_the_code(model):
    count = 6000
    drawn = model.gibbs(np.repeat(IMAGES[:1], count, axis=0), 1, seed=1)[0]
    found = np.bincount(drawn.reshape(count, -1).astype(int) @ 2 ** np.arange(6), minlength=64)
    x = np.repeat(IMAGES[:1], 500, axis=0).astype("float32")
    codes = ops.convert_to_numpy(model.draw_codes(x, row_seeds(9, 500)))
    rows = np.repeat(codes, 64, axis=0)
    images = np.tile(ALL_IMAGES, (500, 1, 1, 1)).astype("float32")
    log_p = ops.convert_to_numpy(model.likelihood(rows).log_prob(images)).reshape(500, 64)
    order = ALL_IMAGES.reshape(64, -1).astype(int) @ 2 ** np.arange(6)
    expected = np.exp(log_p).mean(axis=0)[np.argsort(order)]
    assert np.abs(found / count - expected).sum() < 0.15


def test_each_row_draws_a_code_of_its_own(model):
    x = np.repeat(IMAGES[:1], 2000, axis=0).astype("float32")
    codes = ops.convert_to_numpy(model.draw_codes(x, row_seeds(0, 2000)))
    posterior = model.posterior(x[:1])
    loc, scale = (ops.convert_to_numpy(p)[0] for p in (posterior.center(), posterior.spread()))
    np.testing.assert_allclose(codes.mean(axis=0), loc, atol=4 * scale.max() / 2000**0.5)
    np.testing.assert_allclose(codes.std(axis=0), scale, rtol=0.08)


def test_a_row_has_its_own_chain_and_a_longer_one_begins_with_the_shorter(model):
    chain = model.gibbs(IMAGES, 4, seed=3)
    assert chain.shape == (4, *IMAGES.shape) and set(np.unique(chain)) <= {0.0, 1.0}
    np.testing.assert_array_equal(model.gibbs(IMAGES, 2, seed=3), chain[:2])
    alone = model.gibbs(IMAGES[2:3], 4, seed=row_seeds(3, len(IMAGES))[2:3])
    np.testing.assert_array_equal(alone, chain[:, 2:3])
    assert (chain[0] != chain[1]).any() and (model.gibbs(IMAGES, 4, seed=4) != chain).any()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((IMAGES, 0), "`steps` must be an integer"),
        ((IMAGES[:, :1], 1), "must have shape"),
        ((IMAGES + 2, 1), "must be binary"),
    ],
)
def test_invalid_arguments(model, arguments, message):
    with pytest.raises(ValueError, match=message):
        model.gibbs(*arguments)


def test_every_seed_of_a_row_is_taken(model):
    seeds = np.array([-1, -(2**31), 2**31 - 1, 0, 1, -7, 7])
    chain = model.gibbs(IMAGES, 2, seed=seeds)
    alone = model.gibbs(IMAGES[:1], 2, seed=seeds[:1])
    np.testing.assert_array_equal(alone, chain[:, :1])


def test_codes_that_are_no_numbers_are_refused():
    model = integrable_model(2)
    for weight in model.posterior_family.weights:
        weight.assign(np.full(weight.shape, np.nan))
    with pytest.raises(ValueError, match="`code` must have finite numbers"):
        model.gibbs(IMAGES, 1)
