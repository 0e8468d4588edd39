"""Checks of arguments: each says which argument is wrong, what was expected, and what came.

One rule for all: a boolean is no number, NumPy's numbers are numbers, and a number is finite,
in float32 too. NumPy alone is imported, so that a client without Keras can check too.
"""

import importlib.util
import math
import os

import numpy as np

# The largest number of float32, in which layers compute.
_LARGEST = float(np.finfo("float32").max)


def refuse(name, expected, value, received=None):
    """Raises the `ValueError` that all checks raise: argument, expectation, what was received.

    Args:
        name: name of the argument.
        expected: what it must be, such as "a positive integer".
        value: what came.
        received: words that describe it, where the value itself would be too long.
    """
    shown = f"{name}={value!r}" if received is None else received
    raise ValueError(f"`{name}` must be {expected}. Received: {shown}")


def check_installed(package, extra, purpose):
    """Raises an `ImportError` that says what to install, unless `package` can be imported."""
    if importlib.util.find_spec(package) is None:
        raise ImportError(
            f"{purpose} needs the package {package!r}: pip install 'vlae_tf[{extra}]'"
        )


# === Numbers ===


def check_integer(value, name, least=None, below=None):
    """`value` as an int of at least `least` and less than `below`."""
    right = isinstance(value, (int, np.integer)) and not isinstance(value, (bool, np.bool_))
    if not right or not _within(value, least=least, below=below):
        refuse(name, _range("an integer", least=least, below=below), value)
    return int(value)


def check_seed(value):
    """`value` as the seed of a generator, an int."""
    return check_integer(value, "seed", least=0, below=2**32)


def check_number(value, name, least=None, above=None, most=None, below=None):
    """`value` as a finite float: `least` <= value <= `most`, `above` < value < `below`."""
    kinds = (int, float, np.integer, np.floating)
    right = isinstance(value, kinds) and not isinstance(value, (bool, np.bool_))
    bounds = {"least": least, "above": above, "most": most, "below": below}
    if not right or not abs(value) <= _LARGEST or not _within(value, **bounds):
        refuse(name, _range("a finite number", **bounds), value)
    return float(value)


def check_integers(values, name, least=1, length=None):
    """`values`, a list or tuple, as a list of one or more integers of at least `least`."""
    listed = values.tolist() if isinstance(values, np.ndarray) else values
    if isinstance(listed, (list, tuple)) and listed and length in (None, len(listed)):
        try:
            return [check_integer(value, name, least) for value in listed]
        except ValueError:
            pass
    count = "one or more" if length is None else length
    return refuse(name, f"a list of {count} integers, each at least {least}", values)


def check_numbers(values, name, **bounds):
    """`values`, a list or tuple, as a list of one or more floats, each as `check_number` has it."""
    listed = values.tolist() if isinstance(values, np.ndarray) else values
    if isinstance(listed, (list, tuple)) and listed:
        try:
            return [check_number(value, name, **bounds) for value in listed]
        except ValueError:
            pass
    return refuse(name, f"a list of one or more numbers, each {_range('finite', **bounds)}", values)


def check_choice(value, name, choices):
    """`value`, if it is one of `choices`."""
    if value not in list(choices):
        shown = ", ".join(map(repr, choices))
        refuse(name, f"one of {shown}", value)
    return value


def _within(value, least=None, above=None, most=None, below=None):
    return (
        (least is None or value >= least)
        and (above is None or value > above)
        and (most is None or value <= most)
        and (below is None or value < below)
    )


def _range(kind, least=None, above=None, most=None, below=None):
    words = {"at least": least, "greater than": above, "at most": most, "less than": below}
    bounds = " and ".join(f"{word} {bound}" for word, bound in words.items() if bound is not None)
    return f"{kind}, {bounds}" if bounds else kind


def check_flag(value, name):
    """`value`, True or False, as a bool."""
    if not isinstance(value, (bool, np.bool_)):
        refuse(name, "True or False", value)
    return bool(value)


