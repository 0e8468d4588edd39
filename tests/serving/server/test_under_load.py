"""Many clients on encode and sample while versions come and go: all answers right, none lost."""

import os
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from vlae_tf.serving import Client, Server

REFUSED = ("RESOURCE_EXHAUSTED", "503")


@pytest.fixture(scope="module")
def server(exported, tmp_path_factory):
    folder = tmp_path_factory.mktemp("loaded") / "tiny"
    shutil.copytree(exported, folder / "1")
    with Server(folder, port=0, rest_port=0, poll_seconds=0) as server:
        yield server


@pytest.fixture(scope="module")
def clients(server):
    """One for each protocol."""
    with Client(server.grpc_address, "tiny") as one, Client(server.rest_address, "tiny") as other:
        yield one, other


def resident():
    pages = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def threads(*pools):
    """The number of threads whose names begin with one of these."""
    return sum(thread.name.startswith(pools) for thread in threading.enumerate())


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="Linux alone has it")
def test_load_leaves_no_wrong_answer_and_no_memory(server, clients, requests):
    rows = {
        name: {key: value[:1] for key, value in requests[name].items()}
        for name in ("encode", "sample")
    }
    expected = {name: clients[0].predict(name, **row) for name, row in rows.items()}

    def ask(number):
        """Whether a client got an answer: encode or sample, over either protocol."""
        name, client = ("encode", "sample")[number % 2], clients[number // 2 % 2]
        try:
            answer = client.predict(name, **rows[name])
        except OSError as error:
            assert any(code in str(error) for code in REFUSED), error
            return False
        for key, value in expected[name].items():
            np.testing.assert_allclose(answer[key], value, atol=1e-5)
        return True

    # Other servers of this process have had pools of their own.
    idle = threads("AnyIO")
    with ThreadPoolExecutor(128) as pool:
        # Each signature was asked, by all clients at once.
        list(pool.map(ask, range(128)))
        first = server.folder / "1"
        memory, others = resident(), threads("") - threads("grpc", "AnyIO", "ThreadPool")
        for number in (1, 8, 32, 128):
            answers = [pool.submit(ask, i) for i in range(number)]
            if number in (8, 128):
                shutil.copytree(first, first.with_name(str(number)))
                server.models.refresh()
            assert sum(answer.result() for answer in answers) >= min(number, 100)
        # The last request of the version before has ended.
        server.models.refresh()
        assert threads("") - threads("grpc", "AnyIO", "ThreadPool") <= others
        assert threads("grpc") <= 128 and threads("AnyIO") <= idle + 40
        assert resident() - memory < 100e6
