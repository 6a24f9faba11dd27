from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from segscape.classical import mean_field as fields
from segscape.classical.dense_crf import (
    PUBLISHED_CRFS,
    DenseCRF,
    dense_crf,
    positions,
    unary_of,
    unary_of_labels,
)
from segscape.classical.mean_field import FeatureKernel, SpatialKernel, mean_field
from segscape.structures import MethodError

NORMALIZATIONS = ("none", "before", "after", "symmetric")
SIZE = (9, 12)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def picture(size=SIZE, channels=3):
    image = torch.randint(0, 40, (channels, *size), generator=seeded(), dtype=torch.uint8)
    image[:, :, size[1] // 2 :] += 150
    return image


def scores_of(labels, size=SIZE, seed=1, sharpness=2.0):
    return (sharpness * torch.randn(labels, *size, generator=seeded(seed))).softmax(0)


def brute_force(unary, kernels, iterations, mu=None, self_message=True):
    """Equation 4 in float64 over all pairs of pixels: marginals, divergences, energies."""
    labels = len(unary)
    costs = unary.double().flatten(1).T.numpy()
    mu = 1 - np.eye(labels) if mu is None else mu
    total = np.zeros((len(costs), len(costs)))
    for kernel in kernels:
        if isinstance(kernel, SpatialKernel):
            features = positions(unary.shape[1:], unary.device) / kernel.bandwidth_px
        else:
            features = kernel.features
        features = features.double().flatten(1).T.numpy()
        pairs = np.exp(-0.5 * ((features[:, None] - features) ** 2).sum(-1))
        sums = pairs.sum(1)
        pairs = {
            "none": pairs,
            "before": pairs / sums,
            "after": pairs / sums[:, None],
            "symmetric": pairs / np.sqrt(sums * sums[:, None]),
        }[kernel.normalization]
        total += kernel.weight * pairs
    if not self_message:
        np.fill_diagonal(total, 0)

    def softmax(x):
        x = np.exp(x - x.max(1, keepdims=True))
        return x / x.sum(1, keepdims=True)

    def energy(q):
        return (q * costs).sum() + 0.5 * np.einsum("il,ij,jm,lm", q, total, q, mu, optimize=True)

    q, divergences, energies = softmax(-costs), [], []
    for step in range(iterations + 1):
        divergences.append(energy(q) + (q * np.log(np.maximum(q, 1e-300))).sum())
        energies.append(energy(np.eye(labels)[q.argmax(1)]))
        if step < iterations:
            q = softmax(-costs - total @ q @ mu.T)
    return q.T.reshape(unary.shape), divergences, energies


def both_kernels(normalization, *, exact=True):
    image = picture().float()
    features = torch.cat([positions(SIZE, image.device) / 6, image / 30])
    return [
        FeatureKernel(2.0, features, normalization, exact=exact),
        SpatialKernel(1.5, 1.3, normalization),
    ]


def as_on_a_gpu(kernels, costs, matrix, negligible, workers, *, self_message):
    kept = fields.labels_kept(fields.tensor_peaks(costs), negligible)
    return fields.TensorField(kernels, costs, kept, matrix, self_message=self_message)


@pytest.fixture(params=["numba", "torch"])
def engine(request, monkeypatch):
    """The CPU's kernels, and what a GPU would do."""
    if request.param == "torch":
        monkeypatch.setattr(fields, "_field", as_on_a_gpu)
    return request.param


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
@pytest.mark.parametrize("self_message", [True, False])
def test_is_within_a_thousandth_of_brute_force(engine, normalization, self_message):
    unary, kernels = unary_of(scores_of(3)), both_kernels(normalization)
    found = mean_field(
        unary, kernels, iterations=4, self_message=self_message, measure=True, negligible=0.0
    )
    q, divergences, energies = brute_force(unary, kernels, 4, self_message=self_message)
    np.testing.assert_allclose(found.scores, q, atol=1e-3)
    np.testing.assert_allclose(found.divergences, divergences, rtol=1e-3, atol=0.05)
    # Two labels may be as good as equal at a pixel.
    np.testing.assert_allclose(found.energies, energies, rtol=1e-2)
    assert found.iterations == 4


def test_learned_compatibilities_are_used_as_they_are(engine):
    mu = torch.rand(4, 4, generator=seeded()) * 2 - 0.5  # not symmetric, some attract
    unary, kernels = unary_of(scores_of(4)), both_kernels("symmetric")
    found = mean_field(unary, kernels, iterations=3, compatibility=mu, measure=True)
    q, divergences, _ = brute_force(unary, kernels, 3, mu=mu.numpy().astype(float))
    np.testing.assert_allclose(found.scores, q, atol=1e-3)
    np.testing.assert_allclose(found.divergences, divergences, rtol=1e-3)


def test_potts_is_the_matrix_of_ones_off_the_diagonal():
    unary, kernels = unary_of(scores_of(5)), both_kernels("symmetric", exact=False)
    matrix = 1 - torch.eye(5)
    potts = mean_field(unary, kernels, negligible=0.0)
    given = mean_field(unary, kernels, compatibility=matrix)
    assert torch.allclose(potts.scores, given.scores, atol=1e-4)


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
@pytest.mark.parametrize("self_message", [True, False])
def test_the_lattice_gives_the_same_by_numba_and_torch(monkeypatch, normalization, self_message):
    unary, kernels = unary_of(scores_of(3)), both_kernels(normalization, exact=False)
    ours = mean_field(unary, kernels, self_message=self_message, measure=True)
    monkeypatch.setattr(fields, "_field", as_on_a_gpu)
    other = mean_field(unary, kernels, self_message=self_message, measure=True)
    assert torch.allclose(ours.scores, other.scores, atol=1e-4)
    np.testing.assert_allclose(ours.divergences, other.divergences, rtol=1e-4)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_gives_the_same():
    unary, kernels = unary_of(scores_of(3)), both_kernels("symmetric", exact=False)
    moved = [
        kernel if isinstance(kernel, SpatialKernel)
        else replace(kernel, features=kernel.features.cuda())
        for kernel in kernels
    ]  # fmt: skip
    found = mean_field(unary.cuda(), moved).scores.cpu()
    assert torch.allclose(found, mean_field(unary, kernels).scores, atol=1e-4)


@pytest.mark.parametrize("exact", [True, False])
def test_what_a_gpu_does_makes_its_tensors_where_the_costs_are(exact):
    """A tensor made without a device would be on one that holds no values, and refuse to mix."""
    costs = unary_of(scores_of(3))
    kernels = both_kernels("symmetric", exact=exact)
    matrix = 1 - torch.eye(3)
    with torch.device("meta"):
        field = fields.TensorField(kernels, costs, [0, 1, 2], matrix, self_message=False)
        current = field.start()
        following = torch.empty_like(current)
        field.update(current, following)
        fields._measure(field, following, [], [])
        scores = field.maps(following)
    assert scores.device.type == "cpu"


def test_the_lattice_is_near_brute_force():
    """Not within 1 %: what `exact` is for. The mean error of the marginals is below 3 %."""
    unary = unary_of(scores_of(3))
    found = mean_field(unary, both_kernels("symmetric", exact=False), iterations=5)
    q, _, _ = brute_force(unary, both_kernels("symmetric"), 5)
    assert np.abs(found.scores.numpy() - q).mean() < 0.03


def test_agrees_with_pydensecrf():
    peer = pytest.importorskip("pydensecrf.densecrf")
    size = (40, 50)
    image, scores = picture(size), scores_of(4, size)
    crf = peer.DenseCRF2D(size[1], size[0], 4)
    crf.setUnaryEnergy(np.ascontiguousarray(unary_of(scores).flatten(1).numpy()))
    crf.addPairwiseGaussian(sxy=1.5, compat=3)
    pixels = np.ascontiguousarray(image.permute(1, 2, 0).numpy())
    crf.addPairwiseBilateral(sxy=20, srgb=9, rgbim=pixels, compat=4)
    expected = np.array(crf.inference(10)).reshape(4, *size)
    found = dense_crf(
        image,
        scores,
        smoothness_px=1.5,
        appearance_px=20.0,
        appearance_color=9.0,
        smoothness_filter="lattice",
    )
    np.testing.assert_allclose(found.scores, expected, atol=2e-3)
    assert (found.labels.numpy() == expected.argmax(0)).mean() > 0.999


def test_labels_that_are_nowhere_probable_are_left_out():
    scores = scores_of(6, (30, 40)) * 0.9999
    rare = torch.full((14, 30, 40), 2e-6)
    all_scores = torch.cat([rare[:7], scores, rare[7:]])
    kept = dense_crf(picture((30, 40)), all_scores, negligible=0.0)
    left_out = dense_crf(picture((30, 40)), all_scores)
    assert torch.equal(kept.labels, left_out.labels)
    assert float((kept.scores - left_out.scores).abs().max()) < 14e-4
    assert not bool(left_out.scores[:7].any())


def test_stops_when_nothing_changes_any_more():
    image, scores = picture(), scores_of(3)
    found = dense_crf(image, scores, iterations=200, tolerance=1e-4)
    assert found.converged
    assert found.iterations < 200
    again = dense_crf(image, scores, iterations=found.iterations + 5)
    assert torch.allclose(found.scores, again.scores, atol=1e-3)


def test_divergence_falls():
    found = dense_crf(picture((24, 24)), scores_of(3, (24, 24)), measure=True)
    assert len(found.divergences) == len(found.energies) == 11
    assert found.divergences[-1] < found.divergences[0]
    assert found.energies[-1] < found.energies[0]


def test_without_kernels_or_iterations_the_scores_come_back():
    scores = scores_of(3).clamp(min=1e-4)
    scores = scores / scores.sum(0)
    idle: list[dict[str, Any]] = [
        {"iterations": 0},
        {"smoothness_weight": 0.0, "appearance_weight": 0.0},
    ]
    for options in idle:
        found = dense_crf(picture(), scores, **options)
        assert torch.allclose(found.scores, scores, atol=1e-5)


@given(
    height=st.integers(1, 6),
    width=st.integers(1, 6),
    labels=st.integers(1, 9),
    channels=st.sampled_from([1, 3, 4]),
    constant=st.booleans(),
)
@settings(max_examples=15, deadline=None)
def test_marginals_are_probabilities(height, width, labels, channels, constant):
    size = (height, width)
    image = torch.zeros(channels, *size) if constant else torch.rand(channels, *size)
    found = dense_crf(image, scores_of(labels, size, sharpness=20.0))
    assert bool(torch.isfinite(found.scores).all())
    assert torch.allclose(found.scores.sum(0), torch.ones(size), atol=1e-4)


@pytest.mark.parametrize(
    "image",
    [
        torch.zeros(3, *SIZE, dtype=torch.uint8),
        torch.rand(200, *SIZE),
        (torch.rand(1, *SIZE) * 60000).to(torch.int32),
    ],
)
def test_images_of_all_kinds(image):
    found = dense_crf(image, scores_of(3))
    assert torch.allclose(found.scores.sum(0), torch.ones(SIZE), atol=1e-4)


def test_the_type_of_the_image_does_not_matter():
    image = picture()
    wide = (image.to(torch.int32) * 257).to(torch.int32)
    expected = dense_crf(image, scores_of(3)).scores
    for same in (wide, image.float() / 255, image.double() / 255):
        assert torch.allclose(dense_crf(same, scores_of(3)).scores, expected, atol=1e-3)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"image": torch.full((3, *SIZE), torch.nan)}, "nan"),
        ({"image": torch.zeros(3, 4, 4)}, "of one size"),
        ({"scores": torch.full((3, *SIZE), torch.nan)}, "expected probabilities"),
        ({"scores": torch.full((3, *SIZE), -3.0)}, "softmax"),
        ({"smoothness_px": 0.0}, "smoothness_px"),
        ({"appearance_color": -1.0}, "appearance_color"),
        ({"iterations": -1}, "iterations"),
        ({"tolerance": -1.0}, "tolerance"),
        ({"negligible": 1.0}, "negligible"),
        ({"compatibility": torch.zeros(2, 2)}, "3 x 3"),
        ({"smoothness_weight": float("nan")}, "weight"),
        ({"appearance_weight": -1.0}, "weight"),
    ],
)
def test_what_cannot_be_used_is_refused_in_one_line(change, words):
    given = {"image": picture(), "scores": scores_of(3)} | change
    with pytest.raises(MethodError, match=words) as caught:
        dense_crf(given.pop("image"), given.pop("scores"), **given)
    assert "\n" not in str(caught.value)


