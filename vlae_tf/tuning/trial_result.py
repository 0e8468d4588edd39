import dataclasses
import pathlib

from vlae_tf.records import read_run


@dataclasses.dataclass(frozen=True)
class TrialResult:
    """The result of a trial.

    Args:
        trial: number of the trial, as text.
        latent_dim: size of the code, also where it was not searched over.
        values: dict of a field's path to the value that was tried.
        status: "completed", "failed", or "unfinished".
        metrics: figures of a completed trial, under the names of `vlae_tf.evaluation.evaluate`;
            empty for other trials.
        score: score of a completed trial, or None.
        error: reason why a trial failed, or None.
        minutes: duration of training in minutes, or None.
        folder: folder of the trial's run.
    """

    trial: str
    latent_dim: int
    values: dict
    status: str
    metrics: dict
    score: float | None
    error: str | None
    minutes: float | None
    folder: pathlib.Path

    @classmethod
    def of(cls, trial, folder, space):
        """The result of keras-tuner's `Trial` over a `SearchSpace`, whose run is in `folder`."""
        status = {"COMPLETED": "completed", "FAILED": "failed"}.get(trial.status, "unfinished")
        metrics, record, error = {}, folder / "run.json", folder / "error.txt"
        if status == "completed":
            metrics = {name: trial.metrics.get_last_value(name) for name in trial.metrics.metrics}
        minutes = None
        if record.exists():
            minutes = read_run(record)["wall_time_s"] / 60
        text = trial.message or "the worker gave no reason"
        if error.exists():
            # A full disk, or a process that was killed, leaves an empty one.
            text = error.read_text(encoding="utf-8", errors="replace").strip() or text
        values = space.values(trial.hyperparameters)
        return cls(
            trial=trial.trial_id,
            latent_dim=space.recipe(values).model["latent_dim"],
            values=values,
            status=status,
            metrics=metrics,
            score=trial.score if status == "completed" else None,
            error=text.strip().splitlines()[-1] if status == "failed" else None,
            minutes=minutes,
            folder=folder,
        )

    @property
    def completed(self):
        return self.status == "completed"