def check_no_file(path, name):
    """Raises if the `pathlib.Path` of a folder, there or to be made, leads to or through a file."""
    if file := next((p for p in (path, *path.parents) if p.exists() and not p.is_dir()), None):
        refuse(name, "a folder, and none of its parents a file", str(path), f"the file {file}")


# === Shapes ===


def check_shape3(shape, name):
    """`shape` as a tuple of three positive integers, `(height, width, channels)`."""
    try:
        return tuple(check_integers(shape, name, least=1, length=3))
    except ValueError:
        return refuse(name, "three positive integers, (height, width, channels)", shape)


def check_image_shape(image_shape):
    """`image_shape` as a tuple `(height, width, channels)`."""
    return check_shape3(image_shape, "image_shape")


def check_code_shape(code_shape, latent_dim=None):
    """`code_shape` as a tuple `(height, width, channels)` of `latent_dim` numbers in all."""
    shape = check_shape3(code_shape, "code_shape")
    if latent_dim is not None and math.prod(shape) != latent_dim:
        refuse("code_shape", f"of the {latent_dim} numbers of `latent_dim`", shape)
    return shape


def check_rungs(rungs, latent_dim):
    """`rungs`, the sizes of the parts of a code from the bottom up, as a list."""
    sizes = check_integers(rungs, "rungs", least=1)
    if sum(sizes) != latent_dim:
        refuse("rungs", f"sizes that add up to the {latent_dim} numbers of the code", rungs)
    return sizes


def check_ladder_units(units):
    """`units`, for each stage of a ladder a list of the sizes of its layers, as lists."""
    if not isinstance(units, (list, tuple)) or not units:
        refuse("units", "a list with a list of sizes for each stage", units)
    try:
        return [check_integers(sizes, "units", least=1) for sizes in units]
    except ValueError:
        return refuse("units", "a list with a list of positive integers for each stage", units)


def check_pair(value, name, odd_height=False):
    """`value`, a kernel's size of one positive integer or two, as a pair; the height may have to be
    odd."""
    values = tuple(value) if isinstance(value, (list, tuple)) else (value, value)
    try:
        pair = tuple(check_integers(values, name, least=1, length=2))
    except ValueError:
        return refuse(name, "a positive integer or two of them", value)
    if odd_height and pair[0] % 2 == 0:
        refuse(name, "of odd height, to have a centre", value)
    return pair


# === Images ===


def check_images(images, image_shape, levels=2):
    """Raises unless `images` is a batch of images of this shape, with pixels of 0..levels-1."""
    images = _as_array(images, "images")
    check_batch_shape(images.shape, image_shape)
    numbers = images.dtype.kind in "buif"
    if numbers and 0 <= images.min() and images.max() <= levels - 1:
        if images.dtype.kind != "f" or (images == np.floor(images)).all():
            return
    received = f" between {images.min()} and {images.max()}" if numbers else ""
    expected = (
        "be binary, every pixel 0 or 1; binarise grey images first (`vlae_tf.datasets.load` and "
        "`thresholded` do), or take a model of 256 levels (`VLAE(levels=256)`)"
        if levels == 2
        else f"have whole numbers from 0 to {levels - 1}, as uint8 has; scaling happens inside"
    )
    raise ValueError(f"`images` must {expected}. Received: images of {images.dtype}{received}")


def check_batch_shape(shape, image_shape):
    """Raises unless `shape` is that of a batch of images, as far as it is known."""
    # TensorFlow may leave sizes unknown, or even how many there are.
    if getattr(shape, "rank", 4) is None:
        return
    shape = tuple(shape)
    if len(shape) != 4 or any(
        size not in (None, wanted) for size, wanted in zip(shape[1:], image_shape, strict=True)
    ):
        raise ValueError(
            f"`images` must have shape (batch, {', '.join(map(str, image_shape))})"
            f"{_way_round(shape, tuple(image_shape))}. Received: images with shape {shape}"
        )
    if shape[0] == 0:
        raise ValueError(
            f"`images` must hold at least one image. Received: images with shape {shape}"
        )


