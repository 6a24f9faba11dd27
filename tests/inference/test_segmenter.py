import pytest
import torch
from tests.support.tiny_models import TAXONOMY, TinyModel

from segscape.inference import segmenter as segmenter_module
from segscape.inference.blending import keep_center
from segscape.inference.mirror import TensorReader, read_mirrored
from segscape.inference.refinement import Refiner
from segscape.inference.segmenter import Segment, Segmenter
from segscape.models import build_model
from segscape.models.model_files import save_model
from segscape.structures import (
    CheckpointError,
    ImageBatch,
    LabelMap,
    SegscapeError,
    Size,
    StructureError,
    Taxonomy,
)


def picture(height=40, width=56, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (3, height, width), generator=generator, dtype=torch.uint8)


def plain_scores(model, image):
    with torch.no_grad():
        batch = ImageBatch(image[None].float() / 255, (Size(*image.shape[1:]),))
        return model.eval()(batch).logits[0].softmax(0)


def segmenter_of(model=None, **options):
    return Segmenter(model or TinyModel(), precision="fp32", device="cpu", **options)


def test_labels_and_scores_are_those_of_the_network():
    model, image = TinyModel(), picture()
    segment = segmenter_of(model)
    expected = plain_scores(model, image)
    torch.testing.assert_close(segment.scores(image), expected, rtol=0, atol=1e-5)
    label_map = segment(image)
    assert label_map.taxonomy == TAXONOMY
    assert label_map.labels.dtype == torch.uint8
    assert len(label_map.labels.unique()) == 4
    sure = expected.topk(2, 0).values.diff(dim=0).abs()[0] > 1e-4
    assert torch.equal(label_map.labels[sure], expected.argmax(0).byte()[sure])
    assert isinstance(segment, Segment)


def test_scores_are_ordinary_tensors_that_add_up_to_one():
    scores = segmenter_of().scores(picture())
    scores += 1  # not an inference tensor
    torch.testing.assert_close(scores.sum(0), torch.full((40, 56), 5.0))


def test_the_given_model_goes_on_learning():
    model = TinyModel().train()
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    segmenter_of(model)(picture())
    assert model.training
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert all(torch.equal(state[name], tensor) for name, tensor in model.state_dict().items())


def test_an_image_does_not_depend_on_its_company():
    segment = segmenter_of()
    images = [picture(20, 30, 1), picture(33, 17, 2), picture(20, 30, 3), picture(1, 1, 4)]
    together = segment.batch(images)
    for image, label_map in zip(images, together, strict=True):
        assert torch.equal(segment(image).labels, label_map.labels)
    assert segment.batch([]) == []


def test_tiles_give_what_the_whole_mirrored_image_gives():
    model, image = TinyModel(), picture(150, 97)
    segment = segmenter_of(model, tile=Size(64, 64), overlap=4, window=keep_center)
    mirrored = read_mirrored(TensorReader(image), -2, -2, 154, 101)
    expected = plain_scores(model, mirrored)[:, 2:-2, 2:-2]
    torch.testing.assert_close(segment.scores(image), expected, rtol=0, atol=1e-5)
    assert torch.equal(segment(image).labels, segment.scores(image).argmax(0).byte())
    bands = torch.cat([labels for _, labels in segment.bands(TensorReader(image))])
    assert torch.equal(bands, segment(image).labels)


def test_an_image_that_fits_into_the_tile_is_not_cut():
    image = picture(60, 64)
    assert torch.equal(segmenter_of(tile=Size(64, 64)).scores(image), segmenter_of().scores(image))


def test_large_images_are_cut_without_being_asked(monkeypatch):
    monkeypatch.setattr(segmenter_module, "WHOLE", 50 * 50)
    monkeypatch.setattr(segmenter_module, "DEFAULT_TILE", Size(48, 48))
    segment = segmenter_of()
    assert segment.overlap == 6
    assert segment.is_whole(Size(50, 50))
    assert not segment.is_whole(Size(50, 51))
    assert segment(picture(70, 90)).size == (70, 90)


def test_flips_make_the_scores_symmetric():
    segment, image = segmenter_of(flips=True), picture()
    mirrored = segment.scores(image.flip(2)).flip(2)
    torch.testing.assert_close(segment.scores(image), mirrored, rtol=0, atol=1e-6)
    assert torch.equal(segment(image).labels, segment.scores(image).argmax(0).byte())


