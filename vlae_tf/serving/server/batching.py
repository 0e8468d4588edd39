import dataclasses
import pathlib
import uuid

import tensorflow as tf
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format

_FIELD = descriptor_pb2.FieldDescriptorProto


@dataclasses.dataclass(frozen=True)
class Batching:
    """How requests that come at the same time are joined into one computation.

    The fields are those of TensorFlow Serving's `--batching_parameters_file`. A batch waits until
    it is full or `batch_timeout_micros` have passed, and is filled up to the next allowed size.

    Args:
        max_batch_size: rows; a request with more is refused (INVALID_ARGUMENT).
        batch_timeout_micros: microseconds that a request waits for company.
        max_enqueued_batches: beyond so many waiting batches, a request is refused (UNAVAILABLE).
        num_batch_threads: batches computed at a time.
        allowed_batch_sizes: rising, the last one `max_batch_size`; any size if empty.

    Raises:
        ValueError: for numbers that cannot be.

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
        sizes = list(self.allowed_batch_sizes)
        least = {"max_batch_size": 1, "max_enqueued_batches": 1, "num_batch_threads": 1}
        for name, value in {"batch_timeout_micros": 0, **least}.items():
            if getattr(self, name) < value:
                raise ValueError(
                    f"`{name}` must be at least {value}. Received: {name}={getattr(self, name)}"
                )
        rising = sizes == sorted(set(sizes)) and (not sizes or sizes[0] >= 1)
        if not rising or sizes and sizes[-1] != self.max_batch_size:
            raise ValueError(
                "`allowed_batch_sizes` must rise to `max_batch_size`. Received: "
                f"allowed_batch_sizes={sizes}, max_batch_size={self.max_batch_size}"
            )

    @classmethod
    def read(cls, path):
        """What a file says, such as TensorFlow Serving's `--batching_parameters_file`.

        Raises:
            ValueError: if it is no such file, or its numbers cannot be.
            OSError: if it cannot be read.
        """
        try:
            message = text_format.Parse(pathlib.Path(path).read_text("utf-8"), _message())
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
        """`function` on the rows of several callers at once; each gets its own.

        Args:
            function: a concrete function from named tensors to a dict of tensors, as the signatures
                of a SavedModel are. One whose rows are not numbered by the first dimension of all
                inputs and outputs stays as it is.
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


def _message():
    """An empty `BatchingParameters`, which TensorFlow Serving's Python package leaves out."""
    file = descriptor_pb2.FileDescriptorProto(name="batching.proto", syntax="proto3")
    number = file.message_type.add(name="Number").field.add(name="value", number=1)
    number.type, number.label = _FIELD.TYPE_INT64, _FIELD.LABEL_OPTIONAL
    parameters = file.message_type.add(name="BatchingParameters")
    names = "max_batch_size", "batch_timeout_micros", "max_enqueued_batches", "num_batch_threads"
    for index, name in enumerate(names, 1):
        field = parameters.field.add(name=name, number=index, type_name=".Number")
        field.type, field.label = _FIELD.TYPE_MESSAGE, _FIELD.LABEL_OPTIONAL
    sizes = parameters.field.add(name="allowed_batch_sizes", number=6)
    sizes.type, sizes.label = _FIELD.TYPE_INT64, _FIELD.LABEL_REPEATED
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("BatchingParameters"))()
