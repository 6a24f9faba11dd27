import itertools

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal

from segscape.classical.grab_cut import grab_cut
from segscape.structures import MethodError


def disk_scene(side=64, channels=3, seed=0):
    """A speckled disk on a ground of two colours, its mask and a box around it."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side]
    disk = (y - side / 2) ** 2 + (x - 0.45 * side) ** 2 < (0.3 * side) ** 2
    colors = rng.permuted(np.linspace(0.1, 0.9, 4)[:, None].repeat(channels, 1), axis=0)
    which = np.where(disk, rng.integers(0, 2, disk.shape), 2 + (x > side / 2))
    pixels = colors[which].transpose(2, 0, 1) + rng.normal(size=(channels, side, side)) * 0.03
    box = (int(0.1 * side), int(0.15 * side), int(0.8 * side), int(0.85 * side))
    return torch.from_numpy(pixels.astype(np.float32)), torch.from_numpy(disk), box


def intersection_over_union(a, b):
    return float((a & b).sum() / (a | b).sum())


def paper_energy(image, found, gamma):
    """Equations 2 and 7 to 11, pair by pair, with scipy's densities: a function of labels."""
    pixels = image.double().numpy()
    channels, height, width = pixels.shape
    flat = pixels.reshape(channels, -1).T
    data = [
        np.min(
            [
                -np.log(weight)
                - multivariate_normal(mean, covariance).logpdf(flat)
                - channels * np.log(2 * np.pi) / 2
                + mixture.noise * np.trace(np.linalg.inv(covariance)) / 2
                for weight, mean, covariance in zip(
                    mixture.weights, mixture.means, mixture.covariances, strict=True
                )
                if weight > 0
            ],
            axis=0,
        )
        for mixture in (found.background_colors, found.object_colors)
    ]
    pairs = [
        (y * width + x, (y + dy) * width + x + dx, np.hypot(dy, dx))
        for y, x in np.ndindex(height, width)
        for dy, dx in ((0, 1), (1, -1), (1, 0), (1, 1))
        if y + dy < height and 0 <= x + dx < width
    ]
    squares = [np.sum((flat[p] - flat[q]) ** 2) for p, q, _ in pairs]
    beta = 1 / (2 * np.mean(squares))

    def energy(label):
        value = sum(data[one][i] for i, one in enumerate(label.ravel().tolist()))
        for (p, q, distance), square in zip(pairs, squares, strict=True):
            if label.flat[p] != label.flat[q]:
                value += gamma * np.exp(-beta * square) / distance
        return value

    return energy


def test_the_last_cut_is_the_least_of_all_labellings():
    generator = torch.Generator().manual_seed(0)
    image = torch.rand(2, 3, 5, generator=generator)
    marks = torch.full((3, 5), 255, dtype=torch.uint8)
    marks[0, :2], marks[2, 2:], marks[1, 0] = 0, 1, 0
    found = grab_cut(image, marks=marks, components=2, gamma=1.0, iterations=2, tolerance=0.0)
    label = found.mask.numpy().astype(int)
    energy = paper_energy(image, found, 1.0)
    reached = energy(label)
    assert found.energies[-1] == pytest.approx(reached, rel=1e-4)
    open_ = np.argwhere(marks.numpy() == 255)
    for bits in itertools.product([0, 1], repeat=len(open_)):
        other = label.copy()
        other[tuple(open_.T)] = bits
        assert reached <= energy(other) + 1e-3


@pytest.mark.parametrize("seed", range(4))
def test_energies_fall_and_the_loop_converges(seed):
    image = torch.rand(3, 24, 30, generator=torch.Generator().manual_seed(seed))
    image[:, 8:16, 10:20] *= 0.6
    found = grab_cut(image, box=(4, 4, 26, 20), gamma=5.0, iterations=60, seed=seed, tolerance=0.0)
    energies = np.array(found.energies)
    assert (np.diff(energies) <= 0).all()
    assert found.is_converged
    assert len(energies) > 2
    again = grab_cut(image, box=(4, 4, 26, 20), gamma=5.0, iterations=2, seed=seed, tolerance=0.0)
    assert not again.is_converged
    assert again.energies == found.energies[:2]


