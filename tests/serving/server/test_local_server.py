"""What the server that comes with the package promises beyond the interface: see `Server`."""

import contextlib
import ctypes
import http.client
import inspect
import json
import pathlib
import shutil
import socket
import threading
import time
import weakref
from concurrent.futures import ThreadPoolExecutor

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf.meta_graph_pb2 import SignatureDef
from tensorflow_serving.apis import model_management_pb2, model_service_pb2_grpc
from tensorflow_serving.apis.get_model_status_pb2 import GetModelStatusRequest
from tensorflow_serving.apis.predict_pb2 import PredictRequest, PredictResponse
from tensorflow_serving.config.model_server_config_pb2 import ModelServerConfig

from vlae_tf.saved_model.warmup import write_warmup
from vlae_tf.serving import Client, Server
from vlae_tf.serving.server.models import Models
from vlae_tf.serving.server.servable import Servable
from vlae_tf.serving.serving_error import ServingError, told


@pytest.fixture
def folder(versions, tmp_path):
    """A model `count` of version 1, to add more to."""
    folder = tmp_path / "models" / "count"
    shutil.copytree(versions / "1", folder / "1")
    return folder


@pytest.fixture
def models(folder):
    models = Models(folder)
    models.refresh()
    return models


@pytest.fixture(scope="module")
def server(versions):
    limits = {"max_rows": 30, "max_request_bytes": 100_000}
    with Server(versions.parent, port=0, rest_port=0, **limits) as server:
        yield server


@pytest.fixture(params=["grpc", "rest"])
def address(request, server):
    return getattr(server, f"{request.param}_address")


def request(signature="", spec=(), **inputs):
    message = PredictRequest(
        model_spec={"name": "count", "signature_name": signature, **dict(spec)}
    )
    for name, value in inputs.items():
        message.inputs[name].CopyFrom(tf.make_tensor_proto(value))
    return message


def asked(models, **spec):
    """The version that answers."""
    response = models.predict(request(spec=spec, x=[0, 0]))
    version = response.model_spec.version.value
    np.testing.assert_array_equal(tf.make_ndarray(response.outputs["version"]), [version] * 2)
    return version


def served(models, name="count"):
    """The versions of a model, the newest first."""
    status = models.status(GetModelStatusRequest(model_spec={"name": name}))
    return [version.version for version in status.model_version_status]


# === Which versions are served ===


def test_the_highest_version_is_served_and_the_old_one_goes(models, folder, versions):
    assert asked(models) == 1
    for version in ("3", "2"):
        shutil.copytree(versions / version, folder / version)
    models.refresh()
    assert asked(models) == 3 and served(models) == [3]
    with pytest.raises(ServingError, match="one of 3. Received: version=1"):
        asked(models, version={"value": 1})


def test_an_old_version_ends_after_its_last_request_and_leaves_no_thread(models, folder, versions):
    _, in_flight = models.find(request().model_spec)
    threads = threading.active_count()
    for version in ("2", "3"):
        shutil.copytree(versions / version, folder / version)
        models.refresh()
        assert asked(models) == int(version)
    answer = in_flight.predict(request(x=[0]))
    assert tf.make_ndarray(answer.outputs["version"]) == [1]
    old = weakref.ref(in_flight._loaded)
    del in_flight
    models.refresh()
    assert old() is None and threading.active_count() == threads


def test_a_version_that_fails_to_load_leaves_nothing(models, folder, monkeypatch):
    left = []

    class Broken:
        def __init__(self, *_):
            self.itself = self
            left.append(weakref.ref(self))
            raise ValueError

    monkeypatch.setattr("vlae_tf.serving.server.models.Servable", Broken)
    shutil.copytree(folder / "1", folder / "2")
    models.refresh()
    assert left[0]() is None and served(models) == [1]


def test_an_error_that_is_kept_keeps_no_model(versions):
    servable = Servable(versions / "1", max_rows=4)
    try:
        servable.predict(request("nowhere"))
    except ServingError as failure:
        error = told(failure)
    old = weakref.ref(servable)
    del servable
    assert old() is None and "nowhere" in str(error)


