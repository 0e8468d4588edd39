"""Every system there is a test for, by name: what makes it of the tiny parts."""

import keras

from tests import outside
from tests.tiny import tiny_control, tiny_model
from vlae_tf.likelihoods import BernoulliLikelihood
from vlae_tf.networks import ChainDecoder, LadderDecoder, LadderEncoder, MLPDecoder, MLPEncoder
from vlae_tf.objectives import (
    ELBO,
    ImportanceWeightedELBO,
    InfoELBO,
    LadderELBO,
    MixtureELBO,
    MutualPosteriorDivergenceELBO,
    RecursiveMixtureELBO,
    SequentialELBO,
    SoftFreeBitsELBO,
)
from vlae_tf.posteriors import (
    FullGaussianPosterior,
    GaussianPosterior,
    HierarchicalPosterior,
    IAFPosterior,
    LadderPosterior,
    LaplacePosterior,
    MixturePosterior,
)
from vlae_tf.priors import FlowPrior, GaussianMixturePrior, HierarchicalPrior, SpatialFlowPrior

SHAPE, SIZE = (2, 3, 1), 2


def ladder(**parts):
    return {
        "encoder": LadderEncoder([[4], [3]]),
        "posterior_family": LadderPosterior(SIZE, [1, 1], [4, 3]),
        "decoder": LadderDecoder(SHAPE, [1, 1], [[4], [3]]),
        "prior_family": FlowPrior(SIZE, steps=0),
        "likelihood_family": BernoulliLikelihood(SHAPE, projection=False),
        **parts,
    }


def clustering_ladder():
    return ladder(
        prior_family=GaussianMixturePrior(SIZE, [2, 3], [1, 1], scale=0.5),
        objective=LadderELBO([1, 1], steps_a_rung=2, fade_steps=2),
    )


def outside_ladder():
    return {
        "encoder": outside.MyLadderEncoder(),
        "posterior_family": outside.MyLadderPosterior(SIZE, [1, 1]),
        "decoder": outside.MyLadderDecoder(SHAPE, [1, 1]),
        "prior_family": FlowPrior(SIZE, steps=0),
    }


def iwae(estimator="iwae", **parts):
    return {
        "encoder": MLPEncoder([4]),
        "decoder": MLPDecoder(SHAPE, units=[4]),
        "prior_family": FlowPrior(SIZE, steps=0),
        "likelihood_family": BernoulliLikelihood(SHAPE, projection=False),
        "objective": ImportanceWeightedELBO(3, estimator),
        **parts,
    }


def iwae_of_two_layers():
    return iwae(
        decoder=MLPDecoder(SHAPE, units=[4], code_size=1),
        posterior_family=HierarchicalPosterior(SIZE, [1, 1], units=[4]),
        prior_family=HierarchicalPrior(SIZE, [1, 1], units=[4]),
    )


def sequential(**parts):
    return {
        "decoder": ChainDecoder(SHAPE, [1, 1], maps=2, filters=[2], blocks=0, units=4),
        "posterior_family": GaussianPosterior(SIZE),
        "prior_family": FlowPrior(SIZE, steps=0),
        "likelihood_family": BernoulliLikelihood(SHAPE),
        "objective": SequentialELBO([1, 1]),
        **parts,
    }


def fully_connected(**parts):
    return {
        "encoder": MLPEncoder([4], "relu"),
        "decoder": MLPDecoder(SHAPE, units=[4], activation="leaky_relu"),
        "prior_family": FlowPrior(SIZE, steps=0),
        "likelihood_family": BernoulliLikelihood(SHAPE, projection=False),
        **parts,
    }


PARTS = {
    "VLAE": dict,
    "VLAE, control": None,
    "VAE": lambda: {
        "prior_family": FlowPrior(SIZE, steps=0),
        "likelihood_family": BernoulliLikelihood(SHAPE),
    },
    "IAF VAE": lambda: {
        "posterior_family": IAFPosterior(SIZE, steps=2, hidden_units=[4], context_size=2)
    },
    "spatial code": lambda: {
        "posterior_family": GaussianPosterior(SIZE),
        "prior_family": SpatialFlowPrior((1, 2, 1), steps=1, filters=2),
    },
    "free bits in groups": lambda: {"objective": ELBO(free_bits=0.5, groups=2, warmup_steps=3)},
    "soft free bits": lambda: {"objective": SoftFreeBitsELBO(free_bits=1.0)},
    "IWAE, DReG": lambda: iwae("dreg"),
    "IWAE, two layers": iwae_of_two_layers,
    "ladder": ladder,
    "clustering ladder": clustering_ladder,
    "Laplace": lambda: fully_connected(posterior_family=LaplacePosterior(SIZE, steps=2)),
    "full covariance": lambda: fully_connected(posterior_family=FullGaussianPosterior(SIZE)),
    "recursive mixture": lambda: fully_connected(
        posterior_family=MixturePosterior(SIZE, 3), objective=RecursiveMixtureELBO(1.0, 2)
    ),
    "joint mixture": lambda: fully_connected(
        posterior_family=MixturePosterior(SIZE), objective=MixtureELBO()
    ),
    "MAE": lambda: {"objective": MutualPosteriorDivergenceELBO(eta=1.0, gamma=0.1)},
    "sequential": sequential,
    "InfoVAE": lambda: {"objective": InfoELBO(alpha=0.5, weight=10.0)},
    "full covariance, outside": lambda: {"posterior_family": outside.MyFullGaussianPosterior(SIZE)},
    "mixture posterior, outside": lambda: {"posterior_family": outside.MyMixturePosterior(SIZE)},
    "mixture prior, outside": lambda: {"prior_family": outside.MyMixturePrior(SIZE)},
    "ladder, outside": outside_ladder,
    "importance-weighted, outside": lambda: {"objective": outside.ImportanceWeightedBound()},
}


def make_system(name):
    """The system on binary 2x3 images, with the same weights every time."""
    keras.utils.set_random_seed(0)
    if PARTS[name] is None:
        return tiny_control(SHAPE)
    return tiny_model(SHAPE, SIZE, **PARTS[name]())
