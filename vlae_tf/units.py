"""How likelihoods are written for people: their unit and their digits."""


def unit(metrics):
    """Unit of a model's likelihood: nats for binary images, bits/dim for others."""
    return "bits/dim" if metrics["binarisation"] == "none" else "nats"


def in_unit(nats, metrics):
    """Nats an image, converted to the model's unit."""
    if unit(metrics) == "nats":
        return nats
    best = metrics["likelihood"][0]
    return nats * best["bits_per_dim"] / best["nll"]


def plus_minus(number, error, digits):
    """A number as text and its standard error, where there is one: a single image has none."""
    told = f"{number:.{digits}f}"
    return told if error is None else f"{told} ± {error:.{digits}f}"


def with_error(block, metrics):
    """The NLL of a block of metrics as text, in the model's unit, with its standard error."""
    error = block["nll_standard_error"]
    error = None if error is None else in_unit(error, metrics)
    return plus_minus(in_unit(block["nll"], metrics), error, _digits(metrics))


def rounded(nats, metrics):
    """Nats an image as text, in the model's unit: 2 digits of nats, 3 of bits/dim."""
    return f"{in_unit(nats, metrics):.{_digits(metrics)}f}"


def _digits(metrics):
    return 2 if unit(metrics) == "nats" else 3
