"""The explorer's HTTP side: a page, its files, and an answer to each of its questions."""

import base64
import json
import logging
from pathlib import Path

import numpy as np
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect
from starlette.responses import FileResponse, JSONResponse
from starlette.routing import Route

from vlae_tf.checks import check_integer, check_integers, check_number, refuse
from vlae_tf.explorer.explored_model import ROWS
from vlae_tf.explorer.pictures import picture_to_image

_STATIC = Path(__file__).parent / "static"
_FILES = {"/": "index.html", "/explorer.js": "explorer.js", "/explorer.css": "explorer.css"}
_MOST_BYTES = 16 * 2**20
_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data:",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}


def explorer_app(models, hosts):
    """The ASGI application.

    Args:
        models: a dict of `ExploredModel` by name.
        hosts: the values of the header Host that are answered, such as "127.0.0.1:8600". A page
            from elsewhere, which a browser names in the header Origin, gets no answer.
    """

    def answer(question, content):
        if question not in _ANSWERS:
            refuse("path", f"one of {', '.join(_ANSWERS)}", question)
        if not isinstance(content, dict):
            refuse("body", "an object", content, type(content).__name__)
        if question == "models":
            return {"models": [model.about() for model in models.values()]}
        name = content.get("model")
        if not isinstance(name, str) or name not in models:
            refuse("model", f"one of {', '.join(models)}", name)
        return _ANSWERS[question](models[name], content)

    async def endpoint(request):
        origin = request.headers.get("origin")
        host = request.headers.get("host")
        if host not in hosts or (origin is not None and origin != f"http://{host}"):
            return _told("This page answers on this machine alone", 403)
        path = request.url.path
        if request.method in ("GET", "HEAD"):
            if path not in _FILES:
                return _told(f"There is no page {path[:80]!r}", 404)
            return FileResponse(_STATIC / _FILES[path], headers=_HEADERS)
        body = bytearray()
        try:
            async for piece in request.stream():
                body += piece
                if len(body) > _MOST_BYTES:
                    return _told(f"A request may have {_MOST_BYTES // 2**20} MiB at most", 413)
        except ClientDisconnect:
            return _told("The whole request must come", 400)
        question = path.removeprefix("/api/")
        try:
            content = json.loads(bytes(body) or b"{}")
            return JSONResponse(await run_in_threadpool(answer, question, content))
        except (ValueError, TypeError, RecursionError, OverflowError) as error:
            return _told(str(error), 400)
        # Whatever it is, for example a run that was deleted: the page shows a sentence.
        except Exception:
            logging.getLogger(__name__).exception("%s failed", question)
            return _told("This failed; the explorer's terminal says why", 500)

    return Starlette(routes=[Route("/{path:path}", endpoint, methods=["GET", "POST"])])


def _told(sentence, status):
    return JSONResponse({"error": sentence}, status, headers=_HEADERS)


# === Questions: each a function of a model and what the page sent ===


def _about(model, content):
    examples = _written(model.examples())
    return {
        "levels": model.levels,
        "window": model.window(),
        "rungs": model.rungs(),
        "examples": examples,
    }


def _encode(model, content):
    code, bits = model.encode(_read(content, "image", model)[None])
    return {
        "code": code[0].tolist(),
        # A negative term of a density is an estimate's; the total is never shown below 0.
        "bits": bits[0].tolist(),
        "total": max(0.0, float(bits[0].sum())),
    }


def _file(model, content):
    sizes = model.file_sizes(_read(content, "image", model))
    return {"sizes": sizes}


def _decode(model, content):
    codes = content.get("codes")
    if not isinstance(codes, list) or not 1 <= len(codes) <= ROWS:
        refuse("codes", f"a list of 1 to {ROWS} codes", None, f"codes={type(codes).__name__}")
    seeds = check_integers(content.get("seeds"), "seeds", least=0, length=len(codes))
    rows = check_integer(content.get("rows", 0), "rows", least=0, below=model.image_shape[0] + 1)
    known = _read(content, "image", model)[None] if rows else None
    return {"images": _written(model.decode(codes, seeds, known, rows))}


def _sample(model, content):
    seed = check_integer(content.get("seed", 0), "seed", least=0)
    temperature = check_number(content.get("temperature", 1), "temperature", least=0, most=4)
    return {"images": _written(model.sample(ROWS, seed, temperature))}


def _rung(model, content):
    seed = check_integer(content.get("seed", 0), "seed", least=0)
    shades, told = model.rung(content.get("rung"), content.get("code"), seed)
    rows = shades.reshape(-1, *model.image_shape)
    return {"images": _written(rows), "columns": shades.shape[1], "levels": 256, "told": told}


def _picture(model, content):
    data = _bytes(content, "picture")
    image = picture_to_image(data, model.image_shape, model.levels)
    return {"image": _written([image])[0]}


_ANSWERS = {
    "models": None,
    "about": _about,
    "encode": _encode,
    "file": _file,
    "decode": _decode,
    "sample": _sample,
    "rung": _rung,
    "picture": _picture,
}


def _read(content, name, model):
    """The image that the page sent: its pixels row by row, a byte each, in base64."""
    pixels = np.frombuffer(_bytes(content, name), "uint8")
    if pixels.size != np.prod(model.image_shape):
        refuse(name, f"of {np.prod(model.image_shape)} bytes", None, f"{pixels.size} bytes")
    return pixels.reshape(model.image_shape)


def _bytes(content, name):
    text = content.get(name)
    if not isinstance(text, str):
        refuse(name, "bytes in base64", None, f"{name} of {type(text).__name__}")
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        return refuse(name, "bytes in base64", None, f"{len(text)} characters that are not")


def _written(images):
    return [base64.b64encode(np.ascontiguousarray(image).tobytes()).decode() for image in images]
