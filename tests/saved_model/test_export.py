"""The SavedModel: what is in it, and the answers it gives a process without vlae_tf."""

import hashlib
import re
import resource
import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from scipy.special import logsumexp
from tensorflow.core.protobuf import saved_model_pb2

import vlae_tf
from tests import served
from tests.tiny import run_python
from vlae_tf.noise import row_normal
from vlae_tf.saved_model.signatures import Signatures

pytestmark = pytest.mark.slow

# A client that has TensorFlow alone: it answers the requests of one file in another.
CLIENT = """
import sys
sys.modules.update(vlae_tf=None, keras=None, tf_keras=None, tensorflow_probability=None)
import numpy as np, tensorflow as tf
path, inputs, outputs = sys.argv[1:]
requests = {}
for key, value in np.load(inputs).items():
    signature, label, name = key.split("/")
    requests.setdefault((signature, label), {})[name] = tf.constant(value)
answers = {}
for replica in ("first", "second"):
    loaded = tf.saved_model.load(path)
    for (signature, label), request in requests.items():
        for name, value in loaded.signatures[signature](**request).items():
            value = value.numpy()
            # Of a fixed length, so that nothing is pickled.
            value = value.astype("S") if value.dtype == object else value
            answers[f"{replica}/{signature}/{label}/{name}"] = value
np.savez(outputs, **answers)
"""

IMAGE = {"image": ("uint8", (8, 8, 1))}
CODE = {"code": ("float32", (4,))}
SEED = {"seed": ("int32", ())}


def floats(*names):
    return dict.fromkeys(names, ("float32", ()))


ENCODING = CODE | {"scale": ("float32", (4,))} | floats("code_bits")
SIGNATURES = {
    "serving_default": (IMAGE, ENCODING),
    "encode": (IMAGE, ENCODING),
    "decode": (CODE | SEED, IMAGE),
    "reconstruct": (IMAGE | SEED, IMAGE | floats("code_bits")),
    "sample": (SEED | floats("temperature"), IMAGE | CODE),
    "log_prob": (IMAGE | SEED, floats("log_prob", "bits_per_dim", "elbo")),
    "about": (
        SEED,
        dict.fromkeys(("levels", "latent_dim", "importance_samples"), ("int32", ()))
        | {"image_shape": ("int32", (3,)), "weights": ("string", ())},
    ),
}
# Those that draw or compute.
OF_THE_MODEL = [name for name in SIGNATURES if name not in ("serving_default", "about")]


@pytest.fixture(scope="module")
def answers(exported, requests, tmp_path_factory):
    """Answers of a fresh process: `answers[replica, signature, label]` is a dict of arrays."""
    folder = tmp_path_factory.mktemp("client")
    labels = {"all": slice(None), "again": slice(None), "alone": [2], "others": [4, 2, 0]}
    np.savez(
        folder / "requests.npz",
        **{
            f"{signature}/{label}/{name}": value[rows]
            for signature, request in requests.items()
            for label, rows in labels.items()
            for name, value in request.items()
        },
    )
    run_python(CLIENT, exported, folder / "requests.npz", folder / "answers.npz")
    found = {}
    for key, value in np.load(folder / "answers.npz").items():
        *request, name = key.split("/")
        found.setdefault(tuple(request), {})[name] = value
    return found


def must_compile(path):
    saved = saved_model_pb2.SavedModel.FromString((path / "saved_model.pb").read_bytes())
    functions = saved.meta_graphs[0].graph_def.library.function
    return any(f.attr["_XlaMustCompile"].b for f in functions)


def assert_close(actual, expected, tolerance=1e-4):
    """Equal where they are images, and but for rounding where they are not."""
    assert actual.keys() == expected.keys()
    for name, value in actual.items():
        if value.dtype.kind in "uiOS":
            np.testing.assert_array_equal(value, expected[name])
        else:
            np.testing.assert_allclose(value, expected[name], rtol=tolerance, atol=tolerance)


