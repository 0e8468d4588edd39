#!/usr/bin/env bash
# uvicorn 0.54.0 on asyncio, given a listening socket of one's own (Server.serve(sockets=[...])).
#
# A natural guess: a socket made by Python's socket.create_server serves like the one that uvicorn
# makes itself from host and port.
# Behaviour: asyncio switches off Nagle's algorithm only for sockets whose protocol number is
# IPPROTO_TCP. socket.create_server leaves it 0, and accepted connections inherit that, so they
# keep Nagle's algorithm, and an answer of two small writes waits for the client's delayed
# acknowledgement, about 40 ms on Linux.
# Hurt: servers that bind first, to learn a free port or to fail early: a few dozen answers a
# second on a kept connection, where thousands are possible.
# Seen: "TCP_NODELAY of a connection: own socket 0, uvicorn's socket 1" on Python 3.11. The cure is
# one line: setsockopt(IPPROTO_TCP, TCP_NODELAY, 1) on the listening socket, which Linux hands on.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet uvicorn==0.54.0
cat > "$folder/program.py" << 'PYTHON'
import asyncio
import socket

import uvicorn


class Server(uvicorn.Server):
    def __init__(self):
        self.seen = None
        options = {"interface": "asgi3", "log_level": "error"}
        super().__init__(uvicorn.Config(self.answer, "127.0.0.1", 0, **options))

    async def answer(self, scope, receive, send):
        if scope["type"] == "http":
            connection = next(iter(self.server_state.connections))
            peer = connection.transport.get_extra_info("socket")
            self.seen = peer.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"yes"})


async def nodelay(sockets):
    server = Server()
    task = asyncio.create_task(server.serve(sockets))
    while not server.started:
        await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET / HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n")
    await reader.read()
    writer.close()
    server.should_exit = True
    await task
    return int(server.seen != 0)


own = asyncio.run(nodelay([socket.create_server(("127.0.0.1", 0))]))
theirs = asyncio.run(nodelay(None))
print(f"TCP_NODELAY of a connection: own socket {own}, uvicorn's socket {theirs}")
assert (own, theirs) == (0, 1)
PYTHON
"$folder/venv/bin/python" "$folder/program.py"
