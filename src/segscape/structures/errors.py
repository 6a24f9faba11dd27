"""What goes wrong, said in one line: what was got, what was expected, the cure."""


class SegscapeError(ValueError):
    """An error for people: its message is one line and the command line prints just that."""


class StructureError(SegscapeError):
    """A noun was built from parts that contradict each other."""


class ImageFileError(SegscapeError):
    """An image file is missing, damaged, too large or of a format that is not read."""


class MaskFileError(SegscapeError):
    """A mask file cannot be read as category ids without guessing."""


class DatasetError(SegscapeError):
    """A folder of images and masks cannot be used as a data set."""


class RecipeError(SegscapeError):
    """A recipe, or an override of it, does not say something that can be run."""


class CheckpointError(SegscapeError):
    """A saved model or training state is damaged or belongs to something else."""


class OutputError(SegscapeError):
    """A result cannot be written: the place exists, is read-only or the disk is full."""


class TrainingError(SegscapeError):
    """Training cannot go on, as when the loss is not a finite number."""


class MethodError(SegscapeError):
    """A method without training cannot do what was asked of it on this image."""


class SegscapeWarning(UserWarning):
    """Something worth knowing that does not stop the work, as a colour mask read as ids."""
