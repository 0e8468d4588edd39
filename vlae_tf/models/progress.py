"""Progress on one line of a terminal."""

import math
import shutil
import sys
import time

import keras

# Seconds between two drawings of the line.
_INTERVAL = 0.2
# Steps before the length of the rest is guessed; the first ones compile.
_WARM_UP, _MEASURED = 2, 10


class Progress:
    """A line that is drawn over and over on a terminal, and is not drawn elsewhere.

    Args:
        label: what is being done.
        total: number of steps, images or pairs; None if unknown.
        shown: whether to draw at all.

    Example:
        >>> from vlae_tf.models.progress import Progress
        >>> progress = Progress("encode", 10, shown=False)
        >>> progress(4, 10)
    """

    def __init__(self, label, total, shown=True):
        self.label, self.total = label, total
        self.shown = bool(shown) and _on_terminal()
        self.start, self.drawn = time.perf_counter(), -math.inf

    def __call__(self, done, total=None, figures=lambda: ""):
        """Draws the line: `done` of `total`, seconds left, and the text that `figures()` gives."""
        now = time.perf_counter()
        self.total = total or self.total
        if self.shown and (now - self.drawn > _INTERVAL or done == self.total):
            self.drawn = now
            parts = [self.label, f"{done:,}/{self.total:,}" if self.total else f"{done:,}"]
            if self.total and done:
                parts.append(f"{told((now - self.start) * (self.total / done - 1))} left")
            self._write("  ".join([*parts, figures()]))

    def clear(self):
        """Takes the line away."""
        if self.shown:
            self._write("")
            sys.stdout.write("\r")
            sys.stdout.flush()

    def _write(self, text):
        width = min(shutil.get_terminal_size().columns, 80) - 1
        sys.stdout.write("\r" + text[:width].ljust(width))
        sys.stdout.flush()


def told(seconds):
    """A time in words of at most two units, such as "1 h 05 min"."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60:02} min" if minutes >= 60 else f"{minutes} min"


class TrainingProgress(keras.callbacks.ProgbarLogger):
    """What `fit` and `evaluate` tell on a terminal: a line of at most 80 characters an epoch.

    Of the terms it shows the loss (nats an image), bits a dimension, and bits of the code: the
    others follow from these, or are in the history. Before training it tells the number of
    parameters, images and steps, and after a few steps how long all epochs will take. With
    `verbose=2`, or where the output is no terminal, only whole epochs are told.

    Args:
        images: number of training images, if known.

    Example:
        >>> from vlae_tf.models.progress import TrainingProgress
        >>> TrainingProgress(images=50_000).images
        50000
    """

    def __init__(self, images=None):
        super().__init__()
        self.images = images

    def on_train_begin(self, logs=None):
        super().on_train_begin(logs)
        self._first = None
        if self.verbose:
            counts = {
                "parameters": self.model.count_params(),
                "images": self.images,
                "steps an epoch": self.target,
                "epochs": self.epochs,
            }
            print(", ".join(f"{n:,} {what}" for what, n in counts.items() if n is not None))

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch = epoch
        self._begin(f"epoch {epoch + 1}/{self.epochs}")

    def on_train_batch_end(self, batch, logs=None):
        self._tell_length(batch)
        self._draw(batch, logs)

    def on_epoch_end(self, epoch, logs=None):
        self._end(f"epoch {epoch + 1}/{self.epochs}", logs)

    def on_test_begin(self, logs=None):
        if not self._called_in_fit:
            self._begin("evaluate")

    def on_test_batch_end(self, batch, logs=None):
        if not self._called_in_fit:
            self._draw(batch, logs)

    def on_test_end(self, logs=None):
        if not self._called_in_fit:
            self._end("evaluate", logs)

    def on_train_end(self, logs=None):
        self._called_in_fit = False

    def _begin(self, label):
        self._bar = Progress(label, self.target, self.verbose == 1)

    def _draw(self, batch, logs):
        self.seen = batch + 1
        # Only what is drawn is computed: on JAX, to look at a figure is to wait for it.
        self._bar(self.seen, figures=lambda: _figures(logs or {}))

    def _end(self, label, logs):
        self.target = self.target or self.seen
        self._bar.clear()
        if self.verbose:
            seconds = told(time.perf_counter() - self._bar.start)
            print(f"{label}  {seconds}  {_figures(logs or {})}"[:80])

    def _tell_length(self, batch):
        """Once, after a few steps: how long all epochs that are left will take."""
        if self._epoch_is_known() and batch == _WARM_UP:
            self._first = time.perf_counter()
        elif self._first and batch == _WARM_UP + _MEASURED:
            step = (time.perf_counter() - self._first) / _MEASURED
            left = (self.epochs - self._epoch) * self.target - batch
            self._first, self._told = None, True
            self._bar.clear()
            print(f"about {told(left * step)} to go, at {1000 * step:.0f} ms a step")

    def _epoch_is_known(self):
        return self.verbose and self.target and not getattr(self, "_told", False)


def _figures(logs):
    """The terms that are told, as text."""
    forms = {
        "loss": "loss {:.2f}",
        "bits_per_dim": "{:.3f} bits/dim",
        "code_bits": "{:.1f} code bits",
        "val_loss": "val loss {:.2f}",
    }
    return "  ".join(form.format(float(logs[n])) for n, form in forms.items() if n in logs)


def _on_terminal():
    return sys.stdout.isatty()
