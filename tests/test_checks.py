"""Checks of arguments, in tables: what passes and what it becomes, and what is refused how."""

import re

import keras
import numpy as np
import pytest

from vlae_tf import checks

pytestmark = pytest.mark.jax

IMAGES = np.zeros((3, 2, 4, 1), "uint8")
NAN, INFINITE = float("nan"), float("inf")
MASK = np.ones((3, 2, 4, 1), bool)
ZEROS = keras.initializers.Zeros()


@pytest.mark.parametrize(
    ("check", "arguments", "expected"),
    [
        (checks.check_integer, (3, "n"), 3),
        (checks.check_integer, (np.int64(3), "n", 3), 3),
        (checks.check_integer, (np.uint8(3), "n", 3, 4), 3),
        (checks.check_integer, (-3, "n"), -3),
        (checks.check_number, (2, "x"), 2.0),
        (checks.check_number, (np.float32(0.5), "x", 0.5), 0.5),
        (checks.check_number, (np.int16(2), "x", None, 1), 2.0),
        (checks.check_number, (3e38, "x"), 3e38),
        (checks.check_numbers, (np.array([0.5, 2.0]), "x"), [0.5, 2.0]),
        (checks.check_integers, ((1, np.int8(2)), "n"), [1, 2]),
        (checks.check_integers, (np.array([0, 2]), "n", 0, 2), [0, 2]),
        (checks.check_choice, ("a", "letter", ("a", "b")), "a"),
        (checks.check_choice, ("a", "letter", {"a": 1}), "a"),
        (checks.check_flag, (np.True_, "flag"), True),
        (checks.check_activation, (keras.ops.tanh,), keras.ops.tanh),
        (checks.check_activation, ("tanh",), keras.activations.tanh),
        (checks.check_initializer, (ZEROS,), ZEROS),
        (checks.check_shape3, (np.array([2, 3, 1]), "shape"), (2, 3, 1)),
        (checks.check_image_shape, ([28, 28, 1],), (28, 28, 1)),
        (checks.check_code_shape, ((2, 3, 4), 24), (2, 3, 4)),
        (checks.check_pair, (3, "kernel_size"), (3, 3)),
        (checks.check_pair, ([3, 4], "kernel_size", True), (3, 4)),
        (checks.check_images, (IMAGES, (2, 4, 1)), None),
        (checks.check_images, (IMAGES + 255, (2, 4, 1), 256), None),
        (checks.check_images, (np.ones((1, 2, 4, 1), bool), (2, 4, 1)), None),
        (checks.check_images, (IMAGES.tolist(), (2, 4, 1)), None),
        (checks.check_batch_shape, ((None, 2, None, 1), (2, 4, 1)), None),
        (checks.check_channels_together, (MASK,), None),
        (checks.check_array, (IMAGES,), None),
        (checks.check_dtype, ("mixed_bfloat16",), None),
        (checks.check_dtype, (keras.DTypePolicy("float32"),), None),
        (checks.check_data, (iter([]), (2, 4, 1)), None),
        (checks.check_installed, ("numpy", "plots", "Drawing"), None),
    ],
)
def test_what_passes(check, arguments, expected):
    found = check(*arguments)
    assert found == expected and type(found) is type(expected)
    if isinstance(expected, (list, tuple)):
        assert [type(number) for number in found] == [type(number) for number in expected]


NO_INTEGERS = [True, np.True_, 1.0, np.float32(1), "1", None, [1], NAN]
NO_NUMBERS = [False, np.False_, "1", None, [1.0], 1j, NAN, INFINITE, -INFINITE, np.float32(NAN)]
NO_NUMBERS += [1e39, -(10**40)]


@pytest.mark.parametrize("value", NO_INTEGERS, ids=repr)
def test_what_is_no_integer(value):
    for check, arguments in (
        (checks.check_integer, (value, "n")),
        (checks.check_integers, ([1, value], "n")),
        (checks.check_pair, ((3, value), "n")),
        (checks.check_shape3, ((1, 1, value), "n")),
    ):
        with pytest.raises(ValueError, match=r"`n` must be .*integer.*\. Received: n="):
            check(*arguments)


@pytest.mark.parametrize("value", NO_NUMBERS, ids=repr)
def test_what_is_no_number(value):
    with pytest.raises(ValueError, match="`x` must be a finite number. Received: x="):
        checks.check_number(value, "x")


