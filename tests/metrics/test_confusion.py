import json
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support
from tests.support.processes import run_in_processes

from segscape.metrics.confusion import ConfusionMatrix, confusion_counts
from segscape.structures import LabelMap, StructureError, Taxonomy

IGNORE = 255
TYPES = (torch.uint8, torch.int16, torch.int32, torch.int64)


@st.composite
def label_maps(draw, categories=4, count=3):
    """Images as (prediction, target), both with ignored pixels."""
    ids = st.sampled_from([*range(categories), IGNORE])
    images = []
    for _ in range(draw(st.integers(1, count))):
        height, width = draw(st.integers(1, 4)), draw(st.integers(1, 5))
        pair = draw(
            st.lists(ids, min_size=2 * height * width, max_size=2 * height * width).map(
                torch.tensor
            )
        ).reshape(2, height, width)
        images.append((pair[0], pair[1]))
    return images


def counted_one_by_one(images, categories):
    counts = [[0] * (categories + 1) for _ in range(categories)]
    for prediction, target in images:
        for called, true in zip(
            prediction.flatten().tolist(), target.flatten().tolist(), strict=True
        ):
            if true != IGNORE:
                counts[true][categories if called == IGNORE else called] += 1
    return counts


def count(matrix, image, key):
    prediction, target = image
    matrix.update(prediction, target, key)


def matrix_of(images, categories=4, taxonomy=None):
    matrix = ConfusionMatrix(taxonomy or Taxonomy.from_names([f"c{i}" for i in range(categories)]))
    for index, (prediction, target) in enumerate(images):
        matrix.update(prediction, target, f"image_{index}")
    return matrix


def random_images(seed=0, number=5, categories=4):
    generator = torch.Generator().manual_seed(seed)
    images = []
    for _ in range(number):
        target = torch.randint(categories, (9, 8), generator=generator)
        prediction = torch.where(
            torch.rand(9, 8, generator=generator) < 0.6,
            target,
            torch.randint(categories, (9, 8), generator=generator),
        )
        target[torch.rand(9, 8, generator=generator) < 0.2] = IGNORE
        images.append((prediction, target))
    return images


@settings(max_examples=100, deadline=None)
@given(images=label_maps(), prediction_type=st.sampled_from(TYPES), type_=st.sampled_from(TYPES))
def test_counts_equal_counting_one_by_one(images, prediction_type, type_):
    for image in images:
        counts = confusion_counts(image[0].to(prediction_type), image[1].to(type_), 4, IGNORE)
        assert counts.dtype == torch.int64
        assert counts.tolist() == counted_one_by_one([image], 4)


def test_counts_equal_scikit_learn_and_torchmetrics():
    for prediction, target in random_images():
        counts = confusion_counts(prediction, target, 4, IGNORE)
        judged = target != IGNORE
        expected = confusion_matrix(target[judged], prediction[judged], labels=range(4))
        assert counts[:, :4].tolist() == expected.tolist()
        assert not counts[:, 4].any()
    functional = pytest.importorskip(
        "torchmetrics.functional.classification", reason="torchmetrics comes with `make bench`"
    )
    for prediction, target in random_images(1):
        ours = confusion_counts(prediction, target, 4, IGNORE)[:, :4]
        theirs = functional.multiclass_confusion_matrix(prediction, target, 4, ignore_index=IGNORE)
        assert torch.equal(ours, theirs)


def test_strided_and_transposed_maps_are_read_where_they_are():
    prediction, target = random_images()[0]
    straight = confusion_counts(prediction, target, 4, IGNORE)
    assert torch.equal(straight, confusion_counts(prediction.T, target.T, 4, IGNORE))
    half = confusion_counts(prediction[:, ::2], target[:, ::2], 4, IGNORE)
    assert half.tolist() == counted_one_by_one([(prediction[:, ::2], target[:, ::2])], 4)


def test_a_pixel_called_nothing_is_a_miss_of_its_category():
    truth = torch.tensor([[0, 0, 1, 1]])
    scores = matrix_of([(torch.tensor([[0, IGNORE, 1, 1]]), truth)], 2).compute()
    assert scores.matrix.tolist() == [[1, 0, 1], [0, 2, 0]]
    assert scores.per_class[0].recall == 0.5
    assert scores.per_class[0].precision == 1.0
    assert scores.pixel_accuracy == 0.75


@pytest.mark.parametrize("bad", [-1, 4, 254])
def test_ids_that_mean_nothing_are_refused(bad):
    good = torch.tensor([[0, 3]])
    wrong = torch.tensor([[0, bad]])
    with pytest.raises(StructureError, match=rf"target holds the ids \[{bad}\]"):
        confusion_counts(good, wrong, 4, IGNORE)
    with pytest.raises(StructureError, match=rf"image 'a': the prediction holds the ids \[{bad}\]"):
        ConfusionMatrix(Taxonomy.from_names(list("wxyz"))).update(wrong, good, "a")
    # What a pixel that is not judged was called does not matter, whatever it is.
    assert not confusion_counts(wrong, torch.full_like(wrong, IGNORE), 4, IGNORE).any()


