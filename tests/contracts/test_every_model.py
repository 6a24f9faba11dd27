"""What every network of the table must do, whatever its paper."""

import copy
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from tests.support.small_models import SMALL, TAXONOMY, noise_batch, small_model

from segscape.inference.preparation import prepared
from segscape.models import MODELS, build_model
from segscape.models.model_files import load_model, save_model
from segscape.models.outputs import SemanticTarget
from segscape.ops.taint import Taint
from segscape.structures import ImageBatch, LabelMap, Size


@pytest.fixture(scope="module", params=list(MODELS))
def model(request: pytest.FixtureRequest) -> Iterator[Any]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield small_model(request.param).eval()
    torch.set_num_threads(threads)


def logits_of(model: Any, batch: ImageBatch) -> torch.Tensor:
    with torch.no_grad():
        return model(batch).logits


def total_loss(model: Any, batch: ImageBatch, target: SemanticTarget) -> torch.Tensor:
    return torch.stack([*model.losses(model(batch), target).values()]).sum()


def test_every_model_has_small_options():
    assert set(SMALL) == set(MODELS)


@pytest.mark.parametrize("size", [(1, 1), (1, 37), (37, 1), (45, 61)])
def test_any_size_gives_logits_of_that_size(model: Any, size: tuple[int, int]):
    batch = noise_batch(size)
    logits = logits_of(model, batch)
    assert logits.shape == (1, len(TAXONOMY), *size)
    assert logits.dtype == torch.float32
    assert logits.isfinite().all()


def test_a_batch_of_two_equals_two_of_one(model: Any):
    batch = noise_batch((40, 33), (40, 33))
    both = logits_of(model, batch)
    for index in range(2):
        alone = logits_of(model, ImageBatch(batch.pixels[index : index + 1], batch.sizes[:1]))
        torch.testing.assert_close(both[index : index + 1], alone, atol=1e-4, rtol=1e-4)


def test_what_lies_beyond_an_image_changes_nothing(model: Any):
    batch = noise_batch((40, 33), (22, 27))
    dirty = batch.pixels.clone()
    dirty[1, :, 22:] = 1
    dirty[1, :, :, 27:] = 1
    torch.testing.assert_close(
        logits_of(model, batch), logits_of(model, ImageBatch(dirty, batch.sizes))
    )


def test_decoding_gives_label_maps_of_true_sizes(model: Any):
    batch = noise_batch((40, 33), (22, 27))
    with torch.no_grad():
        maps = model.decode(model(batch), batch)
    assert [label_map.size for label_map in maps] == [Size(40, 33), Size(22, 27)]


def test_grey_images_are_read_as_colour(model: Any):
    grey = noise_batch((20, 20), channels=1)
    colour = ImageBatch(grey.pixels.repeat(1, 3, 1, 1), grey.sizes)
    torch.testing.assert_close(logits_of(model, grey), logits_of(model, colour))


@pytest.mark.parametrize("channels", [1, 5])
@pytest.mark.parametrize("name", MODELS)
def test_images_of_any_number_of_channels_are_read_and_learned_from(name: str, channels: int):
    model = small_model(name, in_channels=channels)
    batch = noise_batch((24, 33), channels=channels)
    pixels = batch.pixels.clone().requires_grad_()
    labels = LabelMap(torch.randint(0, 3, (24, 33), dtype=torch.uint8), TAXONOMY)
    outputs = model.train()(ImageBatch(pixels, batch.sizes))
    terms = model.losses(outputs, SemanticTarget.stack([labels]))
    torch.stack([*terms.values()]).sum().backward()
    assert pixels.grad is not None
    assert pixels.grad.isfinite().all()
    assert pixels.grad.abs().sum((0, 2, 3)).all(), "a channel is not looked at"
    assert logits_of(model.eval(), batch).isfinite().all()


def test_gradients_reach_every_parameter_even_from_one_small_image(model: Any):
    model.train()
    model.zero_grad()
    batch = noise_batch((9, 30))
    labels = torch.randint(0, 3, (9, 30), dtype=torch.uint8)
    target = SemanticTarget.stack([LabelMap(labels, TAXONOMY)])
    total_loss(model, batch, target).backward()
    unreached = [
        name
        for name, parameter in model.named_parameters()
        if parameter.grad is None or not parameter.grad.isfinite().all()
    ]
    silent = [name for name, parameter in model.named_parameters() if not parameter.grad.any()]
    model.zero_grad()
    model.eval()
    assert unreached == []
    assert silent == []


def test_a_single_pixel_can_be_trained_on(model: Any):
    model.train()
    target = SemanticTarget.stack([LabelMap(torch.zeros(1, 1, dtype=torch.uint8), TAXONOMY)])
    loss = total_loss(model, noise_batch((1, 1)), target)
    model.eval()
    assert loss.isfinite()


def test_one_seed_gives_one_model(model: Any):
    again = small_model(model.architecture.name).state_dict()
    other = small_model(model.architecture.name, seed=1).state_dict()
    trained = {name for name, _ in model.named_parameters()}
    assert trained <= set(again)
    fresh = small_model(model.architecture.name).state_dict()
    assert all(torch.equal(fresh[name], again[name]) for name in fresh)
    assert any(not torch.equal(fresh[name], other[name]) for name in trained)


def test_saved_and_loaded_gives_the_same_bits(model: Any, tmp_path):
    save_model(tmp_path / "model", model)
    loaded = load_model(tmp_path / "model", taxonomy=TAXONOMY)
    batch = noise_batch((31, 20))
    assert not loaded.training
    assert loaded.taxonomy == model.taxonomy
    assert loaded.architecture == model.architecture
    assert torch.equal(logits_of(loaded, batch), logits_of(model, batch))


