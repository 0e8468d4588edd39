"""Files of an entry's test images: their size, that they are read everywhere, speed, other packers.

    python benchmarks/coding.py sizes ENTRY [--images 1000] [--method bits-back] [--block-size 1024]
    python benchmarks/coding.py paths ENTRY [--images 1000]
    python benchmarks/coding.py cross ENTRY [--images 10000]
    python benchmarks/coding.py packers ENTRY [--images 1000]
    python benchmarks/coding.py lossy ENTRY [--images 1000]
    python benchmarks/coding.py mutants ENTRY [--mutants 100000]

`sizes` writes the file, reads it, and compares its length with -ELBO by two samples, and the time
with that of `sample` at batch 64. `paths` writes a file on each of several paths of computation,
and reads it on all of them, each in a process of its own. `cross` is for many images: each is
written on one path and read on one of the others, and all pairs of paths have shares of them.
`packers` needs the packages imagecodecs and zstandard. `lossy` tells which
classes two classifiers of pixels, fitted to 10,000 training images, read off the images and off
what 1, 2 and 4 bytes keep. Images are drawn from the test split at random, by seed 0.
"""

import argparse
import bz2
import io
import itertools
import lzma
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

# Paths of computation: what the environment says, and the number of images that are read at once.
PATHS = {
    "TensorFlow": ({}, 128),
    "without oneDNN, 1 thread": (
        {"TF_ENABLE_ONEDNN_OPTS": "0", "TF_NUM_INTRAOP_THREADS": "1"},
        1,
    ),
    "XLA": ({"TF_XLA_FLAGS": "--tf_xla_auto_jit=2 --tf_xla_cpu_global_jit"}, 128),
    "JAX": ({"KERAS_BACKEND": "jax"}, 64),
}


TASKS = ["sizes", "paths", "cross", "packers", "lossy", "mutants", "write", "read"]
# Pairs of a path that writes and another that reads, and those of the images, which take turns. XLA
# has no fast float64 convolution: its pairs get a ninth of what the others get.
PAIRS = list(itertools.permutations(PATHS, 2))
TURNS = np.repeat(np.arange(len(PAIRS)), [1 if "XLA" in pair else 9 for pair in PAIRS])


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("task", choices=TASKS)
    parser.add_argument("entry")
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--method", choices=["codebook", "bits-back"])
    parser.add_argument("--block-size", type=int)
    parser.add_argument("--codebook-bits", type=int, default=14)
    parser.add_argument("--candidates", type=int, default=8)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--mutants", type=int, default=100_000)
    parser.add_argument("--file", type=Path, help="of the tasks write and read")
    parser.add_argument("--shares", type=int, nargs="*", help="of the tasks write and read")
    arguments = parser.parse_args()
    globals()[arguments.task](arguments)


def test_images(arguments):
    from vlae_tf import zoo
    from vlae_tf.runs import Recipe
    from vlae_tf.runs.data import split_images

    recipe = Recipe.load(zoo.locate(arguments.entry) / "recipe.json")
    images = split_images(recipe, "test")
    rows = np.random.default_rng(0).permutation(len(images))[: arguments.images]
    return images[rows]


def make_coder(arguments):
    from vlae_tf.coding import Coder

    return Coder(
        arguments.entry,
        arguments.method,
        codebook_bits=arguments.codebook_bits,
        block_size=arguments.block_size,
        candidates=arguments.candidates,
        verify=False,
    )


def files(arguments, images):
    """The images of each file, and the file: all of them, or some of the shares of `cross`."""
    if arguments.shares is None:
        return [(images, arguments.file)]
    return [
        (images[np.resize(TURNS, len(images)) == share], arguments.file.with_suffix(f".{share}"))
        for share in arguments.shares
    ]


def write(arguments):
    """Writes the file; returns the images and the time, without that of loading and compiling."""
    from vlae_tf.coding import ImageWriter

    images, coder = test_images(arguments), make_coder(arguments)
    coder.encode(images[:2])
    start = time.perf_counter()
    step = coder.header.block_size
    for part, file in files(arguments, images):
        with ImageWriter(file, coder) as writer:
            for first in range(0, len(part), step):
                writer.write(part[first : first + step])
    return images, time.perf_counter() - start


