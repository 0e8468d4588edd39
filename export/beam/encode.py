"""Encode millions of images with an exported model, on any runner of Apache Beam.

    python encode.py --model served/mnist_dynamic/1 --input 'images/*.png' --output codes

The input is cut into units of work: a TFRecord file, or --unit-size pictures in a row. Each unit
becomes one file of codes, `OUTPUT/codes-<unit>.parquet`, with the columns

    id         path of the image, or path#number in a TFRecord file
    code       list of float32, the centre of the posterior
    code_bits  KL(q(z | x) || p(z)) in bits

The file is written to another name and renamed at the end of the unit: the same command, started
again, does the units that have no file yet. Images that fail are counted and listed in
`OUTPUT/bad-<unit>.jsonl` with the reason, and the others are encoded all the same.

A TFRecord file holds `tf.train.Example`s whose feature `image` (--feature) is an encoded picture,
as in TensorFlow Datasets, or the bytes of the pixels. Pictures are read as everywhere in vlae_tf
(`vlae_tf.pictures`, for which NumPy and Pillow are enough). For a binary model, grey pixels of at
least --threshold become 1 and the others 0. A model of 256 levels gets the pixels unchanged.

All other options are Beam's, such as --runner.
"""

import argparse
import hashlib
import io
import json
import logging
import sys
import uuid

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import tensorflow as tf
from apache_beam.io.filesystems import FileSystems
from apache_beam.metrics import Metrics, MetricsFilter
from apache_beam.ml.inference.base import ModelHandler, PredictionResult, RunInference
from apache_beam.options.pipeline_options import PipelineOptions

from vlae_tf.pictures import read_picture, thresholded

_RECORDS = (".tfrecord", ".tfrecords")
_SCHEMA = pa.schema(
    [("id", pa.string()), ("code", pa.list_(pa.float32())), ("code_bits", pa.float32())]
)


# === Units of work ===


def find_units(patterns, output, unit_size):
    """The units that are not done yet, dicts of `name` and `paths`; and how many are done.

    A name is that of the paths in it: the same input is cut into the same units.

    Raises:
        ValueError: for a pattern that no file fits.
    """
    records, pictures = [], []
    for pattern in patterns:
        paths = [
            found.path for match in FileSystems.match([pattern]) for found in match.metadata_list
        ]
        if not paths:
            raise ValueError(f"`--input` must fit at least one file. Received: {pattern!r}")
        for path in paths:
            (records if any(ending in path for ending in _RECORDS) else pictures).append(path)
    records, pictures = sorted(set(records)), sorted(set(pictures))
    groups = [[path] for path in records]
    groups += [pictures[i : i + unit_size] for i in range(0, len(pictures), unit_size)]
    units = [{"name": _digest("\n".join(paths)), "paths": paths} for paths in groups]
    done = {
        found.path.rsplit("codes-", 1)[-1].removesuffix(".parquet")
        for match in FileSystems.match([FileSystems.join(output, "codes-*.parquet")])
        for found in match.metadata_list
    }
    left = [unit for unit in units if unit["name"] not in done]
    return left, len(units) - len(left)


def _digest(text):
    return hashlib.sha256(text.encode()).hexdigest()[:16]


# === Reading ===


class ReadUnit(beam.DoFn):
    """The images of a unit, as `prepare` made them, and what is wrong with the others."""

    def __init__(self, shape, levels, feature, threshold, resize):
        self.shape, self.levels, self.feature = tuple(shape), levels, feature
        self.threshold, self.resize = threshold, resize

    def process(self, unit):
        images, ids, bad = [], [], []
        for name, data in self._read(unit["paths"]):
            try:
                if isinstance(data, Exception):
                    raise data
                images.append(self._image(data))
                ids.append(name)
            except Exception as error:
                bad.append({"id": name, "reason": f"{type(error).__name__}: {error}"})
        stacked = np.stack(images) if images else np.zeros((0, *self.shape), "uint8")
        yield {"name": unit["name"], "ids": ids, "bad": bad, "images": stacked}

    def _read(self, paths):
        """Names and bytes, or what went wrong instead of bytes."""
        for path in paths:
            if any(ending in path for ending in _RECORDS):
                yield from self._records(path)
                continue
            try:
                with FileSystems.open(path) as file:
                    yield path, file.read()
            except Exception as error:
                yield path, error

    def _records(self, path):
        number = 0
        try:
            for record in tf.data.TFRecordDataset(path).as_numpy_iterator():
                yield f"{path}#{number}", self._feature(record)
                number += 1
        except tf.errors.OpError as error:
            # After a damaged record nobody can tell where the next one begins.
            yield f"{path}#{number} and all after it", ValueError(error.message)

    def _feature(self, record):
        try:
            values = tf.train.Example.FromString(record).features.feature
            if self.feature not in values:
                raise ValueError(f"no feature {self.feature!r}; there are {', '.join(values)}")
            return values[self.feature].bytes_list.value[0]
        except Exception as error:
            return error

    def _image(self, data):
        height, width, channels = self.shape
        if len(data) == height * width * channels and not data.startswith(b"\x89PNG"):
            pixels = np.frombuffer(data, "uint8").reshape(self.shape)
        else:
            if not self.resize and (size := read_picture(data).shape[:2]) != (height, width):
                raise ValueError(
                    f"must be {width}x{height}, or --resize be given. Received: {size[1]}x{size[0]}"
                )
            pixels = read_picture(data, self.shape)
        return pixels if self.levels > 2 else thresholded(pixels[None], self.threshold)[0]


