"""The server that the tests ask, and models to put before it.

TensorFlow Serving where `tensorflow_model_server` is on the path; the server at
VLAE_TF_SERVING_ADDRESS where that is set ("grpc://host:8500 http://host:8501"), which then must
serve the models `tiny` and `count` below the folder VLAE_TF_SERVING_FOLDER and look for new
versions every second; otherwise the server that comes with the package.
"""

import contextlib
import dataclasses
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

from tests.served import save_count
from vlae_tf.saved_model.version import write_version
from vlae_tf.serving import Client

ADDRESS = os.environ.get("VLAE_TF_SERVING_ADDRESS")
FOLDER = os.environ.get("VLAE_TF_SERVING_FOLDER")
BINARY = shutil.which("tensorflow_model_server")


@dataclasses.dataclass
class Replica:
    """The two addresses of a server."""

    grpc: str
    rest: str

    def both(self):
        return self.grpc, self.rest


def newest_version(folder):
    """The highest that a folder holds, or 0."""
    return max((int(p.name) for p in folder.glob("[0-9]*") if p.name.isdecimal()), default=0)


def publish_count(folder):
    """The next version of `count`, and its number."""
    version = 1 + newest_version(folder)
    write_version(folder, version, lambda path: save_count(path, version))
    return version


def wait_until_served(address, model, version, seconds=60):
    deadline = time.monotonic() + seconds
    with Client(address, model) as client:
        while time.monotonic() < deadline:
            with contextlib.suppress(ConnectionError, ValueError):
                if client.status().get(version) == "AVAILABLE":
                    return
            time.sleep(0.05)
    raise TimeoutError(f"{model} {version} is not served at {address} after {seconds} s")


@contextlib.contextmanager
def replicas(server, folder):
    """Two servers of the models in `folder`, the first of them `server` if all is local."""
    if ADDRESS:
        grpc, rest = ADDRESS.split()
        yield [Replica(grpc, rest)] * 2
    elif BINARY:
        with _tensorflow_serving(folder) as first, _tensorflow_serving(folder) as second:
            yield [first, second]
    else:
        config = folder / "models.config"
        config.write_text(_models_config("tiny", "count", "odd"))
        options = ["--models-config", config, "--poll-seconds", server.poll_seconds]
        with command(folder, *options) as second:
            yield [Replica(server.grpc_address, server.rest_address), second]


@contextlib.contextmanager
def command(*arguments):
    """`vlae-tf serve` in a process of its own, which must end when it is asked to, in its grace.

    It must do so whatever it is doing: both protocols have the model `odd` count without an end.
    """
    code = "from vlae_tf.cli import main; main()"
    arguments = [*map(str, arguments), "--port", "0", "--rest-port", "0", "--grace-seconds", "1"]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    process = subprocess.Popen(
        [sys.executable, "-c", code, "serve", *arguments],
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )
    with process:
        try:
            line = process.stdout.readline()
            replica = Replica(*re.search(r"(grpc://\S+) and (http://[^\s;]+)", line).groups())
            yield replica
            clients = [Client(address, "odd") for address in replica.both()]
            threads = [threading.Thread(target=_spin, args=[client]) for client in clients]
            for thread in threads:
                thread.start()
            time.sleep(0.5)
        finally:
            process.send_signal(signal.SIGTERM)
            start = time.monotonic()
        assert process.wait(30) == 0
        # A second for the requests, and as much for a busy machine.
        assert time.monotonic() - start < 3
        for thread, client in zip(threads, clients, strict=True):
            thread.join()
            client.close()


def _spin(client):
    with contextlib.suppress(OSError):
        client.predict("spin", x=[2**31 - 1])


def _models_config(*names):
    blocks = "".join(
        f'config {{ name: "{n}" base_path: "/models/{n}" model_platform: "tensorflow" }}\n'
        for n in names
    )
    return f"model_config_list {{\n{blocks}}}\n"


@contextlib.contextmanager
def _tensorflow_serving(folder):
    names = [path.name for path in sorted(folder.iterdir()) if path.is_dir()]
    config = folder / "models.config"
    config.write_text(_models_config(*names).replace("/models", str(folder)))
    grpc, rest = _free_port(), _free_port()
    process = subprocess.Popen(
        [
            BINARY,
            f"--port={grpc}",
            f"--rest_api_port={rest}",
            f"--model_config_file={config}",
            "--file_system_poll_wait_seconds=1",
        ]
    )
    with process:
        try:
            replica = Replica(f"grpc://127.0.0.1:{grpc}", f"http://127.0.0.1:{rest}")
            for path in filter(Path.is_dir, folder.iterdir()):
                wait_until_served(replica.rest, path.name, newest_version(path))
            yield replica
        finally:
            process.terminate()


def _free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]