def _way_round(shape, image_shape):
    """What makes images of `shape` those of a batch, to be said in an error."""
    height, width, channels = image_shape
    if shape[1:] == (channels, height, width):
        return "; `np.moveaxis(images, 1, -1)` puts the channels last"
    if shape == image_shape:
        return "; `images[None]` is a batch of one image"
    if channels == 1 and shape[1:] == (height, width):
        return "; `images[..., None]` has the channel"
    if channels == 1 and shape == (height, width):
        return "; `images[None, ..., None]` is a batch of one image"
    return ""


def _as_array(values, name):
    """`values` as an array, unless they are no array of numbers at all, as a path is not."""
    if isinstance(values, (str, bytes, os.PathLike)):
        expected = "an array; `vlae_tf.datasets.load_arrays` reads files and folders"
        refuse(name, expected, values)
    if isinstance(values, np.ma.MaskedArray) and values.mask.any():
        expected = "an array without masked values, for which there is no number"
        refuse(name, expected, None, f"{name} with {values.mask.sum()} of them")
    try:
        return np.asarray(values)
    except ValueError as error:
        received = f"{name} of type {type(values).__name__}, and NumPy says: {error}"
        return refuse(name, "an array of numbers", values, received)


def check_codes(code, latent_dim, dtype="float32"):
    """`code` as an array `(batch, latent_dim)` of finite numbers, at least one row."""
    array = _as_array(code, "code")
    if array.dtype.kind not in "biuf":
        refuse("code", "an array of numbers", code, f"code of {array.dtype}")
    if array.ndim != 2 or array.shape[1] != latent_dim or not len(array):
        raise ValueError(
            f"`code` must have shape (batch, {latent_dim}), with at least one row. "
            f"Received: code with shape {array.shape}"
        )
    with np.errstate(over="ignore"):
        code = array.astype(dtype)
    if not np.isfinite(code).all():
        raise ValueError(
            f"`code` must have finite numbers only, as {np.dtype(dtype)}. Received: code with "
            f"{np.count_nonzero(~np.isfinite(code))} values that are NaN or infinite there"
        )
    return code


def check_last_axes(value, shape, name):
    """Raises unless the last axes of an array or tensor have this shape, as far as it is known."""
    found = getattr(value, "shape", None)
    found = np.shape(value) if found is None else tuple(found)
    last = found[len(found) - len(shape) :]
    fits = len(last) == len(shape) and all(
        None in pair or pair[0] == pair[1] for pair in zip(last, shape, strict=True)
    )
    if not fits:
        expected = f"of shape (..., {', '.join(map(str, shape))})"
        refuse(name, expected, value, f"{name} of shape {found}")


def check_temperatures(temperature, count):
    """`temperature`, a number or one for each of `count` rows, as float32 `(count,)`."""
    values = np.asarray(temperature)
    if values.dtype.kind in "iuf" and values.shape in ((), (count,)):
        with np.errstate(over="ignore"):
            values = values.astype("float32")
        if np.isfinite(values).all() and (values >= 0).all():
            return np.broadcast_to(values, count)
    expected = f"a finite number, at least 0, or one for each of the {count} rows"
    return refuse("temperature", expected, temperature)


def only_images(data):
    """The images of what Keras takes: of `[images]`, `{"image": images}`, or a `tf.data.Dataset` of
    such dicts, with or without labels beside them."""
    if isinstance(data, dict):
        if "image" not in data:
            received = f"a dict with the keys {', '.join(map(str, data))}"
            refuse("x", "images, or a dict with an 'image'", data, received)
        return data["image"]
    if isinstance(data, (list, tuple)):
        if len(data) != 1:
            received = f"a {type(data).__name__} of {len(data)}"
            refuse("x", "one array of images (`np.stack` makes one of several)", data, received)
        return only_images(data[0])
    spec = getattr(data, "element_spec", None)
    first = spec[0] if isinstance(spec, tuple) else spec
    if isinstance(first, dict):
        only_images(first)
        return data.map(lambda x, *labels: x["image"])
    return data


