"""What to say of mixed_bfloat16 on a CPU that cannot do it."""

import pathlib

import keras

from vlae_tf.backend import BACKEND


def slow_policy_notice(dtype, cpu_info="/proc/cpuinfo"):
    """A sentence about a policy that is too slow to train with here, or None.

    TensorFlow multiplies bfloat16 with oneDNN on CPUs with AVX-512 and with Eigen on others, many
    times slower than float32: an epoch that takes minutes there takes hours.

    Args:
        dtype: name of a policy of Keras.
        cpu_info: file in which Linux describes the CPU; without it, there is nothing to say.

    Example:
        >>> from vlae_tf.training.slow_policy import slow_policy_notice
        >>> slow_policy_notice("float32") is None
        True
    """
    if "bfloat16" not in dtype or BACKEND != "tensorflow":
        return None
    path = pathlib.Path(cpu_info)
    lines = path.read_text().splitlines() if path.exists() else []
    flags = next((line.split() for line in lines if line.startswith("flags")), None)
    if flags is None or "avx512f" in flags:
        return None
    if any(not device.startswith("cpu") for device in keras.distribution.list_devices()):
        return None
    return (
        f"{dtype} is many times slower than float32 on this CPU, which has no AVX-512: "
        "better take --dtype float32."
    )