def read(arguments):
    """Reads the file and compares it with the images; returns the time."""
    from vlae_tf.coding import ImageReader

    images = test_images(arguments)
    start, failures, count = time.perf_counter(), 0, 0
    for part, file in files(arguments, images):
        with ImageReader(file, batch_size=arguments.batch_size) as reader:
            decoded = np.concatenate(list(reader.batches()))
        failures += int((decoded != part).any(axis=(1, 2, 3)).sum())
        count += len(part)
    print(f"failures: {failures} of {count}")
    return time.perf_counter() - start


def sizes(arguments):
    from vlae_tf import zoo
    from vlae_tf.models.importance import importance_weighted_terms

    with tempfile.TemporaryDirectory() as folder:
        arguments.file = Path(folder) / "images.vlae"
        images, seconds = write(arguments)
        size = arguments.file.stat().st_size
        print(f"{arguments.entry}, {len(images)} images, {vars(arguments)}")
        print(f"file: {size:,} bytes, {8 * size / images.size:.5f} bits/dim")
        model = zoo.load(arguments.entry)
        elbo = importance_weighted_terms(model, images, 2)["elbo"].sum() / np.log(2)
        print(f"-ELBO: {-elbo / images.size:.5f} bits/dim; {-8 * size / elbo - 1:+.2%}")
        model.sample(64)
        start = time.perf_counter()
        model.sample(64)
        sample = (time.perf_counter() - start) / 64
        reading = read(arguments)
        print(
            f"written: {len(images) / seconds:.1f} images/s, {seconds / len(images) / sample:.1f}"
        )
        print(f"read: {len(images) / reading:.1f} images/s, {reading / len(images) / sample:.1f}")
        print(f"sample: {1 / sample:.1f} images/s; the last numbers are times as slow")


def paths(arguments):
    with tempfile.TemporaryDirectory() as folder:
        for writer in PATHS:
            file = Path(folder) / "images.vlae"
            print(f"{writer}: {_process('write', writer, file, arguments)}", flush=True)
            print(f"  {file.stat().st_size:,} bytes", flush=True)
            for reader in PATHS:
                told = _process("read", reader, file, arguments)
                print(f"  read by {reader}: {told}", flush=True)


def cross(arguments):
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "images.vlae"
        for path in PATHS:
            shares = [share for share, pair in enumerate(PAIRS) if pair[0] == path]
            _process("write", path, file, arguments, shares)
            print(f"written on {path}", flush=True)
        for path in PATHS:
            shares = [share for share, pair in enumerate(PAIRS) if pair[1] == path]
            print(f"read on {path}: {_process('read', path, file, arguments, shares)}", flush=True)
        size = sum(part.stat().st_size for part in Path(folder).iterdir())
        print(f"{size:,} bytes in {len(PAIRS)} files")


def _process(task, path, file, arguments, shares=None):
    environment, batch_size = PATHS[path]
    command = [sys.executable, __file__, task, arguments.entry, f"--file={file}"]
    command += [f"--images={arguments.images}", f"--batch-size={batch_size}"]
    command += [f"--codebook-bits={arguments.codebook_bits}"]
    command += [f"--candidates={arguments.candidates}"]
    for name in ("method", "block_size"):
        if getattr(arguments, name) is not None:
            command.append(f"--{name.replace('_', '-')}={getattr(arguments, name)}")
    if shares is not None:
        command += ["--shares", *map(str, shares)]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | environment)
    if done.returncode:
        raise SystemExit(f"{path}: {done.stderr.strip().splitlines()[-1]}")
    return done.stdout.strip()


