"""The local server under load, while versions of the model come and go.

    python benchmarks/serving.py [ENTRY] [--clients 1 8 32 128] [--seconds 10]
    python benchmarks/serving.py [ENTRY] --address grpc://HOST:8500      # a server that is there
    python benchmarks/serving.py [ENTRY] --address grpc://HOST:8500 grpc://HOST:9500 --version V/1

Each client is a thread that sends requests of one row, one after the other. Without --address,
`vlae-tf serve` is started in a process of its own, and a new version of the model comes as soon
as the one before is served. It also gets 200 connections at once and --mutants requests that are
wrong in small ways over each protocol. Every answer is compared with that to the same row when
the server was idle. Printed are latencies, what was refused, what was wrong, and the server's
memory and threads: before, which is after warm-up and all of the load without a change of
version; after; and its largest memory. All in one run, on one machine.

Several servers, for example of two builds, take --turns, and each is compared with the first: the
ratio of p50 and of p99 over all turns, and the quartiles of the ratios of p50 in single turns.
"""

import argparse
import concurrent.futures
import contextlib
import http.client
import json
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

import grpc
import numpy as np
import psutil
from rich.console import Console
from rich.table import Table

import vlae_tf
from vlae_tf import serving

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
from tests.serving import mutated  # noqa: E402

REFUSED = ("RESOURCE_EXHAUSTED", "UNAVAILABLE", "503")
CONSOLE = Console()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("entry", nargs="?", default="mnist_dynamic")
    parser.add_argument("--address", nargs="+", help="of servers that are there")
    parser.add_argument(
        "--version", type=pathlib.Path, help="folder of the version they serve; copies follow"
    )
    parser.add_argument("--signatures", nargs="+", default=["encode", "sample"])
    parser.add_argument("--clients", nargs="+", type=int, default=[1, 8, 32, 128])
    parser.add_argument("--seconds", type=float, default=10.0, help="of each measurement")
    parser.add_argument("--turns", type=int, default=2, help="of each server in a measurement")
    parser.add_argument("--mutants", type=int, default=10_000, help="over each protocol")
    arguments = parser.parse_args()
    if arguments.address:
        measure(arguments, arguments.address)
        if arguments.version:
            with changing(arguments.version, arguments.address, arguments.entry):
                measure(arguments, arguments.address)
        return
    with tempfile.TemporaryDirectory() as folder:
        versions = pathlib.Path(folder) / arguments.entry
        first = vlae_tf.zoo.load(arguments.entry).export(
            versions, warmup_images=vlae_tf.zoo.examples(arguments.entry), batch_sizes=(1,)
        )
        with local(folder) as (process, grpc_address, rest_address):
            server = psutil.Process(process.pid)
            measure(arguments, [grpc_address])
            before = server.memory_info().rss, server.num_threads()
            with changing(first, [rest_address], arguments.entry):
                measure(arguments, [grpc_address])
                at_once(rest_address, arguments.entry)
                mutants(grpc_address, rest_address, arguments.entry, arguments.mutants)
            time.sleep(15)
            # AnyIO ends threads that were idle for ten seconds, at the next request.
            with serving.Client(rest_address, arguments.entry) as model:
                model.about()
            after = server.memory_info().rss, server.num_threads()
            for name, old, new in zip(("bytes", "threads"), before, after, strict=True):
                CONSOLE.print(f"server's {name}: {old:,} before, {new:,} after")
            status = pathlib.Path(f"/proc/{process.pid}/status").read_text("utf-8")
            CONSOLE.print("server's largest memory:", re.search(r"VmHWM:\s*(.*)", status)[1])


def measure(arguments, addresses):
    """Latencies of the signatures, for each number of clients; the servers take turns."""
    names = "signature", "clients", "server", "p50 ms", "p99 ms", "answers", "refused", "wrong"
    table = Table(*names, "ratio to the first: p50, p99", "p50 by turn: quartiles")
    seconds = arguments.seconds / arguments.turns
    with contextlib.ExitStack() as stack:
        servers = [
            stack.enter_context(serving.Client(address, arguments.entry, timeout=600))
            for address in addresses
        ]
        shape = servers[0].about()["image_shape"]
        image = np.random.default_rng(0).integers(0, 2, (1, *shape)).astype("uint8")
        rows = {
            "encode": {"image": image},
            "sample": {"seed": np.zeros(1, "int32"), "temperature": np.ones(1, "float32")},
        }
        for signature in arguments.signatures:
            row = rows[signature]
            expected = servers[0].predict(signature, **row)
            for clients in arguments.clients:
                # By server and turn: latencies, refusals, what was wrong.
                turns = [[([], [], []) for _ in range(arguments.turns)] for _ in servers]
                for turn in range(arguments.turns):
                    # Each second turn in the other order.
                    for index in range(len(servers))[:: (1, -1)[turn % 2]]:
                        lists = turns[index][turn]
                        load(servers[index], signature, row, expected, clients, seconds, *lists)
                for address, own in zip(addresses, turns, strict=True):
                    cells = [signature, clients, address, *compared(turns[0], own)]
                    table.add_row(*map(str, cells))
    CONSOLE.print(table)


