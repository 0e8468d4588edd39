"""The files in export/: they parse, name each other rightly, and the local server takes them."""

import inspect
import re
import shutil
from pathlib import Path

import pytest
from google.protobuf import text_format

from vlae_tf.saved_model import export
from vlae_tf.serving import Client, Server
from vlae_tf.serving.messages import message_classes
from vlae_tf.serving.server.batching import Batching
from vlae_tf.serving.server.models_config import read_models_config

KIT = Path(__file__).parents[2] / "export"
COMMANDS = ("compose.yaml", "kubernetes/serving.yaml")

# Those flags of tensorflow_model_server that the kit uses.
FLAGS = {
    "model_config_file",
    "model_config_file_poll_wait_seconds",
    "file_system_poll_wait_seconds",
    "allow_version_labels_for_unavailable_models",
    "enable_batching",
    "batching_parameters_file",
    "monitoring_config_file",
    "rest_api_timeout_in_ms",
}

# TensorFlow Serving's Python package leaves these messages out.
MESSAGES = {
    "PrometheusConfig": {"enable": (1, "bool"), "path": (2, "string")},
    "MonitoringConfig": {"prometheus_config": (1, "PrometheusConfig")},
}


def test_batches_are_those_that_are_exported_and_warmed_up():
    batching = Batching.read(KIT / "config" / "batching.config")
    assert batching.allowed_batch_sizes[-1] == batching.max_batch_size
    assert (
        batching.allowed_batch_sizes == inspect.signature(export).parameters["batch_sizes"].default
    )


def test_metrics_are_where_prometheus_is_sent():
    text = (KIT / "config" / "monitoring.config").read_text("utf-8")
    monitoring = text_format.Parse(text, message_classes(MESSAGES)["MonitoringConfig"]())
    assert monitoring.prometheus_config.enable
    manifest = (KIT / "kubernetes" / "serving.yaml").read_text()
    assert f"prometheus.io/path: {monitoring.prometheus_config.path}\n" in manifest


def test_models_config_has_the_labels():
    (model,) = read_models_config(KIT / "config" / "models.config").model_config_list.config
    assert set(model.version_labels) == {"stable", "canary"}
    # Both versions stay loaded, whichever the labels point to.
    assert model.model_version_policy.latest.num_versions == 2


def test_the_local_server_takes_models_config(versions, tmp_path):
    shutil.copytree(versions, tmp_path / "mnist_dynamic")
    (tmp_path / "models.config").write_text(
        (KIT / "config" / "models.config").read_text().replace("value: 1", "value: 2")
    )
    with Server(tmp_path, tmp_path / "models.config", port=0, rest_port=0) as server:
        with Client(server.rest_address, "mnist_dynamic", label="stable") as client:
            assert client.predict("serving_default", x=[0])["version"] == [2]
            assert client.status() == {2: "AVAILABLE"}
        with Client(server.rest_address, "mnist_dynamic") as client:
            assert client.status() == {3: "AVAILABLE", 2: "AVAILABLE"}


@pytest.mark.parametrize("name", COMMANDS)
def test_flags_are_known_and_their_files_are_there(name):
    flags = dict(re.findall(r"- --(\w+)=(\S+)", (KIT / name).read_text()))
    assert set(flags) == FLAGS
    for value in flags.values():
        if value.startswith("/config/"):
            assert (KIT / value.removeprefix("/")).is_file()


def test_probes_ask_for_the_model_that_is_configured():
    (model,) = read_models_config(KIT / "config" / "models.config").model_config_list.config
    paths = re.findall(r"/v1/models/(\w+)", "".join((KIT / n).read_text() for n in COMMANDS))
    assert len(paths) == 4 and set(paths) == {model.name}
    manifest = (KIT / "kubernetes" / "serving.yaml").read_text()
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert f"{probe}:\n            httpGet:" in manifest


def test_configuration_on_kubernetes_is_the_same():
    text = (KIT / "config" / "kustomization.yaml").read_text()
    assert set(re.findall(r"- (\w+\.config)", text)) == {
        path.name for path in (KIT / "config").glob("*.config")
    }
    for folder in ("kubernetes", "kubernetes-gpu"):
        kustomization = (KIT / folder / "kustomization.yaml").read_text()
        (resources,) = re.findall(r"^resources:\n((?:  - \S+\n)+)", kustomization, re.MULTILINE)
        for resource in resources.split()[1::2]:
            assert (KIT / folder / resource).exists()


def test_readme_names_files_that_are_there():
    for name in re.findall(r"\]\(([^):]+)\)", (KIT / "README.md").read_text()):
        assert (KIT / name).exists(), name
