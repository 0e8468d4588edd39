"""What an operator relies on, of TensorFlow Serving where there is one: see `servers.py`."""

import json
import shutil
import threading
import time
import urllib.error
import urllib.request

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis.predict_pb2 import PredictRequest

from tests.serving import servers
from vlae_tf.serving import Client

SIGNATURES = ("encode", "decode", "reconstruct", "sample", "log_prob", "about")


@pytest.fixture(scope="module")
def replicas(server, folder):
    with servers.replicas(server, folder) as replicas:
        for name in ("tiny", "count"):
            for replica in replicas:
                servers.wait_until_served(replica.rest, name, servers.newest_version(folder / name))
        yield replicas


@pytest.fixture(scope="module", params=["grpc", "rest"])
def client(request, replicas):
    with Client(getattr(replicas[0], request.param), "tiny") as client:
        yield client


def assert_close(actual, expected):
    """Equal where they are images, and but for rounding where they are not."""
    assert actual.keys() == expected.keys()
    for name, value in actual.items():
        assert value.dtype == expected[name].dtype
        if value.dtype in (np.uint8, object):
            np.testing.assert_array_equal(value, expected[name])
        else:
            np.testing.assert_allclose(value, expected[name], rtol=1e-4, atol=1e-4)


# === Answers ===


@pytest.fixture(scope="module")
def expected(loaded, requests):
    """The answers of the SavedModel in this process, by signature."""
    return {
        signature: {name: value.numpy() for name, value in loaded[signature](**request).items()}
        for signature, request in requests.items()
    }


def test_answers_are_those_of_python(client, expected, requests):
    for signature, request in requests.items():
        assert_close(client.predict(signature, **request), expected[signature])


@pytest.fixture(scope="module")
def of_the_model(model, requests):
    """The answers of the model, by method."""
    image, code = requests["encode"]["image"], requests["decode"]["code"]
    return {
        "decode": model.decode(code, seed=7),
        "reconstruct": model.reconstruct(image, seed=7),
        "sample": model.sample(3, seed=7, temperature=0.5),
    }


def test_client_stands_for_the_model(client, model, of_the_model, requests):
    image, code = requests["encode"]["image"], requests["decode"]["code"]
    np.testing.assert_allclose(client.encode(image), model.encode(image), atol=1e-5)
    answers = {
        "decode": client.decode(code, seed=7),
        "reconstruct": client.reconstruct(image, seed=7),
        "sample": client.sample(3, seed=7, temperature=0.5),
    }
    for method, answer in answers.items():
        np.testing.assert_array_equal(answer, of_the_model[method])
    log_prob = client.log_prob(image)
    assert log_prob.shape == (5,) and log_prob.max() < 0


def test_replicas_answer_alike(replicas, requests):
    first, second = (Client(replica.grpc, "tiny") for replica in replicas)
    with first, second:
        for signature in SIGNATURES:
            one = first.predict(signature, **requests[signature])
            other = second.predict(signature, **requests[signature])
            for name, value in one.items():
                np.testing.assert_array_equal(value, other[name])


@pytest.mark.parametrize("signature", SIGNATURES)
def test_a_row_does_not_depend_on_its_batch(client, requests, signature):
    together = client.predict(signature, **requests[signature])
    for rows in ([2], [4, 2, 0]):
        request = {name: value[rows] for name, value in requests[signature].items()}
        alone = client.predict(signature, **request)
        assert_close(alone, {name: value[rows] for name, value in together.items()})


# === Mistakes: the right status, and the server goes on ===


def predict_request(signature="encode", model="tiny", version=None, **inputs):
    request = PredictRequest()
    request.model_spec.name = model
    request.model_spec.signature_name = signature
    if version:
        request.model_spec.version.value = version
    for name, value in inputs.items():
        request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
    return request.SerializeToString()


def grpc_status(address, message):
    """The status of a message, and what the server says."""
    with grpc.insecure_channel(address.removeprefix("grpc://")) as channel:
        try:
            channel.unary_unary("/tensorflow.serving.PredictionService/Predict")(message)
        except grpc.RpcError as error:
            return error.code(), error.details()
    return grpc.StatusCode.OK, ""


def http_status(address, path, body=None):
    """The status of a request, and the answer's JSON."""
    try:
        with urllib.request.urlopen(f"{address}/v1/models/{path}", body, timeout=60) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


IMAGES = np.zeros((2, 8, 8, 1), "uint8")
WHOLE = predict_request(image=IMAGES)
HUGE = PredictRequest.FromString(WHOLE)
HUGE.inputs["image"].ClearField("tensor_content")
HUGE.inputs["image"].tensor_shape.dim[0].size = 10**12
CONTRADICTORY = PredictRequest.FromString(WHOLE)
CONTRADICTORY.inputs["image"].tensor_content = bytes(100)

