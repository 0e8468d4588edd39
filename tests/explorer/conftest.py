"""The explorer's application on a free port of the loopback address, as a browser asks it."""

import contextlib
import http.client
import json
import socket
import threading

import pytest

from vlae_tf.explorer.explored_model import ExploredModel


@contextlib.contextmanager
def running(models):
    """The port at which these models are explored."""
    import uvicorn

    from vlae_tf.explorer.app import explorer_app

    listening = socket.create_server(("127.0.0.1", 0))
    port = listening.getsockname()[1]
    app = explorer_app(models, [f"127.0.0.1:{port}"])
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        yield port
    finally:
        server.should_exit = True
        thread.join()
        listening.close()


def ask(port, path, content=b"", method="POST", **headers):
    """Status and body of an answer, the body read as JSON where it is."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    try:
        connection.request(method, path, body, headers)
        reply = connection.getresponse()
        data = reply.read()
    finally:
        connection.close()
    is_json = reply.headers["content-type"] == "application/json"
    return reply.status, json.loads(data) if is_json else data.decode()


@pytest.fixture(scope="session")
def tiny(tiny_entry):
    """An explored model of binary images."""
    return ExploredModel(tiny_entry)


@pytest.fixture(scope="session")
def port(tiny):
    with running({"tiny": tiny}) as port:
        yield port
