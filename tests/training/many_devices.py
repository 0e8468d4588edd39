"""python many_devices.py DEVICES OBJECTIVES: three steps on one device and on several, and for the
first objective an evaluation and codes.

The devices are virtual ones of this CPU. Batches are of 3 rows a device, less 1 on TensorFlow, and
the last one has fewer. Prints the largest differences as JSON, by objective and by what differs.
"""

import json
import sys

import keras
import numpy as np

count = int(sys.argv[1])
on_jax = keras.backend.backend() == "jax"  # where XLA_FLAGS makes the devices
if not on_jax:
    import tensorflow as tf

    device = tf.config.LogicalDeviceConfiguration()
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [device] * count)

import vlae_tf  # noqa: E402
from tests.tiny import random_images  # noqa: E402
from vlae_tf import likelihoods, networks, posteriors, priors  # noqa: E402
from vlae_tf.objectives import (  # noqa: E402
    ELBO,
    ImportanceWeightedELBO,
    InfoELBO,
    MutualPosteriorDivergenceELBO,
    SoftFreeBitsELBO,
)
from vlae_tf.training import AveragedEvaluation, NaNGuard, averaged, on_devices  # noqa: E402

SHAPE = (4, 4, 1)
# Each is more than a mean over rows, or draws noise in a way of its own.
OBJECTIVES = {
    "free bits": lambda: ELBO(free_bits=0.5, samples=2),
    "controller": lambda: SoftFreeBitsELBO(free_bits=0.3),
    "MMD": lambda: InfoELBO(alpha=0.5, weight=5.0),
    "divergence": lambda: MutualPosteriorDivergenceELBO(),
    "importance": lambda: ImportanceWeightedELBO(3, "dreg"),
}
size = 3 * count - (not on_jax)
rows = 3 * size - (count if on_jax else size - count)


def results(objective, devices, whole):
    """Figures, weights and, if `whole`, what the trained model gives."""
    keras.utils.set_random_seed(0)
    with on_devices(devices):
        model = vlae_tf.VAE(
            SHAPE,
            2,
            networks.MLPEncoder([4]),
            networks.MLPDecoder(SHAPE, units=[4]),
            posteriors.GaussianPosterior(2),
            priors.FlowPrior(2, steps=0),
            likelihoods.BernoulliLikelihood(SHAPE),
            objective(),
        )
        # The norm of the whole gradient is clipped at every step.
        optimizer = averaged(keras.optimizers.Adamax)(1e-2, global_clipnorm=0.1)
        model.compile(optimizer, jit_compile=on_jax)
        images = random_images(rows, SHAPE)
        more = {"validation_data": images[::-1], "validation_batch_size": size} if whole else {}
        callbacks = [NaNGuard(), AveragedEvaluation()]
        history = model.fit(
            images, batch_size=size, shuffle=False, verbose=0, callbacks=callbacks, **more
        )
        figures = {name: values[0] for name, values in history.history.items()}
        found = {"figures": list(figures.values()), "weights": model.get_weights()}
        found["averages"] = [*map(keras.ops.convert_to_numpy, optimizer.variables)]
        if whole:
            images = images[: count + 1]
            found["codes"] = [model.encode(images), model.sample(3, seed=1)]
            found["likelihood"] = [model.log_likelihood(images, importance_samples=3)]
    return found


differences = {}
for name, objective in [*OBJECTIVES.items()][: int(sys.argv[2])]:
    one, several = (results(objective, devices, not differences) for devices in (1, count))
    differences[name] = {
        what: max(float(np.abs(a - b).max()) for a, b in zip(one[what], several[what], strict=True))
        for what in one
    }
print(json.dumps(differences))
