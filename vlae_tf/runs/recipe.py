"""A training run as data: everything that decides its result."""

import contextlib
import dataclasses
import hashlib
import json
import pathlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

import keras
import pydantic
from keras.src.backend.common import global_state
from pydantic import BeforeValidator, Field

from vlae_tf import catalogue, models
from vlae_tf.checks import check_dtype, check_image_shape, refuse
from vlae_tf.datasets import DATASETS
from vlae_tf.files import PathLike, read_json
from vlae_tf.runs.parts import KINDS, build_part, check_part, find_class, normal
from vlae_tf.runs.recipe_fields import STRICT, Count, Fraction, Index, errors_in_one_sentence

if TYPE_CHECKING:  # a plain dict is taken, and what is in it is checked when it runs
    Model = dict[str, Any]
    OptimizerPart = Model
    Part = Model
    SchedulePart = Model
else:
    from vlae_tf.runs.recipe_fields import Model, OptimizerPart, Part, SchedulePart


@contextlib.contextmanager
def without_values():
    """A scope in which weights have shapes and no values, at any time.

    Keras keeps a list of them, and would give them values, all of them, at the end of whichever
    stateless scope comes next: a trace on JAX, for example.
    """
    name = "uninitialized_variables"
    before = list(global_state.get_global_attribute(name) or [])
    try:
        with keras.StatelessScope(initialize_variables=False):
            yield
    finally:
        global_state.set_global_attribute(name, before)


