import pathlib

import keras
from keras import ops

from vlae_tf.files import load_weights, whole
from vlae_tf.training.averaged_evaluation import averaged_weights


class Checkpoint(keras.callbacks.Callback):
    """After each epoch, keeps the averaged weights and what the run needs to continue.

    `model.weights.h5` holds the averaged weights alone; `latest.weights.h5` weights, optimiser,
    step and random states. Each file replaces the one before in one move, the second one last:
    whenever the process is killed, an epoch is either there with all its files or done again.

    Args:
        folder: folder of the run.

    Example:
        >>> from vlae_tf.training import Checkpoint
        >>> Checkpoint("run").latest.name
        'latest.weights.h5'
    """

    def __init__(self, folder):
        super().__init__()
        self.folder = pathlib.Path(folder)

    @property
    def latest(self):
        return self.folder / "latest.weights.h5"

    def restore(self, model, steps_per_epoch):
        """Loads the checkpoint, if there is one, and returns the epoch to continue with.

        Raises:
            ValueError: for a damaged file, or one of another model or data set.
        """
        if not self.latest.exists():
            return 0
        model.optimizer.build(model.trainable_variables)
        load_weights(model, self.latest, optimizer=True)
        # The batches: `iterations` counts updates, with several batches to one on request.
        step = int(ops.convert_to_numpy(model.optimizer.variables[0]))
        epoch, rest = divmod(step, steps_per_epoch)
        if rest:
            raise ValueError(
                f"The checkpoint is at step {step}, not at the end of an epoch of "
                f"{steps_per_epoch} steps: the data set has changed size since the interrupted "
                f"run. Received: path={str(self.latest)!r}"
            )
        return epoch

    def on_epoch_end(self, epoch, logs=None):
        self.folder.mkdir(parents=True, exist_ok=True)
        optimizer = self.model.optimizer
        with averaged_weights(self.model), whole(self.folder / "model.weights.h5") as path:
            self.model.optimizer = None
            try:
                self.model.save_weights(path, overwrite=True)
            finally:
                self.model.optimizer = optimizer
        with whole(self.latest) as path:
            self.model.save_weights(path, overwrite=True)
