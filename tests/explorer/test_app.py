"""The explorer's answers: to its page alone, and in a sentence where a question is wrong."""

import base64
import contextlib
import http.client
import os
import signal
import socket
import subprocess
import sys
import threading

import numpy as np
import pytest

from tests.explorer.conftest import ask, running
from vlae_tf.explorer import explore
from vlae_tf.explorer.explored_model import ExploredModel


def image_of(tiny, value=0):
    return base64.b64encode(bytes([value]) * int(np.prod(tiny.image_shape))).decode()


def test_page_and_files(port):
    for path, words in (("/", "<title>"), ("/explorer.js", "use strict"), ("/explorer.css", "{")):
        status, text = ask(port, path, method="GET")
        assert status == 200 and words in text
        assert ask(port, path, method="HEAD") == (200, "")
    page = ask(port, "/", method="GET")[1]
    assert "http://" not in page and "https://" not in page


def test_questions_of_the_page(port, tiny):
    status, answer = ask(port, "/api/models", {})
    assert status == 200 and answer == {"models": [tiny.about()]}
    status, answer = ask(port, "/api/about", {"model": "tiny"})
    assert status == 200 and answer["levels"] == 2
    assert len(answer["examples"]) == len(tiny.examples())
    assert [tuple(cell) for cell in answer["window"]] == tiny.window()
    status, answer = ask(port, "/api/encode", {"model": "tiny", "image": image_of(tiny)})
    assert status == 200 and len(answer["code"]) == tiny.latent_dim
    status, told = ask(port, "/api/file", {"model": "tiny", "image": image_of(tiny)})
    blank = np.zeros(tiny.image_shape, "uint8")
    assert status == 200 and told["sizes"] == (tiny.file_sizes(blank) and [*tiny.file_sizes(blank)])
    codes = [answer["code"]] * 2
    content = {"model": "tiny", "codes": codes, "seeds": [1, 2]}
    status, answer = ask(port, "/api/decode", content)
    drawn = [np.frombuffer(base64.b64decode(text), "uint8") for text in answer["images"]]
    np.testing.assert_array_equal(np.stack(drawn), tiny.decode(codes, [1, 2]).reshape(2, -1))
    status, answer = ask(port, "/api/sample", {"model": "tiny", "seed": 4})
    assert status == 200 and len(answer["images"]) == 8


@pytest.mark.parametrize(
    ("question", "content", "words"),
    [
        ("nothing", {}, "`path` must be one of models, about"),
        ("models", b"[", "Expecting value"),
        ("models", [], "`body` must be an object"),
        ("models", b"[" * 100_000, "recursion"),
        ("about", {"model": "other"}, "`model` must be one of tiny. Received: model='other'"),
        ("about", {"model": ["tiny"]}, "`model` must be one of tiny"),
        ("encode", {"model": "tiny"}, "`image` must be bytes in base64. Received: image of None"),
        ("encode", {"model": "tiny", "image": "?"}, "bytes in base64"),
        ("encode", {"model": "tiny", "image": "AAAA"}, "bytes. Received: 3 bytes"),
        ("decode", {"model": "tiny", "codes": 3}, "`codes` must be a list of 1 to 8 codes"),
        ("decode", {"model": "tiny", "codes": [[0]] * 9}, "`codes` must be a list of 1 to 8"),
        ("decode", {"model": "tiny", "codes": [[0]], "seeds": [0]}, "`code` must have shape"),
        ("decode", {"model": "tiny", "codes": [["a"]], "seeds": [0]}, "`code` must be"),
        ("decode", {"model": "tiny", "codes": [[0]], "seeds": [0, 1]}, "`seeds` must be a list"),
        ("decode", {"model": "tiny", "codes": [[0]], "seeds": [-1]}, "`seeds` must be a list"),
        ("decode", {"model": "tiny", "codes": [[0]], "seeds": [0], "rows": 99}, "`rows` must be"),
        ("sample", {"model": "tiny", "temperature": -1}, "`temperature` must be a finite number"),
        ("sample", {"model": "tiny", "seed": "a"}, "`seed` must be an integer"),
        ("sample", {"model": "tiny", "seed": 2**40}, "seed"),
        ("picture", {"model": "tiny", "picture": "AAAA"}, "a file that Pillow reads"),
    ],
)
def test_a_wrong_question_is_answered_by_a_sentence(port, question, content, words):
    status, answer = ask(port, f"/api/{question}", content)
    assert status == 400 and words in answer["error"]