# === What is in it ===


def test_signatures_are_the_documented_ones(loaded):
    def described(specs):
        return {
            name: (spec.dtype.name, tuple(spec.shape)[1:])
            for name, spec in specs.items()
            if spec.shape[0] is None
        }

    assert {
        name: (described(f.structured_input_signature[1]), described(f.structured_outputs))
        for name, f in loaded.items()
    } == SIGNATURES


def test_only_the_weights_are_written(model, exported):
    path = str(exported / "variables" / "variables")
    reader = tf.train.load_checkpoint(path)
    written = {k: v for k, v in reader.get_variable_to_dtype_map().items() if v != tf.string}
    # Neither seeds nor counters, which are integers, nor an optimizer, which doubles the weights.
    assert set(written.values()) == {tf.float32}
    assert len(written) == len(model.trainable_weights)
    total = sum(np.prod(reader.get_tensor(name).shape) for name in written)
    assert total == sum(np.prod(weight.shape) for weight in model.trainable_weights)


def test_nothing_of_this_machine_is_written(exported):
    graph = (exported / "saved_model.pb").read_bytes()
    assert str(Path(vlae_tf.__file__).parent).encode() not in graph
    assert str(exported.parent).encode() not in graph


# === Its answers, in a process that has TensorFlow alone ===


def test_answers_have_the_documented_types_and_shapes(answers):
    for signature, (_, outputs) in SIGNATURES.items():
        answer = answers["first", signature, "all"]
        described = {
            name: (v.dtype.name if v.dtype.kind != "S" else "string", v.shape[1:])
            for name, v in answer.items()
        }
        assert described == outputs
        assert all(len(value) == 5 for value in answer.values())


def test_encode_is_the_model_s(model, requests, answers):
    answer = answers["first", "encode", "all"]
    expected = model(requests["encode"]["image"].astype("float32"))
    np.testing.assert_allclose(answer["code"], model.encode(requests["encode"]["image"]), atol=1e-5)
    np.testing.assert_allclose(answer["scale"], expected["scale"], atol=1e-5)
    assert np.ptp(answer["code"], axis=0).min() > 0.01, "codes that are all alike show nothing"


def test_encode_is_the_default(answers):
    assert_close(answers["first", "serving_default", "all"], answers["first", "encode", "all"])


def test_decode_is_the_model_s(model, requests, answers):
    request = requests["decode"]
    np.testing.assert_array_equal(
        answers["first", "decode", "all"]["image"], model.decode(request["code"], request["seed"])
    )


def test_reconstruct_is_the_model_s(model, requests, answers):
    request = requests["reconstruct"]
    answer = answers["first", "reconstruct", "all"]
    np.testing.assert_array_equal(
        answer["image"], model.reconstruct(request["image"], request["seed"])
    )
    np.testing.assert_allclose(
        answer["code_bits"], answers["first", "encode", "all"]["code_bits"], rtol=1e-4
    )


def test_sample_is_the_model_s(model, requests, answers):
    answer = answers["first", "sample", "all"]
    for row, (seed, temperature) in enumerate(zip(*requests["sample"].values(), strict=True)):
        expected = model.sample(1, np.array([seed]), temperature=float(temperature))
        np.testing.assert_array_equal(answer["image"][row], expected[0])
    # Without noise the code is the one in the middle of the prior.
    middle = model.prior().from_noise(tf.zeros((1, 4)))[0]
    np.testing.assert_allclose(answer["code"][4], middle, atol=1e-5)
    assert np.ptp(answer["image"], axis=0).any()


