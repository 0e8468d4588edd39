"""The files in export/: they parse, name each other rightly, and the local server takes them."""

import inspect
import re
import shutil
from pathlib import Path

import pytest
import yaml
from google.protobuf import text_format
from tensorflow_serving.config.model_server_config_pb2 import ModelServerConfig

from vlae_tf.saved_model import export
from vlae_tf.serving import Client, Server
from vlae_tf.serving.messages import message_classes

pytestmark = pytest.mark.slow

KIT = Path(__file__).parents[2] / "export"

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
    "Number": {"value": (1, "int64")},
    "BatchingParameters": {
        "max_batch_size": (1, "Number"),
        "batch_timeout_micros": (2, "Number"),
        "max_enqueued_batches": (3, "Number"),
        "num_batch_threads": (4, "Number"),
        "allowed_batch_sizes": (6, ["int64"]),
    },
}


def config(name, message):
    """A file of export/config, read as a message."""
    classes = {**message_classes(MESSAGES), "ModelServerConfig": ModelServerConfig}
    return text_format.Parse((KIT / "config" / name).read_text("utf-8"), classes[message]())


def documents(name):
    """The documents of a YAML file, by their kind."""
    return {
        document.get("kind"): document
        for document in yaml.safe_load_all((KIT / name).read_text("utf-8"))
    }


@pytest.fixture(scope="module")
def manifest():
    return documents("kubernetes/serving.yaml")


@pytest.fixture(scope="module")
def pod(manifest):
    return manifest["Deployment"]["spec"]["template"]


@pytest.fixture(scope="module")
def container(pod):
    (container,) = pod["spec"]["containers"]
    return container


@pytest.fixture(scope="module")
def services():
    return documents("compose.yaml")[None]["services"]


# === Configuration ===


def test_batches_are_those_that_are_exported_and_warmed_up():
    batching = config("batching.config", "BatchingParameters")
    sizes = tuple(batching.allowed_batch_sizes)
    assert sizes[-1] == batching.max_batch_size.value
    assert sizes == inspect.signature(export).parameters["batch_sizes"].default


def test_metrics_are_where_prometheus_is_sent(pod):
    monitoring = config("monitoring.config", "MonitoringConfig").prometheus_config
    assert monitoring.enable
    assert pod["metadata"]["annotations"]["prometheus.io/path"] == monitoring.path


def test_models_config_has_the_labels():
    (model,) = config("models.config", "ModelServerConfig").model_config_list.config
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


def test_flags_are_known_and_their_files_are_there(container, services):
    for arguments in (container["args"], services["cpu"]["command"], services["gpu"]["command"]):
        flags = dict(argument.removeprefix("--").split("=") for argument in arguments)
        assert set(flags) == FLAGS
        for value in flags.values():
            if value.startswith("/config/"):
                assert (KIT / value.removeprefix("/")).is_file()


def test_configuration_on_kubernetes_is_the_same():
    files = documents("config/kustomization.yaml")["Kustomization"]["configMapGenerator"]
    assert set(files[0]["files"]) == {path.name for path in (KIT / "config").glob("*.config")}
    for folder in ("kubernetes", "kubernetes-gpu"):
        kustomization = documents(f"{folder}/kustomization.yaml")["Kustomization"]
        for resource in kustomization["resources"]:
            assert (KIT / folder / resource).exists()


# === Safety ===


def test_probes_ask_for_the_model_that_is_configured(container, services):
    (model,) = config("models.config", "ModelServerConfig").model_config_list.config
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        path = container[probe]["httpGet"]["path"]
        assert path.removesuffix("/metadata") == f"/v1/models/{model.name}"
    for service in services.values():
        assert f"/v1/models/{model.name} " in service["healthcheck"]["test"][-1]


def test_the_container_on_kubernetes_may_do_little(pod, container):
    spec = pod["spec"]
    assert spec["securityContext"]["runAsNonRoot"] and spec["securityContext"]["runAsUser"] > 0
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert spec["automountServiceAccountToken"] is False
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert {"cpu", "memory", "ephemeral-storage"} <= set(container["resources"]["limits"])
    writable = {m["name"] for m in container["volumeMounts"] if not m.get("readOnly")}
    (tmp,) = (volume for volume in spec["volumes"] if volume["name"] in writable)
    assert "sizeLimit" in tmp["emptyDir"]


def test_one_replica_always_answers_and_only_those_who_may_ask_reach_it(manifest, pod, container):
    labels = pod["metadata"]["labels"]
    budget, policy = manifest["PodDisruptionBudget"]["spec"], manifest["NetworkPolicy"]["spec"]
    assert 1 <= budget["minAvailable"] < manifest["Deployment"]["spec"]["replicas"]
    assert budget["selector"]["matchLabels"] == policy["podSelector"]["matchLabels"] == labels
    assert set(policy["policyTypes"]) == {"Ingress", "Egress"} and policy["egress"] == []
    (ingress,) = policy["ingress"]
    assert ingress["from"] and "{}" not in str(ingress["from"])
    ports = {port["name"] for port in container["ports"]}
    assert {port["port"] for port in ingress["ports"]} == ports
    assert {port["targetPort"] for port in manifest["Service"]["spec"]["ports"]} == ports


def test_images_on_kubernetes_are_named_by_digest(container):
    for folder in ("kubernetes", "kubernetes-gpu"):
        (image,) = documents(f"{folder}/kustomization.yaml")["Kustomization"]["images"]
        assert image["name"] == container["image"] == "tensorflow/serving"
        assert re.fullmatch("sha256:[0-9a-f]{64}", image["digest"])


def test_the_container_of_compose_may_do_little(services):
    for service in services.values():
        assert service["user"] == "10001:10001" and service["read_only"]
        assert service["tmpfs"] == ["/tmp"] and service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert service["cpus"] and service["mem_limit"] and service["pids_limit"]
        assert all(volume.endswith(":ro") for volume in service["volumes"])
        assert all(port.startswith("127.0.0.1:") for port in service["ports"])


def test_readme_names_files_that_are_there():
    for name in re.findall(r"\]\(([^):]+)\)", (KIT / "README.md").read_text()):
        assert (KIT / name).exists(), name
