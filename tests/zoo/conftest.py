"""Every entry of the real zoo is loaded once, for all tests."""

import functools

import pytest

from vlae_tf import zoo


@pytest.fixture(scope="session")
def zoo_model():
    """The model of an entry, to be left as it is."""
    return functools.cache(zoo.load)
