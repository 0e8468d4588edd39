import collections.abc
import json

# Nats by which a larger code must be better to be worth it.
WORTH = 0.1


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

    def __getitem__(self, index):
        return self._trials[index]

    def __len__(self):
        return len(self._trials)

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
            metrics = self.best.metrics
            yield (
                f"Best: trial {self.best.trial}, {values}, with an NLL of {metrics['nll']:.2f} "
                f"nats and a code of {metrics['code_bits']:.1f} bits."
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
        lowest = min(trial.metrics["nll"] for trial in self.of_each_size)
        enough = next(t for t in self.of_each_size if t.metrics["nll"] <= lowest + WORTH)
        size, active = enough.latent_dim, round(enough.metrics["active_units"])
        yield (
            f"The smallest code within {WORTH:g} nats of the lowest NLL has "
            f"{_count(size, 'number')}: {enough.metrics['nll']:.2f} nats, "
            f"{enough.metrics['code_bits']:.1f} bits, "
            f"{_count(active, 'active unit')}."
        )


def _count(count, noun):
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