MISTAKES = {
    "wrong shape": (predict_request(image=IMAGES[:, :5]), "INVALID_ARGUMENT"),
    "wrong rank": (predict_request(image=IMAGES[0]), "INVALID_ARGUMENT"),
    "wrong dtype": (predict_request(image=IMAGES.astype("float32")), "INVALID_ARGUMENT"),
    "missing input": (predict_request(), "INVALID_ARGUMENT"),
    "missing seed": (predict_request("reconstruct", image=IMAGES), "INVALID_ARGUMENT"),
    "unknown input": (predict_request(image=IMAGES, seed=[1, 2]), "INVALID_ARGUMENT"),
    "rows of unequal length": (
        predict_request("sample", seed=np.int32([1, 2, 3]), temperature=np.float32([1])),
        "INVALID_ARGUMENT",
    ),
    "unknown signature": (
        predict_request("dream", image=IMAGES),
        # The second is TensorFlow Serving's.
        "INVALID_ARGUMENT FAILED_PRECONDITION",
    ),
    "unknown model": (predict_request(model="other", image=IMAGES), "NOT_FOUND"),
    "unknown version": (predict_request(version=10**6, image=IMAGES), "NOT_FOUND"),
    # TensorFlow Serving leaves it to gRPC, which has its own opinion.
    "truncated message": (WHOLE[:-7], "INVALID_ARGUMENT INTERNAL"),
    "not a message": (b"\xff" * 40, "INVALID_ARGUMENT INTERNAL"),
    "more shape than content": (CONTRADICTORY.SerializeToString(), "INVALID_ARGUMENT"),
}
if not (servers.ADDRESS or servers.BINARY):
    # Nothing for a server of others to be tried with: it may take the memory that is asked for.
    MISTAKES["a few bytes for terabytes"] = (HUGE.SerializeToString(), "INVALID_ARGUMENT")


@pytest.mark.parametrize("name", MISTAKES)
def test_grpc_says_what_is_wrong_and_goes_on(replicas, name):
    message, codes = MISTAKES[name]
    code, details = grpc_status(replicas[0].grpc, message)
    assert code.name in codes.split() and details
    assert grpc_status(replicas[0].grpc, WHOLE) == (grpc.StatusCode.OK, "")


def as_json(**body):
    return json.dumps(body).encode()


ROW = {"image": IMAGES[0].tolist()}
HTTP_MISTAKES = {
    "wrong shape": ("tiny:predict", as_json(instances=[{"image": IMAGES[0, :5].tolist()}]), 400),
    "ragged": ("tiny:predict", as_json(instances=[ROW, {"image": [[[0]]]}]), 400),
    "wrong dtype": ("tiny:predict", as_json(instances=[{"image": [[[0.5]] * 8] * 8}]), 400),
    "text": ("tiny:predict", as_json(instances=[{"image": "a picture"}]), 400),
    "missing input": (
        "tiny:predict",
        as_json(signature_name="reconstruct", instances=[ROW]),
        400,
    ),
    "unknown input": ("tiny:predict", as_json(instances=[{**ROW, "seed": 1}]), 400),
    "unknown signature": (
        "tiny:predict",
        as_json(signature_name="dream", instances=[ROW]),
        400,
    ),
    "unknown model": ("other:predict", as_json(instances=[ROW]), 404),
    "unknown version": ("tiny/versions/1000000:predict", as_json(instances=[ROW]), 404),
    "truncated": ("tiny:predict", as_json(instances=[ROW])[:-7], 400),
    "not JSON": ("tiny:predict", b"\xff\xfe", 400),
    "empty": ("tiny:predict", b"", 400),
    "no object": ("tiny:predict", b"[1, 2]", 400),
    "no rows": ("tiny:predict", as_json(instances=[]), 400),
    "rows of unequal length": (
        "tiny:predict",
        as_json(signature_name="sample", inputs={"seed": [1, 2, 3], "temperature": [1]}),
        400,
    ),
    "both forms": ("tiny:predict", as_json(instances=[ROW], inputs=[ROW]), 400),
    "no form": ("tiny:predict", as_json(signature_name="encode"), 400),
    "no such verb": ("tiny:dream", as_json(instances=[ROW]), 400),
    "status of an unknown model": ("other", None, 404),
    "metadata of an unknown model": ("other/metadata", None, 404),
}