@pytest.mark.parametrize(
    ("check", "arguments", "words"),
    [
        (checks.refuse, ("n", "even", 3), "`n` must be even. Received: n=3"),
        (checks.refuse, ("n", "even", 3, "an odd one"), "`n` must be even. Received: an odd one"),
        (checks.check_integer, (0, "n", 1), "`n` must be an integer, at least 1. Received: n=0"),
        (checks.check_integer, (-1, "n", 0), "an integer, at least 0. Received: n=-1"),
        (checks.check_integer, (4, "n", 1, 4), "at least 1 and less than 4. Received: n=4"),
        (checks.check_number, (-1, "x", 0), "a finite number, at least 0. Received: x=-1"),
        (checks.check_number, (0, "x", None, 0), "greater than 0. Received: x=0"),
        (checks.check_number, (2.0, "x", 0, None, 1), "at least 0 and at most 1. Received: x=2.0"),
        (checks.check_number, (1, "x", 0, None, None, 1), "at least 0 and less than 1. Received"),
        (checks.check_integers, ([], "n"), "a list of one or more integers, each at least 1. Rec"),
        (checks.check_integers, ([1, 0], "n"), "each at least 1. Received: n=[1, 0]"),
        (checks.check_integers, ([1], "n", 1, 2), "a list of 2 integers, each at least 1. Receiv"),
        (checks.check_integers, (3, "n"), "a list of one or more integers"),
        (checks.check_integers, ("12", "n"), "Received: n='12'"),
        (checks.check_integers, (np.array(3), "n"), "a list of one or more integers"),
        (checks.check_choice, ("c", "letter", ("a", "b")), "one of 'a', 'b'. Received: letter='c'"),
        (checks.check_choice, (["a"], "letter", {"a": 1}), "one of 'a'. Received: letter=['a']"),
        (checks.check_flag, (1, "flag"), "`flag` must be True or False. Received: flag=1"),
        (checks.check_flag, ("no", "flag"), "Received: flag='no'"),
        (checks.check_activation, ("tanhh",), "a name in keras.activations. Received: activation="),
        (checks.check_activation, (3,), "Received: activation=3"),
        (checks.check_initializer, ("ones_", "start"), "`start` must be an initialiser, or a name"),
        (checks.check_image_shape, ((28, 28),), "three positive integers, (height, width, chann"),
        (checks.check_image_shape, ((28, 0, 1),), "Received: image_shape=(28, 0, 1)"),
        (checks.check_image_shape, (28,), "Received: image_shape=28"),
        (checks.check_code_shape, ((2, 2),), "`code_shape` must be three positive integers"),
        (checks.check_code_shape, ((2, 3, 4), 25), "of the 25 numbers of `latent_dim`. Received"),
        (checks.check_pair, ((1, 2, 3), "k"), "`k` must be a positive integer or two of them"),
        (checks.check_pair, ((4, 3), "k", True), "`k` must be of odd height, to have a centre"),
        (checks.check_images, (IMAGES[:0], (2, 4, 1)), "hold at least one image. Received: images"),
        (checks.check_images, (IMAGES, (4, 2, 1)), "shape (batch, 4, 2, 1). Received: images with"),
        (checks.check_images, (IMAGES[0], (2, 4, 1)), "Received: images with shape (2, 4, 1)"),
        (checks.check_images, (IMAGES[0], (2, 4, 1)), "`images[None]` is a batch of one image"),
        (checks.check_images, (IMAGES[..., 0], (2, 4, 1)), "`images[..., None]` has the channel"),
        (checks.check_images, (IMAGES[0, ..., 0], (2, 4, 1)), "`images[None, ..., None]` is a b"),
        (checks.check_images, ("digit.png", (2, 4, 1)), "load_arrays` reads files and folders. Re"),
        (checks.check_images, ([[1], [1, 2]], (2, 4, 1)), "`images` must be an array of numbers. "),
        (checks.check_codes, ("a", 2), "`code` must be an array"),
        (checks.check_codes, ([["a", "b"]], 2), "an array of numbers. Received: code of <U1"),
        (checks.check_codes, ([[1, 2], [1]], 2), "an array of numbers. Received: code of type l"),
        (checks.check_codes, ([[1, 2]], 3), "shape (batch, 3), with at least one row. Received"),
        (checks.check_codes, ([[1, NAN]], 2), "finite numbers only, as float32"),
        (checks.check_codes, ([[1, 1e39]], 2), "finite numbers only, as float32"),
        (checks.check_images, (IMAGES + 2, (2, 4, 1)), "be binary, every pixel 0 or 1; binarise"),
        (checks.check_images, (IMAGES - 1.0, (2, 4, 1)), "images of float64 between -1.0 and -1.0"),
        (checks.check_images, (IMAGES + 0.5, (2, 4, 1), 256), "whole numbers from 0 to 255"),
        (checks.check_images, (IMAGES + NAN, (2, 4, 1)), "be binary"),
        (checks.check_images, (IMAGES.astype(str), (2, 4, 1)), "Received: images of <U3"),
        (checks.check_batch_shape, ((3, 2, 4), (2, 4, 1)), "Received: images with shape (3, 2, 4)"),
        (checks.check_known, (IMAGES, None, IMAGES.shape), "`known` and `mask` must be given toge"),
        (checks.check_known, (IMAGES, MASK[:2], IMAGES.shape), "must have shape (3, 2, 4, 1)"),
        (checks.check_known, (IMAGES, 1.0 * MASK, IMAGES.shape), "`mask` must be boolean. Receiv"),
        (checks.check_known, (IMAGES + 2, MASK, IMAGES.shape), "`images` must be binary"),
        (
            checks.check_channels_together,
            (np.eye(2, dtype=bool)[None, None],),
            "pixel (0, 0) known",
        ),
        (checks.check_array, ([[1]],), "`images` must be a NumPy array of shape (n, height, width"),
        (checks.check_array, (1.0 * IMAGES, "x"), "`x` must be uint8, intensities 0..255 or bina"),
        (checks.check_array, (IMAGES[:0],), "`images` is empty. Received: images of shape (0, 2"),
        (checks.check_dtype, ("float64",), "weights in float32. Received: dtype='float64'"),
        (checks.check_dtype, ("bfloat16",), "Received: dtype='bfloat16'"),
        (checks.check_dtype, ("wide",), "Received: dtype='wide'"),
        (checks.check_data, (IMAGES + 2, (2, 4, 1)), "be binary"),
    ],
)
def test_what_is_refused(check, arguments, words):
    with pytest.raises(ValueError, match=re.escape(words)):
        check(*arguments)


