"""Files of every kind of model: what goes in comes out, at the length that the model says."""

import keras
import numpy as np
import pytest
from keras import ops

from tests.coding.models import SYSTEMS, write_entry
from tests.tiny import numpy_of, random_images
from vlae_tf.coding import Coder, ImageReader, compress, decompress
from vlae_tf.coding.bits_back import BitsBack
from vlae_tf.coding.codebook import Choice, Codebook
from vlae_tf.models.importance import importance_weighted_terms
from vlae_tf.priors import FlowPrior, GaussianMixturePrior

pytest.importorskip("constriction")
pytestmark = pytest.mark.usefixtures("eager")

OPTIONS = {"codebook_bits": 3, "candidates": 4, "verify": False}


@pytest.fixture(params=SYSTEMS)
def system(request, tmp_path):
    model = SYSTEMS[request.param]()
    images = random_images(5, model.image_shape, model.levels, seed=1)
    return model, Coder(write_entry(model, tmp_path / "entry"), **OPTIONS), images


def test_images_come_back_from_blocks_of_any_size(system):
    model, coder, images = system
    methods = [("codebook", 1, 2), ("codebook", 3, 128)]
    if BitsBack.suits(model):
        methods.append(("bits-back", 3, 128))
    for method, block_size, batch_size in methods:
        data = compress(images, Coder(coder, method, block_size=block_size, **OPTIONS))
        np.testing.assert_array_equal(decompress(data, coder, batch_size), images)
    with ImageReader(data, coder) as reader:
        np.testing.assert_array_equal(reader[-2], images[3])


def test_a_block_has_the_length_that_the_model_says(system):
    model, coder, images = system
    coder = Coder(coder, "codebook", **OPTIONS)
    block = coder.encode(images)
    rows, fits = coder._blocks._choice(images)
    bits = len(images) * OPTIONS["codebook_bits"] - fits.sum() / np.log(2)
    # Of the pixels, the rounding of log-odds and masses; at the end, two bytes.
    assert abs(8 * len(block) - bits) < 0.002 * bits + 16
    codes = ops.convert_to_tensor(coder._blocks.book.codes(rows).astype("float32"))
    log_probs = numpy_of(model.likelihood(codes).log_prob(images.astype("float32")))
    np.testing.assert_allclose(fits, log_probs, rtol=1e-4)


def test_bits_back_needs_a_gaussian_and_a_flow(tmp_path):
    for name in ("binary, two layers", "binary, flow as posterior"):
        entry = write_entry(SYSTEMS[name](), tmp_path / name.split(",")[1].replace(" ", ""))
        with pytest.raises(ValueError, match="`method` must be codebook or lossy, unless a Gauss"):
            Coder(entry, "bits-back")


def test_bits_back_has_the_length_of_the_elbo(tmp_path):
    model = SYSTEMS["colours, spatial code"]()
    coder = Coder(write_entry(model, tmp_path / "entry"), verify=False)
    assert coder.header.method == "bits-back"
    images = random_images(200, model.image_shape, model.levels, seed=2)
    sizes = [len(coder.encode(images[:count])) for count in (100, 200)]
    elbo = importance_weighted_terms(model, images, importance_samples=4)["elbo"]
    first, second = -elbo.reshape(2, 100).sum(axis=1) / np.log(2)
    assert abs(8 * (sizes[1] - sizes[0]) - second) < 0.005 * second
    # The first image pays for the draw of its code: 8 numbers in 1/32; and there are words.
    assert -0.002 * first < 8 * sizes[0] - first - 8 * 7 < 0.002 * first + 256


@pytest.mark.parametrize("steps", [0, 2])
def test_a_long_book_is_searched_in_two_shares(tmp_path, steps):
    model = SYSTEMS["binary"](prior_family=FlowPrior(4, steps=steps), latent_dim=4)
    coder = Coder(write_entry(model, tmp_path / "entry"), codebook_bits=18, verify=False)
    images = random_images(5, model.image_shape, seed=1)
    np.testing.assert_array_equal(coder.decode([coder.encode(images)], [5]), images)
    lossy = Coder(coder, "lossy", codebook_bits=18)
    assert len(lossy.encode(images)) <= -(-18 * 5 // 8)

    long, short = (Codebook(coder._entry.double, bits, seed=0) for bits in (18, 4))
    one, same_half = long.codes([5 << 9 | 7, 5 << 9 | 8])
    noise = numpy_of(coder._entry.double.prior().to_noise(np.stack([one, same_half])))
    np.testing.assert_allclose(noise[0, ::2], noise[1, ::2], atol=1e-3)
    assert abs(noise[0, 1::2] - noise[1, 1::2]).min() > 1e-3

    def nearness(book):
        codes = book.codes(Choice(model, book, candidates=1)(images)[0]).astype("float32")
        posterior = model.posterior(images.astype("float32"))
        scores = posterior.log_prob(codes) - model.prior().log_prob(codes)
        return numpy_of(scores).mean()

    assert nearness(long) > nearness(short) + 0.1


def test_a_long_book_needs_a_flow(tmp_path):
    model = SYSTEMS["binary"](prior_family=GaussianMixturePrior(4, components=2), latent_dim=4)
    entry = write_entry(model, tmp_path / "entry")
    with pytest.raises(ValueError, match="`codebook_bits` must be at most 16, unless the prior is"):
        Coder(entry, codebook_bits=17)


def test_books_of_any_size_choose_for_any_number_of_images(tmp_path):
    """Compiled, where a function that saw two sizes is made for all."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        tf.config.run_functions_eagerly(False)
    coder = Coder(write_entry(SYSTEMS["binary"](), tmp_path / "entry"), "lossy", codebook_bits=1)
    images = random_images(70, coder.header.image_shape, seed=1)
    for bits in (1, 9, 3, 17, 10):
        coder = Coder(coder, "lossy", codebook_bits=bits)
        for count in (2, 70, 3):
            assert coder.decode([coder.encode(images[:count])], [count]).shape[0] == count