def test_turns_make_the_scores_those_of_the_turned_image():
    segment, image = segmenter_of(flips=True, turns=True), picture(40, 56)
    assert segment.options["turns"] is True
    assert torch.equal(segment(image).labels, segment.scores(image).argmax(0).byte())
    for turns in (1, 2, 3):
        turned = segment.scores(torch.rot90(image, turns, (1, 2)))
        back = torch.rot90(turned, -turns, (1, 2))
        torch.testing.assert_close(segment.scores(image), back, rtol=0, atol=1e-6)
    assert not torch.allclose(segment.scores(image), segmenter_of(flips=True).scores(image))


def test_windows_of_any_shape_are_turned():
    image, options = picture(60, 90), {"flips": True, "turns": True}
    segment = segmenter_of(tile=Size(32, 48), overlap=4, window=keep_center, **options)
    whole = segmenter_of(**options).scores(image)
    # Tiles are mirrored at the image's border, where the network alone sees zeros.
    inside = (slice(None), slice(2, -2), slice(2, -2))
    torch.testing.assert_close(segment.scores(image)[inside], whole[inside], rtol=0, atol=1e-5)


def test_a_refiner_sees_image_and_scores():
    class Invert:
        def __call__(self, image, scores, /):
            assert image.shape[1:] == scores.shape[1:]
            return 1 - scores

    assert isinstance(Invert(), Refiner)
    image = picture()
    plain = segmenter_of().scores(image)
    segment = segmenter_of(refiner=Invert())
    torch.testing.assert_close(segment.scores(image), 1 - plain)
    assert torch.equal(segment(image).labels, (1 - plain).argmax(0).byte())


def test_bf16_moves_few_labels():
    model, image = TinyModel(), picture(200, 200)
    half = Segmenter(model, precision="bf16", device="cpu")
    agreement = half(image).labels == segmenter_of(model)(image).labels
    assert agreement.float().mean() > 0.98
    assert half.scores(image).dtype == torch.float32
    assert half.options["precision"] == "bf16"


def test_the_fingerprint_names_weights_and_categories():
    names = Taxonomy.from_names(["a", "b", "c", "d"])
    prints = [
        segmenter_of(model).fingerprint
        for model in (TinyModel(), TinyModel(seed=1), TinyModel(taxonomy=names), TinyModel())
    ]
    assert prints[0] == prints[3]
    assert len(set(prints)) == 3


def test_too_little_memory_is_one_line_with_the_cure(monkeypatch):
    segment = segmenter_of()

    def no_memory(_):
        raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr(segment._model, "score", no_memory)
    with pytest.raises(SegscapeError, match="--tile"):
        segment(picture())

    def broken(_):
        raise RuntimeError("a bug")

    monkeypatch.setattr(segment._model, "score", broken)
    with pytest.raises(RuntimeError, match="a bug"):
        segment(picture())


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"tile": Size(0, 9)}, "tile"),
        ({"tile": Size(64, 64), "overlap": 33}, "half its shorter side"),
        ({"scales": ()}, "scales"),
        ({"scales": (1.0, -1.0)}, "scales"),
    ],
)
def test_options_that_cannot_be_used(options, words):
    with pytest.raises(StructureError, match=words):
        segmenter_of(**options)


@pytest.mark.parametrize("device", ["gpu", "cuda:99", "meta9"])
def test_a_device_that_is_not_there(device):
    with pytest.raises(StructureError, match="choose one of auto, cpu"):
        Segmenter(TinyModel(), device=device)


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory):
    run = tmp_path_factory.mktemp("run")
    torch.manual_seed(0)
    model = build_model("unet_2015", TAXONOMY, {"channels": 4})
    save_model(run / "model", model)
    return run, model.eval()


def test_loading_a_run_or_its_model(run_folder):
    run, model = run_folder
    image = picture()
    expected = segmenter_of(model)(image)
    assert isinstance(expected, LabelMap)
    for folder in (run, run / "model", str(run)):
        segment = Segmenter.load(folder, precision="fp32", device="cpu")
        assert torch.equal(segment(image).labels, expected.labels)
        assert segment.fingerprint == segmenter_of(model).fingerprint


def test_folders_without_a_model(tmp_path):
    with pytest.raises(CheckpointError, match="no such folder"):
        Segmenter.load(tmp_path / "nowhere")
    with pytest.raises(CheckpointError, match="neither model/ nor"):
        Segmenter.load(tmp_path)
    (tmp_path / "recipe.yaml").touch()
    with pytest.raises(CheckpointError, match="--resume"):
        Segmenter.load(tmp_path)
