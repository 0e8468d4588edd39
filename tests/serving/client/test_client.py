"""The client's own checks and errors, and the two commands. Its answers: `test_served_answers`."""

import http.server
import json
import socket
import sys
import threading

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from tests.serving import servers
from vlae_tf import cli
from vlae_tf.serving import Client


@pytest.fixture(scope="module", params=["grpc", "rest"])
def address(request, server):
    return getattr(server, f"{request.param}_address")


# === Errors ===


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"address": "localhost:8500"}, "`address` must be grpc://host:port or http://host:port"),
        ({"address": "ftp://localhost"}, "Received: address='ftp://localhost'"),
        ({"address": "grpc://"}, "`address` must be"),
        ({"version": 1, "label": "stable"}, "exclude each other"),
        ({"timeout": 0}, "`timeout` must be a finite number, greater than 0"),
        ({"batch_size": 0}, "`batch_size` must be an integer, at least 1"),
    ],
)
def test_invalid_arguments_are_refused(arguments, words):
    with pytest.raises(ValueError, match=words):
        Client(**{"address": "http://localhost:8501", "model": "tiny", **arguments})


@pytest.mark.parametrize("scheme", ["grpc", "http"])
def test_nobody_there_is_said_with_the_address_and_what_to_try(scheme):
    with socket.socket() as taken:
        # Bound, so that no one else listens there; not listening.
        taken.bind(("127.0.0.1", 0))
        address = f"{scheme}://127.0.0.1:{taken.getsockname()[1]}"
        with Client(address, "tiny", timeout=20) as client:
            with pytest.raises(ConnectionError, match="start one with `vlae-tf serve`") as error:
                client.status()
    assert address in str(error.value)


@pytest.mark.parametrize("scheme", ["grpc", "http"])
def test_a_deadline_ends_the_waiting(scheme):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"{scheme}://127.0.0.1:{silent.getsockname()[1]}"
        with Client(address, "tiny", timeout=0.2) as client:
            with pytest.raises(TimeoutError, match=r"Received: timeout=0.2, address="):
                client.status()


class Other(http.server.BaseHTTPRequestHandler):
    """A server whose answers a test chooses, by method."""

    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(self.server.answers[self.command]).encode())

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.do_GET()

    def log_message(self, *arguments):
        pass


