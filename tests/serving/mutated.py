"""Requests that are wrong in small ways, drawn by a seed; none asks for much."""

import json

import numpy as np

# What stands in the place of a value of JSON.
ODD = (
    'null true -1 256 1e999 NaN [] [[]] {} [[0],[0,1]] "" "\\ud800" {"b64":"Zg=="} '
    '{"b64":"?"} {"b64":7} 2147483648 18446744073709551616 ' + "9" * 400
).split()
PATHS = (
    "odd:predict",
    "odd/versions/1:predict",
    "odd/versions/99999999999999999999:predict",
    "odd/labels/%ff:predict",
    "odd:classify",
    "%2e%2e:predict",
    "odd%00:predict",
    ":predict",
    "odd/versions/-1",
)


def mutant(data, rng):
    """Bytes with one to three pieces changed, left out, or written twice."""
    data = bytearray(data)
    for _ in range(rng.integers(1, 4)):
        start, length = rng.integers(len(data) + 1), rng.integers(1, 9)
        piece = bytes(data[start : start + length])
        other = (rng.bytes(length), b"", 2 * piece)[rng.integers(3)]
        data[start : start + length] = other
        if not data:
            break
    return bytes(data)


def rest_requests(body, n, seed):
    """`n` pairs of the end of a path and a body, made of a right body."""
    rng = np.random.default_rng(seed)
    text = json.dumps(body)
    values = [i for i, letter in enumerate(text) if letter.isdigit()]
    for _ in range(n):
        path = rng.choice(PATHS) if rng.random() < 0.1 else PATHS[0]
        if rng.random() < 0.5:
            yield path, mutant(text.encode(), rng)
        else:
            at = rng.choice(values)
            yield path, (text[:at] + rng.choice(ODD) + text[at + 1 :]).encode()


def messages(message, n, seed):
    """`n` byte strings made of a right message."""
    rng = np.random.default_rng(seed)
    return [mutant(message, rng) for _ in range(n)]
