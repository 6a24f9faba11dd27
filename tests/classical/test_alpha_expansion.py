import itertools
from typing import Literal

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from segscape.classical.alpha_expansion import alpha_beta_swap, alpha_expansion
from segscape.classical.label_energy import (
    GRID_OFFSETS,
    LabelEnergy,
    potts_costs,
    truncated_costs,
)
from segscape.ops.max_flow import GridCut
from segscape.structures import MethodError, SegscapeWarning


def random_grid(seed, *, labels=3, height=2, width=3, neighbors: Literal[4, 8] = 8, costs=None):
    generator = torch.Generator().manual_seed(seed)
    offsets = GRID_OFFSETS[neighbors]
    unary = torch.randint(0, 10, (labels, height, width), generator=generator).float()
    weights = torch.randint(0, 4, (len(offsets), height, width), generator=generator).float()
    energy = LabelEnergy.on_grid(unary, weights=weights, costs=costs, neighbors=neighbors)
    return energy, unary, weights


def written_out(unary, weights, costs, labels, neighbors):
    """The energy by its definition."""
    _, height, width = unary.shape
    total = 0.0
    for y, x in np.ndindex(height, width):
        total += float(unary[labels[y, x], y, x])
        for k, (dy, dx) in enumerate(GRID_OFFSETS[neighbors]):
            if 0 <= y + dy < height and 0 <= x + dx < width:
                pair = costs[labels[y, x], labels[y + dy, x + dx]]
                total += float(weights[k, y, x] * pair)
    return total


def least_energy(unary, weights, costs, neighbors=8):
    """The least energy of all labellings, all at once."""
    labels, height, width = unary.shape
    every = torch.cartesian_prod(*[torch.arange(labels)] * (height * width))
    ids = np.arange(height * width).reshape(height, width)
    total = torch.stack([unary.flatten(1)[every[:, p], p] for p in range(height * width)]).sum(0)
    for k, (dy, dx) in enumerate(GRID_OFFSETS[neighbors]):
        for y, x in np.ndindex(height, width):
            if 0 <= y + dy < height and 0 <= x + dx < width:
                p, q = ids[y, x], ids[y + dy, x + dx]
                total = total + weights[k, y, x] * costs[every[:, p], every[:, q]]
    return float(total.min())


def noisy_stripes(labels=4, height=24, width=32):
    generator = torch.Generator().manual_seed(3)
    truth = torch.arange(width) * labels // width
    unary = (torch.arange(labels)[:, None, None] != truth).float().repeat(1, height, 1)
    return unary + 0.9 * torch.randn(unary.shape, generator=generator), truth.expand(height, width)


@pytest.mark.parametrize("neighbors", [4, 8])
def test_the_energy_is_that_of_its_definition(neighbors):
    costs = truncated_costs(3, truncation=1.5)
    energy, unary, weights = random_grid(5, neighbors=neighbors, costs=costs)
    labels = torch.tensor([[0, 2, 1], [2, 2, 0]])
    assert energy.of(labels) == written_out(unary, weights, costs, labels, neighbors)


@settings(max_examples=30)
@given(st.integers(0, 10**6), st.sampled_from(["potts", "linear"]), st.booleans())
def test_expansion_stays_within_twice_c_of_the_least_energy(seed, kind, shuffled):
    costs = potts_costs(3) if kind == "potts" else truncated_costs(3, truncation=2.0)
    energy, unary, weights = random_grid(seed, costs=costs)
    order = "random" if shuffled else "fixed"
    found = alpha_expansion(energy, order=order, seed=seed)
    assert found.converged
    assert found.energy == pytest.approx(energy.of(found.labels))
    assert all(b <= a for a, b in itertools.pairwise(found.energies))
    greatest_over_smallest = 1 if kind == "potts" else 2
    assert found.energy <= 2 * greatest_over_smallest * least_energy(unary, weights, costs) + 1e-6