@pytest.mark.parametrize("name", HTTP_MISTAKES)
def test_rest_says_what_is_wrong_and_goes_on(replicas, name):
    path, body, expected = HTTP_MISTAKES[name]
    status, answer = http_status(replicas[0].rest, path, body)
    assert status == expected
    assert list(answer) == ["error"] and answer["error"]
    assert http_status(replicas[0].rest, "tiny:predict", as_json(instances=[ROW]))[0] == 200


# === REST, letter by letter ===


def test_rest_has_the_two_forms_of_tensorflow_serving(replicas, requests):
    image = requests["encode"]["image"].tolist()
    _, rows = http_status(
        replicas[0].rest, "tiny:predict", as_json(instances=[{"image": one} for one in image])
    )
    assert [sorted(row) for row in rows.pop("predictions")] == [["code", "code_bits", "scale"]] * 5
    assert rows == {}
    # The only input needs no name, and the only output has none.
    _, columns = http_status(replicas[0].rest, "tiny:predict", as_json(inputs=image))
    assert {name: np.shape(value) for name, value in columns["outputs"].items()} == {
        "code": (5, 4),
        "code_bits": (5,),
        "scale": (5, 4),
    }
    request = {name: value.tolist() for name, value in requests["decode"].items()}
    decode = as_json(signature_name="decode", inputs=request)
    _, bare = http_status(replicas[0].rest, "tiny:predict", decode)
    assert np.shape(bare["outputs"]) == (5, 8, 8, 1)
    rows = [{"code": c, "seed": s} for c, s in zip(*request.values(), strict=True)]
    _, bare_rows = http_status(
        replicas[0].rest, "tiny:predict", as_json(signature_name="decode", instances=rows)
    )
    assert bare_rows["predictions"] == bare["outputs"]


def test_status_and_metadata_are_those_of_tensorflow_serving(replicas):
    _, status = http_status(replicas[0].rest, "tiny")
    (newest,) = (s for s in status["model_version_status"] if s["state"] == "AVAILABLE")
    assert newest["status"] == {"error_code": "OK", "error_message": ""}
    version = newest["version"]
    assert version.isdecimal()
    assert http_status(replicas[0].rest, f"tiny/versions/{version}")[0] == 200
    _, metadata = http_status(replicas[0].rest, f"tiny/versions/{version}/metadata")
    assert metadata["model_spec"] == {"name": "tiny", "signature_name": "", "version": version}
    signatures = metadata["metadata"]["signature_def"]["signature_def"]
    assert set(SIGNATURES) <= set(signatures)
    assert signatures["sample"]["inputs"]["seed"]["dtype"] == "DT_INT32"
    dims = signatures["encode"]["inputs"]["image"]["tensor_shape"]["dim"]
    assert [dim["size"] for dim in dims] == ["-1", "8", "8", "1"]


# === Versions ===


def test_versions_change_without_a_lost_request(folder, replicas):
    """Four threads ask without pause while three versions come and go."""
    ended, failures = threading.Event(), []
    seen = [[] for _ in range(4)]

    def ask(address, versions):
        try:
            with Client(address, "count") as client:
                while not ended.is_set():
                    answer = client.predict("serving_default", x=np.zeros(3, "int32"))
                    (version,) = {*answer["version"].tolist(), *answer["again"].tolist()}
                    versions.append(version)
                    time.sleep(0.005)
        except Exception as error:
            failures.append(error)

    threads = [
        threading.Thread(target=ask, args=(replicas[0].both()[i % 2], seen[i])) for i in range(4)
    ]
    for thread in threads:
        thread.start()
    for _ in range(3):
        newest = servers.publish_count(folder / "count")
        servers.wait_until_served(replicas[0].rest, "count", newest)
        # Until every thread has had an answer since.
        asked = [len(versions) for versions in seen]
        while not failures and any(
            len(versions) < before + 2 for versions, before in zip(seen, asked, strict=True)
        ):
            time.sleep(0.01)
    ended.set()
    for thread in threads:
        thread.join()
    assert failures == []
    for versions in seen:
        assert versions == sorted(versions), "an older version answered after a newer one"
        assert versions[-1] == newest and versions[0] < newest


def test_a_version_being_written_is_never_served(folder, replicas):
    with Client(replicas[0].rest, "count") as client:
        before = client.status()
        newest = max(before)
        whole = folder / "count" / str(newest)
        for name in (".writing-0", "writing", f"{newest + 1}.partial", f"-{newest + 1}"):
            shutil.copytree(whole, folder / "count" / name)
        # A later version appears, so that a look at the folder has been taken since.
        later = servers.publish_count(folder / "count")
        servers.wait_until_served(replicas[0].rest, "count", later)
        assert set(client.status()) - set(before) == {later}
        assert client.predict("serving_default", x=[0])["version"] == [later]
