"""Each network's window is what it says: to the pixel, in both directions."""

import itertools

import numpy as np
import pytest
from keras import ops

from tests.gradients import gradient, jacobian, randomise
from vlae_tf.layers import GatedPixelCNN, LocalPixelCNN, ReceptiveField, ResidualPixelCNN


def taps(kernel_size, mask_type):
    """The offsets (row, column) that one masked convolution sees."""
    height, width = np.broadcast_to(kernel_size, 2)
    up, left, right = height // 2, width // 2, (width - 1) // 2
    above = {(row, column) for row in range(-up, 0) for column in range(-left, right + 1)}
    return above | {(0, column) for column in range(-left, 1 if mask_type == "B" else 0)}


def offsets_of_stack(kernel_sizes):
    """The offsets that masked convolutions see one after another, the first of type A."""
    seen = taps(kernel_sizes[0], "A")
    for kernel_size in kernel_sizes[1:]:
        layer = taps(kernel_size, "B")
        seen = {(row + r, column + c) for row, column in seen for r, c in layer}
    return seen


def offsets_of_stacks(first, block, blocks):
    """The offsets that a gated PixelCNN sees: a rectangle above, and a strip to the left."""
    (up, side), (more_up, _) = (np.broadcast_to(k, 2) // 2 for k in (first, block))
    sizes = [np.broadcast_to(k, 2)[1] for k in [first] + [block] * blocks]
    above = up + blocks * more_up if up else 0
    left, right = sum(width // 2 for width in sizes), sum((width - 1) // 2 for width in sizes)
    rows = {(-row, c) for row in range(1, above + 1) for c in range(-left, right + 1)}
    return rows | ({(0, -c) for c in range(1, left + 1)} if side else set())


def field_of(offsets):
    """The tightest `ReceptiveField` around a set of offsets, without the ends of its rows."""
    rows = [(-row, column) for row, column in offsets if row < 0]
    return ReceptiveField(
        above=max([0, *(d for d, _ in rows)]),
        left=max([0, *(-column for _, column in offsets)]),
        right=max([0, *(column for _, column in rows)]),
        slope=max([0, *(int(np.ceil(column / d)) for d, column in rows)]),
    )


def local(blocks, first, block):
    network = LocalPixelCNN(
        filters=3, blocks=blocks, first_kernel_size=first, block_kernel_size=block
    )
    return network, offsets_of_stack([first] + [block] * (2 * blocks))


def residual(depth, kernel_size, tied=True):
    network = ResidualPixelCNN(filters=3, depth=depth, kernel_size=kernel_size, tied=tied)
    return network, offsets_of_stack([kernel_size] * depth)


def gated(blocks, first, block):
    network = GatedPixelCNN(
        filters=3, blocks=blocks, first_kernel_size=first, block_kernel_size=block
    )
    return network, offsets_of_stacks(first, block, blocks)


jax = pytest.mark.jax
WINDOWS = [
    (local, 0, 3, 3),
    (local, 0, 5, 3),
    pytest.param((local, 1, 5, 3), marks=jax),
    (local, 2, 5, 1),
    (local, 2, 3, 3),
    (local, 1, (3, 5), (1, 3)),
    (local, 1, (1, 5), 3),
    (local, 1, (5, 1), 3),
    (local, 1, 1, 3),
    (residual, 1, 3),
    (residual, 2, 5),
    pytest.param((residual, 3, 3), marks=jax),
    (residual, 3, (5, 3), False),
    (residual, 6, 3),
    (residual, 5, 3, False),
    (gated, 1, 3, 1),
    (gated, 2, (7, 5), 1),
    (gated, 1, 3, 3),
    pytest.param((gated, 2, 3, 3), marks=jax),
    (gated, 2, 5, (1, 3)),
    (gated, 1, (1, 5), 3),
    (gated, 1, (5, 1), 3),
    (gated, 1, 1, 3),
    (local, 1, (5, 4), (3, 2)),
    (local, 1, (3, 2), (1, 4)),
    pytest.param((gated, 2, (5, 4), 1), marks=jax),
    (gated, 2, (9, 7), 1),
    (gated, 1, (3, 4), (3, 2)),
]


@pytest.fixture(params=WINDOWS, ids=lambda case: f"{case[0].__name__}{case[1:]}")
def network_and_offsets(request):
    make, *options = request.param
    return make(*options)


def test_gradient_map_is_the_stated_window(network_and_offsets):
    network, offsets = network_and_offsets
    field = field_of(offsets)
    # Room for the whole window and one pixel more on each side.
    i, j = field.above + 1, field.left + 1
    image = np.random.default_rng(0).normal(size=(1, i + 2, j + field.right + 2, 1))
    maps = np.ones((1, *image.shape[1:3], 2), "float32")
    network.build(image.shape, maps.shape)
    randomise(network)
    for conditioning in (maps, None):
        seen = gradient(lambda x, c=conditioning: network(x, c)[0, i, j, 0], image)[0, :, :, 0] != 0
        assert {(row - i, column - j) for row, column in np.argwhere(seen)} == offsets
    assert network.receptive_field[:4] == field[:4]
    assert set(network.receptive_field.offsets()) == {(-row, column) for row, column in offsets}


@pytest.mark.parametrize(
    "case",
    [
        pytest.param((local, 1, 3, 3), marks=jax),
        (local, 2, 5, 3),
        (residual, 4, 3),
        pytest.param((gated, 1, 3, 3), marks=jax),
        (gated, 2, (5, 3), 3),
    ],
    ids=lambda case: f"{case[0].__name__}{case[1:]}",
)
def test_every_pixel_sees_its_window_as_far_as_the_image_goes(case):
    make, *options = case
    network, offsets = make(*options)
    image = np.random.default_rng(0).normal(size=(5, 6, 1))
    network.build((None, 5, 6, 1))
    seen = jacobian(randomise(network), image)[:, :, 0, :, :, 0] != 0
    for i, j, row, column in np.ndindex(seen.shape):
        assert seen[i, j, row, column] == ((row - i, column - j) in offsets)


@pytest.mark.parametrize(
    "case",
    [(gated, 1, (9, 11), 1), pytest.param((gated, 2, 3, (5, 5)), marks=jax)],
    ids=lambda case: f"{case[0].__name__}{case[1:]}",
)
def test_a_full_context_is_all_that_came_before(case):
    # One kernel of twice the image less one, or blocks that add up to the image.
    make, *options = case
    network, _ = make(*options)
    image = np.random.default_rng(0).normal(size=(5, 6, 1))
    network.build((None, 5, 6, 1))
    seen = jacobian(randomise(network), image).reshape(30, 30) != 0
    np.testing.assert_array_equal(seen, np.tri(30, k=-1, dtype=bool))
    assert network.receptive_field.above >= 4 and network.receptive_field.left >= 5


@jax
@pytest.mark.parametrize("case", [(local, 1, 5, 3), (residual, 3, 3), (gated, 1, 5, 3)])
def test_every_pixel_sees_the_code_at_its_own_place(case):
    make, *options = case
    network, _ = make(*options)
    images, maps = np.zeros((1, 3, 3, 1), "float32"), np.ones((3, 3, 2))
    network.build(images.shape, (None, *maps.shape))
    seen = jacobian(lambda m: network(ops.repeat(images, m.shape[0], 0), m), maps)[:, :, 0]
    assert all(np.all(seen[i, j, i, j] != 0) for i, j in np.ndindex(3, 3))


@jax
def test_window_of_any_stack_agrees_with_counting_pixels():
    random = np.random.default_rng(0)
    for _ in range(100):
        count = random.integers(1, 5)
        sizes = [(int(random.choice([1, 3, 5])), int(random.integers(1, 6))) for _ in range(count)]
        offsets = offsets_of_stack(sizes)
        field = ReceptiveField.of_stack(sizes)
        assert field[:4] == field_of(offsets)[:4], sizes
        assert set(field.offsets()) == {(-row, column) for row, column in offsets}
        assert field.pixels == len(offsets)
        # What sampling relies on: nothing seen belongs to the same step or a later one.
        assert all(column + (field.slope + 1) * row < 0 for row, column in offsets)


@jax
def test_paper_decoder_reaches_six_rows_up_as_a_triangle():
    assert ResidualPixelCNN().receptive_field == ReceptiveField(
        6, 6, 6, 1, ends=(-1, 1, 2, 3, 4, 5, 6)
    )


@jax
@pytest.mark.parametrize(("width", "height"), [(4, 2), (5, 3), (7, 4)])
def test_papers_windows(width, height):
    # "AxB": the block of A columns and B rows immediately above, and ceil((A - 1) / 2) pixels to
    # the left.
    network = GatedPixelCNN(
        blocks=4, first_kernel_size=(2 * height + 1, width), block_kernel_size=1
    )
    above, left, right, slope, _ = network.receptive_field
    assert (above, left + 1 + right) == (height, width)
    assert left == int(np.ceil((width - 1) / 2)) and slope == right


def closed(mask, field):
    """Whether no known pixel of one image sees an unknown one, by the definition of the window."""
    known = np.argwhere(mask[0, :, :, 0])
    unknown = np.argwhere(~mask[0, :, :, 0])
    for (i, j), (row, column) in itertools.product(known.tolist(), unknown.tolist()):
        up, side = i - row, column - j
        furthest = min(field.right, field.slope * up) if up else -1
        if 0 <= up <= field.above and -field.left <= side <= furthest:
            return False
    return True


@jax
@pytest.mark.parametrize(
    "field",
    [
        ReceptiveField(1, 1, 1, 1),
        ReceptiveField(2, 0, 3, 2),
        ReceptiveField(0, 2, 0, 0),
        ReceptiveField(0, 0, 0, 0),
        # Wider and higher than the image.
        ReceptiveField(9, 7, 6, 3),
    ],
)
def test_a_mask_is_refused_if_and_only_if_a_known_pixel_sees_an_unknown_one(field):
    random, verdicts = np.random.default_rng(0), set()
    raster = np.arange(20).reshape(1, 4, 5, 1)
    for count in range(20):
        # All before a pixel in raster order, and then one pixel more or less.
        mask = raster < random.integers(21)
        mask.flat[random.integers(20)] ^= count % 2
        allowed = closed(mask, field)
        verdicts.add(allowed)
        if allowed:
            field.check_mask(mask)
        else:
            with pytest.raises(ValueError, match="`mask` must be closed under .* which it sees"):
                field.check_mask(mask)
    assert verdicts == ({True} if field == ReceptiveField(0, 0, 0, 0) else {True, False})


@jax
def test_a_refused_mask_names_the_pixels():
    mask = np.zeros((2, 3, 4, 1), bool)
    mask[1, 2, 1] = True
    with pytest.raises(ValueError, match=r"pixel \(2, 1\) known but not \(2, 0\), which it sees"):
        ReceptiveField(1, 1, 1, 1).check_mask(mask)