@pytest.fixture(scope="module")
def other():
    with http.server.HTTPServer(("127.0.0.1", 0), Other) as other:
        thread = threading.Thread(target=other.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield other
        other.shutdown()
        thread.join()


def test_a_server_of_another_kind_is_said(other, monkeypatch):
    monkeypatch.setattr(Other, "do_GET", lambda self: self.send_error(404))
    with Client(f"http://127.0.0.1:{other.server_port}", "tiny") as client:
        with pytest.raises(ValueError, match="HTTP status 404, without JSON"):
            client.status()


DIM = {"dim": [{"size": "-1"}, {"size": "2"}]}
SIGNATURE = {
    "inputs": {"x": {"dtype": "DT_INT32", "tensor_shape": {"dim": [{"size": "-1"}]}}},
    "outputs": {
        "a": {"dtype": "DT_FLOAT", "tensor_shape": DIM},
        "b": {"dtype": "DT_INT32", "tensor_shape": DIM},
    },
}
METADATA = {"metadata": {"signature_def": {"signature_def": {"any": SIGNATURE}}}}
ROWS = [[1, 2], [3, 4]]


@pytest.mark.parametrize(
    "answer",
    [
        {},
        [],
        3,
        {"predictions": ROWS},
        {"outputs": []},
        {"outputs": {"a": ROWS}},
        {"outputs": {"a": ROWS, "b": ROWS[:1]}},
        {"outputs": {"a": ROWS, "b": 3 * ROWS}},
        {"outputs": {"a": ROWS, "b": [[1, 2, 3], [4, 5, 6]]}},
        {"outputs": {"a": ROWS, "b": [[1], [2, 3]]}},
        {"outputs": {"a": ROWS, "b": [[1, 2], [3, 4.5]]}},
        {"outputs": {"a": [["?", 2], [3, 4]], "b": ROWS}},
        {"outputs": {"a": None, "b": ROWS}},
    ],
)
def test_an_answer_is_checked(other, answer):
    other.answers = {"GET": METADATA, "POST": {"outputs": {"a": ROWS, "b": ROWS}}}
    with Client(f"http://127.0.0.1:{other.server_port}", "tiny") as client:
        assert client.predict("any", x=[0, 0])["b"].tolist() == ROWS
        other.answers["POST"] = answer
        with pytest.raises(OSError, match="The server's answer must be"):
            client.predict("any", x=[0, 0])


@pytest.mark.parametrize("answer", [{}, [], {"metadata": []}, {"model_version_status": [{}]}])
def test_what_is_told_about_a_model_is_checked(other, answer):
    other.answers = {"GET": answer}
    with Client(f"http://127.0.0.1:{other.server_port}", "tiny") as client:
        for ask in (client.signatures, client.status):
            with pytest.raises(OSError, match="The server's answer must be"):
                ask()


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        (lambda c: c.encode(np.full((1, 8, 8, 1), 0.5)), "`images` must be integers that uint8"),
        (lambda c: c.encode(np.full((1, 8, 8, 1), np.nan)), "`images` must be integers"),
        (lambda c: c.encode(np.full((1, 8, 8, 1), -1)), "`images` must be integers"),
        (lambda c: c.encode(np.zeros((1, 9, 8, 1))), r"must be uint8 of shape \(None, 8, 8, 1\)"),
        (lambda c: c.encode(np.zeros((0, 8, 8, 1))), "`images` must have at least one row"),
        (lambda c: c.encode(1), r"of shape \(None, 8, 8, 1\). Received: image="),
        (lambda c: c.decode([]), "`code` must have at least one row"),
        (lambda c: c.decode(np.zeros((1, 5))), r"`code` must be float32 of shape \(None, 4\)"),
        (lambda c: c.sample(0), "`n` must be an integer, at least 1"),
        (lambda c: c.sample(2, temperature=-1), "`temperature` must .* Received: temperature=-1$"),
        (lambda c: c.sample(2, temperature=[1, np.nan]), "`temperature` must be .*at least 0"),
        (lambda c: c.sample(2, seed=-1), "`seed` must be a non-negative integer"),
        (lambda c: c.sample(2, seed=[1, 2, 3]), "one for each of the 2 rows"),
        (lambda c: c.predict("dream", x=1), "`signature` must be one of about, decode"),
        (lambda c: c.predict("encode", x=1), "`inputs` must be named image. Received: .* x$"),
    ],
)
def test_mistakes_are_value_errors(address, ask, words):
    with Client(address, "tiny", version=1) as client:
        with pytest.raises(ValueError, match=words):
            ask(client)


@pytest.mark.parametrize("method", ["encode", "reconstruct", "log_prob"])
def test_pixels_of_other_levels_are_refused_as_by_the_model(address, model, requests, method):
    images = requests["encode"]["image"].copy()
    images[3, 0, 0] = 2  # of one row alone
    with pytest.raises(ValueError) as expected:
        model.encode(images)
    with Client(address, "tiny") as client:
        with pytest.raises(ValueError) as error:
            getattr(client, method)(images)
    assert str(error.value) == str(expected.value)


def test_about_tells_what_the_model_is(address, server):
    with Client(address, "tiny") as client:
        about = client.about()
        weights = about.pop("weights")
    assert about == {
        "levels": 2,
        "image_shape": (8, 8, 1),
        "latent_dim": 4,
        "importance_samples": 3,
    }
    assert len(weights) == 64 and int(weights, 16)
    with Client(server.grpc_address, "grey") as client:
        assert client.about()["levels"] == 256
        assert client.encode(np.full((3, 8, 8, 1), 200)).shape == (3, 2)
    with Client(server.grpc_address, "control") as client:
        assert client.about()["levels"] == 2


def test_a_model_that_is_not_there_is_named(address):
    with Client(address, "other") as client:
        with pytest.raises(ValueError, match="one of .*, tiny. Received: model=other") as error:
            client.status()
    assert address in str(error.value)


# === Answers ===


def test_long_inputs_go_in_several_requests(address, requests, monkeypatch):
    image = requests["encode"]["image"]
    with Client(address, "tiny") as whole, Client(address, "tiny", batch_size=2) as parts:
        asked = []
        predict = parts.predict
        monkeypatch.setattr(
            parts, "predict", lambda *a, **k: asked.append(len(k["image"])) or predict(*a, **k)
        )
        np.testing.assert_allclose(parts.encode(image), whole.encode(image), atol=1e-5)
        assert asked == [2, 2, 1]