def test_log_prob_is_the_importance_weighted_mean(model, requests, answers):
    image = requests["log_prob"]["image"].astype("float32")
    noise = row_normal(requests["log_prob"]["seed"], (3, 4), salt=2).numpy()
    posterior = model.posterior(image)
    terms = []
    for sample in range(3):
        code = posterior.mean() + posterior.stddev() * noise[:, sample]
        likelihood = model.likelihood(code).log_prob(image)
        terms.append(likelihood + model.prior().log_prob(code) - posterior.log_prob(code))
    log_prob = logsumexp(terms, axis=0) - np.log(3)
    expected = {
        "log_prob": log_prob,
        "elbo": np.mean(terms, axis=0),
        "bits_per_dim": -log_prob / (64 * np.log(2)),
    }
    assert_close(answers["first", "log_prob", "all"], expected)


@pytest.mark.parametrize("signature", SIGNATURES)
def test_rows_do_not_know_their_batch(answers, signature):
    def row(label, index):
        answer = answers["first", signature, label]
        return {name: value[index] for name, value in answer.items()}

    assert_close(row("alone", 0), row("all", 2), tolerance=1e-5)
    assert_close(row("others", 1), row("all", 2), tolerance=1e-5)
    assert_close(row("others", 0), row("all", 4), tolerance=1e-5)


@pytest.mark.parametrize("signature", SIGNATURES)
def test_replicas_and_repetitions_agree_bit_for_bit(answers, signature):
    expected = answers["first", signature, "all"]
    for replica, label in (("first", "again"), ("second", "all"), ("second", "again")):
        for name, value in answers[replica, signature, label].items():
            np.testing.assert_array_equal(value, expected[name])


@pytest.mark.parametrize(
    ("signature", "output"),
    [("decode", "image"), ("reconstruct", "image"), ("sample", "code"), ("log_prob", "elbo")],
)
def test_seed_of_a_row_matters_to_that_row_alone(loaded, requests, signature, output):
    request = {name: tf.constant(value) for name, value in requests[signature].items()}
    before = loaded[signature](**request)[output].numpy()
    request["seed"] += tf.constant([0, 100, 0, 0, 0])
    if signature == "sample":
        np.testing.assert_array_equal(request["temperature"].numpy()[1], np.float32(0.7))
    after = loaded[signature](**request)[output].numpy()
    changed = [not np.allclose(a, b, atol=1e-5) for a, b in zip(before, after, strict=True)]
    assert changed == [False, True, False, False, False]


# === Requests that cannot be answered ===


@pytest.mark.parametrize("signature", ["encode", "reconstruct", "log_prob"])
def test_image_that_is_not_binary_is_answered_by_nan_in_its_row(loaded, requests, signature):
    request = {name: value.copy() for name, value in requests[signature].items()}
    request["image"][1, 0, 0, 0] = 255
    answer = loaded[signature](**{name: tf.constant(value) for name, value in request.items()})
    expected = loaded[signature](**{n: tf.constant(v) for n, v in requests[signature].items()})
    for name, value in answer.items():
        bad, good = value.numpy()[1], np.delete(value.numpy(), 1, axis=0)
        assert not bad.any() if name == "image" else np.isnan(bad).all()
        assert_close({name: good}, {name: np.delete(expected[name].numpy(), 1, axis=0)})


def test_negative_temperature_is_answered_by_nan_in_its_row(loaded):
    answer = loaded["sample"](
        seed=tf.constant([1, 2]), temperature=tf.constant([-1.0, 1.0], tf.float32)
    )
    assert np.isnan(answer["code"][0]).all() and np.isfinite(answer["code"][1]).all()
    assert not answer["image"][0].numpy().any()


def test_image_of_another_shape_is_refused(loaded):
    # As many pixels as two images have.
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"\[1,16,8,1\].*\[\?,8,8,1\]"):
        loaded["encode"](image=tf.zeros((1, 16, 8, 1), tf.uint8))