@errors_in_one_sentence
@pydantic.dataclasses.dataclass(frozen=True, config=STRICT)
class Recipe:
    """A training run: data set, model, objective, optimiser, length, seed.

    A *part* is data in Keras' own form, `{"class_name": "ResNetEncoder", "config": {...}}`, whose
    config holds arguments of the class; parts can be copied from a `config.json`. A name is looked
    up among the classes of vlae_tf, then among those registered with Keras (a class of your own
    too), then in Keras' own rooms (`keras.layers`, `keras.optimizers`, its `schedules`). What the
    model knows (`latent_dim`, `image_shape`, `output_channels`, `dtype`, `seed`) need not be said
    where the class has an argument of that name.

    Args:
        dataset: name in `vlae_tf.datasets`, or path to own images (`vlae_tf.pictures.own_images`).
        model: dict of `latent_dim`, size of the code, and the parts `encoder`, `decoder`,
            `posterior_family`, `prior_family`, `likelihood_family`; a missing part is the default
            of `VLAE`. With an `image_shape`, pictures are resized to it. Without a likelihood,
            `levels` chooses one, 2 or 256; absent, 256 for an `image_shape` of three channels.
        epochs: length of the run.
        objective: part, such as an objective of `vlae_tf.objectives`.
        optimizer: part, any optimiser of Keras, with its `learning_rate`. It averages the weights,
            with an `ema_momentum` of 0.9995 unless the config has another: the averages are what
            is evaluated and kept. See `vlae_tf.training.averaged`.
        schedule: part, a schedule of Keras that starts at the optimiser's learning rate and ends
            with the run; `decay_steps` and `initial_learning_rate` are filled in. With
            `warmup_steps`, the rate first rises linearly from 0 to the optimiser's, for at most a
            tenth of the run. None for a constant rate.
        train_split: "train", or "train+validation" for a final fit.
        validation_split: split evaluated after each epoch; None for no validation.
        validation_fraction: part of the training images of an own data set without a split
            "validation" that is this split. The draw does not depend on `seed`, so that runs of
            several seeds can be compared.
        binarise: for images of intensities 0..255 and a binary model: "dynamic" for a new draw in
            each epoch, "static" for one fixed draw, None for what the data set is known to be (own
            images: binary). A model of 256 levels takes the intensities.
        batch_size: number of images in a step.
        initial_weights: path of a `.weights.h5` to start from, or None for random weights. To train
            the model of a run further, choose another `seed` too: with the same one, its images
            come in the same order again, with the same binary draws.
        dtype: policy of Keras for the networks. "mixed_bfloat16" is fastest on TPUs and on CPUs
            with AVX512-BF16, and very slow on CPUs without AVX-512.
        jit_compile: whether XLA compiles the step. False is faster on a CPU with TensorFlow; on
            JAX, XLA always does.
        seed: seed of data order, binarisation, initial weights and noise.
        notes: free text; not used by the code.
        clustering_epoch: number of epochs after which the clusters of the prior are found anew
            among the codes of training images (`GaussianMixturePrior.fit_clusters`); None if they
            are not.

    Raises:
        ValueError: names the field that is wrong, and what it must be.

    Example:
        >>> from vlae_tf.runs import Recipe
        >>> Recipe("digits.npz", {"latent_dim": 8}, epochs=2).batch_size
        128

        Another optimiser, with a constant learning rate:

        >>> adam = {"class_name": "Adam", "config": {"learning_rate": 1e-3, "clipnorm": 1.0}}
        >>> recipe = Recipe("digits.npz", {"latent_dim": 8}, 2, optimizer=adam, schedule=None)

        A part of one's own:

        >>> import keras
        >>> from vlae_tf.networks import ResNetEncoder
        >>> @keras.saving.register_keras_serializable(package="mine")
        ... class WideEncoder(ResNetEncoder):
        ...     pass
        >>> wide = {"class_name": "mine>WideEncoder", "config": {"filters": [64, 96, 128]}}
        >>> recipe = Recipe("digits.npz", {"latent_dim": 8, "encoder": wide}, epochs=2)

    Reference:
        Chen et al., "Variational Lossy Autoencoder", ICLR 2017, appendix A.
    """

    dataset: str
    model: Annotated[Model, BeforeValidator(normal)]
    epochs: Count
    objective: Annotated[Part, BeforeValidator(normal)] = Field(
        default_factory=lambda: {"class_name": "ELBO", "config": {}}
    )
    optimizer: Annotated[OptimizerPart, BeforeValidator(normal)] = Field(
        default_factory=lambda: {
            "class_name": "Adamax",
            "config": {"learning_rate": 2e-3, "global_clipnorm": 5.0, "ema_momentum": 0.9995},
        }
    )
    schedule: Annotated[SchedulePart | None, BeforeValidator(normal)] = Field(
        default_factory=lambda: {"class_name": "CosineDecay", "config": {"warmup_steps": 500}}
    )
    train_split: str = "train"
    validation_split: str | None = "validation"
    validation_fraction: Fraction = 0.0
    binarise: Literal["dynamic", "static"] | None = None
    batch_size: Count = 128
    initial_weights: str | None = None
    dtype: str = "float32"
    jit_compile: bool = False
    seed: Index = 0
    notes: str = ""
    clustering_epoch: Count | None = None

    def __post_init__(self):
        check_dtype(self.dtype)
        if self.model.get("image_shape") is not None:
            check_image_shape(self.model["image_shape"])
        for name, kind in KINDS.items():
            part = self.model.get(name) or getattr(self, name, None)
            if part is not None:
                check_part(name, part, kind)
        if self.clustering_epoch is not None and self.clustering_epoch >= self.epochs:
            expected = f"less than the {self.epochs} epochs of the run, or None"
            refuse("clustering_epoch", expected, self.clustering_epoch)
        if self.binarise is not None and self.levels > 2:
            expected = f"None for a model of {self.levels} levels"
            refuse("binarise", expected, self.binarise)

    # === Reading and writing ===

    @classmethod
    def names(cls) -> list[str]:
        """Names of the recipes that come with the package, sorted.

        Example:
            >>> from vlae_tf.runs import Recipe
            >>> "mnist_static" in Recipe.names()
            True
        """
        return catalogue.recipe_names()

    @classmethod
    def load(cls, source: PathLike) -> Self:
        """The recipe of a name in `names()`, or in a JSON file.

        Raises:
            ValueError: if there is no such recipe, or the file is not a valid one, with the reason.

        Example:
            >>> from vlae_tf.runs import Recipe
            >>> Recipe.load("mnist_static").dataset
            'mnist_static'
        """
        path = (
            catalogue.RECIPES / f"{source}.json" if source in cls.names() else pathlib.Path(source)
        )
        if not path.is_file():
            expected = f"one of the recipes {', '.join(cls.names())}, or the path of a JSON file"
            refuse("source", expected, str(source))
        try:
            return cls(**read_json(path, "JSON"))
        # A damaged file may make Keras and pydantic raise anything.
        except Exception as error:
            raise ValueError(f"{path} is not a recipe. {error}") from error

    def to_json(self) -> str:
        """The text that `load` reads."""
        return json.dumps(dataclasses.asdict(self), indent=2) + "\n"

    def replace(self, **fields) -> Self:
        """The recipe with other values of these fields.

        Raises:
            ValueError: for an unknown field or an invalid value.

        Example:
            >>> from vlae_tf.runs import Recipe
            >>> Recipe.load("mnist_static").replace(epochs=2).epochs
            2
        """
        return dataclasses.replace(self, **fields)

    def with_absolute_path(self) -> Self:
        """The recipe with the whole path of own images, which can be found from any folder.

        Example:
            >>> from vlae_tf.runs import Recipe
            >>> Recipe.load("mnist_static").with_absolute_path().dataset
            'mnist_static'
        """
        if self.dataset in DATASETS:
            return self
        return self.replace(dataset=str(pathlib.Path(self.dataset).expanduser().absolute()))

    def differences(self, other) -> list[str]:
        """Names of the fields, `notes` aside, in which two recipes differ."""
        mine, theirs = dataclasses.asdict(self), dataclasses.asdict(other)
        return [name for name in mine if mine[name] != theirs[name] and name != "notes"]

    def fingerprint(self):
        """The sha256 of all that decides the result, where data and first weights lie aside."""
        fields = dataclasses.asdict(self)
        for name in ("notes", "dataset", "initial_weights"):
            del fields[name]
        return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()

    def control(self) -> Self:
        """The recipe of the same decoder without a code: what that loses, the code is worth.

        Decoder and likelihood stay as they are, and with them data, optimiser and length. The
        decoder is given no code (`networks.Unconditional`), the posterior is the prior N(0, I), so
        that its KL is 0, and the objective is the likelihood itself. Where codes are laid out as
        maps, the decoder learns one such map in their place.

        Raises:
            ValueError: if it is a control already.

        Example:
            >>> from vlae_tf.runs import Recipe
            >>> Recipe.load("mnist_static").control().model["decoder"]["class_name"]
            'Unconditional'

        Reference:
            Chen et al., "Variational Lossy Autoencoder", ICLR 2017, tables 2 to 4 (there the
            "unconditional decoder").
        """
        decoder = self.model.get("decoder") or {"class_name": "ResNetDecoder", "config": {}}
        if decoder["class_name"] == "Unconditional":
            raise ValueError(
                "`model` must have a code, to be compared with a control without one. "
                "Received: a control, whose decoder is Unconditional"
            )
        if decoder["config"].get("code_shape"):
            about_codes = {"code_shape": None, "units": 1}
            decoder = {**decoder, "config": decoder["config"] | about_codes}
        kept = {"image_shape": None, "likelihood_family": None} | self.model
        model = {
            "latent_dim": 1,
            "encoder": {"class_name": "GlobalAveragePooling2D"},
            "decoder": {"class_name": "Unconditional", "config": {"decoder": decoder}},
            "posterior_family": {"class_name": "PriorPosterior"},
            "prior_family": {"class_name": "FlowPrior", "config": {"steps": 0}},
        } | {name: kept[name] for name in ("image_shape", "likelihood_family") if kept[name]}
        return self.replace(
            model=model,
            objective={"class_name": "ELBO"},
            initial_weights=None,
            notes=f"The control, the same decoder without a code. Of the VLAE: {self.notes}",
        )

    # === Building ===

    def count_params(self, image_shape: Sequence[int]) -> int:
        """Number of weights of the model for images of this shape, without values for them.

        Example:
            >>> from vlae_tf.runs import Recipe
            >>> Recipe.load("mnist_static").count_params((28, 28, 1))
            2679698
        """
        with without_values():
            return self.build_model(image_shape).count_params()

    @property
    def levels(self):
        """Number of values of a channel that the model takes: 2 for binary images."""
        likelihood, shape = self.model.get("likelihood_family"), self.model.get("image_shape")
        if likelihood:
            return find_class(likelihood["class_name"]).levels
        return self.model.get("levels") or (models.vlae.default_levels(shape) if shape else 2)

    def build_model(self, image_shape: Sequence[int]):
        """The `VLAE` of this recipe for images of this shape, not compiled, with fresh weights.

        Raises:
            ValueError: for invalid arguments of a part, or parts that do not fit together.
        """
        keras.utils.set_random_seed(self.seed)
        settings = {"image_shape": tuple(image_shape), "levels": self.levels}
        settings |= {name: value for name, value in self.model.items() if value is not None}
        known = {
            "latent_dim": settings["latent_dim"],
            "image_shape": tuple(settings["image_shape"]),
            "dtype": keras.dtype_policies.get(self.dtype),
        }
        for name in models.parts.PARTS:
            if name in settings:
                settings[name] = build_part(name, settings[name], **known)
        settings["objective"] = build_part("objective", self.objective, seed=self.seed)
        try:
            return models.VLAE(**settings, seed=self.seed, dtype=known["dtype"])
        except (TypeError, ValueError) as error:
            raise ValueError(f"`model` cannot be built. {error}") from error