def test_sizes_and_taxonomies_must_agree():
    matrix = ConfusionMatrix(Taxonomy.from_names(["a", "b"]))
    with pytest.raises(StructureError, match=r"image 'k': the prediction has 1 x 2 pixels"):
        matrix.update(torch.zeros(1, 2).long(), torch.zeros(2, 1).long(), "k")
    other = LabelMap(torch.zeros(1, 2).long(), Taxonomy.from_names(["a", "c"]))
    with pytest.raises(StructureError, match="use one taxonomy"):
        matrix.update(other, torch.zeros(1, 2).long(), "k")
    with pytest.raises(StructureError, match="use one taxonomy"):
        matrix.merge(ConfusionMatrix(other.taxonomy))
    with pytest.raises(StructureError, match="no image was counted"):
        matrix.compute()
    with pytest.raises(StructureError, match="no image 'k'"):
        matrix.image("k")


def test_label_maps_count_like_their_labels():
    taxonomy = Taxonomy.from_names(list("wxyz"))
    images = random_images()
    wrapped = [(LabelMap(p.to(torch.uint8), taxonomy), LabelMap(t, taxonomy)) for p, t in images]
    assert torch.equal(matrix_of(wrapped, taxonomy=taxonomy).total(), matrix_of(images).total())


def exactly(matrix):
    scores = matrix.compute()
    return json.dumps(
        [
            scores.to_json(),
            scores.matrix.tolist(),
            repr(scores.per_image()),
            repr(scores.bootstrap(50)),
        ]
    )


@settings(max_examples=25, deadline=None)
@given(
    images=label_maps(count=5),
    order=st.randoms(use_true_random=False),
    shards=st.integers(1, 4),
)
def test_neither_order_nor_sharding_nor_repetition_changes_a_bit(images, order, shards):
    expected = exactly(matrix_of(images))
    keyed = [(f"image_{i}", *image) for i, image in enumerate(images)]
    keyed = keyed + keyed[:2]  # samplers repeat images to fill the last batch
    order.shuffle(keyed)
    parts = [ConfusionMatrix(matrix_of(images).taxonomy) for _ in range(shards)]
    for index, (key, prediction, target) in enumerate(keyed):
        parts[index % shards].update(prediction, target, key)
    merged = parts[0]
    for part in parts[1:]:
        merged.merge(part)
    assert exactly(merged) == expected


def test_one_key_for_two_results_is_refused():
    matrix = matrix_of(random_images())
    before = matrix.total()
    with pytest.raises(StructureError, match="image 'image_0' was counted before"):
        count(matrix, random_images(7)[0], "image_0")
    with pytest.raises(StructureError, match="image 'image_0' was counted before"):
        matrix.merge(matrix_of(random_images(7)))
    assert torch.equal(matrix.total(), before)


def test_merging_leaves_the_other_as_it_is():
    one, other = matrix_of(random_images()[:1]), matrix_of(random_images())
    before = exactly(other)
    one.merge(other)
    count(one, random_images(3)[0], "new")
    assert exactly(other) == before
    assert other.keys == tuple(f"image_{i}" for i in range(5))


@settings(max_examples=25, deadline=None)
@given(images=label_maps(), seed=st.integers(0, 1000))
def test_what_void_pixels_were_called_does_not_matter(images, seed):
    generator = torch.Generator().manual_seed(seed)
    changed = [
        (torch.where(t == IGNORE, torch.randint(4, t.shape, generator=generator), p), t)
        for p, t in images
    ]
    assert exactly(matrix_of(images)) == exactly(matrix_of(changed))


@settings(max_examples=25, deadline=None)
@given(images=label_maps(), order=st.permutations(range(4)))
def test_renaming_the_categories_renames_the_scores(images, order):
    table = torch.full((256,), IGNORE)
    table[:4] = torch.tensor(order)
    scores = matrix_of(images).compute()
    renamed = matrix_of([(table[p], table[t]) for p, t in images]).compute()
    assert renamed.miou == pytest.approx(scores.miou, nan_ok=True)
    assert renamed.pixel_accuracy == pytest.approx(scores.pixel_accuracy, nan_ok=True)
    for old, new in enumerate(order):
        before, after = scores.per_class[old], renamed.per_class[new]
        assert after.iou == pytest.approx(before.iou, nan_ok=True)
        assert after.support == before.support


def share_of_two(rank, world):
    matrix = ConfusionMatrix(Taxonomy.from_names([f"c{i}" for i in range(4)]))
    # Five images on two processes: the sampler repeats the first.
    for index in ([0, 2, 4], [1, 3, 0])[rank]:
        count(matrix, random_images()[index], f"image_{index}")
    matrix.merge_over_processes()
    return exactly(matrix)


def test_two_processes_equal_one_bit_for_bit():
    assert run_in_processes(share_of_two) == [exactly(matrix_of(random_images()))] * 2


def test_scores_equal_scikit_learn_where_every_category_is_true():
    images = random_images(number=8)
    scores = matrix_of(images).compute()
    called = torch.cat([p[t != IGNORE] for p, t in images])
    true = torch.cat([t[t != IGNORE] for _, t in images])
    precision, recall, f1, support = np.array(
        precision_recall_fscore_support(true, called, labels=range(4))
    )
    assert [c.precision for c in scores.per_class] == pytest.approx(list(precision), rel=1e-12)
    assert [c.recall for c in scores.per_class] == pytest.approx(list(recall), rel=1e-12)
    assert [c.f1 for c in scores.per_class] == pytest.approx(list(f1), rel=1e-12)
    assert [c.support for c in scores.per_class] == list(support)
    assert scores.mean_pixel_accuracy == pytest.approx(float(np.mean(recall)), rel=1e-12)
    assert math.isclose(scores.mean_dice, float(np.mean(f1)), rel_tol=1e-12)