@pytest.mark.parametrize("channels", [1, 3, 5])
def test_a_disk_from_a_box_a_trimap_and_strokes(channels):
    image, disk, box = disk_scene(channels=channels)
    assert intersection_over_union(grab_cut(image, box=box, gamma=10.0).mask, disk) > 0.97
    strokes = torch.full(disk.shape, 255, dtype=torch.uint8)
    strokes[30:34, 20:36] = 1
    strokes[2:4, :], strokes[-4:, :], strokes[:, -3:] = 0, 0, 0
    assert intersection_over_union(grab_cut(image, marks=strokes, gamma=10.0).mask, disk) > 0.97
    trimap = torch.full(disk.shape, 255, dtype=torch.uint8)
    trimap[:8], trimap[-8:], trimap[:, -14:] = 0, 0, 0
    assert intersection_over_union(grab_cut(image, marks=trimap, gamma=10.0).mask, disk) > 0.97
    only_object = torch.where(strokes == 1, 1, 255).to(torch.uint8)
    found = grab_cut(image, marks=only_object).mask
    assert found[30:34, 20:36].all()


def test_marks_are_kept_and_correct_a_box():
    image, disk, box = disk_scene()
    marks = torch.full(disk.shape, 255, dtype=torch.uint8)
    marks[25:40, 20:25] = 0
    found = grab_cut(image, box=box, marks=marks).mask
    assert not found[25:40, 20:25].any()
    everything = (disk * 1).to(torch.uint8)
    assert (grab_cut(image, marks=everything).mask == disk).all()


def test_types_of_pixels_agree():
    image, disk, box = disk_scene()
    levels = (image.clamp(0, 1) * 255).round().to(torch.uint8)
    as_bytes = grab_cut(levels, box=box)
    assert intersection_over_union(as_bytes.mask, disk) > 0.97
    fine = (levels.to(torch.int32) * 257).to(torch.uint16)
    assert (grab_cut(fine, box=box).mask == as_bytes.mask).all()
    assert (grab_cut(levels.double() / 255, box=box).mask == as_bytes.mask).all()
    # Nothing but the unit of the energy depends on the unit of the pixels.
    far = grab_cut(levels.float() * 1e4 + 1e5, box=box)
    assert (far.mask != as_bytes.mask).float().mean() < 0.01


def test_posterior_and_mixtures():
    image, disk, box = disk_scene()
    found = grab_cut(image, box=box)
    posterior = found.posterior(image)
    assert posterior.shape == disk.shape
    assert float(posterior[disk].mean()) > 0.95
    assert float(posterior[~disk].mean()) < 0.05
    assert found.object_colors.weights.sum() == pytest.approx(1)
    with pytest.raises(MethodError, match="channels"):
        found.posterior(image[:1])


def test_the_same_seed_gives_the_same_cut_and_inputs_are_not_written():
    image, _, box = disk_scene(seed=2)
    before = image.clone()
    one, two = (grab_cut(image, box=box, seed=5) for _ in range(2))
    assert one.energies == two.energies
    assert (one.mask == two.mask).all()
    assert torch.equal(image, before)


def test_coarse_to_fine_finds_what_full_size_finds():
    image, disk, box = disk_scene(side=192)
    full = grab_cut(image, box=box, coarse_to_fine=1)
    fast = grab_cut(image, box=box, coarse_to_fine=3)
    assert (full.coarse_factor, fast.coarse_factor) == (1, 3)
    assert intersection_over_union(fast.mask, full.mask) > 0.98
    assert intersection_over_union(fast.mask, disk) > 0.98
    marks = torch.full(disk.shape, 255, dtype=torch.uint8)
    marks[90, 80], marks[:4] = 0, 0
    kept = grab_cut(image, box=box, marks=marks, coarse_to_fine=3).mask
    assert not kept[90, 80]
    assert not kept[:4].any()


