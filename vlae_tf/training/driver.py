"""The driver that runs `model.fit` with a recipe."""

import contextlib
import csv
import errno
import io
import pathlib
import tempfile
from collections.abc import Sequence

import keras

from vlae_tf.backend import over_workers, replicas
from vlae_tf.checks import check_no_file, refuse
from vlae_tf.files import PathLike, load_weights, locked, write_text
from vlae_tf.models import VAE
from vlae_tf.models.folder import model_config
from vlae_tf.models.progress import TrainingProgress
from vlae_tf.records import read_history
from vlae_tf.runs.data import RunData
from vlae_tf.runs.recipe import Recipe
from vlae_tf.runs.run_record import RunRecord, begun_with, read_record
from vlae_tf.training.averaged_evaluation import AveragedEvaluation
from vlae_tf.training.checkpoint import Checkpoint
from vlae_tf.training.clustering import Clustering
from vlae_tf.training.collapse_warning import CollapseWarning
from vlae_tf.training.devices import cluster, on_devices, on_workers
from vlae_tf.training.nan_guard import NaNGuard
from vlae_tf.training.recipe_optimizer import recipe_optimizer

# Images among whose codes clusters are found.
_CLUSTERED = 5000


def train(
    recipe: Recipe,
    out: PathLike,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    data_dir: PathLike | None = None,
    verbose: str | int = "auto",
    tensorboard: bool = False,
    command: str | None = None,
    devices: int | None = None,
) -> VAE:
    """Train the model of a recipe, or continue a run that was killed, to the same result.

    In each of the processes that TF_CONFIG names, it trains together with the others
    (`on_workers`). `out` must be a folder that all of them see; the first one writes it.

    Args:
        recipe: `Recipe` of the run.
        out: folder of the run: recipe.json, config.json, model.weights.h5 (averaged weights),
            history.csv (one row an epoch), run.json (command, versions, hardware, wall time), and
            latest.weights.h5, from which a killed run continues.
        callbacks: further Keras callbacks.
        data_dir: folder where TFDS keeps its data.
        verbose: that of `fit`.
        tensorboard: whether to write TensorBoard logs to `out`/tensorboard too.
        command: command to keep in run.json; `sys.argv` unless given.
        devices: number of devices that share each batch, see `on_devices`; 1 unless given. Not for
            workers, which use all of theirs.

    Returns:
        The trained `VLAE`, with averaged weights.

    Raises:
        ValueError: if `recipe` is none; if `out` holds a run of another recipe or a damaged
            checkpoint, or another process is training there; for images that the model does not
            take; for devices or workers that are not there, or that cannot divide a batch.
        FloatingPointError: if the loss or a gradient is no longer finite.

    Example:
        >>> import pathlib, tempfile
        >>> import numpy as np
        >>> from vlae_tf.runs import Recipe
        >>> from vlae_tf.training import train
        >>> folder = pathlib.Path(tempfile.mkdtemp())
        >>> np.savez(folder / "images.npz", train=np.eye(8, dtype="uint8").reshape(1, 8, 8, 1))
        >>> sizes = {"filters": [2], "blocks": 0, "units": 2}
        >>> model = {
        ...     "latent_dim": 2,
        ...     "encoder": {"class_name": "ResNetEncoder", "config": sizes},
        ...     "decoder": {"class_name": "ResNetDecoder", "config": sizes},
        ...     "prior_family": {"class_name": "FlowPrior", "config": {"steps": 0}},
        ...     "likelihood_family": {"class_name": "BernoulliLikelihood"},
        ... }
        >>> recipe = Recipe(str(folder / "images.npz"), model, epochs=1, validation_split=None)
        >>> train(recipe, folder / "run", verbose=0).sample(2).shape
        (2, 8, 8, 1)

    Reference:
        Chen et al., "Variational Lossy Autoencoder", ICLR 2017, appendix A.
    """
    if not isinstance(recipe, Recipe):
        refuse("recipe", 'a `Recipe`, such as Recipe.load("mnist_static")', recipe)
    out = pathlib.Path(out)
    recipe = recipe.with_absolute_path()
    _check_folder(out, recipe)
    with _on(devices):
        return _train(recipe, out, callbacks, data_dir, verbose, tensorboard, command)


def _train(recipe, out, callbacks, data_dir, verbose, tensorboard, command):
    extra = [_tensorboard(out)] if tensorboard and not cluster()[1] else []
    data = RunData(recipe, data_dir)
    facts = {
        "images": len(data.images),
        "data": data.fingerprint(),
        "recipe_sha256": recipe.fingerprint(),
    }
    _check_data(out, facts["data"])
    _check_division(recipe, len(data.images))

    checkpoint = Checkpoint(out)
    model = compiled_model(data, initialize=not checkpoint.latest.exists())
    workers = max(len(cluster()[0]), 1)
    with _written(out) as kept:
        epoch = checkpoint.restore(model, data.steps_per_epoch)
        _check_same_epoch(model, epoch, out)

        write_text(kept / "recipe.json", recipe.to_json())
        write_text(kept / "config.json", model_config(model))
        _forget_epochs_from(kept / "history.csv", epoch)
        history = keras.callbacks.CSVLogger(kept / "history.csv", append=True)
        try:
            model.fit(
                **data.fit_arguments(initial_epoch=epoch),
                initial_epoch=epoch,
                epochs=recipe.epochs,
                verbose=verbose,
                callbacks=[
                    # On JAX a look at the weights stops the machine from working ahead.
                    NaNGuard(every=100 if keras.backend.backend() == "jax" else 1),
                    AveragedEvaluation(),
                    *([CollapseWarning()] if model.has_code else []),
                    *_clustering(data),
                    *extra,
                    history,
                    RunRecord(kept, command, recipe.initial_weights, workers, **facts),
                    Checkpoint(kept),
                    TrainingProgress(images=len(data.images)),
                    *callbacks,
                ],
            )
        except OSError as error:
            if error.errno == errno.ENOSPC and error.filename is None:
                error.filename = str(kept / "history.csv")
            raise
        finally:
            if history.csv_file:
                history.csv_file.close()  # Keras leaves it open when training ends with an error
    return model


