"""`explore`: the page on this machine."""

import socket
import threading
import webbrowser
from collections.abc import Callable, Sequence

from vlae_tf.checks import check_installed, check_integer, refuse
from vlae_tf.files import PathLike

HOST = "127.0.0.1"


def explore(
    sources: Sequence[PathLike],
    port: int = 8600,
    open_browser: bool = True,
    ready: Callable[[str], object] | None = None,
) -> None:
    """Show a page on which one sees what the codes of models keep. It runs until interrupted.

    Only this machine is answered: the page listens on the loopback address, and refuses requests
    that name another host or come from another page.

    Args:
        sources: entries of the zoo, or folders of runs; those of one data set are shown side by
            side.
        port: port to listen on; 0 for any free one.
        open_browser: whether to open the page in the browser.
        ready: function called with the page's address when it can be asked, or None.

    Raises:
        ValueError: for no sources, or one that is neither an entry nor a run.
        OSError: for a port that is taken.
        ImportError: without Starlette and uvicorn.

    Example:
        >>> import vlae_tf
        >>> vlae_tf.explorer.explore(["no_such_entry"])
        Traceback (most recent call last):
        ValueError: `source` must be the name of an entry of the zoo, the folder of an entry ...
    """
    for package in ("starlette", "uvicorn"):
        check_installed(package, "serving", "The explorer")
    import uvicorn

    from vlae_tf.explorer.app import explorer_app
    from vlae_tf.explorer.explored_model import ExploredModel

    if not sources:
        refuse("sources", "one or more entries of the zoo, or folders of runs", sources)
    models = {str(source): ExploredModel(source) for source in sources}
    port = check_integer(port, "port", least=0, below=2**16)
    # Bound here, so that a port that is taken is one error, and a free one is known.
    try:
        listening = socket.create_server((HOST, port))
    except OSError as error:
        expected = f"free on {HOST}, perhaps of another explorer: choose one, or 0 for any"
        raise OSError(
            f"`port` must be {expected}. Received: port={port}, {error.strerror}"
        ) from error
    port = listening.getsockname()[1]
    address = f"http://{HOST}:{port}/"
    hosts = [f"{HOST}:{port}", f"localhost:{port}"]
    if port == 80:
        # A browser leaves it out.
        hosts += [HOST, "localhost"]
    app = explorer_app(models, hosts)
    settings = uvicorn.Config(
        app,
        # The application tells itself what fails; a request that is cut off at the end is no news.
        log_level="critical",
        lifespan="off",
        timeout_keep_alive=5,
        # A request that never comes whole would keep the process when it is asked to end.
        timeout_graceful_shutdown=2,
    )
    server = uvicorn.Server(settings)
    if open_browser:
        threading.Timer(0.5, webbrowser.open, [address]).start()
    if ready is not None:
        ready(address)
    with listening:
        server.run(sockets=[listening])