@settings(max_examples=30)
@given(st.integers(0, 10**6))
def test_swaps_never_raise_the_energy_of_a_semimetric_and_no_swap_is_left(seed):
    energy, _, _ = random_grid(seed, costs=truncated_costs(3, truncation=3.0, power=2))
    found = alpha_beta_swap(energy)
    assert found.converged
    assert all(b <= a for a, b in itertools.pairwise(found.energies))
    assert found.energy == pytest.approx(energy.of(found.labels))
    for a, b in itertools.combinations(range(3), 2):
        options = [(a, b) if int(f) in (a, b) else (int(f),) for f in found.labels.ravel()]
        for labels in itertools.product(*options):
            assert found.energy <= energy.of(torch.tensor(labels).reshape(2, 3)) + 1e-6


@settings(max_examples=30)
@given(st.integers(0, 10**6), st.sampled_from([4, 8]))
def test_two_labels_are_cut_exactly(seed, neighbors):
    energy, unary, weights = random_grid(seed, labels=2, height=5, width=6, neighbors=neighbors)
    whole = (unary.numpy().astype(int), weights.numpy().astype(int))
    exact = GridCut(whole[0][0], whole[0][1], whole[1], offsets=GRID_OFFSETS[neighbors]).solve()
    assert alpha_expansion(energy).energy == exact
    assert alpha_beta_swap(energy).energy == exact


def test_noise_is_smoothed_away_and_every_way_there_leads_close():
    unary, truth = noisy_stripes()
    energy = LabelEnergy.on_grid(unary, weights=0.9, neighbors=8)
    fixed = alpha_expansion(energy)
    assert (fixed.labels == truth).float().mean() > 0.97
    for other in (alpha_expansion(energy, order="random", seed=1), alpha_beta_swap(energy)):
        assert other.energy == pytest.approx(fixed.energy, rel=0.01)


def test_a_graph_of_the_grids_edges_gives_the_grids_labels():
    unary, _ = noisy_stripes()
    ids = torch.arange(24 * 32).reshape(24, 32)
    pairs = [torch.stack([ids[:, :-1], ids[:, 1:]]), torch.stack([ids[:-1], ids[1:]])]
    edges = torch.cat([p.flatten(1) for p in pairs], dim=1).T
    graph = LabelEnergy.on_graph(unary.flatten(1), edges, weights=0.7)
    grid = LabelEnergy.on_grid(unary, weights=0.7)
    assert alpha_expansion(graph).labels.tolist() == alpha_expansion(grid).labels.ravel().tolist()


def test_the_same_seed_gives_the_same_labels_and_a_warm_start_needs_one_cycle():
    energy = LabelEnergy.on_grid(noisy_stripes()[0], weights=0.9)
    first, second = (alpha_expansion(energy, order="random", seed=4) for _ in range(2))
    assert torch.equal(first.labels, second.labels)
    warm = alpha_expansion(energy, initial=first.labels)
    assert warm.cycles == 1
    assert warm.energies == (first.energy,) * 5 or warm.energy == pytest.approx(first.energy)


def test_cycles_end_where_asked():
    energy = LabelEnergy.on_grid(noisy_stripes()[0], weights=0.9)
    found = alpha_expansion(energy, cycles=1)
    assert (found.cycles, found.converged, len(found.energies)) == (1, False, 5)


def test_one_label_one_pixel_and_one_row():
    one = alpha_expansion(LabelEnergy.on_grid(torch.zeros(1, 2, 3)))
    assert one.labels.tolist() == [[0, 0, 0], [0, 0, 0]]
    assert one.converged
    pixel = alpha_beta_swap(LabelEnergy.on_grid(torch.tensor([2.0, 1.0]).view(2, 1, 1)))
    assert pixel.labels.tolist() == [[1]]
    row = LabelEnergy.on_grid(
        torch.tensor([[[0.0, 3, 0]], [[2.0, 0, 2]]]), neighbors=8, weights=2.0
    )
    assert alpha_expansion(row).labels.tolist() == [[0, 0, 0]]