@pytest.mark.skipif(not hasattr(ctypes.pythonapi, "malloc_trim"), reason="glibc alone has it")
def test_what_an_old_version_held_returns_to_the_system(models, folder, versions):
    def resident():
        return int(pathlib.Path("/proc/self/statm").read_text().split()[1]) * 4096

    # 200 MB in pieces, of which one stays: glibc then keeps all that lie below it.
    malloc, free = ctypes.pythonapi.malloc, ctypes.pythonapi.free
    malloc.restype, free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
    pieces = [malloc(100_000) for _ in range(2000)]
    for piece in pieces:
        ctypes.memset(piece, 1, 100_000)
    for piece in pieces[:-1]:
        free(piece)
    before = resident()
    shutil.copytree(versions / "2", folder / "2")
    models.refresh()
    free(pieces[-1])
    assert asked(models) == 2 and before - resident() > 100e6


def test_a_version_half_copied_is_not_served_until_it_is_whole(models, folder, versions):
    (folder / "2").mkdir()
    models.refresh()
    shutil.copy(versions / "2" / "saved_model.pb", folder / "2")
    models.refresh()
    assert served(models) == [1] and asked(models) == 1
    shutil.copytree(versions / "2", folder / "2", dirs_exist_ok=True)
    models.refresh()
    assert asked(models) == 2


def test_a_broken_version_is_not_loaded_again_and_again(models, folder, monkeypatch):
    (folder / "2").mkdir()
    (folder / "2" / "saved_model.pb").write_bytes(b"no graph")
    models.refresh()
    monkeypatch.setattr("vlae_tf.serving.server.models.Servable", None)
    models.refresh()
    assert served(models) == [1]


def test_a_version_that_is_taken_away_is_served_no_more(models, folder):
    shutil.rmtree(folder / "1")
    models.refresh()
    with pytest.raises(ServingError, match="left out: there are none here"):
        asked(models)


def test_what_is_loaded_goes_on_while_the_folder_is_away(versions, tmp_path):
    folder = shutil.copytree(versions / "1", tmp_path / "models" / "count" / "1").parent
    models = Models(folder.parent)
    models.refresh()
    folder.joinpath("1").rename(tmp_path / "away")
    folder.rmdir()
    folder.write_text("a file for the moment")
    with pytest.raises(NotADirectoryError):
        Models(folder).refresh()
    models._ordered = ModelServerConfig()
    models._ordered.model_config_list.config.add(name="count", base_path=str(folder))
    models.refresh()
    assert asked(models) == 1


def test_folder_may_hold_models_or_versions(models, folder):
    assert list(models.served) == ["count"]
    (folder.parent / ".hidden").mkdir()
    (folder.parent / "other").mkdir()
    several = Models(folder.parent)
    several.refresh()
    assert list(several.served) == ["count", "other"]
    with pytest.raises(NotADirectoryError, match="`folder` must hold the versions"):
        Models(folder / "nowhere").refresh()


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
    answer = Servable(path, max_rows=4).predict(request(seed=[0]))
    assert tf.make_ndarray(answer.outputs["calls"]) == [3]


# === models.config ===

CONFIG = """
model_config_list {{
  config {{
    name: "count"
    base_path: "/models/count"
    model_platform: "tensorflow"
    model_version_policy {{ {policy} }}
    version_labels {{ key: "stable" value: 1 }}
    version_labels {{ key: "canary" value: 3 }}
  }}
}}
"""


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ("specific { versions: 1 versions: 3 }", [3, 1]),
        ("latest { num_versions: 2 }", [3, 2]),
        ("latest {}", [3]),
        ("all {}", [3, 2, 1]),
        ("", [3]),
    ],
)
def test_version_policy(versions, tmp_path, policy, expected):
    path = tmp_path / "models.config"
    path.write_text(CONFIG.format(policy=policy))
    models = Models(versions.parent, path)
    models.refresh()
    assert served(models) == expected


def test_labels_can_be_moved_while_the_server_runs(versions, tmp_path):
    path = tmp_path / "models.config"
    text = CONFIG.format(policy="specific { versions: 1 versions: 3 }")
    path.write_text(text)
    with Server(versions.parent, path, port=0, rest_port=0, poll_seconds=0) as server:

        def answer(address, label):
            with Client(address, "count", label=label) as client:
                return client.predict("serving_default", x=[0])["version"].item()

        for address in (server.grpc_address, server.rest_address):
            assert (answer(address, "stable"), answer(address, "canary")) == (1, 3)
            with pytest.raises(ValueError, match="one of canary, stable. Received: label=old"):
                answer(address, "old")
        path.write_text(text.replace("value: 1", "value: 3"))
        server.models.refresh()
        assert answer(server.grpc_address, "stable") == 3


