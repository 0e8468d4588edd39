"""The demonstration of `make demo`: a trained model, from loading to serving."""

import pathlib
import subprocess
import sys
import time

import numpy as np

from vlae_tf import evaluation, zoo
from vlae_tf.models import importance_weighted_terms

# The SavedModel needs TensorFlow alone, without vlae_tf.
_FRESH_PROCESS = """
import sys
import numpy as np
import tensorflow as tf

served = tf.saved_model.load(sys.argv[1])
inputs = np.load(sys.argv[2])
answer = served.signatures["reconstruct"](image=inputs["images"], seed=inputs["seeds"])
code = served.signatures["serving_default"](image=inputs["images"])["code"]
assert "vlae_tf" not in sys.modules
np.savez(sys.argv[3], image=answer["image"], code=code)
"""


def run(entry, out, console):
    """Load `entry`, encode, reconstruct, sample, export, reload in a fresh process and compare.

    Args:
        entry: name of an entry of the zoo.
        out: folder for the pictures and the SavedModel.
        console: a `rich.console.Console`.

    Raises:
        RuntimeError: if the served model gives other answers than the Python model.
    """
    out = pathlib.Path(out)
    out.mkdir(parents=True, exist_ok=True)

    start = time.perf_counter()
    model = zoo.load(entry)
    images = zoo.examples(entry)
    console.print(
        f"Loaded [bold]{entry}[/bold], {model.count_params():,} parameters, "
        f"in {time.perf_counter() - start:.1f} s"
    )
    code = model.encode(images)
    console.print(f"Encoded {len(images)} test images: codes of shape {code.shape}")
    with console.status("Reconstructing"):
        evaluation.plot_reconstructions(model, images[:10], out / "reconstructions.png")
    with console.status("Sampling"):
        evaluation.plot_samples(model.sample(32, seed=0), out / "samples.png")
    console.print(f"Pictures: {out / 'reconstructions.png'}, {out / 'samples.png'}")

    with console.status("Estimating the likelihood"):
        terms = importance_weighted_terms(model, images[:32], importance_samples=32)
    console.print(
        f"On 32 test images: NLL {-terms['log_prob'].mean():.2f} nats (32 importance samples), "
        f"code {terms['kl'].mean() / np.log(2):.1f} bits. On the whole test set: `vlae-tf zoo list`"
    )

    with console.status("Exporting"):
        served = model.export(out / "served" / entry)
    console.print(f"SavedModel: {served}")
    with console.status("Reloading it in a fresh process"):
        _compare(model, images[:16], served, out)
    console.print("[green]The served model answers as the Python model does.[/green]")


def _compare(model, images, served, out):
    inputs, answers = out / "inputs.npz", out / "answers.npz"
    seeds = np.arange(len(images), dtype="int32")
    np.savez(inputs, images=images, seeds=seeds)
    done = subprocess.run(
        [sys.executable, "-c", _FRESH_PROCESS, served, inputs, answers],
        stderr=subprocess.PIPE,
        text=True,
    )
    if done.returncode:
        raise RuntimeError(f"The SavedModel must run in a fresh process. Received: {done.stderr}")
    with np.load(answers) as answer:
        distance = np.abs(answer["code"] - model.encode(images)).max()
        same = (answer["image"] == model.reconstruct(images, seed=seeds)).mean()
    # A pixel whose probability meets its noise within rounding may fall either way.
    if distance > 1e-3 or same < 0.999:
        raise RuntimeError(
            "The served model must answer as the Python model does. Received: codes that differ by "
            f"{distance:.2g}, images of which {same:.2%} of the pixels agree"
        )
