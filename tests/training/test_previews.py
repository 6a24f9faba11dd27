"""Preview pictures show the image, the truth and the prediction."""

import torch

from segscape.datasets.synthetic import SyntheticSemantic
from segscape.io.image_files import read_image
from segscape.structures import Sample, Size
from segscape.training.previews import write_first_batch, write_validation
from segscape.training.training_batch import TrainingBatch

SCENES = SyntheticSemantic(2, size=Size(40, 48))


def test_validation_pictures_hold_three_views(tmp_path):
    sample = SCENES[0]
    write_validation(tmp_path, 7, [(sample, SCENES[1].target)])
    picture = read_image(tmp_path / "previews/step_000007_0.png")
    assert picture.shape[2] >= 3 * 48
    assert torch.equal(picture[:, -40:, :48], sample.image)
    assert not torch.equal(picture[:, -40:, :48], picture[:, -40:, -48:])


def test_the_first_batch_is_drawn_after_augmentation_and_grey_images_too(tmp_path):
    samples = [
        Sample(SCENES[i].image[:1], SCENES[i].target, SCENES[i].key) for i in range(len(SCENES))
    ]
    write_first_batch(tmp_path, TrainingBatch.stack(samples), SCENES.taxonomy)
    assert read_image(tmp_path / "previews/first_batch.png").shape[2] >= 2 * 48
