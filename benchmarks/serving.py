"""Latency and throughput over gRPC, with and without batching, beside the model in Python.

    python benchmarks/serving.py [ENTRY] [--clients 1 4 16] [--requests 200]
    python benchmarks/serving.py [ENTRY] --address grpc://HOST:8500      # a server that is there

Each client is a thread that sends requests of one row, one after the other. Without
--address, `vlae-tf serve` is started in a process of its own, first as it is and then with
export/config/batching.config; the time of the first request is measured with and without warm-up
requests beside the model. Then the same rows go through the model in Python, one by one and in
batches of 64. All in one run, on one machine.
"""

import argparse
import concurrent.futures
import contextlib
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time

import numpy as np
from rich.console import Console
from rich.table import Table

import vlae_tf
from vlae_tf import serving

ROOT = pathlib.Path(__file__).parents[1]
BATCHING = ROOT / "export" / "config" / "batching.config"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("entry", nargs="?", default="mnist_dynamic")
    parser.add_argument("--address", help="of a server that has the entry; otherwise local ones")
    parser.add_argument("--signatures", nargs="+", default=["encode", "sample"])
    parser.add_argument("--clients", nargs="+", type=int, default=[1, 4, 16])
    parser.add_argument("--requests", type=int, default=200, help="of each measurement")
    arguments = parser.parse_args()
    console = Console()

    model = vlae_tf.zoo.load(arguments.entry)
    images = vlae_tf.zoo.examples(arguments.entry)
    rows = {
        "encode": lambda n: {"image": np.resize(images, (n, *model.image_shape))},
        "sample": lambda n: {
            "seed": np.arange(n, dtype="int32"),
            "temperature": np.ones(n, "float32"),
        },
    }
    python = {
        "encode": lambda n: model.encode(rows["encode"](n)["image"]),
        "sample": lambda n: model.sample(n),
    }
    table = Table("signature", "served by", "clients", "p50 ms", "p99 ms", "rows/s", "of Python's")
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        servers = {"server": contextlib.nullcontext(arguments.address)}
        if arguments.address is None:
            plain = folder / "plain" / arguments.entry
            warm = folder / "warm" / arguments.entry
            vlae_tf.saved_model.export(model, plain)
            vlae_tf.saved_model.export(model, warm, warmup_images=images)
            servers = {
                "vlae-tf serve": local(plain.parent),
                "with warm-up": local(warm.parent),
                "with batching": local(plain.parent, "--batching", BATCHING),
            }
        for signature in arguments.signatures:
            best = throughput(python[signature], 64, arguments.requests)
            one = throughput(python[signature], 1, min(arguments.requests, 50))
            table.add_row(
                signature, "Python, one by one", "", "", "", f"{one:.1f}", f"{one / best:.2f}"
            )
            table.add_row(signature, "Python, batches of 64", "", "", "", f"{best:.1f}", "1.00")
        for name, server in servers.items():
            with server as address:
                for signature in arguments.signatures:
                    row = rows[signature](1)
                    with serving.Client(address, arguments.entry) as client:
                        start = time.perf_counter()
                        client.predict(signature, **row)
                        first = time.perf_counter() - start
                    console.print(f"{name}: first {signature} {1e3 * first:.0f} ms")
                    if name == "with warm-up":
                        continue
                    best = throughput(python[signature], 64, 64)
                    for clients in arguments.clients:
                        times, rate = load(
                            address, arguments.entry, signature, row, clients, arguments.requests
                        )
                        p50, p99 = 1e3 * np.percentile(times, [50, 99])
                        table.add_row(
                            signature,
                            name,
                            str(clients),
                            f"{p50:.1f}",
                            f"{p99:.1f}",
                            f"{rate:.1f}",
                            f"{rate / best:.2f}",
                        )
    console.print(table)


@contextlib.contextmanager
def local(folder, *options):
    """`vlae-tf serve` in a process of its own: its gRPC address."""
    code = "from vlae_tf.cli import main; main()"
    command = [sys.executable, "-c", code, "serve", folder, "--port", "0", "--rest-port", "0"]
    with subprocess.Popen([*command, *options], stdout=subprocess.PIPE, text=True) as process:
        try:
            yield re.search(r"grpc://\S+", process.stdout.readline())[0]
        finally:
            process.send_signal(signal.SIGTERM)


def load(address, entry, signature, row, clients, requests):
    """Seconds that each request took, and rows answered in a second."""

    def ask(_):
        start = time.perf_counter()
        client.predict(signature, **row)
        return time.perf_counter() - start

    with (
        serving.Client(address, entry) as client,
        concurrent.futures.ThreadPoolExecutor(clients) as pool,
    ):
        list(pool.map(ask, range(2 * clients)))
        start = time.perf_counter()
        times = list(pool.map(ask, range(requests)))
        return times, requests / (time.perf_counter() - start)


def throughput(function, batch, rows):
    """Rows that the model in Python answers in a second."""
    function(batch)
    batches = max(1, rows // batch)
    start = time.perf_counter()
    for _ in range(batches):
        function(batch)
    return batches * batch / (time.perf_counter() - start)


if __name__ == "__main__":
    main()
