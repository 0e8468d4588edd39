import functools
import hashlib
import math

import tensorflow as tf

from vlae_tf.noise import paired_normal, row_normal
from vlae_tf.objectives.bounds import draw_code, log_weights
from vlae_tf.priors import most_probable_clusters
from vlae_tf.saved_model.png_signatures import PNGSignatures

_DRAWS = 64


class Signatures:
    """The functions of a served model, on tensors: `n` rows in, `n` rows out, each on its own.

        code_bits = KL(q(z | x) || p(z)) / ln 2
        elbo      = 1/K sum_k log w_k,      w_k = p(x | z_k) p(z_k) / q(z_k | x),    z_k ~ q(z | x)
        log_prob  = log 1/K sum_k w_k

    `code_bits` needs no seed: it averages over 64 draws that are part of the graph, pairs of
    opposite sign scaled to unit variance. For a diagonal Gaussian posterior and the prior N(0, I)
    that gives the KL exactly; for a full covariance, a flow, a mixture or a chain it is an
    estimate. The draws of `log_prob` come from the row's seed.

    A row whose image is not of {0, 1} where the model is binary, or whose temperature is negative
    or infinite, is answered by NaN and a blank image: an error would be one for all rows of the
    batch. Inputs of different numbers of rows are an error, and so are those of none.

    `about` gives facts about the model, the same in each row, so that a server may batch it too:
    `levels`, `image_shape`, `latent_dim`, `importance_samples`, and the SHA-256 of the `weights`.

    A model whose prior has clusters answers `encode` with `cluster` and `cluster_probability` too,
    the most probable cluster of each rung (-1 for a row that is answered by NaN), and `about` with
    `clusters`, how many there are.

    Args:
        model: a `VAE`.
        importance_samples: K.

    Shapes: `image` `(n, height, width, channels)`, uint8 of the model's levels; `seed` `(n,)`,
    int32; all else float32: `temperature` `(n,)`, the scale of the prior's noise; `code` and
    `scale` `(n, latent_dim)`, of the posterior; `code_bits` `(n,)`, bits; `log_prob` and `elbo`
    `(n,)`, nats; `bits_per_dim` `(n,)`, of `log_prob`; `cluster`, int32, and `cluster_probability`
    `(n, rungs)`; `clusters` `(n, rungs)`, int32.

    Example:
        >>> import tensorflow as tf, vlae_tf
        >>> from vlae_tf.saved_model.signatures import Signatures
        >>> signatures = Signatures(vlae_tf.VLAE((8, 8, 1), latent_dim=4), importance_samples=2)
        >>> sorted(signatures.log_prob(tf.zeros((1, 8, 8, 1), tf.uint8), seed=tf.constant([0])))
        ['bits_per_dim', 'elbo', 'log_prob']

    Reference:
        Burda et al., "Importance Weighted Autoencoders", 2016, equation 8.
    """

    def __init__(self, model, importance_samples):
        self.model = model
        self.importance_samples = importance_samples
        # A model of another class need not know of clusters.
        self._cluster_log_probs = getattr(model, "cluster_log_probs", lambda code: [])

    def encode(self, image):
        images, valid = self._valid(image)
        posterior = self.model.posterior(images)
        code = posterior.center()
        answers = {
            "code": code,
            "scale": posterior.spread(),
            "code_bits": self._code_bits(posterior),
            **most_probable_clusters(self._cluster_log_probs(code)),
        }
        return {name: _only(valid, value) for name, value in answers.items()}

    def decode(self, code, seed):
        code = _some_rows(tf.ensure_shape(code, (None, self.model.latent_dim)))
        image = self.model.decode_rows(code, _one_for_each(code, seed))
        return {"image": tf.cast(image, tf.uint8)}

    def reconstruct(self, image, seed):
        images, valid = self._valid(image)
        posterior = self.model.posterior(images)
        code = _only(valid, posterior.center())
        return {
            **self.decode(code, seed),
            "code_bits": _only(valid, self._code_bits(posterior)),
        }

    def sample(self, seed, temperature):
        temperature = _one_for_each(_some_rows(seed), temperature)
        valid = (temperature >= 0) & tf.math.is_finite(temperature)
        image, code = self.model.sample_rows(seed, _only(valid, temperature))
        return {"image": tf.cast(image, tf.uint8), "code": code}

    def log_prob(self, image, seed):
        images, valid = self._valid(image)
        posterior = self.model.posterior(images)
        seed = _one_for_each(images, seed)
        # Not the noise of `sample` and `decode`, which have salts 0 and 1.
        noise = row_normal(seed, (self.importance_samples, self.model.latent_dim), salt=2)
        # One code of each image at a time: K batches at once would not fit on a small accelerator.
        log_weight = tf.map_fn(
            lambda noise: log_weights(self.model, images, noise[None], posterior).log_w[0],
            tf.transpose(noise, [1, 0, 2]),
            fn_output_signature=tf.TensorSpec([None], tf.float32),
        )
        log_prob = tf.reduce_logsumexp(log_weight, 0) - math.log(self.importance_samples)
        dimensions = math.prod(self.model.image_shape)
        return {
            "log_prob": _only(valid, log_prob),
            "bits_per_dim": _only(valid, -log_prob / (dimensions * math.log(2))),
            "elbo": _only(valid, tf.reduce_mean(log_weight, 0)),
        }

    def about(self, weights, seed):
        facts = {
            "levels": self.model.levels,
            "image_shape": self.model.image_shape,
            "latent_dim": self.model.latent_dim,
            "importance_samples": self.importance_samples,
            "weights": weights,
        }
        seed = _some_rows(seed)
        clusters = self._cluster_log_probs(tf.zeros((1, self.model.latent_dim)))
        if clusters:
            facts["clusters"] = [each.shape[-1] for each in clusters]
        return {name: tf.repeat([fact], tf.size(seed), axis=0) for name, fact in facts.items()}

    def functions(self, xla=False, png=False, batch_size=None):
        """A dict of `tf.function` and of concrete functions, by signature.

        `about` is among the concrete ones alone.

        Args:
            xla: whether XLA compiles them, once for each number of rows that comes.
            png: whether to add those of `PNGSignatures`, whose pictures XLA leaves alone.
            batch_size: fixed number of rows; any number if None.
        """
        image = tf.TensorSpec((batch_size, *self.model.image_shape), tf.uint8, name="image")
        code = tf.TensorSpec((batch_size, self.model.latent_dim), tf.float32, name="code")
        seed = tf.TensorSpec((batch_size,), tf.int32, name="seed")
        temperature = tf.TensorSpec((batch_size,), tf.float32, name="temperature")
        inputs = {
            "encode": [image],
            "decode": [code, seed],
            "reconstruct": [image, seed],
            "sample": [seed, temperature],
            "log_prob": [image, seed],
        }
        # None has a condition or loop of Python on a tensor: to look for them would take longer
        # than all the rest.
        options = {"autograph": False, "jit_compile": xla or None}
        functions = {name: tf.function(getattr(self, name), **options) for name in inputs}
        if png:
            pictures = PNGSignatures(dict(functions), self.model.image_shape, self.model.levels)
            data = tf.TensorSpec((batch_size,), tf.string, name="image_bytes")
            for name, specs in list(inputs.items()):
                specs = [data if spec is image else spec for spec in specs]
                call = functools.partial(pictures.call, name)
                functions[f"{name}_png"] = tf.function(call, autograph=False)
                inputs[f"{name}_png"] = specs
        concrete = {
            name: function.get_concrete_function(**{spec.name: spec for spec in inputs[name]})
            for name, function in functions.items()
        }
        read = {v.ref(): v for function in concrete.values() for v in function.variables}
        about = functools.partial(self.about, _digest(read.values()))
        about = tf.function(about, autograph=False)
        concrete["about"] = about.get_concrete_function(seed=seed)
        return functions, concrete

    def _valid(self, image):
        """The images as floats, and for each whether the model has all its levels."""
        # Nothing else looks at the shape of a request; a reshape could take it for other rows.
        image = _some_rows(tf.ensure_shape(image, (None, *self.model.image_shape)))
        images = tf.cast(image, tf.float32)
        return images, tf.reduce_all(images <= self.model.levels - 1, axis=[1, 2, 3])

    def _code_bits(self, posterior):
        # The same noise for every row.
        noise = paired_normal(_DRAWS, self.model.latent_dim)[:, None]
        noise = tf.repeat(noise, tf.shape(posterior.center())[0], axis=1)
        _, kl = draw_code(posterior, self.model.prior(), noise)
        return tf.reduce_mean(kl, 0) / math.log(2)


