"""`segscape demo`: the whole way on drawn scenes, with nothing to download."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

PICTURES = 8


def demo(
    out: Annotated[Path, typer.Option(help="The run folder to make.")] = Path("runs/demo"),
) -> None:
    """Train, judge and use a model on drawn scenes: no data, no download, minutes on two cores."""
    from segscape.cli.evaluate import evaluate
    from segscape.cli.predict import predict
    from segscape.cli.train import train
    from segscape.datasets import open_dataset
    from segscape.io.image_files import write_image
    from segscape.training.recipe import read_recipe

    console = Console()
    console.rule("1  train")
    # An unfinished demo goes on where it stopped, a finished one is judged and used again.
    # The doctor stays away: what is drawn by code is right, and examining it takes half a minute.
    train("demo", out=out, resume=out.exists(), check=False)
    console.rule("2  evaluate")
    evaluate([str(out)])
    console.rule("3  predict")
    recipe = read_recipe(out)
    scenes = open_dataset(recipe.data.val or recipe.data.train, split="test")
    images = [out / "images" / f"{scenes.keys[index]}.png" for index in range(PICTURES)]
    for index, path in enumerate(images):
        path.parent.mkdir(exist_ok=True)
        write_image(path, scenes[index].image)
    predict(out, images, out=out / "masks")
    console.rule()
    console.print(f"report   {out / 'report.html'}", soft_wrap=True)
    console.print(f"masks    {out / 'masks'}", soft_wrap=True)
