"""Several networks as one, and one network by proposals, through `Segmenter`."""

import json

import pytest
import torch
from tests.support.tiny_models import TAXONOMY, TinyModel

from segscape.inference.ensemble import Ensemble, Member, check_rule, join_scores
from segscape.inference.proposals import Proposals, score_by_proposals
from segscape.inference.segmenter import Segmenter
from segscape.structures import Size, StructureError, Taxonomy


def picture(height=40, width=56, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (3, height, width), generator=generator, dtype=torch.uint8)


def segmenter(seed=0, taxonomy=TAXONOMY, **options):
    return Segmenter(
        TinyModel(seed=seed, taxonomy=taxonomy), precision="fp32", device="cpu", **options
    )


def halves(image):
    """Boxes of the left and of the right half."""
    height, width = image.shape[1:]
    return torch.tensor([[0.0, 0, width // 2, height], [width // 2, 0, width, height]])


HALVES = Proposals(find=halves, enlarged=1.0, shortest_side_px=1, side_px=32)


def test_the_rules_are_those_of_paper_and_code():
    torch.manual_seed(0)
    deconvnet, fcn = torch.rand(21, 4, 5) * 8, torch.randn(21, 4, 5) * 4
    mean = join_scores([deconvnet.softmax(0), fcn.softmax(0)], rule="mean")
    torch.testing.assert_close(mean, torch.stack([deconvnet.softmax(0), fcn.softmax(0)]).mean(0))
    product = join_scores([deconvnet, fcn], rule="product")
    by_hand = (deconvnet * torch.relu(fcn)).exp()
    torch.testing.assert_close(product, by_hand / by_hand.sum(0))
    assert not torch.equal(mean.argmax(0), product.argmax(0))
    with pytest.raises(StructureError, match="no score maps"):
        join_scores([], rule="mean")


def test_the_mean_of_three_networks():
    members = [segmenter(seed) for seed in range(3)]
    assert all(isinstance(one, Member) for one in members)
    joined = segmenter(0, ensemble=Ensemble({"one": members[1], "two": members[2]}))
    image = picture()
    expected = torch.stack([one.scores(image) for one in members]).mean(0)
    torch.testing.assert_close(joined.scores(image), expected)
    labels = expected.argmax(0)
    assert torch.equal(joined(image).labels.long(), labels)
    assert not torch.equal(members[0](image).labels.long(), labels)
    assert joined.parameters == 3 * members[0].parameters


def test_the_product_takes_scores_before_the_softmax():
    one, other = segmenter(0, flips=True), segmenter(1)
    joined = segmenter(0, flips=True, ensemble=Ensemble({"other": other}, "product"))
    image = picture()
    assert float(one.raw_scores(image).min()) < 0
    torch.testing.assert_close(other.raw_scores(image).softmax(0), other.scores(image))
    expected = (one.raw_scores(image).relu() * other.raw_scores(image).relu()).softmax(0)
    torch.testing.assert_close(joined.scores(image), expected)
    assert torch.equal(joined(image).labels.long(), expected.argmax(0))
    # What a joined network gives to another ensemble is its own.
    torch.testing.assert_close(joined.raw_scores(image), one.raw_scores(image))


def test_windows_are_joined_one_by_one():
    image = picture(90, 70)
    tile = Size(48, 48)
    members = [segmenter(seed, tile=tile, overlap=8) for seed in (0, 1)]
    joined = segmenter(0, ensemble=Ensemble({"other": segmenter(1)}), tile=tile, overlap=8)
    expected = torch.stack([one.scores(image) for one in members]).mean(0)
    torch.testing.assert_close(joined.scores(image), expected)
    assert torch.equal(
        torch.cat([band for _, band in joined.bands(image)]).long(), expected.argmax(0)
    )


def test_a_refiner_comes_last():
    seen = []

    def refine(image, scores, /):
        seen.append(scores)
        return 1 - scores

    image = picture()
    plain = segmenter(0, ensemble=Ensemble({"other": segmenter(1)})).scores(image)
    refined = segmenter(0, ensemble=Ensemble({"other": segmenter(1)}), refiner=refine)
    torch.testing.assert_close(refined.scores(image), 1 - plain)
    torch.testing.assert_close(seen[0], plain)


def test_proposals_instead_of_the_image():
    image = picture()
    plain = segmenter(0)
    by_halves = segmenter(0, proposals=HALVES)

    def logits(images):
        return torch.stack([plain.raw_scores(one) for one in images])

    raw = score_by_proposals(logits, image, HALVES)
    torch.testing.assert_close(by_halves.raw_scores(image), raw)
    torch.testing.assert_close(by_halves.scores(image), raw.softmax(0))
    assert torch.equal(by_halves(image).labels.long(), raw.argmax(0))
    assert not torch.equal(by_halves(image).labels, plain(image).labels)


def test_edeconvnet_is_both_together():
    image = picture()
    one, other = segmenter(0, proposals=HALVES), segmenter(1)
    for first, second in ((one, other), (other, one)):
        joined = segmenter(
            0 if first is one else 1,
            proposals=first.proposals,
            ensemble=Ensemble({"other": second}),
        )
        expected = (one.scores(image) + other.scores(image)) / 2
        torch.testing.assert_close(joined.scores(image), expected)
        assert joined.whole_only


def test_all_that_decides_the_labels_is_in_the_options():
    other = segmenter(1)
    joined = segmenter(0, proposals=HALVES, ensemble=Ensemble({"a path": other}, "product"))
    options = json.loads(json.dumps(joined.options))
    assert options["proposals"]["find"] == "halves"
    assert options["proposals"]["count"] == 50
    others = [{"model": other.fingerprint, "options": other.options}]
    assert options["ensemble"] == {"rule": "product", "others": others}
    assert not {"proposals", "ensemble"} & other.options.keys()


def test_proposals_need_the_whole_image(monkeypatch):
    with pytest.raises(StructureError, match="whole images: leave out the tile"):
        segmenter(0, tile=Size(64, 64), proposals=HALVES)
    by_another = Ensemble({"other": segmenter(1, proposals=HALVES)})
    with pytest.raises(StructureError, match="whole images: leave out the tile"):
        segmenter(0, tile=Size(64, 64), ensemble=by_another)
    monkeypatch.setattr("segscape.inference.segmenter.WHOLE", 1000)
    for one in (segmenter(0, proposals=HALVES), segmenter(0, ensemble=by_another)):
        for call in (one, one.scores, one.bands):
            with pytest.raises(StructureError, match="40 x 56 is too large for proposals"):
                call(picture())


def test_what_cannot_be_joined():
    with pytest.raises(StructureError, match="no other network"):
        Ensemble({})
    with pytest.raises(StructureError, match="rule 'median': choose one of mean, product"):
        check_rule("median")
    fewer = Ensemble({"runs/x": segmenter(1, Taxonomy.from_names(["sky", "sea"]))})
    with pytest.raises(StructureError, match="runs/x: has the categories 'sky', 'sea' instead of"):
        segmenter(0, ensemble=fewer)
    turned = Taxonomy.from_names([*reversed(TAXONOMY.names)])
    with pytest.raises(StructureError, match="the same categories in another order"):
        segmenter(0, ensemble=Ensemble({"other": segmenter(1, turned)}))
