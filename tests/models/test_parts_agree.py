"""Parts that know of the same thing agree on it when the model is built."""

import numpy as np
import pytest
from keras import ops

from tests.systems import SHAPE, ladder
from tests.tiny import tiny_model
from vlae_tf.models.parts import check_names
from vlae_tf.networks import LadderDecoder, LadderEncoder, MLPDecoder, Unconditional
from vlae_tf.objectives import ELBO, LadderELBO, log_weights
from vlae_tf.posteriors import HierarchicalPosterior, LadderPosterior
from vlae_tf.priors import GaussianMixturePrior, HierarchicalPrior

OTHER = {
    "decoder": lambda: LadderDecoder(SHAPE, [2, 1], [[4], [3]]),
    "prior_family": lambda: GaussianMixturePrior(3, 2, [2, 1]),
    "objective": lambda: LadderELBO([2, 1]),
}


def of_three(**parts):
    known = {
        "posterior_family": LadderPosterior(3, [1, 2], [4, 3]),
        "decoder": LadderDecoder(SHAPE, [1, 2], [[4], [3]]),
        "prior_family": GaussianMixturePrior(3, 2, [1, 2]),
    }
    return tiny_model(SHAPE, 3, **ladder(**known | parts))


@pytest.mark.parametrize("name", OTHER)
def test_rungs_that_disagree_are_refused(name):
    with pytest.raises(ValueError, match=rf"`rungs` must be the same .*{name}.rungs=\[2, 1\]"):
        of_three(**{name: OTHER[name]()})


def test_stages_that_disagree_are_refused():
    with pytest.raises(ValueError, match="`feature_sizes` must be the same in all parts"):
        of_three(encoder=LadderEncoder([[3], [4]]))


def test_a_chain_and_its_prior_have_the_same_rungs():
    with pytest.raises(ValueError, match="`rungs` must be the same"):
        tiny_model(
            SHAPE,
            3,
            posterior_family=HierarchicalPosterior(3, [1, 2], units=[4]),
            prior_family=HierarchicalPrior(3, [2, 1], units=[4]),
        )


def test_an_objective_gives_what_it_declares():
    for given in ({"loss": 0, "elbo": 0, "kl": 0}, dict.fromkeys(["loss", "more", *ELBO.terms], 0)):
        with pytest.raises(ValueError, match="`objective` must give elbo, kl, loss, recon.*Rece"):
            check_names(ELBO(), given)


def test_noise_of_another_shape_is_refused():
    model = tiny_model(SHAPE, 2)
    with pytest.raises(ValueError, match=r"`noise` must have shape \(samples, batch, 2\). Receiv"):
        log_weights(model, np.zeros((3, *SHAPE), "float32"), ops.zeros((3, 2)))


@pytest.mark.parametrize(
    "decoder",
    [MLPDecoder(SHAPE, units=[4], code_size=2), LadderDecoder(SHAPE, [1, 2], [[4], [3]])],
    ids=["code_size", "rungs"],
)
def test_a_control_of_a_decoder_that_wants_several_numbers(decoder):
    maps = Unconditional(decoder)(np.ones((3, 1), "float32"))
    assert tuple(maps.shape) == (3, *SHAPE[:2], 1)