def check_known(known, mask, shape, levels=2):
    """`known` and `mask` as float32 and boolean arrays of this shape, `(batch, *image_shape)`.

    A mask that the decoder's order does not allow is refused by `ReceptiveField.check_mask`.
    """
    if (known is None) != (mask is None):
        raise ValueError(
            f"`known` and `mask` must be given together. Received: known={known!r}, mask={mask!r}"
        )
    try:
        known, mask = np.broadcast_to(known, shape), np.broadcast_to(mask, shape)
    except ValueError as error:
        raise ValueError(
            f"`known` and `mask` must have shape {shape}, or broadcast to it. Received: known "
            f"with shape {np.shape(known)}, mask with shape {np.shape(mask)}"
        ) from error
    check_images(known, shape[1:], levels)
    if mask.dtype != bool:
        raise ValueError(f"`mask` must be boolean. Received: mask of {mask.dtype}")
    return known.astype("float32"), mask


def check_channels_together(mask):
    """Raises unless the channels of each pixel are known together, since they are drawn together.

    Args:
        mask: boolean, `(batch, height, width, channels)`.
    """
    partly = mask.all(axis=-1) != mask.any(axis=-1)
    if partly.any():
        _, row, column = np.argwhere(partly)[0]
        raise ValueError(
            "`mask` must be the same in all channels of a pixel: they are drawn together. "
            f"Received: a mask with pixel ({row}, {column}) known in some of its channels"
        )


def check_array(images, argument="images"):
    """Raises unless `images` is a uint8 array `(n, height, width, channels)` with n > 0."""
    if not isinstance(images, np.ndarray) or images.ndim != 4:
        received = getattr(images, "shape", type(images).__name__)
        raise ValueError(
            f"`{argument}` must be a NumPy array of shape (n, height, width, channels). "
            f"Received: {argument} of shape {received}"
        )
    if images.dtype != np.uint8:
        raise ValueError(
            f"`{argument}` must be uint8, intensities 0..255 or binary pixels 0 and 1; turn floats "
            "in [0, 1] into `np.round(255 * images).astype('uint8')`. "
            f"Received: {argument} of dtype {images.dtype}"
        )
    if not images.size:
        raise ValueError(f"`{argument}` is empty. Received: {argument} of shape {images.shape}")


# === What needs Keras, which is imported when it is asked for ===


def check_dtype(dtype):
    """Raises unless `dtype` is a policy with weights in float32, whatever it computes in."""
    import keras

    try:
        weights = keras.dtype_policies.get(dtype).variable_dtype
    except ValueError:
        weights = None
    if weights != "float32":
        expected = "float32 or mixed_bfloat16: a policy of Keras with weights in float32"
        refuse("dtype", expected, dtype)


def check_single(model, purpose):
    """Raises a `ValueError` for a model of float64, which does not serve this purpose."""
    if getattr(model, "variable_dtype", None) == "float64":
        received = "a model of float64, which is for likelihoods and coding"
        refuse("model", f"of float32 or mixed_bfloat16 to be {purpose}", model, received)


def check_activation(activation):
    """The function that `activation` is or names in `keras.activations`."""
    import keras

    try:
        return keras.activations.get(activation)
    except (ValueError, TypeError):
        return refuse("activation", "a function, or a name in keras.activations", activation)


def check_initializer(initializer, name="kernel_initializer"):
    """The initialiser that `initializer` is, names or configures in `keras.initializers`."""
    import keras

    try:
        return keras.initializers.get(initializer)
    except (ValueError, TypeError):
        return refuse(name, "an initialiser, or a name in keras.initializers", initializer)


def check_data(data, image_shape, levels=2):
    """`check_images` for all that `fit`, `evaluate` and `predict` take.

    The first batch of a `keras.utils.PyDataset` is checked. Only the shape of a `tf.data.Dataset`
    is, where it is known: reading from it would use up randomness. Generators are not checked.
    """
    import keras

    if isinstance(data, keras.utils.PyDataset):
        check_images(_first(data[0]), image_shape, levels)
    elif hasattr(data, "element_spec"):
        shape = getattr(_first(data.element_spec), "shape", None)
        if shape is not None:
            check_batch_shape(shape, image_shape)
    elif hasattr(data, "shape"):
        check_images(data, image_shape, levels)


def _first(batch):
    return batch[0] if isinstance(batch, (tuple, list)) else batch
