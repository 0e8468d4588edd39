import dataclasses
import math

import keras_tuner

_DIRECTIONS = {"nll": "min", "elbo": "max", "bits_per_dim": "min", "rate_distortion": "min"}


@dataclasses.dataclass(frozen=True)
class SearchObjective:
    """What makes one trial better than another, on the validation split.

    | name | better is | unit |
    |---|---|---|
    | `nll` | a lower importance-weighted -log p(x) | nats an image |
    | `elbo` | a higher evidence lower bound | nats an image |
    | `bits_per_dim` | a lower nll | bits a dimension |
    | `rate_distortion` | a lower nll among codes of at most `max_code_bits` | nats an image |

    A code that is too long scores as if the image were stored as it is, and worse by each bit in
    excess, so that it loses to every code within the limit:

        score = nll                                        if code_bits <= max_code_bits
        score = D ln 2 + code_bits - max_code_bits         otherwise, D the image's dimensions

    Args:
        name: one of the above.
        max_code_bits: limit on E[KL(q(z | x) || p(z))] in bits; for `rate_distortion` alone.

    Raises:
        ValueError: for an unknown name, or a limit where there must be none or none where there
            must be one.

    Example:
        >>> from vlae_tf.tuning import SearchObjective
        >>> objective = SearchObjective("rate_distortion", max_code_bits=10)
        >>> objective.score({"nll": 80.0, "code_bits": 9.0, "bits_per_dim": 0.147})
        80.0
    """

    name: str = "nll"
    max_code_bits: float | None = None

    def __post_init__(self):
        if self.name not in _DIRECTIONS:
            raise ValueError(
                f"`objective` must be one of {', '.join(_DIRECTIONS)}. "
                f"Received: objective={self.name!r}"
            )
        limited = self.name == "rate_distortion"
        limit = self.max_code_bits
        if limited and (limit is None or not 0 < limit < math.inf):
            raise ValueError(
                "`max_code_bits` must be a positive number for the objective rate_distortion. "
                f"Received: max_code_bits={limit!r}"
            )
        if not limited and limit is not None:
            raise ValueError(
                "`max_code_bits` is for the objective rate_distortion alone. "
                f"Received: max_code_bits={limit!r}, objective={self.name!r}"
            )

    @property
    def keras_tuner_objective(self):
        return keras_tuner.Objective(self.name, _DIRECTIONS[self.name])

    def allows(self, metrics):
        """Whether the code of a model with these metrics is within the limit."""
        return self.max_code_bits is None or metrics["code_bits"] <= self.max_code_bits

    def rank(self, score):
        """A number that is smaller for a better score."""
        return score if _DIRECTIONS[self.name] == "min" else -score

    def score(self, metrics):
        """The score of a model with these metrics of `vlae_tf.evaluation.evaluate`."""
        if self.name != "rate_distortion":
            return metrics[self.name]
        if self.allows(metrics):
            return metrics["nll"]
        # bits_per_dim = nll / (D ln 2): one bit for each dimension, in nats.
        stored = metrics["nll"] / metrics["bits_per_dim"]
        return stored + metrics["code_bits"] - self.max_code_bits
