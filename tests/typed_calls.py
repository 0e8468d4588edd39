"""Calls as in a user's script, for the type checker alone: nothing here is run.

A call without a remark is right, and must not be refused. Each `type: ignore` is a mistake that
must be found: mypy says which of them it no longer finds.
"""

import pathlib

import keras
import numpy as np

import vlae_tf
from vlae_tf import coding, datasets, evaluation, runs, serving, training, tuning, zoo

images = np.zeros((4, 28, 28, 1), "uint8")
folder = pathlib.Path("runs")


# === Right ===

vlae = zoo.load("mnist_static")
vlae = vlae_tf.VLAE.from_preset(folder / "mine", dtype="mixed_bfloat16")
code = vlae.encode(images)
vlae.decode(code.tolist(), seed=[0, 1, 2, 3], known=images, mask=images > 0)
vlae.sample(16, seed=np.arange(16), temperature=0.7)
first: np.ndarray = vlae.log_likelihood(images, importance_samples=16)[:1]
vlae.export("served/mine").rename(folder / "1")
vlae.export(folder / "encode.onnx", format="onnx", signature="encode")
vlae.compile(keras.optimizers.Adamax(2e-3))
vlae.fit(images, epochs=2, validation_data=images)

datasets.load(images, batch_size=64, shuffle=True)
datasets.load_arrays(folder / "pictures", image_shape=(32, 32, 3)).astype("float32")
datasets.load_arrays("pictures", "validation", validation_fraction=0.1, seed=1)
datasets.ImageBatches(images, 64, shuffle=False).to_tf_dataset()
model = vlae_tf.VLAE([28, 28, 1], latent_dim=16, levels=256)

metrics = evaluation.evaluate(model, images, importance_samples=4)
metrics["nll"] + 1
evaluation.evaluate_run(folder, num_images=500, control="runs/control")
evaluation.plot_samples(vlae.sample(4), "samples.png")
evaluation.plot_reconstructions(vlae, images, folder / "again.png")

adam = {"class_name": "Adam", "config": {"learning_rate": 1e-3}}
recipe = runs.Recipe("digits.npz", {"latent_dim": 8}, epochs=2, optimizer=adam)
recipe = runs.Recipe.load("mnist_static").replace(epochs=2).control()
tuning.tune(recipe, {"model.latent_dim": [4, 8]}, "search", max_minutes=10)

with serving.Server("served", port=0, rest_port=0) as server:
    with serving.Client("http://localhost:8501", "mine") as client:
        client.encode("digit.png") + client.encode(images)
        client.predict("sample", seed=[0, 1], temperature=[1.0, 0.5])["image"].mean()

training.train(runs.Recipe.load("mnist_static"), folder / "mine", verbose=2).encode(images)
coding.decompress(coding.compress(images, "mnist_static", verify=False)).astype("float32")


# === Wrong ===

zoo.load(3)  # type: ignore[arg-type]
zoo.load("mnist_static", weights=False)  # type: ignore[call-arg]
zoo.examples()  # type: ignore[call-arg]
vlae_tf.lode("mnist_static")  # type: ignore[attr-defined]
vlae_tf.VLAE((28, 28, 1), "32")  # type: ignore[arg-type]
vlae_tf.VLAE(28, 32)  # type: ignore[arg-type]
vlae.sample("16")  # type: ignore[arg-type]
vlae.sample(4).save("samples.png")  # type: ignore[attr-defined]
vlae.decode()  # type: ignore[call-arg]
vlae.encode(images, seed=0)  # type: ignore[call-arg]
vlae.log_likelihood(images, importance_samples="256")  # type: ignore[arg-type]
vlae.export(images)  # type: ignore[arg-type]
datasets.load_arrays("mnist_static", train=True)  # type: ignore[call-arg]
datasets.load("mnist_static", "train", "128")  # type: ignore[arg-type]
datasets.load_arrays("pictures", image_shape=32)  # type: ignore[arg-type]
datasets.ImageBatches("mnist_static", 64)  # type: ignore[arg-type]
evaluation.evaluate("runs/mine", images)  # type: ignore[arg-type]
evaluation.evaluate_run(folder, num_images="all")  # type: ignore[arg-type]
evaluation.plot_samples("samples.png", vlae.sample(4))  # type: ignore[arg-type]
runs.Recipe("digits.npz", 8, epochs=2)  # type: ignore[arg-type]
recipe.replace(epochs=2).to_jason()  # type: ignore[attr-defined]
tuning.tune("mnist_static", {"model.latent_dim": [4]}, "search")  # type: ignore[arg-type]
serving.Client("http://localhost:8501")  # type: ignore[call-arg]
client.sample(4, temperature=None)  # type: ignore[arg-type]
client.decode(code).save()  # type: ignore[attr-defined]
training.train("mnist_static", folder / "mine")  # type: ignore[arg-type]
coding.decompress(pathlib.Path("digits.vlae"))  # type: ignore[arg-type]
