"""Commands that export, serve and query a model."""

import json
import pathlib
from typing import Annotated

import typer

from vlae_tf.cli.application import (
    Dtype,
    Seed,
    Source,
    app,
    check_picture,
    console,
    examples,
    own_images,
    refuse_options,
)

# Options of a SavedModel, and of each signature of a client's.
_SAVED_MODEL = "version importance_samples xla png warmup warmup_images batch_sizes".split()
_ASKED = {
    "encode": {"images", "out"},
    "decode": {"codes", "seed", "out"},
    "reconstruct": {"images", "seed", "out"},
    "sample": {"n", "seed", "temperature", "out"},
    "log_prob": {"images", "seed", "out"},
    "about": set(),
}


@app.command()
def export(
    context: typer.Context,
    source: Source,
    folder: Annotated[
        pathlib.Path,
        typer.Argument(
            help="Folder of the model, with one for each version; or the file of another format."
        ),
    ],
    format: Annotated[
        str,
        typer.Option(help="tf_saved_model; or onnx, openvino, litert: one signature as a file."),
    ] = "tf_saved_model",
    signature: Annotated[
        str, typer.Option(help="For the other formats: encode, or decode where it can be.")
    ] = "encode",
    version: Annotated[
        int | None, typer.Option(help="Number; the next free one if absent.")
    ] = None,
    importance_samples: Annotated[
        int, typer.Option(help="Codes that the signature log_prob averages over.")
    ] = 16,
    dtype: Dtype = "float32",
    xla: Annotated[bool, typer.Option(help="Compile the signatures with XLA, for GPUs.")] = False,
    png: Annotated[bool, typer.Option(help="Add signatures with pictures as PNG.")] = False,
    warmup: Annotated[
        bool, typer.Option(help="Add requests that the server answers first, to be fast later.")
    ] = False,
    warmup_images: Annotated[
        str | None,
        typer.Option(help="Your images for --warmup, a file or folder; not the examples."),
    ] = None,
    batch_sizes: Annotated[
        str, typer.Option(help="Batch sizes that the server allows, for --warmup.")
    ] = "1,4,16,64",
):
    """Write a SavedModel for TensorFlow Serving, or a file for ONNX, OpenVINO or LiteRT."""
    other = format != "tf_saved_model"
    refuse_options(context, f"--format {format}", _SAVED_MODEL if other else ["signature"])
    from vlae_tf import saved_model, zoo

    model = zoo.load(source, dtype)
    if format != "tf_saved_model":
        with console.status(f"Writing {folder}"):
            path = model.export(folder, format=format, signature=signature)
        console.print(f"{signature} is in {path}")
        return
    images = None
    if warmup_images is not None:
        images = own_images(warmup_images, model)
    elif warmup:
        images = examples(source, "--warmup-images")
    with console.status("Writing the SavedModel"):
        path = saved_model.export(
            model,
            folder,
            version,
            importance_samples=importance_samples,
            xla=xla,
            png=png,
            warmup_images=images,
            batch_sizes=_integers("batch_sizes", batch_sizes),
        )
    console.print(f"The SavedModel is in {path}")


@app.command()
def serve(
    folder: Annotated[
        pathlib.Path | None,
        typer.Argument(help="Folder of a model's versions, or of several such folders."),
    ] = None,
    models_config: Annotated[
        pathlib.Path | None,
        typer.Option(help="TensorFlow Serving's file; FOLDER stands for /models in it."),
    ] = None,
    host: Annotated[
        str, typer.Option(help="Address to listen on; 0.0.0.0 lets other machines ask.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port of gRPC; 0 for any free one.")] = 8500,
    rest_port: Annotated[int, typer.Option(help="Port of REST; 0 for any free one.")] = 8501,
    poll_seconds: Annotated[
        float, typer.Option(help="Seconds between looks for new versions.")
    ] = 1.0,
    max_rows: Annotated[int, typer.Option(help="Largest number of rows of a request.")] = 256,
    max_request_bytes: Annotated[int, typer.Option(help="Largest size of a request.")] = 16 * 2**20,
    model_control: Annotated[
        bool, typer.Option(help="Let clients choose which models below FOLDER are served.")
    ] = False,
    grace_seconds: Annotated[
        float, typer.Option(help="Seconds that requests in flight have left at the end.")
    ] = 10.0,
):
    """Serve SavedModels on this machine, for development and tests.

    The interfaces are TensorFlow Serving's, which is for production: see export/README.md.
    """
    import logging
    import os
    import signal
    import sys
    import threading

    from vlae_tf import serving

    # Tells which versions were loaded, and which failed.
    logging.basicConfig(format="%(message)s")
    logging.getLogger("vlae_tf").setLevel(logging.INFO)
    server = serving.Server(
        folder,
        models_config,
        host,
        port,
        rest_port,
        poll_seconds,
        max_rows,
        max_request_bytes,
        model_control,
    ).start()
    # From here on; while models are loaded, a signal ends the process at once.
    ended = threading.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda *_: ended.set())
    names = ", ".join(sorted(server.models.served)) or "no model yet"
    console.print(
        f"Serving {names} at {server.grpc_address} and {server.rest_address}; Ctrl+C ends it",
        soft_wrap=True,
    )
    ended.wait()
    server.stop(grace_seconds)
    # What is still being computed would keep the process, and TensorFlow's own end takes seconds.
    logging.shutdown()
    sys.stdout.flush()
    os._exit(0)


