import numpy as np

from vlae_tf.checks import check_installed

_FILE = "assets.extra/tf_serving_warmup_requests"


def write_warmup(path, signatures, images, batch_sizes):
    """Write requests that TensorFlow Serving answers to itself before it takes any other.

    The first request of a signature and batch size is slow: TensorFlow chooses kernels, takes
    memory and, under XLA, compiles code. With one request for each signature and batch size, that
    happens at the start of the server.

    Args:
        path: folder of the version, in the folder of the model.
        signatures: dict of concrete functions by name.
        images: real images, uint8 `(n, height, width, channels)`, used in turn; requests with
            `image_bytes` get them as PNG.
        batch_sizes: batch sizes that the server allows (`allowed_batch_sizes` of its batching).

    Raises:
        ImportError: if tensorflow-serving-api is not installed.

    Reference:
        TensorFlow Serving, "SavedModel Warmup".
    """
    import tensorflow as tf

    check_installed("tensorflow_serving", "serving", "`warmup_images`")
    from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

    file = path / _FILE
    file.parent.mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(file)) as writer:
        for name, function in signatures.items():
            positional, named = function.structured_input_signature
            # Arguments that a signature leaves out have no specification.
            specs = {spec.name: spec for spec in (*positional, *named.values()) if spec}
            for batch_size in batch_sizes:
                request = predict_pb2.PredictRequest()
                request.model_spec.name = path.parent.name
                request.model_spec.signature_name = name
                for key, spec in specs.items():
                    values = _values(key, spec, np.resize(images, (batch_size, *images.shape[1:])))
                    request.inputs[key].CopyFrom(tf.make_tensor_proto(values, spec.dtype))
                log = prediction_log_pb2.PredictLog(request=request)
                record = prediction_log_pb2.PredictionLog(predict_log=log)
                writer.write(record.SerializeToString())


def warmup_requests(path):
    """The `PredictRequest` messages beside the SavedModel in this folder, if any."""
    import tensorflow as tf

    file = path / _FILE
    if not file.exists():
        return
    from tensorflow_serving.apis import prediction_log_pb2

    for record in tf.data.TFRecordDataset(str(file)).as_numpy_iterator():
        log = prediction_log_pb2.PredictionLog.FromString(record)
        if log.HasField("predict_log"):
            yield log.predict_log.request


def _values(key, spec, images):
    import tensorflow as tf

    if key == "image":
        return images
    if key == "image_bytes":
        brightness = 255 if images.max() <= 1 else 1
        return [tf.io.encode_png(image * brightness).numpy() for image in images]
    if key == "seed":
        return np.arange(len(images))
    if key == "temperature":
        return np.ones(len(images))
    return np.zeros((len(images), *spec.shape[1:]))
