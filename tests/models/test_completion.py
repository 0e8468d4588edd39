"""Known pixels given to `decode`: they stay, the others follow them, and bad masks are refused."""

import numpy as np
import pytest

from tests.tiny import tiny_model
from vlae_tf.likelihoods import BernoulliLikelihood, FactorisedLogisticMixtureLikelihood

CODES = np.random.default_rng(0).normal(size=(5, 3)).astype("float32")


def known_images(seed=1):
    return np.random.default_rng(seed).integers(0, 2, (5, 6, 6, 1)).astype("uint8")


def rows(count):
    mask = np.zeros((6, 6, 1), bool)
    mask[:count] = True
    return mask


@pytest.mark.jax
def test_known_rows_stay_and_change_what_follows(model):
    known, mask = known_images(), rows(3)
    images = model.decode(CODES, seed=0, known=known, mask=mask)
    np.testing.assert_array_equal(images[:, :3], known[:, :3])
    assert set(np.unique(images[:, 3:])) <= {0.0, 1.0}
    # The same noise, code and known pixels: the same image; other known pixels: another.
    again = model.decode(CODES[1:3], np.array([7, 8]), known[1:3], mask)
    np.testing.assert_array_equal(again, model.decode(CODES[1:3], [7, 8], known[1:3], mask))
    other = model.decode(CODES, seed=0, known=1 - known, mask=mask)
    assert (other[:, 3:] != images[:, 3:]).any()


def test_nothing_known_is_an_ordinary_drawing_and_everything_known_is_itself(model):
    known = known_images()
    drawn = model.decode(CODES, seed=3, known=known, mask=rows(0))
    np.testing.assert_array_equal(drawn, model.decode(CODES, seed=3))
    np.testing.assert_array_equal(model.decode(CODES, 3, known=known, mask=rows(6)), known)


def test_part_of_a_row_may_be_known_if_what_it_sees_is(model):
    mask = rows(2)
    mask[2, :4] = True
    known = known_images()
    images = model.decode(CODES, known=known, mask=mask)
    np.testing.assert_array_equal(images[:, mask], known[:, mask])


@pytest.mark.parametrize("pixel", [(3, 2), (0, 1), (5, 5)])
def test_a_known_pixel_that_sees_an_unknown_one_is_refused(model, pixel):
    mask = rows(0)
    mask[pixel] = True
    message = rf"`mask` must be closed under the decoder's window.*pixel \({pixel[0]}, {pixel[1]}\)"
    with pytest.raises(ValueError, match=message):
        model.decode(CODES, known=known_images(), mask=mask)


def test_every_pixel_of_the_window_is_asked_for(model):
    # All but one pixel known: allowed if and only if no later pixel sees the unknown one.
    field = model.likelihood_family.network.receptive_field
    for row, column in np.ndindex(6, 6):
        mask = rows(6)
        mask[row, column] = False
        seen = any(
            (up == 0 and 0 < side <= field.left)
            or (0 < up <= field.above and -min(field.right, field.slope * up) <= side <= field.left)
            for up in range(6 - row)
            for side in range(-column, 6 - column)
        )
        if seen:
            with pytest.raises(ValueError, match="closed under the decoder's window"):
                model.decode(CODES, known=known_images(), mask=mask)
        else:
            model.decode(CODES[:1], known=known_images()[:1], mask=mask)


@pytest.mark.parametrize("factorised", [True, False])
def test_a_pixel_known_in_some_channels_is_refused(factorised):
    # The channels of a mixture share its component: known ones would have to choose it.
    shape, mask = (6, 6, 3), np.zeros((6, 6, 3), bool)
    likelihood = FactorisedLogisticMixtureLikelihood(shape, components=2)
    parts = {"likelihood_family": likelihood} if factorised else {}
    model = tiny_model(shape, levels=256, **parts)
    mask[0, 0, 0] = True
    with pytest.raises(ValueError, match=r"in all channels of a pixel.*pixel \(0, 0\)"):
        model.decode(CODES, known=np.zeros(shape), mask=mask)
    mask[0, 0] = True
    assert (model.decode(CODES, known=np.zeros(shape), mask=mask)[:, 0, 0] == 0).all()


def test_a_factorised_decoder_allows_any_mask(tiny_vlae):
    model = tiny_vlae(likelihood_family=BernoulliLikelihood((6, 6, 1)))
    known = known_images()
    mask = np.random.default_rng(5).random((5, 6, 6, 1)) < 0.5
    images = model.decode(CODES, seed=2, known=known, mask=mask)
    np.testing.assert_array_equal(images, np.where(mask, known, model.decode(CODES, seed=2)))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"known": known_images()}, "`known` and `mask` must be given together"),
        ({"mask": rows(2)}, "`known` and `mask` must be given together"),
        ({"known": known_images()[:3], "mask": rows(2)}, r"must have shape \(5, 6, 6, 1\).*known"),
        ({"known": known_images() * 255, "mask": rows(2)}, "`images` must be binary"),
        ({"known": known_images(), "mask": rows(2) * 1.0}, "`mask` must be boolean.*float64"),
    ],
)
def test_bad_arguments_are_refused(model, arguments, message):
    with pytest.raises(ValueError, match=f"{message}"):
        model.decode(CODES, **arguments)