@app.command()
def client(
    context: typer.Context,
    address: Annotated[str, typer.Argument(help="grpc://host:port or http://host:port")],
    model: Annotated[str, typer.Argument(help="Name of the model.")],
    signature: Annotated[
        str, typer.Argument(help="encode, decode, reconstruct, sample, log_prob or about.")
    ],
    images: Annotated[
        str | None,
        typer.Option(
            help="A picture, a file of arrays, or a folder; for binary models cut at 128."
        ),
    ] = None,
    codes: Annotated[
        pathlib.Path | None, typer.Option(help="A .npy file of codes, to decode.")
    ] = None,
    n: Annotated[int, typer.Option("--n", "-n", help="Number of samples.")] = 16,
    temperature: Annotated[float, typer.Option(help="Scale of the prior's noise.")] = 1.0,
    seed: Seed = 0,
    out: Annotated[
        pathlib.Path | None,
        typer.Option(help="A .npy file or, for images, a picture; printed as JSON if absent."),
    ] = None,
    version: Annotated[
        int | None, typer.Option(help="Number of the version; the highest if absent.")
    ] = None,
    label: Annotated[str | None, typer.Option(help="Label of the version, such as stable.")] = None,
    timeout: Annotated[float, typer.Option(help="Seconds that a request may take.")] = 60.0,
):
    """Ask a served model: TensorFlow Serving, or `vlae-tf serve`.

    For example, to encode images, and to draw new ones:

    vlae-tf client grpc://localhost:8500 mnist_dynamic encode --images digits.npy --out codes.npy

    vlae-tf client http://localhost:8501 mnist_dynamic sample --n 64 --out samples.png
    """
    if signature not in _ASKED:
        raise ValueError(
            f"`signature` must be {', '.join(list(_ASKED)[:-1])} or {list(_ASKED)[-1]}. "
            f"Received: signature={signature!r}"
        )
    others = set().union(*_ASKED.values()) - _ASKED[signature]
    refuse_options(context, signature, sorted(others))
    import numpy as np

    from vlae_tf.serving import Client

    if out is not None and out.suffix != ".npy":
        if signature not in ("decode", "reconstruct", "sample"):
            raise ValueError(
                f"`out` must be a .npy file for {signature}. Received: out={str(out)!r}"
            )
        check_picture(out)
    with Client(address, model, version, label, timeout) as served:
        if signature in ("encode", "reconstruct", "log_prob"):
            if images is None:
                raise ValueError("`images` must be given for this signature. Received: images=None")
            arguments = [images]
        elif signature == "decode":
            arguments = [_codes(codes)]
        else:
            arguments = [n] if signature == "sample" else []
        options: dict = {"seed": seed} if "seed" in _ASKED[signature] else {}
        if signature == "sample":
            options["temperature"] = temperature
        with console.status(f"Asking {address}"):
            answer = getattr(served, signature)(*arguments, **options)
    if signature == "about":
        print(json.dumps(answer))
        return
    if out is None:
        print(json.dumps(answer.tolist()))
        return
    if out.suffix == ".npy":
        out.parent.mkdir(parents=True, exist_ok=True)
        np.save(out, answer)
    else:
        from vlae_tf import evaluation

        evaluation.plot_samples(answer, out)
    console.print(f"The answer, of shape {answer.shape}, is in {out}")


def _integers(name, text):
    """The integers of a list such as 1,4,16."""
    try:
        return [int(number) for number in text.split(",")]
    except ValueError as error:
        raise ValueError(
            f"`{name}` must be integers separated by commas. Received: {name}={text!r}"
        ) from error


def _codes(path):
    from vlae_tf.files import read_numpy

    if path is None:
        raise ValueError("`codes` must be given to decode. Received: codes=None")
    return read_numpy(path)
