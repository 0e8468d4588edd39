import collections.abc
import json

from vlae_tf.evaluation import paired_difference
from vlae_tf.runs.data import binarisation
from vlae_tf.units import plus_minus, unit


class SearchResults(collections.abc.Sequence):
    """The `TrialResult` of each trial of a search, in the order in which they began.

    Args:
        trials: list of `TrialResult`.
        space: `SearchSpace`.
        objective: `SearchObjective`.

    Attributes:
        completed: trials that were measured.
        best: completed trial with the best score, among those whose code is within the limit of
            the objective; or None.
        of_each_size: completed trial with the best score for each latent size, sorted by size.
        unit: unit of likelihoods: "nats" for binary images, "bits/dim" for others.
        digits: digits of likelihoods after the point.
        conclusion: list of sentences that sum the search up.
    """

    def __init__(self, trials, space, objective):
        self.space = space
        self.objective = objective
        self._trials = list(trials)
        self.completed = [trial for trial in self._trials if trial.completed]
        ranked = sorted(self.completed, key=lambda trial: objective.rank(trial.score))
        self.best = next((trial for trial in ranked if objective.allows(trial.metrics)), None)
        sizes = {trial.latent_dim: trial for trial in reversed(ranked)}
        self.of_each_size = [sizes[size] for size in sorted(sizes)]
        self.unit = unit({"binarisation": binarisation(space.base)})
        self.digits = 2 if self.unit == "nats" else 4

    def __getitem__(self, index):
        return self._trials[index]

    def __len__(self):
        return len(self._trials)

    def in_unit(self, trial, nats):
        """Nats an image of a completed trial in the unit of the search."""
        if self.unit == "nats":
            return nats
        return nats * trial.metrics["bits_per_dim"] / trial.metrics["nll"]

    def behind(self, trial):
        """By how much the NLL of a completed trial is above the lowest one of all trials, over the
        same images, and the standard error of that difference, in the unit of the search; None
        for the lowest one, and where the log-probabilities are not here: another machine's.
        """
        lowest = self._lowest
        size = {name: int(trial.metrics[name]) for name in ("num_images", "importance_samples")}
        found = paired_difference(trial.folder, lowest.folder, size)
        return found and tuple(self.in_unit(trial, number) for number in found)

    @property
    def _lowest(self):
        return min(self.completed, key=lambda trial: trial.metrics["nll"])

    @property
    def conclusion(self):
        return [
            *([] if self.completed else [f"No trial of {len(self)} succeeded."]),
            *self._about_the_best(),
            *self._about_sizes(),
            *(
                f"{count} of {len(self)} trials {verb}."
                for verb, count in (
                    ("failed", sum(trial.status == "failed" for trial in self)),
                    ("did not finish", sum(trial.status == "unfinished" for trial in self)),
                )
                if count
            ),
        ]

    def _about_the_best(self):
        if self.best is not None:
            values = ", ".join(f"{k} = {json.dumps(v)}" for k, v in self.best.values.items())
            yield (
                f"Best: trial {self.best.trial}, {values}, with an NLL of {self._nll(self.best)} "
                f"and a code of {self.best.metrics['code_bits']:.1f} bits."
            )
        elif self.completed:
            shortest = min(trial.metrics["code_bits"] for trial in self.completed)
            yield (
                f"No code was within the limit of {self.objective.max_code_bits:g} bits; the "
                f"shortest had {shortest:.1f} bits."
            )

    def _about_sizes(self):
        if len(self.of_each_size) < 2:
            return
        lowest = self._lowest
        behind = {trial.trial: self.behind(trial) for trial in self.of_each_size}
        if any(behind[t.trial] is None for t in self.of_each_size if t is not lowest):
            return

        def as_good(trial):
            return trial is lowest or behind[trial.trial][0] <= 2 * behind[trial.trial][1]

        enough = next(filter(as_good, self.of_each_size), lowest)
        size, active = enough.latent_dim, round(enough.metrics["active_units"])
        yield (
            f"The smallest code that the lowest NLL does not beat by two standard errors of the "
            f"difference, image by image, has {_count(size, 'number')}: {self._nll(enough)}, "
            f"{enough.metrics['code_bits']:.1f} bits, {_count(active, 'active unit')}."
        )

    def told(self, trial, nats, error=None):
        """Nats an image of a completed trial as text in the unit of the search, and their error."""
        values = (None if n is None else self.in_unit(trial, n) for n in (nats, error))
        return plus_minus(*values, digits=self.digits)

    def _nll(self, trial):
        return f"{self.told(trial, trial.metrics['nll'])} {self.unit}"


def _count(count, noun):
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
