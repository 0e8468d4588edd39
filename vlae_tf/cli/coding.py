"""Commands for images as files of a trained model."""

import pathlib
import tempfile
from typing import Annotated

import typer

from vlae_tf.cli.application import DataDir, app, console

Entry = Annotated[str | None, typer.Option(help="Entry, or folder of an entry or a run.")]


@app.command()
def compress(
    source: Annotated[
        str, typer.Argument(help="Your images, a file or folder; or the name of a data set.")
    ],
    entry: Annotated[str, typer.Option(help="Entry, or folder of an entry or a run.")],
    out: Annotated[pathlib.Path, typer.Option(help="File to write, FILE.vlae.")],
    split: Annotated[
        str | None,
        typer.Option(help="Split: test of a data set, train of your own images by default."),
    ] = None,
    lossy: Annotated[
        bool, typer.Option("--lossy", help="The code alone: what it keeps of an image.")
    ] = False,
    codebook_bits: Annotated[
        int, typer.Option(help="Bits of the code, up to 32, if it is one of a book.")
    ] = 14,
    batch_size: Annotated[
        int | None,
        typer.Option(
            help="Images that are coded, and read, together: 128 by default with a book of codes, "
            "else 1,024."
        ),
    ] = None,
    candidates: Annotated[int, typer.Option(help="Codes that are tried for an image.")] = 8,
    verify: Annotated[bool, typer.Option(help="Decode each block before it is written.")] = True,
    data_dir: DataDir = None,
):
    """Images as a file: the code of each, and its pixels given the code. Lossless unless --lossy.

    Pictures of another size are resized, and for binary models grey is cut at 128: the command says
    so, and what comes back are those. Of the entry's own data set, binary pixels are drawn as for
    its evaluation. Names of files are not kept: images come back as 000000.png and so on, in the
    order of their paths.
    """
    from vlae_tf import coding
    from vlae_tf.coding.image_writer import check_replaced
    from vlae_tf.models.progress import Progress

    check_replaced(out, "out")  # before the model is loaded
    method = "lossy" if lossy else None
    coder = coding.Coder(
        entry,
        method,
        codebook_bits=codebook_bits,
        block_size=batch_size,
        candidates=candidates,
        verify=verify,
    )
    images = _images(source, split, entry, coder, data_dir)
    progress = Progress("compress", len(images))
    step = coder.header.block_size
    with coding.ImageWriter(out, coder) as writer:
        for start in range(0, len(images), step):
            writer.write(images[start : start + step])
            progress(min(start + step, len(images)), len(images))
    progress.clear()
    size = out.stat().st_size
    told = f"{size:,} bytes, {8 * size / images.size:.4f} bits/dim"
    console.print(f"Images in {out}: {len(images):,}; {told}", highlight=False, soft_wrap=True)


@app.command()
def decompress(
    file: Annotated[pathlib.Path, typer.Argument(help="File that `vlae-tf compress` wrote.")],
    out: Annotated[
        pathlib.Path, typer.Option(help="Folder for PNG files, or a .npy file of all images.")
    ],
    index: Annotated[
        list[int] | None,
        typer.Option(help="Number of an image, the first being 0; repeat the option for more."),
    ] = None,
    entry: Entry = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Images that are decoded at once.")] = 128,
):
    """Read the images of a .vlae file, all of them or single ones.

    Pixels of binary images are 0 and 255 in a PNG file, 0 and 1 in a .npy file.
    """
    from vlae_tf import coding
    from vlae_tf.models.progress import Progress
    from vlae_tf.pictures.picture import SUFFIXES

    if out.suffix.lower() in SUFFIXES:
        raise ValueError(
            f"`out` must be a folder, or a .npy file. Received: out={str(out)!r}, a picture"
        )
    with coding.ImageReader(file, entry, batch_size) as reader:
        numbers = range(len(reader)) if index is None else index
        if index is not None and not all(0 <= number < len(reader) for number in numbers):
            raise ValueError(
                f"`index` must be one of the numbers of {len(reader)} images, from 0. "
                f"Received: index={index}"
            )
        if len(set(numbers)) < len(numbers):
            raise ValueError(f"`index` must name each image once. Received: index={index}")
        progress = Progress("decompress", len(numbers))
        images = _single(reader, numbers) if index else _all(reader)
        shape = (len(numbers), *reader.header.image_shape)
        write = _write_array if out.suffix == ".npy" else _write_pictures
        write(out, images, numbers, shape, reader.header.levels, progress)
        progress.clear()
    console.print(f"Images in {out}: {len(numbers):,}", highlight=False, soft_wrap=True)


def _images(source, split, entry, coder, data_dir):
    """The images of a source as the entry takes them."""
    from vlae_tf import catalogue, datasets
    from vlae_tf.runs import Recipe
    from vlae_tf.runs.data import split_images

    recipe = catalogue.locate(entry) / "recipe.json"
    if source in datasets.DATASETS and recipe.is_file():
        chosen = Recipe.load(recipe)
        if chosen.dataset == source:
            return split_images(chosen, split or "test", data_dir=data_dir)
    split = split or ("test" if source in datasets.DATASETS else "train")
    return _as_taken(source, split, coder.header, data_dir)


def _as_taken(source, split, header, data_dir):
    """Own images as the model takes them; it is told if they are others than they were."""
    import numpy as np

    from vlae_tf import datasets

    try:
        images = datasets.load_arrays(source, split, data_dir)
    except ValueError:  # pictures of several sizes, or what is refused below in the same words
        images = None
    changes = []
    if images is None or images.shape[1:] != header.image_shape:
        images = datasets.load_arrays(source, split, data_dir, image_shape=header.image_shape)
        changes.append(f"made {'x'.join(map(str, header.image_shape))}")
    if header.levels == 2:
        binary = datasets.thresholded(images)
        ink = np.where(images.max(axis=(1, 2, 3), keepdims=True) <= 1, 1, 255)
        if (binary * ink != images).any():
            changes.append("cut at 128")
        images = binary
    if changes and header.method != "lossy":
        typer.echo(
            f"The images of {source} were {' and '.join(changes)}, as the model takes them. "
            "The file is lossless for what that left.",
            err=True,
        )
    return images


def _all(reader):
    for batch in reader.batches():
        yield from batch


def _single(reader, numbers):
    return (reader[number] for number in numbers)


def _write_array(out, images, numbers, shape, levels, progress):
    import numpy as np

    from vlae_tf.files import whole

    out.parent.mkdir(parents=True, exist_ok=True)
    header = {"descr": "|u1", "fortran_order": False, "shape": shape}
    # Not a memory map, which kills the process where the disk is full.
    with whole(out) as temporary, temporary.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        for place, image in enumerate(images):
            file.write(image.tobytes())
            progress(place + 1, len(numbers))


def _write_pictures(out, images, numbers, shape, levels, progress):
    """PNG files in a folder, which has its name once all are there."""
    from vlae_tf.pictures.picture import image_picture

    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ValueError(f"`out` must be a new folder, or an empty one. Received: out={str(out)!r}")
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".writing-", dir=out.parent) as folder:
        temporary = pathlib.Path(folder) / out.name
        temporary.mkdir()
        for place, (number, image) in enumerate(zip(numbers, images, strict=True)):
            image_picture(image, levels).save(temporary / f"{number:06}.png")
            progress(place + 1, len(numbers))
        temporary.replace(out)
