"""Models small enough to build and train in a test."""

import numpy as np
import pytest

from tests.gradients import randomise
from tests.tiny import tiny_model


@pytest.fixture(scope="session")
def tiny_vlae():
    """Builds a `VLAE` of 6x6 images; any of its arguments may be given."""
    return tiny_model


@pytest.fixture(scope="session")
def model():
    """One such model, for tests that leave it as it is: its weights are the same in every order of
    the tests, and large enough for pixels to follow one another."""
    return randomise(tiny_model(), scale=0.5)


@pytest.fixture
def images():
    """20 binary images, two in every pair of columns alike."""
    halves = np.random.default_rng(0).integers(0, 2, (20, 6, 3, 1))
    return np.repeat(halves, 2, axis=2).astype("uint8")