def test_pixels_that_the_model_does_not_take_are_refused(port, tiny):
    content = {"model": "tiny", "image": image_of(tiny, 7)}
    status, answer = ask(port, "/api/encode", content)
    assert status == 400 and "every pixel 0 or 1" in answer["error"]


def test_other_hosts_and_other_pages_get_no_answer(port):
    for headers in (
        {"Host": "example.org"},
        {"Host": f"127.0.0.1:{port + 1}"},
        {"Origin": "http://example.org"},
        {"Origin": "null"},
    ):
        status, answer = ask(port, "/api/models", {}, **headers)
        assert status == 403 and "on this machine alone" in answer["error"]
    same = {"Origin": f"http://127.0.0.1:{port}"}
    assert ask(port, "/api/models", {}, **same)[0] == 200


def test_no_other_file_is_given(port):
    for path in ("/app.py", "/static/explorer.js", "/../app.py", "/%2e%2e/app.py"):
        assert ask(port, path, method="GET")[0] == 404


def test_a_large_request_is_refused(port):
    status, answer = ask(port, "/api/picture", b" " * (17 * 2**20))
    assert status == 413 and "16 MiB at most" in answer["error"]


def test_what_fails_in_the_model_is_a_sentence_on_the_page(tiny_entry, caplog):
    class Broken(ExploredModel):
        def examples(self):
            raise OSError("No space in /secret/place")

    with running({"tiny": Broken(tiny_entry)}) as port:
        status, answer = ask(port, "/api/about", {"model": "tiny"})
        assert status == 500 and answer["error"].endswith("the explorer's terminal says why")
        assert "No space" in caplog.text
        assert ask(port, "/api/models", {})[0] == 200


def test_a_client_that_leaves_halfway_leaves_no_trace(port, caplog):
    with socket.create_connection(("127.0.0.1", port)) as client:
        head = f"POST /api/models HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Length: 9\r\n\r\n"
        client.sendall(head.encode() + b"{")
    assert ask(port, "/api/models", {})[0] == 200
    assert not caplog.records


def test_200_connections_at_once_are_answered(port, tiny):
    connections = [http.client.HTTPConnection("127.0.0.1", port, timeout=60) for _ in range(200)]
    with contextlib.ExitStack() as stack:
        for connection in connections:
            stack.callback(connection.close)
            connection.connect()
        for connection in connections:
            connection.request("POST", "/api/models", b"{}")
        assert {connection.getresponse().status for connection in connections} == {200}


def test_questions_at_once_have_the_answers_of_questions_in_turn(port, tiny):
    questions = [
        ("decode", {"codes": [[0] * tiny.latent_dim], "seeds": [1]}),
        ("encode", {"image": image_of(tiny, 1)}),
        ("sample", {"seed": 4}),
        ("file", {"image": image_of(tiny)}),
    ]
    expected = [
        ask(port, f"/api/{name}", {"model": "tiny"} | content) for name, content in questions
    ]
    found = [None] * 8 * len(questions)

    def put(place):
        name, content = questions[place % len(questions)]
        found[place] = ask(port, f"/api/{name}", {"model": "tiny"} | content)

    threads = [threading.Thread(target=put, args=[place]) for place in range(len(found))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == 8 * expected


@pytest.mark.slow
def test_it_ends_when_asked_whatever_a_client_holds(tiny_entry):
    code = "from vlae_tf.cli import main; main()"
    command = [sys.executable, "-c", code, "explore", str(tiny_entry), "--no-browser", "--port"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    environment = os.environ | {"COLUMNS": "200"}
    with subprocess.Popen([*command, "0"], **pipes, env=environment) as process:
        line = process.stdout.readline()
        port = int(line.split("127.0.0.1:")[1].split("/")[0])
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.sendall(b"POST /api/models HTTP/1.1\r\nContent-Length: 9\r\n")
            client.sendall(f"Host: 127.0.0.1:{port}\r\n\r\n".encode())
            assert ask(port, "/api/models", {})[0] == 200
            process.send_signal(signal.SIGINT)
            told = process.communicate(timeout=60)[0]
    assert "Traceback" not in told


def test_a_port_that_is_taken_is_named(tiny_entry):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match=f"`port` must be free .* Received: port={port}, Address"):
            explore([tiny_entry], port, open_browser=False)


def test_nothing_to_explore_is_refused():
    with pytest.raises(ValueError, match="`sources` must be one or more"):
        explore([])


def test_several_models_are_told_apart(tiny_entry):
    models = {"one": ExploredModel(tiny_entry), "two": ExploredModel(tiny_entry)}
    with running(models) as port:
        names = [about["name"] for about in ask(port, "/api/models", {})[1]["models"]]
        assert len(names) == 2