@pytest.mark.parametrize("coarse_to_fine", [1, 2])
@pytest.mark.parametrize(
    ("image", "box"),
    [
        (torch.full((3, 9, 12), 77, dtype=torch.uint8), (2, 2, 8, 7)),
        (torch.zeros(3, 9, 12), (2, 2, 8, 7)),
        (torch.tensor([0, 0, 255, 255, 0, 0], dtype=torch.uint8).view(1, 1, 6), (1, 0, 5, 1)),
        (torch.rand(3, 40, 1), (0, 10, 1, 30)),
        (torch.tensor([0.0, 1.0]).view(1, 1, 2), (1, 0, 2, 1)),
        (torch.rand(200, 8, 9), (2, 2, 7, 7)),
        (torch.rand(3, 12, 12) * 1e15, (2, 2, 10, 10)),
        (torch.rand(3, 12, 12) * 1e-15, (2, 2, 10, 10)),
        ((torch.rand(3, 12, 12) > 0.5).float(), (2, 2, 10, 10)),
        (torch.randint(0, 65535, (2, 9, 9), dtype=torch.int32), (-5, 2, 100, 7)),
    ],
    ids=["one-byte", "zero", "row", "column", "two", "200", "huge", "tiny", "binary", "beyond"],
)
def test_degenerate_images_get_an_answer(image, box, coarse_to_fine):
    found = grab_cut(image, box=box, coarse_to_fine=coarse_to_fine)
    assert found.mask.shape == image.shape[1:]
    assert np.isfinite(found.energies).all()
    assert (np.diff(found.energies) <= 0).all()
    outside = torch.ones(image.shape[1:], dtype=torch.bool)
    outside[max(box[1], 0) : box[3], max(box[0], 0) : box[2]] = False
    assert not found.mask[outside].any()
    assert torch.isfinite(found.posterior(image)).all()


@pytest.mark.parametrize("gamma", [0.0, 1e-9, 1e5])
def test_any_weight_of_the_boundary(gamma):
    image, _, box = disk_scene(side=24)
    found = grab_cut(image, box=box, gamma=gamma)
    assert (np.diff(found.energies) <= 0).all()


def test_one_class_may_be_empty():
    image = torch.rand(3, 10, 10)
    none = torch.zeros(10, 10, dtype=torch.uint8)
    assert not grab_cut(image, marks=none).mask.any()
    assert grab_cut(image, marks=torch.ones_like(none)).mask.all()


def marked(**places):
    marks = torch.full((8, 9), 255, dtype=torch.uint8)
    for value, (y, x) in places.items():
        marks[y, x] = int(value[1:])
    return marks


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "neither a box nor marks"),
        ({"box": (0, 0, 9, 8)}, "box of the whole image"),
        ({"box": (-3, -3, 20, 20)}, "box of the whole image"),
        ({"marks": marked()}, "marks that mark nothing"),
        ({"box": (5, 5, 5, 7)}, "holds no pixel"),
        ({"box": (8, 7, 2, 1)}, "left below right"),
        ({"box": (20, 20, 30, 30)}, "holds no pixel"),
        ({"box": (1, 1, 5, 5), "marks": marked(_1=(7, 7))}, "outside the box"),
        ({"marks": marked(_0=(1, 1), _7=(7, 7))}, "value 7"),
        ({"marks": torch.zeros(3, 3, dtype=torch.uint8)}, "one mark per pixel"),
        ({"box": (1, 1, 5, 5), "gamma": -1.0}, "gamma"),
        ({"box": (1, 1, 5, 5), "gamma": float("nan")}, "gamma"),
        ({"box": (1, 1, 5, 5), "components": 0}, "components"),
        ({"box": (1, 1, 5, 5), "components": 101}, "components"),
        ({"box": (1, 1, 5, 5), "iterations": 0}, "iterations"),
        ({"box": (1, 1, 5, 5), "tolerance": -1.0}, "tolerance"),
        ({"box": (1, 1, 5, 5), "coarse_to_fine": 0}, "coarse_to_fine"),
    ],
)
def test_bad_input_in_one_line(options, message):
    with pytest.raises(MethodError, match=message) as caught:
        grab_cut(torch.rand(3, 8, 9), **options)
    assert "\n" not in str(caught.value)


def test_what_is_not_a_number_is_refused():
    image = torch.rand(3, 8, 9)
    image[0, 0, 0] = float("nan")
    with pytest.raises(MethodError, match="nan"):
        grab_cut(image, box=(1, 1, 5, 5))