def packers(arguments):
    import imagecodecs
    import zstandard
    from PIL import Image

    images = test_images(arguments)
    binary = images.max() == 1
    whole = np.packbits(images).tobytes() if binary else images.tobytes()

    def png(image):
        pixels = image[..., 0] if image.shape[-1] == 1 else image
        picture = Image.fromarray(pixels * 255 if binary else pixels)
        file = io.BytesIO()
        (picture.convert("1") if binary else picture).save(file, "PNG", optimize=True)
        return file.getvalue()

    def grey(image):
        return np.ascontiguousarray(image[..., 0] * 255 if binary else image)

    singles = {
        "PNG": png,
        "WebP, lossless": lambda x: imagecodecs.webp_encode(
            np.repeat(grey(x)[..., None], 3, axis=-1) if binary else grey(x), lossless=True
        ),
        "JPEG XL, lossless": lambda x: imagecodecs.jpegxl_encode(grey(x), lossless=True, effort=9),
    }
    wholes = {
        "xz": lambda data: lzma.compress(data, preset=9 | lzma.PRESET_EXTREME),
        "bz2": lambda data: bz2.compress(data, 9),
        "zstd": lambda data: zstandard.ZstdCompressor(22).compress(data),
    }
    # One picture of all images, each below the one before.
    tall = images.reshape(-1, *images.shape[2:])
    for name, pack in singles.items():
        size = sum(len(pack(image)) for image in images)
        print(f"{name}, each image by itself: {8 * size / images.size:.4f} bits/dim")
        if len(tall) < 16384:
            print(f"{name}, all in one: {8 * len(pack(tall)) / images.size:.4f} bits/dim")
    for name, pack in wholes.items():
        print(f"{name}, all in one: {8 * len(pack(whole)) / images.size:.4f} bits/dim")


def lossy(arguments):
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import KNeighborsClassifier

    from vlae_tf import zoo
    from vlae_tf.coding import Coder
    from vlae_tf.evaluation.probe import labelled_images

    _, images, labels = labelled_images(zoo.locate(arguments.entry), 10_000)
    rows = np.random.default_rng(0).permutation(len(labels["test"]))[: arguments.images]
    test, classes = images["test"][rows], labels["test"][rows]
    train = images["train"].reshape(len(images["train"]), -1).astype("float32")
    classifiers = [KNeighborsClassifier(3), LogisticRegression(max_iter=200)]
    for classifier in classifiers:
        classifier.fit(train, labels["train"])
    coder = None
    for bits in (None, 8, 16, 32):
        kept, length = test, None
        if bits is not None:
            coder = Coder(coder or arguments.entry, "lossy", codebook_bits=bits)
            block = coder.encode(test)
            kept, length = coder.decode([block], [len(test)]), len(block)
        flat = kept.reshape(len(kept), -1).astype("float32")
        read = [classifier.score(flat, classes) for classifier in classifiers]
        told = ", ".join(f"{accuracy:.1%}" for accuracy in read)
        differing = f"{(kept != test).mean():.2%} of the pixels differ"
        print(f"bits {bits}, bytes {length}: 3 neighbours, linear {told}; {differing}", flush=True)


def mutants(arguments):
    """Damaged files: cut, with other bytes, or with blocks out of place."""
    from vlae_tf.coding import ImageReader

    with tempfile.TemporaryDirectory() as folder:
        arguments.file = Path(folder) / "images.vlae"
        write(arguments)
        data = arguments.file.read_bytes()
    draw, start, taken = random.Random(0), time.perf_counter(), 0
    for _ in range(arguments.mutants):
        new = bytearray(data)
        at = draw.randrange(len(new))
        kind = draw.randrange(3)
        if kind == 0:
            del new[at:]
        elif kind == 1:
            new[at] ^= draw.randrange(1, 256)
        else:
            new[at:at] = draw.randbytes(draw.randrange(1, 9))
        try:
            with ImageReader(bytes(new)) as reader:
                for block in range(reader._container.blocks):
                    reader._container.read(block)
            taken += 1
        except ValueError:
            pass
    print(f"{arguments.mutants:,} damaged files, {taken} not found out before decoding")
    print(f"{time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