def test_all_pairs_of_a_large_image_are_refused():
    features = torch.zeros(1, 900, 900)
    with pytest.raises(MethodError, match="leave out exact"):
        mean_field(torch.zeros(2, 900, 900), [FeatureKernel(1.0, features, exact=True)])


def test_nan_in_features_or_costs_is_refused():
    with pytest.raises(MethodError, match="fill them"):
        mean_field(torch.zeros(2, *SIZE), [FeatureKernel(1.0, torch.full((1, *SIZE), torch.nan))])
    with pytest.raises(MethodError, match="fill nan"):
        mean_field(torch.full((2, *SIZE), torch.nan), [])


def test_costs_of_labels_someone_gave():
    costs = unary_of_labels(torch.tensor([[0, 2, 255]]), 3, certainty=0.8)
    found = (-costs).exp()
    expected = torch.tensor([[0.8, 0.1, 1 / 3], [0.1, 0.1, 1 / 3], [0.1, 0.8, 1 / 3]])
    assert torch.allclose(found[:, 0], expected)
    with pytest.raises(MethodError, match="certainty"):
        unary_of_labels(torch.zeros(1, 1, dtype=torch.int64), 3, certainty=0.2)


def test_the_refiner_is_the_function_with_its_options():
    refiner = PUBLISHED_CRFS["deeplab_v2_vgg16"]
    image, scores = picture(), scores_of(3).half()
    found = refiner(image, scores)
    assert found.dtype == scores.dtype
    assert torch.equal(found, dense_crf(image, scores, **asdict(refiner)).scores.half())
    assert DenseCRF() == PUBLISHED_CRFS["deeplab_v2_resnet101"]
