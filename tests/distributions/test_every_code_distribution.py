"""What every distribution over codes promises: a distribution is a row in a table."""

import keras
import numpy as np
import pytest
from keras import ops

import vlae_tf.distributions
from tests import outside
from tests.gradients import gradient, randomise
from tests.tiny import numpy_of
from vlae_tf.distributions import (
    AutoregressiveFlow,
    CodeDistribution,
    DiagonalGaussian,
    FullGaussian,
    GaussianMixture,
    HierarchicalGaussian,
    IndependentRungs,
    InverseAutoregressiveFlow,
)
from vlae_tf.layers import MADE, ConditionalGaussian

pytestmark = pytest.mark.jax
SIZE, ROWS = 2, 3
RANDOM = np.random.default_rng(0)
LOC = RANDOM.normal(size=(ROWS, SIZE)).astype("float32")
SCALE = RANDOM.uniform(0.7, 1.5, size=(ROWS, SIZE)).astype("float32")
NOISE = RANDOM.normal(size=(ROWS, SIZE)).astype("float32")
CONTEXT = RANDOM.normal(size=(ROWS, 2)).astype("float32")


def made(**context):
    layer = MADE(SIZE, [4], False, "reverse", activation="elu", **context)
    layer.build((None, SIZE), *((None, size) for size in context.values()))
    return randomise(layer, 0.3)


def chain(upward, *batch):
    layer = ConditionalGaussian(1, units=[4])
    layer.build((None, 1))
    loc, scale = (value[:, :1] if batch else value[0, :1] for value in (LOC, SCALE))
    return HierarchicalGaussian(loc, scale, [randomise(layer, 0.5)], [1, 1], upward)


def mixture(*batch, kind=outside.MyMixture, size=SIZE, seed=1):
    rng = np.random.default_rng(seed)
    shape = (*batch, 2)
    return kind(
        ops.convert_to_tensor(rng.normal(size=shape).astype("float32")),
        ops.convert_to_tensor(2 * rng.normal(size=(*shape, size)).astype("float32")),
        ops.convert_to_tensor(rng.uniform(0.5, 1.0, (*shape, size)).astype("float32")),
    )


def rungs(*batch):
    return IndependentRungs(
        [mixture(*batch, kind=GaussianMixture, size=1, seed=seed) for seed in (1, 2)]
    )


FACTOR = np.tril(np.ones((ROWS, SIZE, SIZE), "float32")) * SCALE[..., None]


def full():
    return outside.MyFullGaussian(LOC, scale_tril=FACTOR)


# By name: what makes it, and whether it has a batch of rows (a posterior).
DISTRIBUTIONS = {
    "DiagonalGaussian": (lambda: DiagonalGaussian(LOC, SCALE), True),
    "FullGaussian": (lambda: FullGaussian(LOC, FACTOR), True),
    "InverseAutoregressiveFlow": (
        lambda: InverseAutoregressiveFlow(LOC, SCALE, [made(context_size=2)], CONTEXT),
        True,
    ),
    "AutoregressiveFlow": (lambda: AutoregressiveFlow([made()], SIZE), False),
    "AutoregressiveFlow, no steps": (lambda: AutoregressiveFlow([], SIZE), False),
    "GaussianMixture": (lambda: mixture(ROWS, kind=GaussianMixture), True),
    "GaussianMixture, prior": (lambda: mixture(kind=GaussianMixture), False),
    "IndependentRungs": (lambda: rungs(ROWS), True),
    "IndependentRungs, prior": (lambda: rungs(), False),
    "HierarchicalGaussian": (lambda: chain(True, ROWS), True),
    "HierarchicalGaussian, downward": (lambda: chain(False), False),
    "full covariance, outside": (full, True),
    "mixture, outside": (lambda: mixture(ROWS), True),
    "mixture as prior, outside": (mixture, False),
}


@pytest.fixture(params=DISTRIBUTIONS)
def case(request):
    make, rows = DISTRIBUTIONS[request.param]
    return make(), rows


def test_every_public_code_distribution_is_tried_here():
    public = {
        name
        for name in vlae_tf.distributions.__all__
        if isinstance(kind := getattr(vlae_tf.distributions, name), type)
        and issubclass(kind, CodeDistribution)
    }
    assert public - {"CodeDistribution"} <= {name.split(",")[0] for name in DISTRIBUTIONS}


def test_shapes_and_precision(case):
    distribution, rows = case
    assert isinstance(distribution, CodeDistribution)
    assert tuple(distribution.event_shape) == (SIZE,)
    assert tuple(distribution.batch_shape) == ((ROWS,) if rows else ())
    shape = (ROWS, SIZE) if rows else (SIZE,)
    for value in (distribution.center(), distribution.spread()):
        assert tuple(value.shape) == shape and np.isfinite(numpy_of(value)).all()
    code, log_prob = distribution.from_noise_and_log_prob(ops.convert_to_tensor(NOISE))
    for value in (code, log_prob):
        assert keras.backend.standardize_dtype(value.dtype) == "float32"
    assert tuple(code.shape) == (ROWS, SIZE) and tuple(log_prob.shape) == (ROWS,)