def compared(first, own):
    """The cells of a server's row: its latencies, counts, and ratios to those of the first."""
    lists = [[one for turn in own for one in turn[i]] for i in range(3)]
    points = np.percentile(lists[0], [50, 99])
    ratios = points / np.percentile([time for turn in first for time in turn[0]], [50, 99])
    by_turn = [np.median(b[0]) / np.median(a[0]) for a, b in zip(first, own, strict=True)]
    quartiles = np.percentile(by_turn, [25, 50, 75])
    words = (", ".join(map("{:.2f}".format, values)) for values in (ratios, quartiles))
    return *(1e3 * points).round(1), *map(len, lists), *words


def load(client, signature, row, expected, clients, seconds, times, refused, wrong):
    """Adds to the last three: lists of latencies, of refusals, and of what was wrong."""
    end = time.perf_counter() + seconds

    def ask():
        while (start := time.perf_counter()) < end:
            try:
                answer = client.predict(signature, **row)
            except OSError as error:
                told = any(code in str(error) for code in REFUSED)
                (refused if told else wrong).append(error)
                time.sleep(0.05)
                continue
            times.append(time.perf_counter() - start)
            if not all(np.allclose(answer[name], expected[name], atol=1e-4) for name in expected):
                wrong.append(answer)

    threads = [threading.Thread(target=ask) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def at_once(address, entry):
    """200 connections that are opened before the first of them asks."""
    host = address.removeprefix("http://")
    connections = [http.client.HTTPConnection(host, timeout=120) for _ in range(200)]
    for connection in connections:
        connection.connect()
    body = json.dumps({"signature_name": "sample", "instances": [{"seed": 0}]})

    def ask(connection):
        with contextlib.closing(connection):
            connection.request("POST", f"/v1/models/{entry}:predict", body)
            return connection.getresponse().status

    with concurrent.futures.ThreadPoolExecutor(200) as pool:
        statuses = list(pool.map(ask, connections))
    counts = {status: statuses.count(status) for status in sorted(set(statuses))}
    CONSOLE.print(f"200 connections at once: {counts}")


def mutants(grpc_address, rest_address, entry, n):
    """Wrong requests over both protocols, and what they were answered with."""
    from tensorflow_serving.apis.predict_pb2 import PredictRequest

    connection = http.client.HTTPConnection(rest_address.removeprefix("http://"), timeout=120)
    body = {"signature_name": "about", "instances": [{"seed": 1}, {"seed": 2}]}
    statuses = []
    for path, data in mutated.rest_requests(body, n, seed=1):
        connection.request("POST", f"/v1/models/{path.replace('odd', entry)}", data)
        response = connection.getresponse()
        json.load(response)
        statuses.append(response.status)
    connection.close()
    message = PredictRequest(model_spec={"name": entry, "signature_name": "about"})
    message.inputs["seed"].dtype = 3
    message.inputs["seed"].tensor_shape.dim.add(size=2)
    message.inputs["seed"].int_val.extend([1, 2])
    with grpc.insecure_channel(grpc_address.removeprefix("grpc://")) as channel:
        call = channel.unary_unary("/tensorflow.serving.PredictionService/Predict")
        data = mutated.messages(message.SerializeToString(), n, seed=1)
        statuses += [call.future(one, timeout=120).code().name for one in data]
    counts = {status: statuses.count(status) for status in sorted(set(statuses), key=str)}
    CONSOLE.print(f"{2 * n} mutants: {counts}")


@contextlib.contextmanager
def changing(first, addresses, entry):
    """The next version comes, a copy of the `first`, when all servers have the one before."""
    ended = threading.Event()

    def change():
        with contextlib.ExitStack() as stack:
            clients = [stack.enter_context(serving.Client(a, entry)) for a in addresses]
            version = int(first.name)
            while not ended.wait(2):
                version += 1
                shutil.copytree(first, first.with_name(".writing"))
                first.with_name(".writing").rename(first.with_name(str(version)))
                while not all(serves(client, version) for client in clients):
                    time.sleep(0.5)
            CONSOLE.print(f"{version - int(first.name)} changes of version")

    thread = threading.Thread(target=change)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def serves(client, version):
    # A server with too many requests does not answer this one either.
    with contextlib.suppress(OSError):
        return version in client.status()


@contextlib.contextmanager
def local(folder):
    """`vlae-tf serve` in a process of its own, and its two addresses."""
    code = "from vlae_tf.cli import main; main()"
    command = [sys.executable, "-c", code, "serve", folder, "--port", "0", "--rest-port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            line = process.stdout.readline()
            yield process, *re.search(r"(grpc://\S+) and (http://[^\s;]+)", line).groups()
        finally:
            process.send_signal(signal.SIGTERM)


if __name__ == "__main__":
    main()
