"""Several devices, and several machines, that share the batches of one model."""

import contextlib
import functools
import json
import os
import socket
import time

import keras

from vlae_tf.backend import BACKEND
from vlae_tf.checks import check_integer, refuse

_TF_CONFIG = (
    'JSON of the form {"cluster": {"worker": ["host:port", ...]}, '
    '"task": {"type": "worker", "index": 0}}'
)


@contextlib.contextmanager
def on_devices(count: int = 1):
    """A context in which a model is made, and trained, evaluated or asked for codes, on several
    devices of this machine.

    Each device computes some of the rows of a batch; weights, losses and metrics are those of one
    device, up to rounding. On JAX it is `keras.distribution.DataParallel`, on TensorFlow
    `tf.distribute.MirroredStrategy`. Models that are made elsewhere stay on one device.

    Args:
        count: number of devices: GPUs (on JAX also TPUs) if there are any, CPUs otherwise.

    Raises:
        ValueError: for more devices than there are.

    Example:
        >>> import vlae_tf
        >>> from vlae_tf.training import on_devices
        >>> with on_devices(1):
        ...     model = vlae_tf.zoo.load("mnist_static")
        ...     code = model.encode(vlae_tf.zoo.examples("mnist_static"))
    """
    count, known = check_integer(count, "devices", least=1), keras.distribution.list_devices()
    if count > len(known):
        expected = f"at most {len(known)}, the number of devices here ({', '.join(known)})"
        refuse("devices", expected, count)
    if count == 1:
        yield
    elif BACKEND == "jax":
        with _rows_over(known[:count]).scope():
            yield
    else:
        with _mirrored(*known[:count]).scope():
            yield


@functools.cache
def _mirrored(*devices):
    """The strategy of these devices, the same at each call.

    What devices do together has numbers, which begin anew with each strategy of TensorFlow 2.21:
    it takes the steps of a second one for those of the first, and fails where shapes differ.
    """
    import tensorflow as tf

    class MirroredStrategy(tf.distribute.MirroredStrategy):
        _collective_key_base = 1000 * len(devices)

    return MirroredStrategy([device.upper() for device in devices])


def _rows_over(devices):
    """Keras' distribution of the rows of a batch, which leaves a batch that it cannot divide whole.

    Each device then computes all of it.
    """

    class DataParallel(keras.distribution.DataParallel):
        def get_data_layout(self, data_shape):
            if data_shape[0] % self.num_model_replicas == 0:
                return super().get_data_layout(data_shape)
            axes = [None] * len(data_shape)
            return keras.distribution.TensorLayout(axes, self.device_mesh)

    return DataParallel(devices=devices)


# === Several machines ===


@contextlib.contextmanager
def on_workers(wait: float = 60.0):
    """A context in which a model is made and trained on the machines that TF_CONFIG names.

    It is `tf.distribute.MultiWorkerMirroredStrategy`: the same program runs on each, and each uses
    all of its GPUs, or its CPU. Enter it before anything is computed.

    Args:
        wait: seconds within which all others must have been started.

    Raises:
        ValueError: for a TF_CONFIG that cannot be read, or workers that do not answer in time.

    Example:
        >>> from vlae_tf.training import on_workers
        >>> with on_workers():  # in a process whose TF_CONFIG names it
        ...     model = recipe.build_model((28, 28, 1))  # doctest: +SKIP
    """
    workers, own = cluster()
    if BACKEND != "tensorflow":
        expected = "unset on JAX: workers need Keras' TensorFlow backend"
        refuse("TF_CONFIG", expected, os.environ["TF_CONFIG"])
    _meet(workers, own, wait)
    import tensorflow as tf

    with tf.distribute.MultiWorkerMirroredStrategy().scope():
        yield


def cluster():
    """Addresses of the workers that TF_CONFIG names, the chief first, and the place of this process
    among them; none for a process that works alone."""
    text = os.environ.get("TF_CONFIG", "")
    try:
        config = json.loads(text or "{}")
        chief, others = (config.get("cluster", {}).get(kind, []) for kind in ("chief", "worker"))
        workers = [*chief, *others]
        if len(workers) < 2:
            return [], 0
        kind, index = config["task"]["type"], int(config["task"]["index"])
        own = workers.index({"chief": chief, "worker": others}[kind][index])
        ports = [int(address.rpartition(":")[2]) for address in workers]
    except (ValueError, KeyError, IndexError, TypeError, AttributeError):
        return refuse("TF_CONFIG", _TF_CONFIG, text)
    return (workers, own) if all(ports) else refuse("TF_CONFIG", _TF_CONFIG, text)


def _meet(workers, own, wait):
    """Returns once all workers can be reached; TensorFlow would wait for them without end."""
    missing, until = {a: None for a in workers if a != workers[own]}, time.monotonic() + wait
    # The system answers for a port that is listened to.
    with socket.create_server(("", int(workers[own].rpartition(":")[2]))):
        while missing and time.monotonic() < until:
            for address in list(missing):
                host, _, port = address.rpartition(":")
                try:
                    socket.create_connection((host, int(port)), timeout=2).close()
                    del missing[address]
                except OSError as error:
                    missing[address] = error
            time.sleep(0.2 if missing else 0)
    if missing:
        reasons = ", ".join(f"{address} ({error})" for address, error in missing.items())
        expected = f"that of workers that can all be reached within {wait:g} s"
        refuse("TF_CONFIG", expected, None, f"no answer from {reasons}")
