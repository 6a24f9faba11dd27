"""Recipes: read, overridden, refused with the key's path, written and read back."""

import pytest
import yaml

from segscape.models import MODELS
from segscape.ops.class_weights import SEGNET_CAMVID_RELEASE
from segscape.structures import RecipeError
from segscape.training.parts import check_recipe
from segscape.training.recipe import SHIPPED, Recipe, Training, read_recipe

TEXT = """
data: {train: "folder:camvid", ignore: [11]}
model: {name: unet, encoder: resnet18}
transforms:
  - {name: random_resized_crop, height: 240, width: 320}
  - {name: horizontal_flip}
losses: [{name: cross_entropy, class_weights: enet}, {name: dice, weight: 0.5}]
optimizer: {name: adamw, learning_rate: 2e-3}
schedule: {name: one_cycle, warmup: 0.1}
training: {epochs: 3}
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(TEXT)
    return path


def _checked(path, *overrides: str) -> Recipe:
    recipe = read_recipe(path, overrides)
    check_recipe(recipe)
    return recipe


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_recipes_are_valid_and_round_trip(name, tmp_path):
    recipe = _checked(name)
    assert recipe.about
    (tmp_path / "recipe.yaml").write_text(recipe.to_yaml())
    assert read_recipe(tmp_path) == recipe


def test_every_network_has_recipes_for_both_kinds_of_machine():
    trained = {name: read_recipe(name).model.name for name in SHIPPED if name.startswith("camvid")}
    on_cores = {name: model for name, model in trained.items() if name.endswith("_cpu")}
    assert on_cores == {f"camvid_{model}_cpu": model for model in MODELS}
    assert {f"camvid_{model}" for model in MODELS} <= set(trained)


def _but_for_network_and_rate(name: str) -> dict[str, object]:
    recipe = read_recipe(name).model_dump(exclude={"about", "model"})
    del recipe["optimizer"]["learning_rate"]
    return recipe


@pytest.mark.parametrize(
    "name", [n for n in SHIPPED if n.startswith("camvid_") and not n.endswith("_paper")]
)
def test_networks_on_camvid_differ_in_network_and_rate_alone(name):
    like = "camvid_unet_cpu" if name.endswith("_cpu") else "camvid_unet"
    recipe, expected = _but_for_network_and_rate(name), _but_for_network_and_rate(like)
    if name == "camvid_sliding_window_cpu":  # says why
        recipe["transforms"] = expected["transforms"]
    assert recipe == expected


def test_later_stages_of_fcn_learn_slower():
    for stages in (
        ("camvid_fcn32s", "camvid_fcn16s", "camvid_fcn8s_staged"),
        ("voc_fcn32s", "voc_fcn16s", "voc_fcn8s"),
    ):
        recipes = [read_recipe(name) for name in stages]
        rates = [recipe.optimizer.options["learning_rate"] for recipe in recipes]
        assert rates[0] > 9 * rates[1] > 81 * rates[2] > 0
        for before, recipe in zip(stages, recipes[1:], strict=False):
            assert recipe.model.options["coarser"] == f"runs/{before}"


def test_segnet_takes_the_released_class_weights():
    for name in ("camvid_segnet_paper", "camvid_segnet_basic_paper"):
        (loss,) = read_recipe(name).losses
        assert tuple(loss.options["class_weights"]) == SEGNET_CAMVID_RELEASE


def test_python_and_yaml_say_the_same(file):
    built = Recipe.from_mapping(yaml.safe_load(TEXT.replace("2e-3", "0.002")))
    assert read_recipe(file) == built
    assert built.transforms[0].options == {"height": 240, "width": 320}
    assert built.losses[1].weight == 0.5
    assert built.losses[1].options == {}


def test_tuples_in_python_equal_lists_in_files(tmp_path):
    crop = {"name": "random_resized_crop", "height": 8, "width": 8, "scale": (0.5, 1.0)}
    recipe = Recipe.from_mapping(yaml.safe_load(TEXT) | {"transforms": [crop]})
    path = tmp_path / "recipe.yaml"
    path.write_text(recipe.to_yaml())
    assert read_recipe(path) == recipe


def test_overrides(file):
    recipe = _checked(
        file,
        "training.epochs=2",
        "transforms.0.height=96",
        "model.encoder=resnet34",
        "optimizer.learning_rate=1e-4",
        "training.ema=0.99",
        "prediction.scales=[0.5, 1]",
        "data.val=folder:other",
    )
    assert recipe.training.epochs == 2
    assert recipe.transforms[0].options["height"] == 96
    assert recipe.model.options == {"encoder": "resnet34"}
    assert recipe.optimizer.options["learning_rate"] == 1e-4
    assert recipe.training.ema == 0.99
    assert recipe.prediction.scales == (0.5, 1.0)
    assert recipe.data.val == "folder:other"


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("training.epoch=2", r"training\.epoch: unknown key: did you mean 'epochs'"),
        ("trainin.epochs=2", r"trainin: unknown key: did you mean 'training'"),
        ("optimizer.learning_rat=1", r"optimizer\.learning_rat: unknown.*'learning_rate'"),
        (
            "optimizer.learning_rate=-1",
            r"optimizer\.learning_rate: got -1, expected greater than or",
        ),
        ("optimizer.learning_rate=.nan", r"optimizer\.learning_rate: got nan, expected"),
        ("optimizer.name=adamv", r"optimizer\.name: 'adamv' is not known: did you mean 'adam"),
        ("schedule.name=polly", r"schedule\.name: 'polly'.*'poly'"),
        ("schedule.warmup=soon", r"schedule\.warmup: got 'soon', expected a number"),
        ("transforms.1.name=flip", r"transforms\.1\.name: 'flip'.*'horizontal_flip'"),
        ("transforms.0.hight=3", r"transforms\.0\.hight: unknown key: did you mean 'height'"),
        ("transforms.0.height=tall", r"transforms\.0\.height: got 'tall', expected a whole number"),
        ("transforms.0.height=0", r"transforms\.0\.height: .*height is 0"),
        ("transforms.7.height=3", r"'7' is not an index of a list of 2: give 0\.\.1"),
        ("losses.0.class_weights=enett", r"losses\.0\.class_weights: no rule 'enett'.*'enet'"),
        ("losses.1.smoth=2", r"losses\.1\.smoth: unknown key: did you mean 'smooth'"),
        ("losses.1.weight=heavy", r"losses\.1\.weight: got 'heavy', expected a number"),
        ("losses=[]", r"losses: got \[\], expected .*at least 1"),
        ("model.name=unte", r"model\.name: 'unte'.*'unet'"),
        ("training.batch_size=0", r"training\.batch_size: got 0, expected greater than or"),
        (
            "prediction={tile: [9, 9], proposals: 5}",
            r"prediction: got .*, expected one of tile and proposals",
        ),
        ("prediction.ensemble={runs: []}", r"prediction\.ensemble\.runs: got .*at least 1"),
        (
            "prediction.ensemble={runs: [a], rul: mean}",
            r"prediction\.ensemble\.rul: unknown key: did you mean 'rule'",
        ),
        (
            "training.steps=9",
            r"got .* has epochs and steps: set training\.epochs=null or training\.steps=null",
        ),
        ("data.cache=maybe", r"data\.cache: got 'maybe', expected true or false or 'auto'"),
        ("training.precision=bf8", r"training\.precision: got 'bf8', expected 'auto', 'fp32'"),
        ("training.epochs.x=1", r"training\.epochs: leads into the plain value|plain value 3"),
        ("training.epochs", r"'training\.epochs' is not an override: write key=value"),
        ("prediction={tile: [8, 9], overlap: 5}", r"overlap of at most half its shorter side"),
        ("prediction.overlap=5", r"prediction: got .*, expected a tile, and an overlap"),
        ("task=semantics", r"task: got 'semantics', expected 'semantic'"),
    ],
)
def test_wrong_overrides_name_the_key_and_the_cure(file, override, message):
    with pytest.raises(RecipeError, match=message) as caught:
        _checked(file, override)
    assert "\n" not in str(caught.value)


def test_missing_parts_and_unreadable_files(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("model: {name: unet}\ntraining: {epochs: 1}\n")
    with pytest.raises(RecipeError, match="data: missing"):
        read_recipe(path)
    path.write_text("model: {name: unet\n")
    with pytest.raises(RecipeError, match=r"mine\.yaml.*not YAML.*line"):
        read_recipe(path)
    path.write_text("seed: 1\nmodel: {name: unet}\nseed: 2\n")
    with pytest.raises(RecipeError, match=r"mine\.yaml.*'seed' stands twice.*line 1"):
        read_recipe(path)
    path.write_text("- a list\n")
    with pytest.raises(RecipeError, match="holds no keys"):
        read_recipe(path)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(RecipeError, match="cannot be read as text"):
        read_recipe(path)
    with pytest.raises(RecipeError, match=r"neither a file nor .* did you mean 'camvid_unet'"):
        read_recipe("camvid_unett")
    with pytest.raises(RecipeError, match=r"nope/recipe does not exist: name a recipe file, a run"):
        read_recipe(tmp_path / "nope" / "recipe")
    with pytest.raises(RecipeError, match=r"recipe\.yaml does not exist: name a recipe file"):
        read_recipe(tmp_path)


def test_steps_and_evaluations():
    training = Training(epochs=3, batch_size=4)
    assert training.total_steps(10) == 7
    assert training.evaluation_steps(10) == {3, 5, 7}
    # A data set smaller than the batch: several epochs pass in one step.
    assert Training(epochs=8, batch_size=4).total_steps(1) == 2
    assert Training(epochs=8, batch_size=4).evaluation_steps(1) == {1, 2}
    assert Training(epochs=1, batch_size=4).total_steps(1) == 1
    assert Training(steps=5, batch_size=4, evaluate_every=99).evaluation_steps(10) == {5}
    assert Training(steps=10, batch_size=2, accumulate=2).evaluation_steps(8) == {2, 4, 6, 8, 10}


def test_another_name_drops_the_options_of_the_first():
    recipe = read_recipe("camvid_unet_cpu", ["model.name=segnet_basic", "model.channels=8"])
    assert recipe.model.options == {"channels": 8}
    same = read_recipe("camvid_unet_cpu", ["model.name=unet"])
    assert same.model == read_recipe("camvid_unet_cpu").model


def test_a_recipe_like_another_says_only_what_differs(tmp_path):
    (tmp_path / "base.yaml").write_text(
        "data: {train: folder:photos, ignore: [9]}\n"
        "model: {name: unet, encoder: resnet18}\n"
        "transforms: [{name: horizontal_flip}]\n"
        "training: {epochs: 3, batch_size: 2}\n"
    )
    (tmp_path / "near.yaml").write_text(
        "like: base.yaml\nmodel: {depth: 4}\ntransforms: []\ntraining: {batch_size: 5}\n"
    )
    (tmp_path / "far.yaml").write_text("like: near.yaml\nmodel: {name: fcn8s, at_once: true}\n")
    near, far = read_recipe(tmp_path / "near.yaml"), read_recipe(tmp_path / "far.yaml")
    assert near.model.options == {"encoder": "resnet18", "depth": 4}
    assert near.transforms == ()
    assert (near.training.epochs, near.training.batch_size) == (3, 5)
    assert near.data.ignore == (9,)
    assert far.model.options == {"at_once": True}
    assert far.training == near.training
    assert read_recipe(tmp_path / "near.yaml", ["model.depth=2"]).model.options["depth"] == 2


def test_a_recipe_like_none_or_like_itself_is_refused(tmp_path):
    (tmp_path / "a.yaml").write_text("like: b.yaml\n")
    (tmp_path / "b.yaml").write_text("like: a.yaml\n")
    with pytest.raises(RecipeError, match=r"a\.yaml is like .*b\.yaml is like .*a\.yaml"):
        read_recipe(tmp_path / "a.yaml")
    (tmp_path / "a.yaml").write_text("like: camvid_unett\n")
    with pytest.raises(RecipeError, match="did you mean 'camvid_unet'"):
        read_recipe(tmp_path / "a.yaml")
    (tmp_path / "a.yaml").write_text("like: [demo]\n")
    with pytest.raises(RecipeError, match="like: got"):
        read_recipe(tmp_path / "a.yaml")


def test_the_outcome_leaves_out_what_does_not_change_numbers(file):
    one = read_recipe(file)
    two = read_recipe(file, ["training.workers=7", "data.train=folder:elsewhere", "about=x"])
    three = read_recipe(file, ["training.seed=1"])
    assert one.outcome() == two.outcome() != three.outcome()