# === The model ===


def count_levels(encode, shape):
    """The number of levels of the model's pixels: 2, or 256."""
    # A binary model answers NaN to other pixels than 0 and 1.
    answer = encode(image=tf.fill((1, *shape), tf.constant(255, tf.uint8)))
    return 2 if np.isnan(answer["code"]).all() else 256


class Encoder(ModelHandler):
    """Runs the signature `encode` of a SavedModel on the images of a unit."""

    def __init__(self, path, batch_size):
        self.path, self.batch_size = path, batch_size

    def load_model(self):
        return tf.saved_model.load(self.path)

    def run_inference(self, batch, model, inference_args=None):
        encode = model.signatures["encode"]
        for unit in batch:
            answers = {"code": [], "code_bits": []}
            for start in range(0, len(unit["images"]), self.batch_size):
                images = unit["images"][start : start + self.batch_size]
                answer = encode(image=tf.constant(images))
                for name, values in answers.items():
                    values.append(answer[name].numpy())
            arrays = {name: np.concatenate(rows) for name, rows in answers.items() if rows}
            yield PredictionResult({k: v for k, v in unit.items() if k != "images"}, arrays)

    def batch_elements_kwargs(self):
        # A unit is a batch already, and is written as soon as it is done.
        return {"min_batch_size": 1, "max_batch_size": 1}


# === Writing ===


class WriteUnit(beam.DoFn):
    """The files of a unit, the one with the codes last: it says that the unit is done."""

    def __init__(self, output):
        self.output = output
        self.counters = {
            name: Metrics.counter("encode", name) for name in ("images", "bad images", "units")
        }

    def process(self, result):
        unit, arrays = result.example, result.inference
        if unit["bad"]:
            lines = "".join(json.dumps(bad) + "\n" for bad in unit["bad"])
            self._write(f"bad-{unit['name']}.jsonl", lines.encode())
        columns = [unit["ids"], list(arrays.get("code", [])), arrays.get("code_bits", [])]
        table = pa.table(
            [pa.array(v, type=f.type) for v, f in zip(columns, _SCHEMA, strict=True)], _SCHEMA
        )
        file = io.BytesIO()
        pq.write_table(table, file)
        self._write(f"codes-{unit['name']}.parquet", file.getvalue())
        counts = {"images": len(unit["ids"]), "bad images": len(unit["bad"]), "units": 1}
        for name, count in counts.items():
            self.counters[name].inc(count)
        yield counts

    def _write(self, name, data):
        path = FileSystems.join(self.output, name)
        # Two workers may do the same unit, where one was given up too early.
        temporary = FileSystems.join(self.output, f"writing-{uuid.uuid4().hex}-{name}")
        with FileSystems.create(temporary, "application/octet-stream") as file:
            file.write(data)
        if FileSystems.exists(path):
            FileSystems.delete([path])
        FileSystems.rename([temporary], [path])


# === The pipeline ===


def run(arguments=None):
    """Encode, and return the counts: images, bad images, units, and units that were done before."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", required=True, help="the folder of a version of a SavedModel")
    parser.add_argument("--input", required=True, nargs="+", help="TFRecord files and pictures")
    parser.add_argument("--output", required=True, help="a folder")
    parser.add_argument("--feature", default="image", help="of the TFRecord files' examples")
    parser.add_argument(
        "--threshold", type=int, default=128, help="from which grey becomes 1, if binary"
    )
    parser.add_argument("--resize", action="store_true", help="pictures to the model's size")
    parser.add_argument("--unit-size", type=int, default=1000, help="pictures in a unit")
    parser.add_argument("--batch-size", type=int, default=64, help="images given to the model")
    known, others = parser.parse_known_args(arguments)
    for name in ("unit_size", "batch_size"):
        if getattr(known, name) < 1:
            parser.error(f"--{name.replace('_', '-')} must be positive: {getattr(known, name)}")

    # Kept as long as its signature is called: the variables go with it.
    model = tf.saved_model.load(known.model)
    encode = model.signatures["encode"]
    shape = encode.structured_input_signature[1]["image"].shape[1:].as_list()
    reader = ReadUnit(
        shape, count_levels(encode, shape), known.feature, known.threshold, known.resize
    )
    try:
        FileSystems.mkdirs(known.output)
    except OSError:
        pass  # it is there
    units, done = find_units(known.input, known.output, known.unit_size)
    logging.info("%d units to do, %d were done before", len(units), done)

    with beam.Pipeline(options=PipelineOptions(others)) as pipeline:
        (
            pipeline
            | "units" >> beam.Create(units)
            | "share among workers" >> beam.Reshuffle()
            | "read" >> beam.ParDo(reader)
            | "encode" >> RunInference(Encoder(known.model, known.batch_size))
            | "write" >> beam.ParDo(WriteUnit(known.output))
        )
    counted = pipeline.result.metrics().query(MetricsFilter().with_namespace("encode"))["counters"]
    counts = {"images": 0, "bad images": 0, "units": 0, "units done before": done}
    counts |= {counter.key.metric.name: counter.committed for counter in counted}
    print(json.dumps(counts))
    return counts


if __name__ == "__main__":
    logging.getLogger().setLevel(logging.INFO)
    try:
        run()
    except (ValueError, OSError) as error:
        sys.exit(f"Error: {error}")