def test_signatures_tell_types_and_shapes(address):
    with Client(address, "tiny") as client:
        signatures = client.signatures()
        assert client.status() == {1: "AVAILABLE"}
    assert signatures["sample"] == {
        "inputs": {
            "seed": {"dtype": "int32", "shape": (None,)},
            "temperature": {"dtype": "float32", "shape": (None,)},
        },
        "outputs": {
            "code": {"dtype": "float32", "shape": (None, 4)},
            "image": {"dtype": "uint8", "shape": (None, 8, 8, 1)},
        },
    }


# === vlae-tf client, and vlae-tf serve ===


def run(*arguments):
    result = CliRunner().invoke(cli.app, ["client", *map(str, arguments)])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


def test_from_a_picture_to_its_code_and_back(server, model, tmp_path):
    address = server.rest_address
    image = np.triu(np.ones((8, 8), "uint8"))
    Image.fromarray(255 * image).save(tmp_path / "image.png")
    np.save(tmp_path / "image.npy", image.reshape(1, 8, 8, 1))
    for name in ("image.png", "image.npy"):
        run(address, "tiny", "encode", "--images", tmp_path / name, "--out", tmp_path / "code.npy")
        code = np.load(tmp_path / "code.npy")
        np.testing.assert_allclose(code, model.encode(image.reshape(1, 8, 8, 1)), atol=1e-5)
    run(address, "tiny", "decode", "--codes", tmp_path / "code.npy", "--out", tmp_path / "x.npy")
    np.testing.assert_array_equal(np.load(tmp_path / "x.npy"), model.decode(code, seed=0))


def test_a_grey_model_gets_the_greys_of_a_picture(server, grey, tmp_path):
    image = np.arange(64, dtype="uint8").reshape(8, 8) * 4
    Image.fromarray(image).save(tmp_path / "image.png")
    out = tmp_path / "code.npy"
    run(server.grpc_address, "grey", "encode", "--images", tmp_path / "image.png", "--out", out)
    np.testing.assert_allclose(np.load(out), grey.encode(image.reshape(1, 8, 8, 1)), atol=1e-5)


def test_samples_into_a_picture(server, model, tmp_path):
    address = server.grpc_address
    run(address, "tiny", "sample", "--n", 3, "--out", tmp_path / "samples.png")
    assert (tmp_path / "samples.png").read_bytes().startswith(b"\x89PNG")
    printed = json.loads(run(address, "tiny", "sample", "--n", 3, "--seed", 5))
    np.testing.assert_array_equal(printed, model.sample(3, seed=5))


def test_about_is_printed(server):
    about = json.loads(run(server.grpc_address, "tiny", "about"))
    assert about["levels"] == 2 and len(about["weights"]) == 64


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["tiny", "dream"], "`signature` must be encode, decode"),
        (["tiny", "about", "--out", "about.npy"], "`--out` has no use for about"),
        (["tiny", "encode"], "`images` must be given"),
        (["tiny", "decode"], "`codes` must be given"),
        (["tiny", "encode", "--images", "none.png"], "none.png"),
        (["tiny", "sample", "--label", "stable"], "Received: label=stable"),
        (["other", "sample"], "Received: model=other"),
    ],
)
def test_a_mistake_is_one_line(server, capsys, monkeypatch, arguments, words):
    address = server.grpc_address
    monkeypatch.setattr(sys, "argv", ["vlae-tf", "client", address, *arguments])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert stop.value.code == 1
    message = capsys.readouterr().err
    assert message.startswith("Error:") and words in message and "Traceback" not in message


@pytest.mark.parametrize("command", ["serve", "client"])
def test_the_commands_have_help(command):
    result = CliRunner().invoke(cli.app, [command, "--help"])
    assert result.exit_code == 0 and "TensorFlow Serving" in result.output


def test_serve_says_what_is_wrong(tmp_path, capsys, monkeypatch):
    # The tests keep their own way to end.
    monkeypatch.setattr("signal.signal", lambda *_: None)
    monkeypatch.setattr(sys, "argv", ["vlae-tf", "serve", str(tmp_path / "nowhere")])
    with pytest.raises(SystemExit):
        cli.main()
    assert "`folder` must hold the versions of a model" in capsys.readouterr().err


def test_newest_version_is_a_number(tmp_path):
    for name in ("2", "10", "11.partial", "notes"):
        (tmp_path / name).mkdir()
    assert servers.newest_version(tmp_path) == 10
