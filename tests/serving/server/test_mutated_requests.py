"""Requests that are wrong in small ways get an answer or a plain error, and leave no trace."""

import http.client
import json
import threading

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis.predict_pb2 import PredictRequest

from tests.serving import mutated
from vlae_tf.serving import Client, Server

TRACES = ("Traceback", ".py", "File ", "{{node", "site-packages")
CODES = {"OK", "INVALID_ARGUMENT", "NOT_FOUND"}


@pytest.fixture(scope="module")
def server(versions):
    with Server(versions.parent, port=0, rest_port=0, poll_seconds=0) as server:
        yield server


def test_rest_answers_or_says_in_plain_words_what_is_wrong(server):
    connection = http.client.HTTPConnection("127.0.0.1", server.rest_port, timeout=60)
    body = {"signature_name": "one", "inputs": {"x": [1], "y": [2]}}
    threads, seen = None, set()
    for path, data in mutated.rest_requests(body, 400, seed=0):
        connection.request("POST", f"/v1/models/{path}", data)
        response = connection.getresponse()
        answer = json.load(response)
        assert response.status in (200, 400, 404), (path, data, answer)
        assert set(answer) == ({"outputs"} if response.status == 200 else {"error"})
        assert not any(trace in str(answer) for trace in TRACES), (path, data, answer)
        threads = threads or threading.active_count()
        seen.add(response.status)
    connection.close()
    assert {200, 400} <= seen and threading.active_count() <= threads


def test_grpc_answers_or_says_in_plain_words_what_is_wrong(server):
    message = PredictRequest(model_spec={"name": "odd", "signature_name": "one"})
    for name, value in (("x", [1]), ("y", [2])):
        message.inputs[name].CopyFrom(tf.make_tensor_proto(np.int32(value)))
    seen = set()
    with grpc.insecure_channel(server.grpc_address.removeprefix("grpc://")) as channel:
        call = channel.unary_unary("/tensorflow.serving.PredictionService/Predict")
        for data in mutated.messages(message.SerializeToString(), 400, seed=0):
            future = call.future(data, timeout=60)
            code, details = future.code().name, future.details()
            assert code in CODES and not any(trace in details for trace in TRACES), (data, details)
            seen.add(code)
    assert {"OK", "INVALID_ARGUMENT"} <= seen
    with Client(server.grpc_address, "odd") as client:
        assert client.predict("one", x=[1], y=[2])["sum"] == [3]