def test_costs_that_are_no_metric_are_refused_or_cut_short():
    energy, _, _ = random_grid(2, costs=truncated_costs(3, truncation=9.0, power=2))
    with pytest.raises(
        MethodError, match=r"costs\[0, 2\] = 4 above costs\[0, 1\] \+ costs\[1, 2\]"
    ):
        alpha_expansion(energy)
    with pytest.warns(SegscapeWarning, match="cut short"):
        found = alpha_expansion(energy, truncate=True)
    assert all(b <= a for a, b in itertools.pairwise(found.energies))
    assert found.energy == pytest.approx(energy.of(found.labels))


@pytest.mark.parametrize(
    ("costs", "message"),
    [
        ([[0.0, -1.0], [-1.0, 0.0]], r"costs\[0, 1\] = -1.0, negative"),
        ([[0.0, 1.0], [2.0, 0.0]], r"costs\[0, 1\] = 1.0, unlike its mirror"),
        ([[0.0, 1.0], [1.0, 3.0]], r"costs\[1, 1\] = 3.0, above 0 for one label"),
        ([[0.0, np.nan], [1.0, 0.0]], r"costs\[0, 1\] = nan, not finite"),
    ],
)
def test_wrong_costs_are_named(costs, message):
    with pytest.raises(MethodError, match=message):
        LabelEnergy.on_grid(torch.zeros(2, 2, 2), costs=torch.tensor(costs))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LabelEnergy.on_grid(torch.full((2, 2, 2), torch.nan)), "must be finite"),
        (lambda: LabelEnergy.on_grid(torch.full((2, 2, 2), torch.inf)), "must be finite"),
        (lambda: LabelEnergy.on_grid(torch.zeros(2, 2, 2), weights=-1.0), "negative one"),
        (lambda: LabelEnergy.on_grid(torch.zeros(2, 2, 2), weights=torch.zeros(4, 2, 2)), "shape"),
        (lambda: LabelEnergy.on_grid(torch.zeros(0, 2, 2)), "at least 1"),
        (
            lambda: LabelEnergy.on_graph(torch.zeros(2, 3), torch.tensor([[0, 3]])),
            r"edges of nodes 0\.\.3, expected 0\.\.2",
        ),
        (
            lambda: LabelEnergy.on_grid(torch.zeros(1, 1, 1).expand(9, 200_000, 100_000)),
            "GB are free",
        ),
    ],
)
def test_wrong_energies_are_refused_in_one_line(make, message):
    with pytest.raises(MethodError, match=message) as error:
        make()
    assert "\n" not in str(error.value)


def test_wrong_options_and_starts_are_refused():
    energy = LabelEnergy.on_grid(torch.zeros(2, 2, 2))
    with pytest.raises(MethodError, match="cycles=0"):
        alpha_expansion(energy, cycles=0)
    with pytest.raises(MethodError, match=r"labels 0\.\.5, expected 0\.\.1"):
        alpha_expansion(energy, initial=torch.tensor([[0, 5], [0, 0]]))
    with pytest.raises(MethodError, match="expected \\(2, 2\\)"):
        alpha_beta_swap(energy, initial=torch.zeros(3, dtype=torch.int64))
    with pytest.raises(MethodError, match="truncation"):
        truncated_costs(3, truncation=0.0)


def test_other_implementation_reaches_the_same_energy():
    fastmin = pytest.importorskip("maxflow.fastmin")
    unary, _ = noisy_stripes()
    energy = LabelEnergy.on_grid(unary, weights=0.8)
    theirs = fastmin.aexpansion_grid(
        unary.permute(1, 2, 0).contiguous().double().numpy(), 0.8 * potts_costs(4).double().numpy()
    )
    assert alpha_expansion(energy).energy == pytest.approx(energy.of(torch.from_numpy(theirs)))
