import dataclasses
import pathlib
import uuid

import tensorflow as tf
from google.protobuf import text_format

from vlae_tf.checks import check_integer, refuse
from vlae_tf.serving.messages import message_classes

# TensorFlow Serving's Python package has no such message.
_MESSAGES = {
    "Number": {"value": (1, "int64")},
    "BatchingParameters": {
        "max_batch_size": (1, "Number"),
        "batch_timeout_micros": (2, "Number"),
        "max_enqueued_batches": (3, "Number"),
        "num_batch_threads": (4, "Number"),
        "allowed_batch_sizes": (6, ["int64"]),
    },
}


@dataclasses.dataclass(frozen=True)
class Batching:
    """How requests that come at the same time are joined into one computation.

    The fields are those of TensorFlow Serving's `--batching_parameters_file`. A batch waits until
    it is full or `batch_timeout_micros` have passed, and is filled up to the next allowed size.

    Args:
        max_batch_size: rows; a request with more is refused (INVALID_ARGUMENT).
        batch_timeout_micros: microseconds that a request waits for company.
        max_enqueued_batches: number of waiting batches; a request beyond them is refused
            (UNAVAILABLE).
        num_batch_threads: number of batches computed at a time.
        allowed_batch_sizes: rising numbers, the last one `max_batch_size`; any size if empty.

    Raises:
        ValueError: for invalid numbers.

    Example:
        >>> import tensorflow as tf
        >>> from vlae_tf.serving.server.batching import Batching
        >>> double = tf.function(lambda x: {"y": 2 * x})
        >>> double = double.get_concrete_function(x=tf.TensorSpec([None], tf.float32, name="x"))
        >>> Batching(max_batch_size=4).joined(double)(x=tf.constant([1.0]))["y"].numpy()
        array([2.], dtype=float32)
    """

    max_batch_size: int = 1000
    batch_timeout_micros: int = 1000
    max_enqueued_batches: int = 10
    num_batch_threads: int = 2
    allowed_batch_sizes: tuple = ()

    def __post_init__(self):
        for name in ("max_batch_size", "max_enqueued_batches", "num_batch_threads"):
            check_integer(getattr(self, name), name, least=1)
        check_integer(self.batch_timeout_micros, "batch_timeout_micros", least=0)
        sizes = list(self.allowed_batch_sizes)
        rising = sizes == sorted(set(sizes)) and (not sizes or sizes[0] >= 1)
        if not rising or sizes and sizes[-1] != self.max_batch_size:
            received = f"allowed_batch_sizes={sizes}, max_batch_size={self.max_batch_size}"
            refuse("allowed_batch_sizes", "rising, up to `max_batch_size`", sizes, received)

    @classmethod
    def read(cls, path):
        """The parameters in a file, such as TensorFlow Serving's `--batching_parameters_file`.

        Raises:
            ValueError: if the file has another format, or invalid numbers.
            OSError: if it cannot be read.
        """
        message = message_classes(_MESSAGES)["BatchingParameters"]()
        try:
            text_format.Parse(pathlib.Path(path).read_text("utf-8"), message)
        except (text_format.ParseError, UnicodeDecodeError) as error:
            raise ValueError(
                "`batching` must be a file of BatchingParameters in text form. "
                f"Received: {path}, which fails with: {error}"
            ) from error
        values = {field.name: value for field, value in message.ListFields()}
        sizes = tuple(values.pop("allowed_batch_sizes", ()))
        values = {name: value.value for name, value in values.items()}
        return cls(**values, allowed_batch_sizes=sizes)

    def joined(self, function):
        """`function` on the rows of several callers at once; each caller gets its own rows.

        Args:
            function: a concrete function from named tensors to a dict of tensors, such as the
                signatures of a SavedModel. It is returned unchanged where an input or output has no
                first dimension of rows.
        """
        positional, named = function.structured_input_signature
        specs = {spec.name: spec for spec in (*positional, *named.values())}
        outputs = dict(sorted(function.structured_outputs.items()))
        if not specs or not all(_has_rows(s) for s in (*specs.values(), *outputs.values())):
            return function

        def flat(*tensors):
            answer = function(**dict(zip(specs, tensors, strict=True)))
            return [answer[name] for name in outputs]

        rows = tf.function(flat, autograph=False).get_concrete_function(*specs.values())
        # TensorFlow finds the queue by its name: two functions must never share one.
        queue = uuid.uuid4().hex

        @tf.function(autograph=False)
        def join(**tensors):
            answer = tf.raw_ops.BatchFunction(
                in_tensors=[tensors[name] for name in specs],
                captured_tensors=rows.captured_inputs,
                f=rows,
                Tout=[spec.dtype for spec in outputs.values()],
                shared_name=queue,
                max_batch_size=self.max_batch_size,
                batch_timeout_micros=self.batch_timeout_micros,
                max_enqueued_batches=self.max_enqueued_batches,
                num_batch_threads=self.num_batch_threads,
                allowed_batch_sizes=list(self.allowed_batch_sizes),
                enable_large_batch_splitting=False,
            )
            return dict(zip(outputs, answer, strict=True))

        return join.get_concrete_function(**specs)


def _has_rows(spec):
    return bool(spec.shape.rank) and spec.shape[0] is None
