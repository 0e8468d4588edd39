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
        with command(folder, "--poll-seconds", server.poll_seconds) as second:
            yield [Replica(server.grpc_address, server.rest_address), second]


@contextlib.contextmanager
def command(*arguments):
    """`vlae-tf serve` in a process of its own, which must end well when it is asked to."""
    code = "from vlae_tf.cli import main; main()"
    arguments = [*map(str, arguments), "--port", "0", "--rest-port", "0"]
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
            yield Replica(*re.search(r"(grpc://\S+) and (http://[^\s;]+)", line).groups())
        finally:
            process.send_signal(signal.SIGTERM)
    assert process.returncode == 0


@contextlib.contextmanager
def _tensorflow_serving(folder):
    blocks = "".join(
        f'config {{ name: "{path.name}" base_path: "{path}" model_platform: "tensorflow" }}\n'
        for path in sorted(folder.iterdir())
        if path.is_dir()
    )
    config = folder / "models.config"
    config.write_text(f"model_config_list {{\n{blocks}}}\n")
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
