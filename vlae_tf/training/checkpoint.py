import pathlib

import keras

from vlae_tf.files import load_weights, whole
from vlae_tf.training.averaged_evaluation import averaged_weights


class Checkpoint(keras.callbacks.Callback):
    """After each epoch, keeps the averaged weights and what the run needs to go on, in whole files.

    `model.weights.h5` holds the averaged weights alone; `latest.weights.h5` weights, optimiser,
    step and random states. Each replaces the one before in one move, the second one last:
    whenever the process is killed, an epoch is either there with all its files or done again.

    Args:
        folder: of the run.

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
        """Loads the checkpoint, if there is one, and returns the epoch to go on with.

        Raises:
            ValueError: if the file is damaged, or of another model or data set.
        """
        if not self.latest.exists():
            return 0
        model.optimizer.build(model.trainable_variables)
        load_weights(model, self.latest)
        step = int(model.optimizer.iterations)
        epoch, rest = divmod(step, steps_per_epoch)
        if rest:
            raise ValueError(
                f"A checkpoint must be at the end of an epoch, which has {steps_per_epoch} steps: "
                "the number of images must be that of the interrupted run. "
                f"Received: path={str(self.latest)!r}, at step {step}"
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