def test_a_broken_models_config_leaves_what_is_served(versions, tmp_path):
    path = tmp_path / "models.config"
    path.write_text(CONFIG.format(policy=""))
    models = Models(versions.parent, path)
    models.refresh()
    for text in ("model_config_list {", "", "model_config_list { config { name: 'count' } }"):
        path.write_text(text)
        with pytest.raises(ValueError, match="`models_config` must"):
            models.refresh()
    assert asked(models) == 3


# === Who may ask, and for what ===


def reload(server, base_path):
    """The status of an order to serve `other` from a path, and what the server says."""
    config = ModelServerConfig()
    config.model_config_list.config.add(name="other", base_path=str(base_path))
    order = model_management_pb2.ReloadConfigRequest(config=config)
    with grpc.insecure_channel(server.grpc_address.removeprefix("grpc://")) as channel:
        try:
            stub = model_service_pb2_grpc.ModelServiceStub(channel)
            stub.HandleReloadConfigRequest(order, timeout=60)
        except grpc.RpcError as error:
            return error.code().name, error.details()
    return "OK", ""


def test_nobody_may_choose_the_models_unless_the_server_is_told_so(server, folder, tmp_path):
    assert reload(server, folder)[0] == "PERMISSION_DENIED"
    (tmp_path / "models" / "link").symlink_to(tmp_path)
    options = {"port": 0, "rest_port": 0, "poll_seconds": 0, "model_control": True}
    with Server(tmp_path / "models", **options) as controlled:
        for outside in (tmp_path, "/models/..", "/models/../other", "/models/link", "/models"):
            code, words = reload(controlled, outside)
            assert code == "INVALID_ARGUMENT" and "below the served folder" in words
        assert reload(controlled, "")[0] == "INVALID_ARGUMENT"
        assert list(controlled.models.served) == ["count", "link"]
        assert reload(controlled, "/models/count") == ("OK", "")
        assert list(controlled.models.served) == ["other"] and served(controlled.models, "other")


def test_nobody_but_this_machine_may_ask_by_default(server):
    assert inspect.signature(Server).parameters["host"].default == "127.0.0.1"
    for address in (server.grpc_address, server.rest_address):
        host, _, port = address.partition("://")[2].rpartition(":")
        assert host == "127.0.0.1"
        socket.create_connection((host, int(port))).close()
        # All of 127.0.0.0/8 reaches this machine, as its other addresses do.
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.2", int(port))).close()


# === How much ===


def test_requests_are_bounded(address):
    with Client(address, "count") as client:
        with pytest.raises(OSError, match="RESOURCE_EXHAUSTED"):
            client.predict("serving_default", x=np.zeros(10**6, "int32"))
        with pytest.raises(
            ValueError, match="of 1 to 30 rows, all of as many. Received: inputs=.31"
        ):
            client.predict("serving_default", x=np.zeros(31, "int32"))
        with pytest.raises(ValueError, match="of 1 to 30 rows"):
            client.predict("serving_default", x=[])
        assert len(client.predict("serving_default", x=np.zeros(10, "int32"))["again"]) == 10


@pytest.fixture
def strings(tmp_path):
    """A servable of any shape of strings."""
    join = tf.function(lambda x: {"y": tf.strings.length(x)})
    join = join.get_concrete_function(tf.TensorSpec([None, None], tf.string, name="x"))
    tf.saved_model.save(tf.Module(), tmp_path / "strings", signatures=join)
    return Servable(tmp_path / "strings", max_rows=4)


def test_what_is_declared_is_checked_before_any_array_is_made(versions, strings, monkeypatch):
    count = Servable(versions / "1", max_rows=4)
    monkeypatch.setattr(tf, "make_ndarray", None)
    many = request(x=np.int32([1, 1]))
    many.inputs["x"].tensor_shape.dim[0].size = 4_000_000
    with pytest.raises(ServingError, match="of 1 to 4 rows"):
        count.predict(many)
    for size in (-1, -(2**63)):
        many.inputs["x"].tensor_shape.dim[0].size = size
        with pytest.raises(ServingError, match=r"`x` must be int32 of shape \(None,\)"):
            count.predict(many)
    with pytest.raises(ServingError, match=r"Received: x=DT_DOUBLE of shape \(1,\)"):
        count.predict(request(x=np.ones(1)))
    unknown = request(x=np.int32([1]))
    unknown.inputs["x"].dtype = 77
    with pytest.raises(ServingError, match="Received: x=the unknown type 77"):
        count.predict(unknown)
    # A string of a kilobyte that stands for a billion.
    long = request(x=[["?" * 1024]])
    long.inputs["x"].tensor_shape.dim[1].size = 10**6
    with pytest.raises(ServingError, match="`x` must be of at most"):
        strings.predict(long)