def test_noise_decides_the_code_and_its_density(case):
    distribution, _ = case
    several = ops.convert_to_tensor(np.stack([NOISE, -NOISE]))
    code, log_prob = distribution.from_noise_and_log_prob(several)
    assert tuple(code.shape) == (2, ROWS, SIZE) and tuple(log_prob.shape) == (2, ROWS)
    np.testing.assert_array_equal(numpy_of(distribution.from_noise(several)), numpy_of(code))
    expected = distribution.log_prob(np.asarray(code))
    np.testing.assert_allclose(numpy_of(log_prob), numpy_of(expected), rtol=1e-4, atol=1e-4)
    alone = distribution.from_noise(ops.convert_to_tensor(-NOISE))
    np.testing.assert_allclose(numpy_of(code)[1], numpy_of(alone), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("size", [1, SIZE + 1])
def test_codes_of_another_size_are_refused(case, size):
    """One number for all dimensions was broadcast, and had a plausible density."""
    with pytest.raises(ValueError, match=rf"`code` must be of shape .*{SIZE}\).*, {size}\)"):
        case[0].log_prob(value=ops.zeros((ROWS, size)), name="density")


def test_each_code_has_its_density_under_each_member(case):
    distribution, rows = case
    codes = np.random.default_rng(3).normal(size=(5, SIZE)).astype("float32")
    each = numpy_of(distribution.log_prob_of_each(ops.convert_to_tensor(codes)))
    assert each.shape == (5, ROWS if rows else 1)
    for code, densities in zip(codes, each, strict=True):
        of_all = np.broadcast_to(code, (ROWS, SIZE)).copy()
        expected = numpy_of(distribution.log_prob(ops.convert_to_tensor(of_all)))
        np.testing.assert_allclose(densities, expected[: len(densities)], rtol=1e-4, atol=1e-4)


def test_rows_do_not_mix(case):
    distribution, _ = case
    other = NOISE.copy()
    other[1] += 0.5
    code, moved = (
        numpy_of(distribution.from_noise(ops.convert_to_tensor(n))) for n in (NOISE, other)
    )
    np.testing.assert_array_equal((code != moved).any(axis=-1), [False, True, False])


def test_density_integrates_to_one_and_codes_follow_it(case):
    distribution, rows = case
    line = np.linspace(-12, 12, 301, dtype="float32")
    grid = np.stack(np.meshgrid(line, line, indexing="ij"), -1).reshape(-1, 1, SIZE)
    points = np.broadcast_to(grid, (len(grid), ROWS, SIZE)) if rows else grid[:, 0]
    density = np.exp(numpy_of(distribution.log_prob(points)).astype("float64"))
    mass = (density * (line[1] - line[0]) ** 2).reshape(len(grid), -1)
    np.testing.assert_allclose(mass.sum(0), 1.0, atol=2e-3)

    noise = np.random.default_rng(3).normal(size=(4000, ROWS, SIZE)).astype("float32")
    codes = numpy_of(distribution.from_noise(ops.convert_to_tensor(noise)))
    for inside in (
        lambda z: z[..., 0] < 0.3,
        lambda z: z[..., 0] < z[..., 1],
        lambda z: np.abs(z).max(-1) < 1.0,
    ):
        probability = (mass * inside(grid)).sum(0)
        # Four standard errors, and what half a cell of the grid can make.
        margin = 4 * np.sqrt(probability * (1 - probability) / 4000) + 0.02
        assert (abs(inside(codes).mean(0) - probability) < margin).all()


def test_terms_of_a_mixture_stand_far_away_too():
    ones = np.ones((1, SIZE), "float32")
    normal = GaussianMixture(np.zeros(1, "float32"), 0 * ones, ones)
    terms = numpy_of(normal.log_prob_terms(ops.convert_to_tensor([[1e4, 1.0]])))
    np.testing.assert_allclose(terms, [[-0.5e8, -0.5 * (1 + np.log(2 * np.pi))]], rtol=1e-5)
    lost = numpy_of(normal.log_prob_terms(ops.convert_to_tensor([[1e25, 0.0]])))
    assert not np.isnan(lost).any()


def test_terms_sum_to_the_density(case):
    distribution, _ = case
    if not hasattr(distribution, "log_prob_terms"):
        pytest.skip("its density is no sum over dimensions")
    terms = numpy_of(distribution.log_prob_terms(ops.convert_to_tensor(NOISE)))
    assert terms.shape == (ROWS, SIZE)
    expected = numpy_of(distribution.log_prob(NOISE))
    np.testing.assert_allclose(terms.sum(-1), expected, rtol=1e-4, atol=1e-5)


def test_detached_has_the_same_density_and_no_gradient():
    def log_prob(loc, detach):
        q = DiagonalGaussian(loc, SCALE)
        return ops.sum((q.detached() if detach else q).log_prob(NOISE))

    values = [float(log_prob(ops.convert_to_tensor(LOC), detach)) for detach in (False, True)]
    assert values[0] == values[1]
    assert np.any(gradient(lambda loc: log_prob(loc, False), LOC))
    assert not np.any(gradient(lambda loc: log_prob(loc, True), LOC))
    for distribution in (mixture(ROWS), full(), FullGaussian(LOC, FACTOR)):
        assert isinstance(distribution.detached(), type(distribution))


def test_full_gaussian_has_the_moments_of_its_precision():
    q = FullGaussian(LOC, FACTOR)
    covariance = np.linalg.inv(FACTOR @ FACTOR.transpose(0, 2, 1))
    deviations = np.sqrt(np.diagonal(covariance, axis1=1, axis2=2))
    np.testing.assert_allclose(numpy_of(q.spread()), deviations, rtol=1e-5)
    noise = np.random.default_rng(0).normal(size=(20_000, ROWS, SIZE)).astype("float32")
    codes = numpy_of(q.from_noise(ops.convert_to_tensor(noise)))
    for row in range(ROWS):
        np.testing.assert_allclose(np.cov(codes[:, row].T), covariance[row], atol=0.05)


@pytest.mark.parametrize(
    "name", ["InverseAutoregressiveFlow", "AutoregressiveFlow", "HierarchicalGaussian"]
)
def test_one_with_layers_cannot_be_detached(name):
    with pytest.raises(ValueError, match="`detached` needs a distribution whose parameters are"):
        DISTRIBUTIONS[name][0]().detached()
