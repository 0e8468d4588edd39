"""Everything about the distribution; pyproject.toml holds only the tools' settings."""

from pathlib import Path
from runpy import run_path

from setuptools import find_packages, setup

ROOT = Path(__file__).parent

TEST = [
    "build",
    "mypy>=1.15",
    "pytest>=8",
    "pytest-xdist>=3.6",
    "pyyaml>=6",
    "ruff>=0.12",
    "selenium>=4.20",
]
JAX = ["jax>=0.7,<0.12"]
SERVING = [
    "grpcio>=1.60,<2",
    "starlette>=0.40,<2",
    "tensorflow-serving-api>=2.20,<2.22",
    "uvicorn>=0.30,<1",
]
# The entropy coder of .vlae files. Another minor version may code other bits.
CODING = ["constriction>=0.5,<0.6"]
# For models from the Hugging Face Hub, "hf://user/name".
HUB = ["huggingface_hub>=0.20"]
# Own images in parquet files.
PARQUET = ["pyarrow>=15"]
# Files for other runtimes; TensorFlow itself writes those for LiteRT.
ONNX = ["onnx>=1.16", "onnxruntime>=1.18", "tf2onnx>=1.16"]
OPENVINO = ["openvino>=2024.0"]
# For keras-tuner's Bayesian search, and linear probes.
SKLEARN = ["scikit-learn>=1.4"]
DOCS = ["furo>=2024.8", "myst-nb>=1.2", "sphinx>=8", "sphinx-copybutton>=0.5"]

setup(
    name="vlae_tf",
    version=run_path(str(ROOT / "vlae_tf" / "_version.py"))["__version__"],
    description="The Variational Lossy Autoencoder for Keras 3, with a pretrained zoo",
    long_description=(ROOT / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    license_files=["LICENSE", "NOTICE"],
    keywords="vae autoencoder pixelcnn normalizing-flow keras tensorflow jax",
    classifiers=[
        "Development Status :: 4 - Beta",
        "Intended Audience :: Science/Research",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
        "Typing :: Typed",
    ],
    python_requires=">=3.11",
    # The entries stay at the top of the repository, where people read them, and are installed
    # inside the package, where no other distribution can collide with them.
    packages=[*find_packages(include=["vlae_tf", "vlae_tf.*"]), "vlae_tf._zoo"],
    package_dir={"vlae_tf._zoo": "zoo"},
    package_data={
        "": ["py.typed", "*.pyi"],
        "vlae_tf.explorer": ["static/*"],
        "vlae_tf.runs": ["recipe_sizes.json", "recipes/*.json"],
        "vlae_tf.tuning": ["report.html"],
        "vlae_tf._zoo": ["*/*"],
    },
    # Pictures are looked at in the repository, and would be a twelfth of what everyone downloads.
    exclude_package_data={"vlae_tf._zoo": ["*/*.png"]},
    install_requires=[
        "h5py>=3.11",
        # TensorFlow Datasets needs it to prepare a data set but does not ask for it.
        "importlib_resources>=6",
        "jinja2>=3",
        # The first that refuses weights whose numbers lie in other files.
        "keras>=3.14.1,<4",
        "keras-tuner>=1.4.7,<2",
        "matplotlib>=3.8",
        "numpy>=1.26",
        "pillow>=10",
        "pydantic>=2",
        "rich>=13",
        "scipy>=1.15",
        # Used by keras.callbacks.TensorBoard and keras-tuner; TensorFlow no longer brings it.
        "tensorboard>=2.20",
        "tensorflow>=2.20,<2.22",
        "tensorflow-datasets>=4.9.10,<5",
        "tensorflow-probability>=0.25,<0.26",
        # TensorFlow Probability cannot be imported without it.
        "tf-keras>=2.20,<2.22",
        "typer>=0.12",
    ],
    extras_require={
        "coding": CODING,
        "docs": DOCS,
        "hub": HUB,
        "jax": JAX,
        "onnx": ONNX,
        "openvino": OPENVINO,
        "parquet": PARQUET,
        "serving": SERVING,
        "sklearn": SKLEARN,
        "test": TEST,
        "all": CODING + HUB + JAX + PARQUET + SERVING + SKLEARN + TEST,
    },
    entry_points={"console_scripts": ["vlae-tf = vlae_tf.cli:main"]},
)
