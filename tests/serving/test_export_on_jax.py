"""On the other backend there is an export that says what to do, and no need for TensorFlow."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import vlae_tf

CODE = """
import sys
sys.modules["tensorflow"] = None
from vlae_tf.saved_model import export
try:
    export(None, "served")
except ValueError as error:
    print(error)
"""


@pytest.mark.jax
def test_export_on_jax_says_what_it_needs(tmp_path):
    root = str(Path(vlae_tf.__file__).parent.parent)
    done = subprocess.run(
        [sys.executable, "-c", CODE],
        cwd=tmp_path,
        env={**os.environ, "KERAS_BACKEND": "jax", "PYTHONPATH": root},
        capture_output=True,
        text=True,
    )
    assert "needs Keras' TensorFlow backend" in done.stdout, done.stderr
    assert "Received: KERAS_BACKEND='jax'" in done.stdout
    assert not any(tmp_path.iterdir())