def _on(devices):
    if not cluster()[0]:
        return on_devices(1 if devices is None else devices)
    if devices is not None:
        refuse("devices", "None where TF_CONFIG names workers, which use all of theirs", devices)
    return on_workers()


@contextlib.contextmanager
def _written(out):
    """The folder that this process writes, locked: `out`, or a temporary one of a worker that is
    not the first, for all of them do the same."""
    _, worker = cluster()
    if worker:
        with tempfile.TemporaryDirectory() as folder:
            yield pathlib.Path(folder)
        return
    out.mkdir(parents=True, exist_ok=True)
    with locked(out) as alone:
        if not alone:
            refuse("out", "a run that no other process is training", str(out))
        yield out


def compiled_model(data, initialize=True):
    """The model of the recipe of a `RunData`, ready for `fit`, with its first weights."""
    recipe = data.recipe
    model = recipe.build_model(data.image_shape)
    if initialize:
        _initialize(model, data)
    model.compile(
        optimizer=recipe_optimizer(recipe, data.steps_per_epoch),
        # Without it, JAX would run each operation on its own.
        jit_compile=recipe.jit_compile or keras.backend.backend() == "jax",
    )
    return model


# === The run's folder ===


def _check_folder(out, recipe):
    check_no_file(out, "out")
    path = out / "recipe.json"
    if not path.exists():
        if (out / "run.json").exists():
            refuse("out", "a new folder, or a run with its recipe.json", str(out))
        return
    before = begun_with(out, "out").with_absolute_path()
    if differences := recipe.differences(before):
        raise ValueError(
            "`out` must be a new folder or one with a run of the same recipe; to train a finished "
            "model further, start a new run with its weights as `initial_weights` and another "
            "`seed`. "
            f"Received: out={str(out)!r}, whose recipe differs in {', '.join(differences)}"
        )


def _check_division(recipe, images):
    """Raises if the devices cannot share the batches of a recipe."""
    devices, size = replicas(), recipe.batch_size
    if keras.backend.backend() == "jax":
        if size % devices:
            refuse("batch_size", f"a multiple of the {devices} devices, on JAX", size)
    elif devices > 1:
        if min(size, images) < devices:
            received = f"batch_size={size} for {images} images"
            refuse("batch_size", f"at least the {devices} devices", size, received)
        if steps := recipe.optimizer["config"].get("gradient_accumulation_steps"):
            expected = "None with several devices on TensorFlow; JAX has it"
            refuse("gradient_accumulation_steps", expected, steps)


def _check_same_epoch(model, epoch, out):
    """Raises if the workers found different checkpoints: TensorFlow would wait without end."""
    if not cluster()[0]:
        return
    epochs = over_workers(model, epoch)
    if len(set(epochs)) > 1:
        found = f"{str(out)!r}, with {' and '.join(map(str, epochs))} epochs"
        refuse("out", "a folder that all workers see", str(out), f"out={found}")


def _check_data(out, data):
    """Raises if the images are not those that the run in `out` began with."""
    path = out / "run.json"
    before = read_record(path).get("data", data)
    for split in sorted(data.keys() | before.keys()):
        now, then = (known.get(split, {"images": 0}) for known in (data, before))
        if now != then:
            what = "as many, of other pixels" if now["images"] == then["images"] else now["images"]
            raise ValueError(
                "`dataset` must hold the images that the run began with; train other images in a "
                f"new folder. Received: {split!r} had {then['images']} images, and has {what} now"
            )


def _forget_epochs_from(path, epoch):
    """A run killed between its log and its checkpoint repeats the epoch; one row must remain."""
    # Empty, if the disk was full when it began.
    if not path.exists() or not path.stat().st_size:
        return
    read_history(path)  # names a file that is something else
    with path.open(newline="") as file:
        rows = list(csv.reader(file))
    done = [row for row in rows[1:] if len(row) == len(rows[0]) and int(row[0]) < epoch]
    text = io.StringIO()
    csv.writer(text).writerows([*rows[:1], *done])
    write_text(path, text.getvalue())


def _tensorboard(out):
    if keras.backend.backend() != "tensorflow":
        raise ValueError(
            "`tensorboard` needs Keras' TensorFlow backend; history.csv has the same figures. "
            f"Received: tensorboard=True, on {keras.backend.backend()}"
        )
    return keras.callbacks.TensorBoard(out / "tensorboard", write_graph=False)


def _clustering(data):
    epoch = data.recipe.clustering_epoch
    return [] if epoch is None else [Clustering(epoch, data.first(_CLUSTERED))]


# === The model's first weights ===


def _initialize(model, data):
    if data.recipe.initial_weights is not None:
        load_weights(model, pathlib.Path(data.recipe.initial_weights))
    else:
        model.initialize_from_data(*data.batches[0])