@pytest.mark.parametrize("signature", ["decode", "reconstruct", "sample", "log_prob"])
def test_inputs_of_another_number_of_rows_are_refused(loaded, requests, signature):
    *others, last = requests[signature]
    for rows in (1, 3):
        request = {name: requests[signature][name] for name in others}
        request[last] = requests[signature][last][:rows]
        with pytest.raises(tf.errors.InvalidArgumentError, match="must have as many rows"):
            loaded[signature](**{name: tf.constant(value) for name, value in request.items()})


def test_about_tells_what_the_model_is(answers, exported):
    answer = answers["first", "about", "all"]
    assert answer["levels"].tolist() == [2] * 5
    assert answer["image_shape"].tolist() == [[8, 8, 1]] * 5
    assert answer["latent_dim"].tolist() == [4] * 5
    assert answer["importance_samples"].tolist() == [3] * 5
    reader = tf.train.load_checkpoint(str(exported / "variables" / "variables"))
    names = [
        name for name, dtype in reader.get_variable_to_dtype_map().items() if dtype.is_floating
    ]
    digests = sorted(hashlib.sha256(reader.get_tensor(name)).digest() for name in names)
    expected = hashlib.sha256(b"".join(digests)).hexdigest().encode()
    assert answer["weights"].tolist() == [expected] * 5


def test_a_temperature_that_is_left_out_is_1(exported):
    saved = saved_model_pb2.SavedModel.FromString((exported / "saved_model.pb").read_bytes())
    for name, definition in saved.meta_graphs[0].signature_def.items():
        defaults = {
            key: tf.make_ndarray(value).item() for key, value in definition.defaults.items()
        }
        assert defaults == ({"temperature": 1.0} if name == "sample" else {})


def test_code_of_another_size_is_refused(loaded):
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"\[2,3\].*\[\?,4\]"):
        loaded["decode"](code=tf.zeros((2, 3)), seed=tf.constant([0, 1]))


# === Compilers and policies ===


@pytest.fixture(scope="module")
def two_versions(model, exported, tmp_path_factory):
    """A model's folder: version 1 is a copy of `exported`, version 2 compiles under XLA."""
    folder = tmp_path_factory.mktemp("versions") / "tiny"
    shutil.copytree(exported, folder / "1")
    vlae_tf.saved_model.export(model, folder, importance_samples=3, xla=True)
    return folder


@pytest.fixture(scope="module")
def compiled(two_versions):
    saved_model = tf.saved_model.load(two_versions / "2")
    yield saved_model.signatures


@pytest.mark.parametrize(
    ("signature", "batch_size"),
    [
        ("encode", 1),
        ("encode", 3),
        ("decode", 1),
        ("reconstruct", 3),
        ("sample", 1),
        ("log_prob", 3),
    ],
)
def test_compiled_signature_answers_as_the_plain_one(
    loaded, compiled, requests, signature, batch_size
):
    request = {n: tf.constant(value[:batch_size]) for n, value in requests[signature].items()}
    first, second, expected = (
        {name: value.numpy() for name, value in function(**request).items()}
        for function in (compiled[signature], compiled[signature], loaded[signature])
    )
    assert_close(first, second)
    assert_close(first, expected)
    assert all(len(value) == batch_size for value in first.values())


def test_an_inference_converter_finds_each_signature_by_its_alias(exported):
    saved = saved_model_pb2.SavedModel.FromString((exported / "saved_model.pb").read_bytes())
    graph = saved.meta_graphs[0]
    aliases = graph.meta_info_def.function_aliases
    assert set(aliases.values()) == {f"{name}_tpu" for name in OF_THE_MODEL}
    assert set(aliases) <= {
        function.signature.name for function in graph.graph_def.library.function
    }


