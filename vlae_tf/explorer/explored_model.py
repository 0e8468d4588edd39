import io
import threading

import numpy as np
from keras import ops

from vlae_tf import zoo
from vlae_tf.checks import check_codes, check_image_shape, check_integer, refuse
from vlae_tf.coding import Coder, compress
from vlae_tf.evaluation import cluster_draws, manifold, rung_sizes
from vlae_tf.files import read_json, reading
from vlae_tf.noise import paired_normal
from vlae_tf.pictures.picture import image_picture

# Images drawn at once: one number, so that TensorFlow compiles each function once.
ROWS = 8
_DRAWS = 64
# Images along a side of a rung's plane, and of each cluster.
_SIDE, _OF_CLUSTER = 9, 8


class ExploredModel:
    """What the page asks of one model: codes and their bits, images drawn from codes, the window.

        bits_j = E_q[log q_j(z | x) - log p_j(z)] / ln 2

    The model is loaded when it is first asked for something. One request is answered at a time.

    Args:
        source: an entry of the zoo, or the folder of a run.

    Raises:
        ValueError: for a source that is neither.

    Example:
        >>> from vlae_tf.explorer.explored_model import ExploredModel
        >>> explored = ExploredModel("mnist_static")
        >>> explored.about()["image_shape"], explored.examples().shape
        ([28, 28, 1], (64, 28, 28, 1))
    """

    def __init__(self, source):
        self.source = str(source)
        self._folder = zoo.locate(self.source)
        path, kind = self._folder / "config.json", "the configuration of a model"
        values = read_json(path, kind)
        with reading(path, kind):
            config = values["config"]
            self.image_shape = check_image_shape(config["image_shape"])
            self.latent_dim = check_integer(config["latent_dim"], "latent_dim", least=1)
            self._rungs = len(config["posterior_family"]["config"].get("rungs", []))
        self._dataset = str(read_json(self._folder / "recipe.json", "a recipe").get("dataset"))
        self._model = None
        self._lock = threading.Lock()
        # Files are made while images are drawn.
        self._coder, self._coder_lock = None, threading.Lock()

    def about(self):
        """What is known without loading the model: a dict of plain data."""
        return {
            "name": self.source,
            "dataset": self._dataset,
            "image_shape": list(self.image_shape),
            "latent_dim": self.latent_dim,
            "rungs": self._rungs,
        }

    @property
    def levels(self):
        """The number of values of a channel."""
        with self._lock:
            return self._loaded().levels

    def examples(self):
        """The entry's example images, uint8 `(n, height, width, channels)`; a run has none."""
        if (self._folder / "examples.npz").is_file():
            return zoo.examples(self.source)
        return np.zeros((0, *self.image_shape), "uint8")

    def window(self):
        """The pixels that the decoder sees, as offsets `(rows up, columns to the right)`."""
        with self._lock:
            network = getattr(self._loaded().likelihood_family, "network", None)
        if network is None:
            return []
        height, width, _ = self.image_shape
        return [
            (up, side)
            for up, side in network.receptive_field.offsets()
            if up < height and abs(side) < width
        ]

    def encode(self, images):
        """Codes of images and their bits, `(n, latent_dim)` each; the bits are `(n, 1)`, those of
        the whole code, where a density is no sum over dimensions."""
        with self._lock:
            model = self._loaded()
            padded, count = _padded(model.check_images(images))
            code = model.encode(padded)
            bits = model.run_rows("explored_bits", self._bits, padded)
        return code[:count], bits[:count]

    def _bits(self, images):
        posterior, prior = self._model.posterior(images), self._model.prior()
        noise = ops.convert_to_tensor(paired_normal(_DRAWS, self.latent_dim))[:, None]
        code = posterior.from_noise(ops.repeat(noise, ops.shape(images)[0], axis=1))
        if hasattr(posterior, "log_prob_terms") and hasattr(prior, "log_prob_terms"):
            terms = posterior.log_prob_terms(code) - prior.log_prob_terms(code)
        else:
            terms = (posterior.log_prob(code) - prior.log_prob(code))[..., None]
        return ops.mean(terms, axis=0) / np.log(2.0)

    def file_sizes(self, image):
        """Bytes of a `.vlae` file that holds this image alone, and of a PNG of it; or None where
        `vlae_tf.coding` has no files for the model, or is not installed."""
        with self._coder_lock:
            try:
                self._coder = self._coder or Coder(self.source, verify=False)
            except (ImportError, ValueError):
                return None
            size = len(compress(image[None], self._coder))
        levels = self._coder.header.levels
        picture, png = image_picture(image, levels), io.BytesIO()
        (picture.convert("1") if levels == 2 else picture).save(png, "PNG", optimize=True)
        return size, len(png.getvalue())

    def decode(self, codes, seeds, known=None, rows_known=0):
        """Images drawn from codes, uint8; with the first rows of `known` kept."""
        codes, count = _padded(check_codes(codes, self.latent_dim))
        seeds = np.resize(np.asarray(seeds), len(codes))
        with self._lock:
            model = self._loaded()
            options = {}
            if rows_known:
                mask = np.zeros((1, *self.image_shape), bool)
                mask[:, :rows_known] = True
                options = {"known": model.check_images(known), "mask": mask}
            images = model.decode(codes, seed=seeds, **options)
        return images[:count].astype("uint8")

    def sample(self, count, seed, temperature):
        """New images, uint8."""
        with self._lock:
            seeds = np.arange(seed, seed + ROWS)
            images = self._loaded().sample(ROWS, seed=seeds, temperature=temperature)
        return images[:count].astype("uint8")

    def rungs(self):
        """What can be shown of each rung, from the bottom up: "clusters", "plane", or ""."""
        with self._lock:
            model = self._loaded()
            clusters = model.cluster_log_probs(np.zeros((1, self.latent_dim), "float32"))
            sizes = rung_sizes(model) if hasattr(model.posterior_family, "rungs") else []
            if clusters:
                return ["clusters"] * len(clusters)
            return ["plane" if size == 2 else "" for size in sizes]

    def rung(self, index, code, seed):
        """Pictures of what a rung holds: shades, uint8 `(rows, columns, height, width, channels)`,
        and a sentence."""
        kinds = self.rungs()
        check_integer(index, "rung", least=0, below=len(kinds))
        code = check_codes([code], self.latent_dim)
        with self._lock:
            model = self._loaded()
            if kinds[index] == "plane":
                told = "Only this rung changes: its first number to the right, its second one down."
                return self._shades(manifold(model, code[0], index, _SIDE, seed)), told
            if not kinds[index]:
                refuse("rung", "a rung of two numbers, or of clusters", index)
            weights, images = cluster_draws(model, index, _OF_CLUSTER, seed)
            order = np.argsort(-weights)
            own = ops.convert_to_numpy(model.cluster_log_probs(code)[index])[0]
            row = int(np.argmax(own[order]))
            told = (
                f"A row of new images from each of {len(weights)} clusters, the largest first. "
                f"This image is in row {row + 1}, with probability {np.exp(own.max()):.2f}."
            )
            return self._shades(images[order]), told

    def _shades(self, images):
        """Images as shades, 0 for black: of binary ones, ink is black."""
        if self._loaded().levels == 2:
            images = 255 * (1 - images)
        return np.round(images).astype("uint8")

    def _loaded(self):
        if self._model is None:
            self._model = zoo.load(self.source)
        return self._model


def _padded(rows):
    """`rows` with repetitions of the last one, a multiple of `ROWS` in all; and how many were."""
    count = len(rows)
    return np.concatenate([rows, np.repeat(rows[-1:], -count % ROWS, axis=0)]), count
