"""Whole numbers for an entropy coder: what two machines compute alike to the last bit.

A network's outputs differ between machines by about 1e-13, and a decoder must have the very numbers
of the encoder. So the outputs are rounded to a grid (`rounding.py`), and all that follows is made
of whole numbers, of sums, products and quotients of float64, which IEEE 754 fixes to the last bit,
and of the tables here. A table is made by functions that may differ in the last bit, but no entry
lies where that would round it to another whole number (tests/coding/test_frequency_tables.py).
"""

import functools

import numpy as np
from scipy.special import expit, ndtr, ndtri

# A decision has the probability n / 2^24, as the coder has it: n of 1..2^24 - 1.
ONE = 1 << 24
# Steps of the grids a unit: of log-odds, of logits and logarithms of scales.
FINE = 256
# The tables of distribution functions: steps a unit, furthest argument, and the whole mass.
_STEPS, _FURTHEST, MASS = 4096, 24, 1 << 28


@functools.cache
def odds():
    """The probability of 1 at log-odds n / 256, in 2^-24; n + 4095 is the place in the table."""
    n = np.arange(-4095, 4096)
    return np.clip(np.round(expit(n / FINE) * ONE), 1, ONE - 1).astype("int64")


@functools.cache
def _distribution(name):
    u = np.arange(-_FURTHEST * _STEPS, _FURTHEST * _STEPS + 1) / _STEPS
    return np.round({"logistic": expit, "normal": ndtr}[name](u) * MASS).astype("int64")


def cumulative(name, u):
    """The distribution function of a standard "logistic" or "normal" at `u`, in 2^-28."""
    place = np.floor(np.clip(u, -_FURTHEST, _FURTHEST) * _STEPS + 0.5).astype("int64")
    return _distribution(name)[place + _FURTHEST * _STEPS]


@functools.cache
def exponentials():
    """exp(-n / 256) in 2^-20, for n of 0..4095."""
    return np.round(np.exp(-np.arange(4096) / FINE) * (1 << 20)).astype("int64")


@functools.cache
def inverse_scales():
    """exp(-n / 256), in 2^-18, as float64; n + 1792 is the place in the table, to n = 2048."""
    return np.round(np.exp(-np.arange(-7 * FINE, 8 * FINE + 1) / FINE) * 2.0**18) / 2.0**18


@functools.cache
def hyperbolic_tangents():
    """tanh(n / 1024), in 2^-12, as float64; n + 8191 is the place in the table."""
    return np.round(np.tanh(np.arange(-8191, 8192) / 1024) * 4096) / 4096


def uniform_noise(count, seed):
    """Uniform numbers above 0 and below 1, float64: always the same, more begin with fewer."""
    words = np.random.Philox(seed).random_raw(count)
    return ((words >> np.uint64(12)).astype("float64") + 0.5) * 2.0**-52


def normal_noise(count, size, seed):
    """Standard normal numbers, float64 `(count, size)`, in 2^-16: always the same for a seed.

    More rows begin with the same rows.
    """
    noise = np.round(ndtri(uniform_noise(count * size, seed)) * 65536) / 65536
    return noise.reshape(count, size)
