"""Image and target changed by one call."""

from collections.abc import Callable

from segscape.transforms.blur import Blur as Blur
from segscape.transforms.border_weights import BorderWeights as BorderWeights
from segscape.transforms.color_jitter import ColorJitter as ColorJitter
from segscape.transforms.elastic import Elastic as Elastic
from segscape.transforms.flip import HorizontalFlip as HorizontalFlip
from segscape.transforms.flip import VerticalFlip as VerticalFlip
from segscape.transforms.noise import Noise as Noise
from segscape.transforms.object_crop import ObjectCrop as ObjectCrop
from segscape.transforms.pad import Pad as Pad
from segscape.transforms.proposal_crop import ProposalCrop as ProposalCrop
from segscape.transforms.quarter_turns import QuarterTurns as QuarterTurns
from segscape.transforms.random_crop import RandomCrop as RandomCrop
from segscape.transforms.random_resized_crop import RandomResizedCrop as RandomResizedCrop
from segscape.transforms.random_scale import RandomScale as RandomScale
from segscape.transforms.resize import Resize as Resize
from segscape.transforms.rotation import Rotation as Rotation
from segscape.transforms.transform import Transform as Transform
from segscape.transforms.transform import apply as apply
from segscape.transforms.transform import generator_for as generator_for

TRANSFORMS: dict[str, Callable[..., Transform]] = {
    "random_scale": RandomScale,
    "resize": Resize,
    "random_crop": RandomCrop,
    "random_resized_crop": RandomResizedCrop,
    "object_crop": ObjectCrop,
    "proposal_crop": ProposalCrop,
    "pad": Pad,
    "horizontal_flip": HorizontalFlip,
    "vertical_flip": VerticalFlip,
    "quarter_turns": QuarterTurns,
    "rotation": Rotation,
    "elastic": Elastic,
    "color_jitter": ColorJitter,
    "blur": Blur,
    "noise": Noise,
    "border_weights": BorderWeights,
}