def test_mixed_precision_is_kept_and_answers_are_float32(tmp_path, requests):
    model = served.build(dtype="mixed_bfloat16")
    mixed = tf.saved_model.load(model.export(tmp_path, importance_samples=2))
    assert {weight.dtype for weight in mixed.weights} == {tf.float32}
    assert b"DT_BFLOAT16" in str(mixed.signatures["encode"].graph.as_graph_def()).encode()
    for signature, (_, outputs) in SIGNATURES.items():
        request = {name: tf.constant(value) for name, value in requests[signature].items()}
        answer = mixed.signatures[signature](**request)
        assert {n: (v.dtype.name, tuple(v.shape[1:])) for n, v in answer.items()} == outputs
        floats = (value.numpy() for value in answer.values() if value.dtype.is_floating)
        assert all(np.isfinite(value).all() for value in floats)
    np.testing.assert_allclose(
        mixed.signatures["encode"](image=tf.constant(requests["encode"]["image"]))["code"],
        model.encode(requests["encode"]["image"]),
        atol=0.05,
    )


# === Versions, and failures ===


def test_next_version_leaves_the_first_as_it_was(exported, two_versions, compiled):
    first, second = two_versions / "1", two_versions / "2"
    assert sorted(path.name for path in two_versions.iterdir()) == ["1", "2"]
    assert (first / "saved_model.pb").read_bytes() == (exported / "saved_model.pb").read_bytes()
    assert set(compiled) == set(SIGNATURES)
    # What was asked of the second alone is written there alone.
    assert must_compile(second) and not must_compile(first)


def test_existing_version_is_refused_before_anything_is_done(model, exported, monkeypatch):
    monkeypatch.setattr("vlae_tf.saved_model.signatures.Signatures", None)
    with pytest.raises(FileExistsError, match=r"does not hold yet.*Received: version=1"):
        model.export(exported.parent, version=1)


def test_full_disk_is_said_and_leaves_nothing(model, loaded, tmp_path, monkeypatch):
    # Traced already.
    monkeypatch.setattr(Signatures, "functions", lambda *_: ({}, dict(loaded)))
    # A limit on the size of a file stops TensorFlow's writer half way, as a full disk does.
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8192, hard))
    try:
        with pytest.raises(OSError, match=r"room for the model; nothing was left.*filepath="):
            model.export(tmp_path / "new" / "tiny")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"version": 0}, "`version` must be an integer, at least 1. Received: version=0"),
        ({"version": "2"}, "`version` must be an integer, at least 1. Received: version='2'"),
        ({"version": True}, "`version` must be an integer, at least 1. Received: version=True"),
        ({"importance_samples": 0}, "Received: importance_samples=0"),
        ({"importance_samples": 2.5}, "Received: importance_samples=2.5"),
        ({"batch_sizes": ()}, "`batch_sizes` must be a list of one or more integers, each at"),
        ({"batch_sizes": (0,)}, "Received: batch_sizes=(0,)"),
        ({"batch_sizes": (1.5,)}, "Received: batch_sizes=(1.5,)"),
        ({"warmup_images": np.zeros((2, 9, 8, 1))}, "`images` must have shape (batch, 8, 8, 1)"),
        ({"warmup_images": np.full((2, 8, 8, 1), 7)}, "`images` must be binary"),
    ],
)
def test_argument_that_is_invalid_is_refused(model, tmp_path, arguments, words):
    with pytest.raises(ValueError, match=re.escape(words)):
        model.export(tmp_path / "tiny", **arguments)
    assert list(tmp_path.iterdir()) == []


def test_something_else_than_a_vae_is_refused_and_told_what_it_lacks(tmp_path):
    class Half:
        image_shape, latent_dim, levels = (8, 8, 1), 4, 2
        posterior = prior = likelihood = decode_rows = None

        def __repr__(self):
            return "Half()"

    for model, words in (
        (3, r"`model` must be a `vlae_tf.VAE`, or have its .* model=3, without image_shape, "),
        (Half(), r"Received: model=Half\(\), without sample_rows$"),
    ):
        with pytest.raises(ValueError, match=words):
            vlae_tf.saved_model.export(model, tmp_path / "tiny")
    assert list(tmp_path.iterdir()) == []
