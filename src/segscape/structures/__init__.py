"""The nouns: frozen dataclasses whose constructors refuse wrong states."""

from segscape.structures.errors import (
    CheckpointError as CheckpointError,
)
from segscape.structures.errors import (
    DatasetError as DatasetError,
)
from segscape.structures.errors import (
    ImageFileError as ImageFileError,
)
from segscape.structures.errors import (
    MaskFileError as MaskFileError,
)
from segscape.structures.errors import (
    MethodError as MethodError,
)
from segscape.structures.errors import (
    OutputError as OutputError,
)
from segscape.structures.errors import (
    RecipeError as RecipeError,
)
from segscape.structures.errors import (
    SegscapeError as SegscapeError,
)
from segscape.structures.errors import (
    SegscapeWarning as SegscapeWarning,
)
from segscape.structures.errors import (
    StructureError as StructureError,
)
from segscape.structures.errors import (
    TrainingError as TrainingError,
)
from segscape.structures.image_batch import ImageBatch as ImageBatch
from segscape.structures.instance_set import InstanceSet as InstanceSet
from segscape.structures.label_map import LabelMap as LabelMap
from segscape.structures.panoptic_map import PanopticMap as PanopticMap
from segscape.structures.panoptic_map import Segment as Segment
from segscape.structures.partition import Partition as Partition
from segscape.structures.sample import Sample as Sample
from segscape.structures.size import Size as Size
from segscape.structures.taxonomy import Category as Category
from segscape.structures.taxonomy import Taxonomy as Taxonomy
