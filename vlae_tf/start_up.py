"""What happens when Keras or TensorFlow is first imported: stand-ins for classes, a quiet start."""

import contextlib
import copy
import importlib
import importlib.util
import os
import pathlib
import re
import sys
import tempfile

# A line of TensorFlow's log. Before its log is set up, it prints lines of every level.
_LOG_LINE = re.compile(
    rb"[IWEF]\d{4} \d\d:\d\d|\d{4}-\d\d-\d\d \S+: [IWEF] |[IWEF]0000 00:00:"
    rb"|WARNING: All log messages before absl|To enable the following instructions"
)


class OnFirstImport:
    """A finder for `sys.meta_path`: when a package is first imported, its code runs in a context.

    Args:
        contexts: dict of the name of a package to a function of its module, which gives a context
            manager.
    """

    def __init__(self, contexts):
        self.contexts = contexts
        self._asking = False

    def find_spec(self, name, path=None, target=None):
        if name not in self.contexts or self._asking:
            return None
        self._asking = True
        try:
            spec = importlib.util.find_spec(name)
        finally:
            self._asking = False
        if spec is None or spec.loader is None:
            return spec
        # A loader may be that of many packages.
        spec.loader = copy.copy(spec.loader)
        run = spec.loader.exec_module

        def exec_module(module):
            with self.contexts[name](module):
                run(module)

        spec.loader.exec_module = exec_module
        return spec


@contextlib.contextmanager
def quiet(tensorflow):
    """Within, TensorFlow's log lines do not reach the terminal; what else is written to stderr
    does, at the end. All of it does if TensorFlow fails to start, or finds no GPU on a machine that
    has one."""
    sys.stderr.flush()
    terminal = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        wanted = True
        try:
            yield
            # The first look at the devices prints too. It leaves their settings open.
            found = tensorflow.config.list_physical_devices("GPU")
            wanted = not found and any(pathlib.Path("/dev").glob("nvidia[0-9]*"))
        finally:
            sys.stderr.flush()
            os.dup2(terminal, 2)
            os.close(terminal)
            held.seek(0)
            shown = [line for line in held if wanted or not _LOG_LINE.match(line)]
            os.write(2, b"".join(shown))


class OnDemand:
    """Stands in Keras' registry for a class, which is loaded when a config asks for it."""

    def __init__(self, room, name):
        self.room, self.name = room, name

    def from_config(self, config, custom_objects=None):
        cls = getattr(importlib.import_module(f"vlae_tf.{self.room}"), self.name)
        return cls.from_config(config, custom_objects)


@contextlib.contextmanager
def with_stand_ins(keras):
    """Afterwards Keras' registry knows a model, and the optimiser that it may have been compiled
    with, though their modules were not imported."""
    yield
    for room, name in (("models", "VAE"), ("models", "VLAE"), ("training", "AveragedOptimizer")):
        keras.saving.get_custom_objects().setdefault(f"vlae_tf>{name}", OnDemand(room, name))