def with_default_temperature(sample):
    """The concrete function `sample` for a SavedModel, with 1 for a temperature that is left out.

    TensorFlow Serving takes it over gRPC, for requests of one row.
    """
    specs = [tf.TensorSpec([None], dtype) for dtype in (tf.int32, tf.float32)]
    one = tf.ones(1)

    @tf.function(input_signature=specs, autograph=False)
    def sample_at(seed, temperature=one):
        return sample(seed=seed, temperature=temperature)

    return sample_at


def _digest(weights):
    """The SHA-256 of weights, whatever their order."""
    digests = [hashlib.sha256(weight.numpy().tobytes()).digest() for weight in weights]
    return hashlib.sha256(b"".join(sorted(digests))).hexdigest()


def _some_rows(values):
    """`values`, if there are any: oneDNN's convolution of none would have the wrong shape."""
    rows = tf.shape(values)[0]
    check = tf.debugging.assert_positive(rows, "Inputs must have at least one row")
    with tf.control_dependencies([check] if check is not None else []):
        return tf.identity(values)


def _one_for_each(rows, values):
    """`values`, if there are as many as rows: TensorFlow would repeat a single one."""
    words = "Inputs must have as many rows, all of them"
    tf.debugging.assert_equal(tf.shape(values)[:1], tf.shape(rows)[:1], words)
    return values


def _only(valid, values):
    """The values of the valid rows; in the others NaN, or -1 where values are integers."""
    valid = tf.reshape(valid, [-1] + [1] * (values.shape.rank - 1))
    nothing = math.nan if values.dtype.is_floating else -1
    return tf.where(valid, values, tf.cast(nothing, values.dtype))
