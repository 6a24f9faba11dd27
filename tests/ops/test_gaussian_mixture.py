import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import logsumexp
from scipy.stats import multivariate_normal
from sklearn.mixture import GaussianMixture as Peer

from segscape.ops.gaussian_mixture import GaussianMixture, learned_mixtures, sampled_mixture


def some_pixels(seed, channels, count=300):
    rng = np.random.default_rng(seed)
    centers = rng.normal(size=(4, channels)) * 2
    shape = rng.normal(size=(channels, channels)) / 2
    pixels = centers[rng.integers(4, size=count)] + rng.normal(size=(count, channels)) @ shape
    return np.ascontiguousarray(pixels.T, np.float32)


def by_scipy(mixture, pixels):
    """Cost of each pixel under each component, from scipy's densities."""
    rows = []
    for weight, mean, covariance in zip(
        mixture.weights, mixture.means, mixture.covariances, strict=True
    ):
        if weight == 0:
            rows.append(np.full(pixels.shape[1], np.inf))
            continue
        density = multivariate_normal(mean, covariance).logpdf(pixels.T)
        constant = len(pixels) * np.log(2 * np.pi) / 2
        over_noise = mixture.noise * np.trace(np.linalg.inv(covariance)) / 2
        rows.append(-np.log(weight) - density - constant + over_noise)
    return np.array(rows)


@pytest.mark.parametrize("channels", [1, 3, 7])
def test_costs_are_those_of_scipys_densities(channels):
    pixels = some_pixels(channels, channels, count=2500)
    mixture = sampled_mixture(pixels, 5, 1e-4, seed=0)
    costs, component = mixture.costs(pixels)
    expected = by_scipy(mixture, pixels)
    np.testing.assert_allclose(costs, expected.min(axis=0), rtol=1e-4, atol=1e-3)
    taken = expected[component, np.arange(pixels.shape[1])]
    np.testing.assert_allclose(taken, expected.min(axis=0), rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(
        mixture.negative_log_density(pixels), -logsumexp(-expected, axis=0), rtol=1e-4, atol=1e-3
    )


def test_density_is_that_of_scikit_learn():
    pixels = some_pixels(1, 3)
    peer = Peer(3, random_state=0).fit(pixels.T.astype(np.float64))
    mixture = GaussianMixture(
        np.asarray(peer.weights_),
        np.asarray(peer.means_),
        np.asarray(peer.covariances_),
        noise=1e-9,
    )
    expected = -peer.score_samples(pixels.T) - 3 * np.log(2 * np.pi) / 2
    np.testing.assert_allclose(mixture.negative_log_density(pixels), expected, rtol=1e-4, atol=1e-4)


def test_learned_shares_means_and_covariances():
    pixels = some_pixels(2, 3)
    component = np.random.default_rng(0).integers(0, 5, 300).astype(np.uint8)
    component[:20] = 255
    first, second = learned_mixtures(pixels, component, (2, 3), 0.01)
    for mixture, ids in ((first, (0, 1)), (second, (2, 3, 4))):
        assert mixture is not None
        all_ = np.isin(component, ids).sum()
        for k, name in enumerate(ids):
            own = pixels[:, component == name].astype(np.float64)
            assert mixture.weights[k] == own.shape[1] / all_
            np.testing.assert_allclose(mixture.means[k], own.mean(axis=1), rtol=1e-6)
            covariance = np.cov(own, bias=True) + 0.01 * np.eye(3)
            np.testing.assert_allclose(mixture.covariances[k], covariance, rtol=1e-6, atol=1e-9)


@given(seed=st.integers(0, 10**6), channels=st.integers(1, 4), count=st.integers(1, 6))
def test_choosing_and_learning_lower_the_cost(seed, channels, count):
    pixels = some_pixels(seed, channels, count=40)
    pixels[:, :15] = pixels[:, :1]
    component = np.random.default_rng(seed).integers(0, count, 40).astype(np.uint8)
    last = np.inf
    for _ in range(6):
        (mixture,) = learned_mixtures(pixels, component, (count,), 1e-3)
        assert mixture is not None
        with_given = by_scipy(mixture, pixels)[component, np.arange(40)].sum()
        assert with_given <= last + 1e-3
        costs, component = mixture.costs(pixels)
        last = costs.sum(dtype=np.float64)
        assert last <= with_given + 1e-2


def test_fewer_colours_than_components():
    pixels = np.array([[0, 0, 1, 1, 1], [2, 2, 3, 3, 3]], np.float32)
    mixture = sampled_mixture(pixels, 5, 1e-4, seed=3)
    assert sorted(mixture.weights.tolist()) == [0, 0, 0, 0.4, 0.6]
    costs = mixture.costs(pixels)[0]
    assert np.isfinite(costs).all()
    np.testing.assert_allclose(costs, by_scipy(mixture, pixels).min(axis=0), rtol=1e-4)


def test_one_pixel():
    mixture = sampled_mixture(np.array([[0.5]], np.float32), 3, 1e-4, seed=0)
    assert np.isfinite(mixture.costs(np.array([[0.5, 100]], np.float32))[0]).all()


def test_the_same_seed_gives_the_same_mixture():
    pixels = some_pixels(4, 3, count=9000)
    one, two, other = (sampled_mixture(pixels, 5, 1e-4, seed=s).means for s in (1, 1, 2))
    assert np.array_equal(one, two)
    assert not np.array_equal(one, other)


def test_scaling_adds_the_logarithm_of_the_unit():
    pixels = some_pixels(5, 3)
    mixture = sampled_mixture(pixels, 4, 1e-4, seed=0)
    shift = np.array([1.0, 2.0, 3.0])
    moved = mixture.scaled(0.5, shift).costs((0.5 * pixels + shift[:, None]).astype(np.float32))
    np.testing.assert_allclose(
        moved[0], mixture.costs(pixels)[0] + 3 * np.log(0.5), rtol=1e-3, atol=1e-2
    )