def test_an_input_that_is_left_out_gets_its_default(server):
    with grpc.insecure_channel(server.grpc_address.removeprefix("grpc://")) as channel:
        call = channel.unary_unary("/tensorflow.serving.PredictionService/Predict")
        message = request("one", {"name": "odd"}, x=np.int32([1])).SerializeToString()
        answer = PredictResponse.FromString(call(message))
    assert tf.make_ndarray(answer.outputs["sum"]) == [8]
    path = "/v1/models/odd:predict"
    body = {"signature_name": "one", "instances": [{"x": 1}]}
    connection = http.client.HTTPConnection("127.0.0.1", server.rest_port, timeout=60)
    with contextlib.closing(connection):
        connection.request("POST", path, json.dumps(body))
        assert json.load(connection.getresponse()) == {"predictions": [8]}


class Fake:
    """Stands for a servable: it answers with what it gets, when its gate is open."""

    def __init__(self):
        self.gate = threading.Event()
        self.asked = []

    def definition(self, signature):
        definition = SignatureDef()
        definition.inputs["x"].dtype = tf.int32.as_datatype_enum
        return definition

    def predict(self, request):
        self.asked.append(tf.make_ndarray(request.inputs["x"]).item())
        assert self.gate.wait(60)
        return PredictResponse(outputs={"y": request.inputs["x"]})


@pytest.fixture
def fake(monkeypatch, tmp_path):
    """A server of a `Fake`."""
    fake = Fake()
    monkeypatch.setattr("vlae_tf.serving.server.models.Servable", lambda *_: fake)
    (tmp_path / "count" / "1").mkdir(parents=True)
    (tmp_path / "count" / "1" / "saved_model.pb").touch()
    with Server(tmp_path / "count", port=0, rest_port=0, poll_seconds=0) as fake.server:
        yield fake
        fake.gate.set()


def post(server, number, timeout=60):
    """The HTTP status of a request."""
    connection = http.client.HTTPConnection("127.0.0.1", server.rest_port, timeout=timeout)
    with contextlib.closing(connection):
        connection.request("POST", "/v1/models/count:predict", json.dumps({"inputs": [number]}))
        return connection.getresponse().status


def test_a_late_request_does_not_start(fake):
    with (
        grpc.insecure_channel(fake.server.grpc_address.removeprefix("grpc://")) as channel,
        ThreadPoolExecutor(4) as pool,
    ):
        call = channel.unary_unary("/tensorflow.serving.PredictionService/Predict")
        busy = [pool.submit(post, fake.server, number) for number in range(4)]
        while len(fake.asked) < 4:
            time.sleep(0.01)
        with pytest.raises(TimeoutError):
            post(fake.server, 100, timeout=0.3)
        with pytest.raises(grpc.RpcError, match="DEADLINE_EXCEEDED"):
            call(request(x=[101]).SerializeToString(), timeout=0.3)
        waiting = call.future(request(x=[102]).SerializeToString())
        time.sleep(0.1)
        waiting.cancel()
        time.sleep(0.2)
        fake.gate.set()
        assert [future.result() for future in busy] == [200] * 4
        assert [post(fake.server, number) for number in range(4, 12)] == [200] * 8
    assert sorted(fake.asked) == list(range(12))


def test_200_connections_at_once_are_answered_or_told_that_there_are_too_many(fake):
    def opened(answers, refused):
        """The answers, after the gate was opened when so many had been refused."""
        while sum(answer.done() for answer in answers) < refused:
            time.sleep(0.01)
        fake.gate.set()
        return answers

    with ThreadPoolExecutor(200) as pool:
        answers = [pool.submit(post, fake.server, number) for number in range(200)]
        statuses = sorted(answer.result() for answer in opened(answers, 72))
    assert statuses == 128 * [200] + 72 * [503]
    fake.gate.clear()
    with grpc.insecure_channel(fake.server.grpc_address.removeprefix("grpc://")) as channel:
        call = channel.unary_unary("/tensorflow.serving.PredictionService/Predict")
        answers = [call.future(request(x=[n]).SerializeToString()) for n in range(200)]
        codes = sorted(answer.code().name for answer in opened(answers, 72))
    assert codes == 128 * ["OK"] + 72 * ["RESOURCE_EXHAUSTED"]


