"""Requests that come at the same time, joined; and warm-up requests, answered first."""

import concurrent.futures
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from vlae_tf.saved_model.warmup import write_warmup
from vlae_tf.serving import Client, Server
from vlae_tf.serving.server.batching import Batching
from vlae_tf.serving.server.servable import Servable

CONFIG = Path(__file__).parents[3] / "export" / "config" / "batching.config"
# Long enough for every thread to come in time; a full batch does not wait.
PATIENT = {"batch_timeout_micros": 2_000_000, "num_batch_threads": 1}


def counting(factor=2.0):
    """A function that multiplies, and the numbers of rows that it was called with."""
    seen = []

    def multiply(x):
        tf.numpy_function(lambda n: seen.append(int(n)), [tf.shape(x)[0]], [])
        return {"y": factor * x}

    spec = tf.TensorSpec([None, 2], tf.float32, name="x")
    return tf.function(multiply, autograph=False).get_concrete_function(x=spec), seen


def ask_at_once(function, requests):
    with concurrent.futures.ThreadPoolExecutor(len(requests)) as pool:
        return list(pool.map(lambda x: function(x=tf.constant(x))["y"].numpy(), requests))


def test_requests_are_joined_and_each_gets_its_own_rows():
    function, seen = counting()
    joined = Batching(max_batch_size=8, **PATIENT).joined(function)
    requests = [np.full((rows, 2), number, "float32") for number, rows in enumerate((1, 2, 3, 2))]
    answers = ask_at_once(joined, requests)
    assert seen == [8]
    for answer, request in zip(answers, requests, strict=True):
        np.testing.assert_array_equal(answer, 2 * request)


def test_a_batch_is_filled_up_to_an_allowed_size():
    function, seen = counting()
    sizes = (1, 4, 8)
    joined = Batching(8, batch_timeout_micros=0, allowed_batch_sizes=sizes).joined(function)
    request = np.arange(6, dtype="float32").reshape(3, 2)
    np.testing.assert_array_equal(ask_at_once(joined, [request]), [2 * request])
    assert seen == [4]


def test_a_request_larger_than_a_batch_is_refused():
    joined = Batching(4, batch_timeout_micros=0).joined(counting()[0])
    with pytest.raises(tf.errors.InvalidArgumentError, match="larger than maximum"):
        joined(x=tf.zeros((5, 2)))


def test_two_functions_do_not_share_a_queue():
    batching = Batching(max_batch_size=1, **PATIENT)
    double, triple = (batching.joined(counting(factor)[0]) for factor in (2.0, 3.0))
    one = np.ones((1, 2), "float32")
    assert ask_at_once(double, [one])[0][0, 0] == 2.0
    assert ask_at_once(triple, [one])[0][0, 0] == 3.0


def test_a_function_without_rows_stays_as_it_is():
    spec = tf.TensorSpec([], tf.float32, name="x")
    function = tf.function(lambda x: {"y": x}).get_concrete_function(x=spec)
    assert Batching().joined(function) is function


def test_parameters_are_those_of_tensorflow_serving():
    batching = Batching.read(CONFIG)
    assert batching.allowed_batch_sizes == (1, 4, 16, 64) and batching.max_batch_size == 64
    assert batching.batch_timeout_micros == 2000


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("max_batch_sizes { value: 4 }", "must be a file of BatchingParameters"),
        ("max_batch_size { value: 0 }", "`max_batch_size` must be an integer, at least 1"),
        (
            "batch_timeout_micros { value: -1 }",
            "`batch_timeout_micros` must be an integer, at least 0",
        ),
        (
            "allowed_batch_sizes: 4\nmax_batch_size { value: 8 }",
            "must be rising, up to `max_batch_size`",
        ),
        (
            "allowed_batch_sizes: 8\nallowed_batch_sizes: 4",
            "must be rising, up to `max_batch_size`",
        ),
    ],
)
def test_invalid_parameters_are_refused(tmp_path, text, words):
    path = tmp_path / "batching.config"
    path.write_text(text)
    with pytest.raises(ValueError, match=words):
        Batching.read(path)


def test_joined_answers_are_those_of_requests_on_their_own(exported, loaded, requests):
    folder = exported.parent
    images, seeds = requests["log_prob"]["image"], requests["log_prob"]["seed"]
    with (
        Server(folder, port=0, rest_port=0, batching=CONFIG) as server,
        Client(server.grpc_address, "tiny") as client,
        concurrent.futures.ThreadPoolExecutor(len(images)) as pool,
    ):
        for name in ("encode", "log_prob"):
            inputs = [{"image": image[None]} for image in images]
            if name == "log_prob":
                inputs = [i | {"seed": [seed]} for i, seed in zip(inputs, seeds, strict=True)]
            together = list(pool.map(lambda rows, name=name: client.predict(name, **rows), inputs))
            alone = loaded[name](**{key: tf.constant(v) for key, v in requests[name].items()})
            for key, expected in alone.items():
                found = np.concatenate([answer[key] for answer in together])
                np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_warm_up_requests_come_first(tmp_path):
    module = tf.Module()
    module.calls = tf.Variable(0)

    def count(seed):
        return {"calls": tf.zeros_like(seed) + module.calls.assign_add(1)}

    spec = tf.TensorSpec([None], tf.int32, name="seed")
    signature = tf.function(count).get_concrete_function(seed=spec)
    path = tmp_path / "count" / "1"
    tf.saved_model.save(module, path, signatures=signature)
    images = np.zeros((1, 8, 8, 1), "uint8")
    write_warmup(path, {"serving_default": signature}, images, batch_sizes=(1, 4))
    answer = Servable(path).predict("", {"seed": np.zeros(1, "int32")})
    assert answer["calls"] == [3]
