import dataclasses

import keras_tuner

from vlae_tf.checks import check_choice, check_number, refuse

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
        max_code_bits: limit on E[KL(q(z | x) || p(z))] in bits, for `rate_distortion` alone.

    Raises:
        ValueError: for an unknown name, for `rate_distortion` without a limit, or for a limit with
            another objective.

    Example:
        >>> from vlae_tf.tuning import SearchObjective
        >>> objective = SearchObjective("rate_distortion", max_code_bits=10)
        >>> objective.score({"nll": 80.0, "code_bits": 9.0, "bits_per_dim": 0.147})
        80.0
    """

    name: str = "nll"
    max_code_bits: float | None = None

    def __post_init__(self):
        check_choice(self.name, "objective", list(_DIRECTIONS))
        if self.name == "rate_distortion":
            check_number(self.max_code_bits, "max_code_bits", above=0)
        elif self.max_code_bits is not None:
            received = f"max_code_bits={self.max_code_bits!r}, objective={self.name!r}"
            expected = "None unless the objective is rate_distortion"
            refuse("max_code_bits", expected, self.max_code_bits, received)

    @property
    def keras_tuner_objective(self):
        return keras_tuner.Objective(self.name, _DIRECTIONS[self.name])

    def allows(self, metrics):
        """True if the code of a model with these metrics is within the limit."""
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