# Of two nearly equal maxima rounding may choose the other: a switch then puts the value a pixel
# aside, and single logits differ by much.
SWITCHED = {"segnet", "segnet_basic"}


def test_prepared_for_prediction_it_computes_the_same(model: Any):
    """Normalisations are folded into convolutions, whatever stands between them."""
    batch = noise_batch((64, 48))
    expected = logits_of(model, batch)
    found = logits_of(prepared(model, torch.device("cpu"), "fp32"), batch)
    torch.testing.assert_close(found, expected, atol=1e-4 * float(expected.abs().max()), rtol=1e-4)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_prepared_it_does_not_see_what_the_given_one_learns_later(model: Any, precision: Any):
    learner = copy.deepcopy(model)
    kept = prepared(learner, torch.device("cpu"), precision)
    before = [tensor.clone() for tensor in kept.state_dict().values()]
    with torch.no_grad():
        for tensor in learner.state_dict().values():
            tensor.add_(1)
    assert all(map(torch.equal, before, kept.state_dict().values()))


def test_bf16_autocast_moves_few_labels(model: Any):
    batch = noise_batch((48, 48))
    full = logits_of(model, batch)
    with torch.autocast("cpu", torch.bfloat16):
        rounded = logits_of(model, batch).float()
    gap = (rounded - full).abs()
    largest = gap.mean() if model.architecture.name in SWITCHED else gap.max()
    assert largest < 0.06 * (full.max() - full.min())


def test_tracing_sees_what_the_network_itself_reads(model: Any):
    """Brute force: pixels that are not numbers, through the real layers."""
    batch = noise_batch((70, 2))
    batch.pixels[:, :, 33] = torch.nan
    with torch.no_grad(), Taint():
        traced = model(batch).logits.isnan()
    assert torch.equal(traced, logits_of(model, batch).isnan())


# Wide enough to learn by heart, without dropout, which works against that.
BY_HEART: dict[str, dict[str, object]] = {
    "sliding_window": {"window": 63, "channels": 24},
    "fcn_alexnet": {"hidden_channels": 64, "dropout": 0.0},
    "fcn_resnet": SMALL["fcn_resnet"],
    "unet_2015": {"channels": 8, "dropout": 0.0},
    "unet": SMALL["unet"],
    **{name: {"hidden_channels": 64, "dropout": 0.0} for name in ("fcn32s", "fcn16s", "fcn8s")},
    "deeplab_largefov": {"hidden_channels": 64, "dropout": 0.0},
    "deeplab_v2": SMALL["deeplab_v2"],
    "deeplab_v3": SMALL["deeplab_v3"] | {"dropout": 0.0},
    "deeplab_v3_plus": SMALL["deeplab_v3_plus"] | {"channels": 64, "dropout": 0.0},
    "torchvision_fcn": SMALL["torchvision_fcn"] | {"dropout": 0.0, "auxiliary": False},
    "torchvision_deeplab_v3": SMALL["torchvision_deeplab_v3"]
    | {"dropout": 0.0, "auxiliary": False},
    "lraspp": {},
    "segnet": {"channels": 16},
    "segnet_basic": {"channels": 16},
    "deconvnet": {"channels": 16, "hidden_channels": 64},
    "pspnet": {"encoder": "resnet18", "channels": 64, "dropout": 0.0},
    "refinenet": {"encoder": "resnet18", "channels": 32, "dropout": 0.0},
    "light_weight_refinenet": {"encoder": "resnet18", "channels": 64, "dropout": 0.0},
    "upernet": {"encoder": "resnet18", "channels": 32, "dropout": 0.0},
    "segformer": {"decoder_channels": 64, "drop_path": 0.0, "dropout": 0.0},
}

# Learning rates of those that begin with small weights, as published.
RATES = {"deconvnet": 3e-3}


def settle_slow_statistics(model: Any, batch: ImageBatch) -> None:
    """Running averages over a hundred steps (MobileNetV3's) have not arrived after so few."""
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d) and (module.momentum or 0) < 0.1:
            module.reset_running_stats()
            module.momentum = None
    with torch.no_grad():
        model(batch)


@pytest.mark.slow
@pytest.mark.parametrize("name", list(MODELS))
def test_overfits_two_images(name: str):
    """Regions of 64 pixels: the coarsest network sees two scores across each."""
    torch.manual_seed(0)
    model: Any = build_model(name, TAXONOMY, BY_HEART[name])
    model.train().to(memory_format=torch.channels_last)
    halves = torch.arange(128) // 64
    labels = [halves[None, :].expand(128, 128), 2 - halves[:, None].expand(128, 128)]
    colors = torch.tensor([[20, 40, 220], [200, 160, 30], [0, 250, 120]], dtype=torch.uint8)
    batch = ImageBatch.stack([colors[one].permute(2, 0, 1) for one in labels])
    target = SemanticTarget.stack([LabelMap(one.to(torch.uint8), TAXONOMY) for one in labels])
    rate = RATES.get(name, 1e-3 if "unet" in name else 3e-4)
    optimizer = torch.optim.Adam(model.parameters(), lr=rate)
    for _ in range(120):
        with torch.autocast("cpu", torch.bfloat16):
            loss = total_loss(model, batch, target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if loss < 0.04:
            break
    settle_slow_statistics(model, batch)
    predicted = logits_of(model.eval(), batch).argmax(1)
    assert (predicted == target.labels).float().mean() > 0.95
