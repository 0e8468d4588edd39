"""What the server that comes with the package promises beyond the interface: see `Server`."""

import http.client
import inspect
import json
import shutil
import socket

import grpc
import numpy as np
import pytest
from tensorflow_serving.apis import model_management_pb2, model_service_pb2_grpc
from tensorflow_serving.config.model_server_config_pb2 import ModelServerConfig

from vlae_tf.serving import Client, Server
from vlae_tf.serving.server.model_manager import ModelManager
from vlae_tf.serving.server.models_config import folder_config, read_models_config
from vlae_tf.serving.serving_error import ServingError


@pytest.fixture
def folder(versions, tmp_path):
    """A model `count` of version 1, to add more to."""
    folder = tmp_path / "models" / "count"
    shutil.copytree(versions / "1", folder / "1")
    return folder


@pytest.fixture
def manager(folder):
    manager = ModelManager(lambda: folder_config(folder))
    manager.refresh()
    return manager


@pytest.fixture(scope="module")
def server(versions):
    with Server(versions, port=0, rest_port=0, max_request_bytes=100_000) as server:
        yield server


def asked(manager, **which):
    version, servable = manager.get("count", **which)
    answer = servable.predict("", {"x": np.zeros(2, "int32")})
    np.testing.assert_array_equal(answer["version"], [version] * 2)
    return version


# === Which versions are served ===


def test_the_highest_version_is_served_and_the_old_one_goes(manager, folder, versions):
    assert asked(manager) == 1
    for version in ("3", "2"):
        shutil.copytree(versions / version, folder / version)
    manager.refresh()
    assert asked(manager) == 3
    assert manager.states("count") == {3: ("AVAILABLE", ""), 1: ("END", "")}
    with pytest.raises(ServingError, match=r"one of \[3\]. Received: version=1"):
        manager.get("count", version=1)


def test_an_old_version_ends_after_its_last_request(manager, folder, versions):
    _, in_flight = manager.get("count")
    shutil.copytree(versions / "2", folder / "2")
    manager.refresh()
    assert asked(manager) == 2
    assert manager.states("count")[1] == ("UNLOADING", "")
    assert in_flight.predict("", {"x": np.zeros(1, "int32")})["version"] == [1]
    del in_flight
    assert manager.states("count")[1] == ("END", "")


def test_a_version_half_copied_is_not_served_until_it_is_whole(manager, folder, versions):
    (folder / "2").mkdir()
    manager.refresh()
    assert list(manager.states("count")) == [1]
    shutil.copy(versions / "2" / "saved_model.pb", folder / "2")
    manager.refresh()
    state, error = manager.states("count")[2]
    assert state == "END" and error
    assert asked(manager) == 1
    shutil.copytree(versions / "2", folder / "2", dirs_exist_ok=True)
    manager.refresh()
    assert asked(manager) == 2


def test_a_broken_version_is_not_loaded_again_and_again(manager, folder, monkeypatch):
    (folder / "2").mkdir()
    (folder / "2" / "saved_model.pb").write_bytes(b"no graph")
    manager.refresh()
    monkeypatch.setattr("vlae_tf.serving.server.model_manager.Servable", None)
    before = manager.states("count")
    manager.refresh()
    assert manager.states("count") == before


def test_a_version_that_is_taken_away_is_served_no_more(manager, folder):
    shutil.rmtree(folder / "1")
    manager.refresh()
    with pytest.raises(ServingError, match="none yet"):
        manager.get("count")


def test_what_is_loaded_goes_on_while_the_folder_is_away(manager, folder, tmp_path):
    config = folder_config(folder)
    manager.read_config = lambda: config
    folder.rename(tmp_path / "away")
    manager.refresh()
    assert asked(manager) == 1


def test_folder_may_hold_models_or_versions(folder):
    assert [m.name for m in folder_config(folder).model_config_list.config] == ["count"]
    (folder.parent / ".hidden").mkdir()
    (folder.parent / "other").mkdir()
    models = folder_config(folder.parent).model_config_list.config
    assert [model.name for model in models] == ["count", "other"]
    with pytest.raises(NotADirectoryError, match="`folder` must hold the versions"):
        folder_config(folder / "nowhere")


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
    manager = ModelManager(lambda: read_models_config(path, root=versions.parent))
    manager.refresh()
    assert list(manager.states("count")) == expected


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
            with pytest.raises(ValueError, match="one of canary, stable. Received: label='old'"):
                answer(address, "old")
        path.write_text(text.replace("value: 1", "value: 3"))
        server.refresh()
        assert answer(server.grpc_address, "stable") == 3


