"""Models small enough to build and train in a test."""

import numpy as np
import pytest

from tests.tiny import tiny_model


@pytest.fixture(scope="session")
def tiny_vlae():
    """Builds a `VLAE` of 6x6 images; any of its arguments may be given."""
    return tiny_model


@pytest.fixture(scope="session")
def model():
    """One such model, for tests that leave it as it is."""
    return tiny_model()


@pytest.fixture
def images():
    """20 binary images, two in every pair of columns alike."""
    halves = np.random.default_rng(0).integers(0, 2, (20, 6, 3, 1))
    return np.repeat(halves, 2, axis=2).astype("uint8")