def test_known_pixels_are_broadcast_to_the_batch():
    known, mask = checks.check_known(IMAGES[0] + 1, MASK[0], IMAGES.shape)
    assert known.shape == mask.shape == IMAGES.shape
    assert known.dtype == np.float32 and mask.dtype == bool
    assert known.min() == 1 and mask.all()


def test_what_is_not_installed_is_named_with_its_extra():
    with pytest.raises(ImportError, match=r"Drawing needs the package 'nothing'.*vlae_tf\[plots\]"):
        checks.check_installed("nothing", "plots", "Drawing")


def test_first_batch_of_a_pydataset_is_checked():
    class Batches(keras.utils.PyDataset):
        def __len__(self):
            return 1

        def __getitem__(self, index):
            return (IMAGES + 2,)

    with pytest.raises(ValueError, match="be binary"):
        checks.check_data(Batches(), (2, 4, 1))
    checks.check_data(Batches(), (2, 4, 1), levels=256)


def test_shape_of_a_tf_dataset_is_checked_and_nothing_read():
    tf = pytest.importorskip("tensorflow")

    def read():
        raise AssertionError("nothing may be read")
        yield

    spec = tf.TensorSpec((None, 2, 4, 1), tf.uint8)
    dataset = tf.data.Dataset.from_generator(read, output_signature=(spec,))
    checks.check_data(dataset, (2, 4, 1))
    with pytest.raises(ValueError, match=r"shape \(batch, 4, 2, 1\)"):
        checks.check_data(dataset, (4, 2, 1))


def test_a_temperature_is_finite_in_float32():
    with pytest.raises(ValueError, match="`temperature` must be a finite number"):
        checks.check_temperatures(1e39, 3)
    np.testing.assert_array_equal(checks.check_temperatures(0.5, 2), np.float32([0.5, 0.5]))


def test_masked_values_are_no_numbers():
    images = np.zeros((2, 4, 4, 1), "uint8")
    checks.check_images(np.ma.masked_array(images, mask=False), (4, 4, 1))
    with pytest.raises(ValueError, match="without masked values.*images with 32 of them"):
        checks.check_images(np.ma.masked_array(images, mask=True), (4, 4, 1))