def test_a_broken_models_config_leaves_what_is_served(versions, tmp_path):
    path = tmp_path / "models.config"
    path.write_text(CONFIG.format(policy=""))
    manager = ModelManager(lambda: read_models_config(path, root=versions.parent))
    manager.refresh()
    for text in ("model_config_list {", "", "model_config_list { config { name: 'count' } }"):
        path.write_text(text)
        with pytest.raises(ValueError, match="`models_config` must"):
            manager.refresh()
    assert asked(manager) == 3


def test_models_can_be_changed_over_grpc(versions, folder):
    with Server(folder, port=0, rest_port=0, poll_seconds=0) as server:
        config = ModelServerConfig()
        config.model_config_list.config.add(name="other", base_path=str(versions))
        with grpc.insecure_channel(server.grpc_address.removeprefix("grpc://")) as channel:
            stub = model_service_pb2_grpc.ModelServiceStub(channel)
            stub.HandleReloadConfigRequest(
                model_management_pb2.ReloadConfigRequest(config=config), timeout=60
            )
            with pytest.raises(grpc.RpcError, match="`models_config` must list models"):
                stub.HandleReloadConfigRequest(
                    model_management_pb2.ReloadConfigRequest(), timeout=60
                )
        assert server.manager.names() == ["other"]


# === Who may ask, and how much ===


def test_nobody_but_this_machine_may_ask_by_default(server):
    assert inspect.signature(Server).parameters["host"].default == "127.0.0.1"
    for address in (server.grpc_address, server.rest_address):
        host, _, port = address.partition("://")[2].rpartition(":")
        assert host == "127.0.0.1"
        socket.create_connection((host, int(port))).close()
        # All of 127.0.0.0/8 reaches this machine, as its other addresses do.
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.2", int(port))).close()


def test_requests_are_bounded(server):
    for address in (server.grpc_address, server.rest_address):
        with Client(address, "count") as client:
            with pytest.raises(OSError, match="RESOURCE_EXHAUSTED"):
                client.predict("serving_default", x=np.zeros(10**6, "int32"))
            assert len(client.predict("serving_default", x=np.zeros(10, "int32"))["again"]) == 10


@pytest.mark.parametrize(
    ("header", "body", "status"),
    [
        ("Content-Length: 100001", b"", 413),
        ("Content-Length: -1", b"", 411),
        ("Content-Length: many", b"", 411),
        ("Transfer-Encoding: chunked", b"2\r\n{}\r\n0\r\n\r\n", 411),
        ("Content-Length: 30", b'{"instances":', 400),
    ],
)
def test_a_body_that_is_not_as_announced_is_refused(server, header, body, status):
    with socket.create_connection(("127.0.0.1", server.rest_port), timeout=60) as connection:
        head = f"POST /v1/models/count:predict HTTP/1.1\r\nHost: x\r\n{header}\r\n\r\n"
        connection.sendall(head.encode() + body)
        connection.shutdown(socket.SHUT_WR)
        response = http.client.HTTPResponse(connection)
        response.begin()
        with response:
            assert response.status == status
            assert json.load(response)["error"]


def test_a_client_that_stops_halfway_keeps_nobody_waiting(server):
    with socket.create_connection(("127.0.0.1", server.rest_port)) as stalled:
        stalled.sendall(b"POST /v1/models/count:predict HTTP/1.1\r\nContent-Length: 30\r\n\r\n{")
        with Client(server.rest_address, "count", timeout=60) as client:
            assert client.predict("serving_default", x=[0])["version"] == [3]


@pytest.mark.parametrize("depth", [60, 900, 40_000])
def test_nesting_without_end_is_a_mistake_like_any_other(server, depth):
    connection = http.client.HTTPConnection("127.0.0.1", server.rest_port, timeout=60)
    body = '{"inputs":' + "[" * depth + "]" * depth + "}"
    connection.request("POST", "/v1/models/count:predict", body)
    response = connection.getresponse()
    assert response.status == 400 and json.load(response)["error"]
    connection.close()


@pytest.mark.parametrize("name", ["port", "rest_port"])
def test_a_port_that_is_taken_is_named(server, versions, name):
    ports = {"port": 0, "rest_port": 0, name: getattr(server, name)}
    with pytest.raises(OSError, match=f"`{name}` must be free on 127.0.0.1"):
        Server(versions, **ports).start()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({}, "`folder` or `models_config` must be given"),
        ({"folder": ".", "poll_seconds": -1}, "`poll_seconds` must be .* at least 0. Received"),
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