def test_stop_says_whether_all_was_answered(fake):
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(post, fake.server, 1)
        while not fake.asked:
            time.sleep(0.01)
        start = time.monotonic()
        assert not fake.server.stop(grace=0.3)
        assert time.monotonic() - start < 2
        fake.gate.set()
        with contextlib.suppress(OSError, http.client.HTTPException):
            answer.result()


# === In plain words ===


def rest(server, path, body):
    connection = http.client.HTTPConnection("127.0.0.1", server.rest_port, timeout=60)
    with contextlib.closing(connection):
        connection.request("POST", f"/v1/models/{path}", body)
        response = connection.getresponse()
        return response.status, json.load(response)["error"]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("count:predict", '{"inputs": "\\ud800"}'),
        ("count:predict", '{"inputs": {"b64": "\u00e9"}}'.encode()),
        ("count:predict", '{"inputs": [' + "9" * 5000 + "]}"),
        ("odd:predict", '{"signature_name": "one", "inputs": {"x": [1, 2], "y": [1, 2]}}'),
        ("count:predict", '{"signature_name": "\\ud800", "inputs": [1]}'),
        ("count/versions/" + "9" * 4301 + ":predict", '{"inputs": [1]}'),
        *[("count:predict", '{"inputs":' + "[" * n + "]" * n + "}") for n in (60, 900, 40_000)],
    ],
)
def test_a_mistake_is_told_in_a_plain_sentence(server, path, body):
    status, words = rest(server, path, body)
    assert status == 400
    for trace in ("Traceback", ".py", "File ", "node", "{{", "\n"):
        assert trace not in words


def test_another_method_is_told_as_any_mistake(server):
    connection = http.client.HTTPConnection("127.0.0.1", server.rest_port, timeout=60)
    with contextlib.closing(connection):
        connection.request("PUT", "/v1/models/count")
        answer = connection.getresponse()
        assert (answer.status, answer.headers.get_content_type()) == (405, "application/json")
        assert json.loads(answer.read())["error"] == (
            "`method` must be GET or POST. Received: method=PUT"
        )


def test_an_unknown_input_of_a_type_without_arrays_is_a_mistake(server):
    message = request(x=[1])
    message.inputs["handle"].dtype = 20
    with grpc.insecure_channel(server.grpc_address.removeprefix("grpc://")) as channel:
        call = channel.unary_unary("/tensorflow.serving.PredictionService/Predict")
        with pytest.raises(grpc.RpcError, match="INVALID_ARGUMENT") as error:
            call(message.SerializeToString())
    assert error.value.details() == "`inputs` must be named x. Received: inputs=handle, x"


def test_a_client_that_stops_halfway_keeps_nobody_waiting(server):
    with contextlib.ExitStack() as stack:
        for _ in range(8):
            stalled = stack.enter_context(socket.create_connection(("127.0.0.1", server.rest_port)))
            stalled.sendall(
                b"POST /v1/models/count:predict HTTP/1.1\r\nHost: x\r\nContent-Length: 30\r\n\r\n{"
            )
        with Client(server.rest_address, "count", timeout=60) as client:
            assert client.predict("serving_default", x=[0])["version"] == [3]


@pytest.mark.parametrize("name", ["port", "rest_port"])
def test_a_port_that_is_taken_is_named(server, versions, name):
    ports = {"port": 0, "rest_port": 0, name: getattr(server, name)}
    with pytest.raises(OSError, match=f"`{name}` must be free on 127.0.0.1"):
        Server(versions, **ports).start()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({}, "`folder` or `models_config` must be given"),
        ({"models_config": "x", "model_control": True}, "`folder` or `models_config` must be"),
        ({"folder": ".", "poll_seconds": -1}, "`poll_seconds` must be .* at least 0. Received"),
        ({"folder": ".", "max_rows": 0}, "`max_rows` must be .* at least 1"),
        ({"folder": ".", "max_request_bytes": 0}, "`max_request_bytes` must be .* at least 1"),
        ({"folder": ".", "max_request_bytes": 2**31}, "must be .* less than 2147483648. Received"),
    ],
)
def test_invalid_arguments_are_refused(arguments, words):
    with pytest.raises(ValueError, match=words):
        Server(**arguments)


def test_the_extra_to_install_is_named(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    for make in (lambda: Server("."), lambda: Client("grpc://localhost:1", "count")):
        with pytest.raises(ImportError, match=r"pip install 'vlae_tf\[serving\]'"):
            make()
