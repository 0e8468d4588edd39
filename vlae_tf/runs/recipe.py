"""A training run as data: everything that decides its result."""

import dataclasses
import json
import math
import pathlib

import keras

from vlae_tf import likelihoods, models
from vlae_tf.checks import check_dtype, check_image_shape
from vlae_tf.runs.averaged_adamax import AveragedAdamax
from vlae_tf.runs.parts import PARTS, arguments, build_part, check_keys, check_part

_FOLDER = pathlib.Path(__file__).parent / "recipes"


@dataclasses.dataclass(frozen=True)
class Recipe:
    """A training run: data set, model, objective, optimiser, length, seed.

    The learning rate rises linearly over `warmup_steps` (at most a tenth of the run) to
    `learning_rate` and falls to zero along a cosine until the last step.

    Args:
        dataset: name in `vlae_tf.datasets`, or a path to own images (.npz, .npy, or a folder).
        model: arguments of `VLAE`, of which `latent_dim` is needed (0 makes the control without a
            code). A part is a dict of `class`, a name in `vlae_tf.models`, and its arguments;
            what the model knows (`image_shape`, `latent_dim`) need not be repeated in it. With an
            `image_shape`, the pictures of a folder are resized to it.
        epochs: length of the run.
        objective: a part, with a `class` in `vlae_tf.objectives`.
        train_split: "train", or "train+validation" for a final fit.
        validation_split: evaluated after each epoch; None for no validation.
        binarise: for images of intensities 0..255 and a binary model: "dynamic" for a new draw in
            each epoch, "static" for one fixed draw, None for what the data set is known to be (own
            images: binary). A model of 256 levels takes the intensities.
        batch_size: images a step.
        learning_rate: of Adamax, at its highest.
        warmup_steps: steps until then.
        global_clipnorm: bound of the gradient's norm, or None.
        ema_momentum: of the averaged weights, those that are evaluated and kept.
        initial_weights: path of a `.weights.h5` to start from, or None for random weights. To train
            a run's model further, take another `seed` too: with the same one its images come in the
            same order, with the same binary draws, once more.
        dtype: Keras' policy. "mixed_bfloat16" is the fastest on a CPU with AVX512-BF16 and on TPUs,
            and hopelessly slow on a CPU without AVX-512.
        jit_compile: whether XLA compiles the step. False is faster on a CPU, with TensorFlow; on
            JAX, XLA always does.
        seed: of data order, binarisation, initial weights and noise.
        notes: for people.

    Raises:
        ValueError: names the field that is wrong, and what it can be.

    Example:
        >>> from vlae_tf.runs import Recipe
        >>> Recipe(dataset="digits.npz", model={"latent_dim": 8}, epochs=2).batch_size
        128

    Reference:
        Chen et al., "Variational Lossy Autoencoder", ICLR 2017, appendix A.
    """

    dataset: str
    model: dict
    epochs: int
    objective: dict = dataclasses.field(default_factory=lambda: {"class": "ELBO"})
    train_split: str = "train"
    validation_split: str | None = "validation"
    binarise: str | None = None
    batch_size: int = 128
    learning_rate: float = 2e-3
    warmup_steps: int = 500
    global_clipnorm: float | None = 5.0
    ema_momentum: float = 0.9995
    initial_weights: str | None = None
    dtype: str = "float32"
    jit_compile: bool = False
    seed: int = 0
    notes: str = ""

    # === Reading ===

    @classmethod
    def names(cls):
        """Names of the recipes that come with the package, sorted.

        Example:
            >>> from vlae_tf.runs import Recipe
            >>> "mnist_static" in Recipe.names()
            True
        """
        return sorted(path.stem for path in _FOLDER.glob("*.json"))

    @classmethod
    def load(cls, source):
        """The recipe of a name in `names()`, or in a JSON file.

        Raises:
            ValueError: if there is no such recipe, or what is there is none, with the reason.

        Example:
            >>> from vlae_tf.runs import Recipe
            >>> Recipe.load("mnist_static").dataset
            'mnist_static'
        """
        path = _FOLDER / f"{source}.json" if source in cls.names() else pathlib.Path(source)
        if not path.is_file():
            raise ValueError(
                f"`source` must be one of the recipes {', '.join(cls.names())}, or the path of a "
                f"JSON file. Received: source={str(source)!r}"
            )
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
            fields = {field.name: field for field in dataclasses.fields(cls)}
            if not isinstance(values, dict):
                raise ValueError(f"It must be an object with keys. Received: {values!r}")
            check_keys("a recipe", values, list(fields))
            missing = [key for key in ("dataset", "model", "epochs") if key not in values]
            if missing:
                raise ValueError(
                    f"It must have {', '.join(missing)}. Received: {', '.join(values) or 'nothing'}"
                )
            return cls(**values)
        except ValueError as error:
            raise ValueError(f"{path} is not a recipe. {error}") from error

    def to_json(self):
        """The text that `load` reads."""
        return json.dumps(dataclasses.asdict(self), indent=2) + "\n"

    def differences(self, other):
        """Names of the fields, `notes` aside, in which two recipes differ."""
        mine, theirs = (json.loads(recipe.to_json()) for recipe in (self, other))
        return [name for name in mine if mine[name] != theirs[name] and name != "notes"]

    def control(self):
        """The recipe of the same decoder without a code: what that loses, the code is worth.

        Decoder and likelihood stay as they are, and with them data, optimiser and length; encoder,
        posterior and prior go, and the objective is the likelihood itself. Where codes are laid out
        as maps, the decoder learns one such map in their place.

        Raises:
            ValueError: if there is no code already.

        Example:
            >>> from vlae_tf.runs import Recipe
            >>> sorted(Recipe.load("mnist_static").control().model)
            ['decoder', 'latent_dim', 'likelihood_family']

        Reference:
            Chen et al., "Variational Lossy Autoencoder", ICLR 2017, tables 2 to 4 (there the
            "unconditional decoder").
        """
        if not self.model["latent_dim"]:
            raise ValueError(
                "`model` must have a code, to be compared with a control without one. "
                "Received: latent_dim=0"
            )
        kept = ("image_shape", "decoder", "likelihood_family")
        model = {"latent_dim": 0} | {name: self.model[name] for name in kept if name in self.model}
        decoder = model.get("decoder") or {}
        if decoder.get("code_shape"):
            model["decoder"] = {**decoder, "code_shape": None, "units": 1}
        return dataclasses.replace(
            self,
            model=model,
            objective={"class": "ELBO"},
            initial_weights=None,
            notes=f"The control, the same decoder without a code. Of the VLAE: {self.notes}",
        )

    @property
    def levels(self):
        """The number of values of a channel that the model takes: 2 for binary images."""
        likelihood = self.model.get("likelihood_family") or {"class": "PixelCNNLikelihood"}
        return getattr(likelihoods, likelihood["class"]).levels

    # === Building ===

    def build_model(self, image_shape):
        """The `VLAE` of this recipe for images of this shape, not compiled, with fresh weights.

        Raises:
            ValueError: for arguments of a part that cannot be.
        """
        keras.utils.set_random_seed(self.seed)
        settings = {"image_shape": tuple(image_shape), **self.model}
        context = {
            "latent_dim": self.model["latent_dim"],
            "image_shape": settings["image_shape"],
            "dtype": keras.dtype_policies.get(self.dtype),
        }
        for name in PARTS:
            if settings.get(name) is not None:
                settings[name] = build_part(name, settings[name], **context)
        settings["objective"] = build_part("objective", self.objective, seed=self.seed)
        try:
            return models.VLAE(**settings, seed=self.seed, dtype=context["dtype"])
        except (TypeError, ValueError) as error:
            raise ValueError(f"`model` cannot be built. {error}") from error

    def optimizer(self, steps_per_epoch):
        """The `AveragedAdamax` of this recipe, with its learning rate for every step."""
        steps = self.epochs * steps_per_epoch
        warmup = min(self.warmup_steps, steps // 10)
        return AveragedAdamax(
            keras.optimizers.schedules.CosineDecay(
                initial_learning_rate=0.0 if warmup else self.learning_rate,
                decay_steps=steps - warmup,
                warmup_target=self.learning_rate if warmup else None,
                warmup_steps=warmup,
            ),
            global_clipnorm=self.global_clipnorm,
            ema_momentum=self.ema_momentum,
        )

    # === Checks ===

    def __post_init__(self):
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            # JSON writes whole numbers without a point; Python takes True for a number.
            allowed = field.type | int if field.type in (float, float | None) else field.type
            right = isinstance(value, allowed) and isinstance(value, bool) == (field.type is bool)
            kind = getattr(field.type, "__name__", field.type)
            self._check(right, field.name, f"of type {kind}")
        for name, least in {"epochs": 1, "batch_size": 1, "warmup_steps": 0, "seed": 0}.items():
            self._check(least <= getattr(self, name) < 2**31, name, f"at least {least}")
        for name in ("learning_rate", "global_clipnorm"):
            value = getattr(self, name)
            self._check(value is None or 0 < value < math.inf, name, "positive and finite")
        self._check(0 <= self.ema_momentum < 1, "ema_momentum", "at least 0 and less than 1")
        modes = ("dynamic", "static", None)
        self._check(self.binarise in modes, "binarise", "dynamic, static or null")
        check_dtype(self.dtype)
        self._check_model()
        if self.binarise is not None and self.levels > 2:
            raise ValueError(
                f"`binarise` must be null for a model of {self.levels} levels. "
                f"Received: binarise={self.binarise!r}"
            )

    def _check_model(self):
        known = [name for name in arguments(models.VLAE) if name not in ("objective", "seed")]
        check_keys("model", self.model, known)
        if "image_shape" in self.model:
            check_image_shape(self.model["image_shape"])
        latent_dim = self.model.get("latent_dim")
        if not isinstance(latent_dim, int) or isinstance(latent_dim, bool) or latent_dim < 0:
            raise ValueError(
                "`model` must have a `latent_dim`, an integer of at least 0. "
                f"Received: latent_dim={latent_dim!r}"
            )
        for name in PARTS:
            if self.model.get(name) is not None:
                check_part(name, self.model[name])
        check_part("objective", self.objective)

    def _check(self, right, name, expected):
        if not right:
            value = getattr(self, name)
            raise ValueError(f"`{name}` must be {expected}. Received: {name}={value!r}")
