"""Several networks as one: their scores of an image are joined pixel by pixel.

H. Noh, S. Hong, B. Han: Learning Deconvolution Network for Semantic Segmentation, ICCV 2015,
arXiv:1505.04366, sec. 4.4: EDeconvNet is DeconvNet by proposals together with FCN-8s. Any networks
of the same categories can be joined, as runs of one recipe with several seeds.

Where the paper and the released code disagree: the paper takes the mean of both networks'
probabilities; the code multiplies the scores, those of FCN-8s cut off at 0, before the softmax.
`rule` is "mean" or "product".

Differences from the released code: all factors of a product are cut off at 0, or two low scores
would make a high one; scores by proposals, as DeconvNet's, are never below it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol, get_args, runtime_checkable

from jaxtyping import Float, UInt8
from torch import Tensor

from segscape.structures import StructureError, Taxonomy

EnsembleRule = Literal["mean", "product"]
_MOST_NAMES = 8


@runtime_checkable
class Member(Protocol):
    """What is joined: a `Segmenter`, or anything that answers like it."""

    @property
    def taxonomy(self) -> Taxonomy:
        """What the scores mean."""
        ...

    @property
    def fingerprint(self) -> str:
        """Names all that the network knows."""
        ...

    @property
    def options(self) -> dict[str, object]:
        """All that the scores depend on besides network and image, as plain values."""
        ...

    @property
    def parameters(self) -> int:
        """How many numbers training has set."""
        ...

    @property
    def whole_only(self) -> bool:
        """Whether images cannot be cut into tiles."""
        ...

    def scores(
        self, image: UInt8[Tensor, "channel height width"]
    ) -> Float[Tensor, "category height width"]:
        """Probabilities in [0, 1]."""
        ...

    def raw_scores(
        self, image: UInt8[Tensor, "channel height width"]
    ) -> Float[Tensor, "category height width"]:
        """Scores before the softmax."""
        ...


@dataclass(frozen=True)
class Ensemble:
    """The networks that are joined with a first one, and how.

    Args:
        others: by the names that errors and reports call them.
        rule: "mean" of the probabilities, or "product" of the scores before the softmax.

    Raises:
        StructureError: when there are no others.
    """

    others: Mapping[str, Member]
    rule: EnsembleRule = "mean"

    def __post_init__(self) -> None:
        if not self.others:
            raise StructureError("an ensemble got no other network: give one or more")

    @property
    def options(self) -> dict[str, object]:
        """All that the joined scores depend on besides the first network, as plain values."""
        others = [
            {"model": one.fingerprint, "options": one.options} for one in self.others.values()
        ]
        return {"rule": self.rule, "others": others}

    def refuse_other_categories(self, taxonomy: Taxonomy) -> None:
        """Refuse networks whose scores mean something else than the first one's.

        Raises:
            StructureError: naming one of them and what differs.
        """
        for name, one in self.others.items():
            found, expected = one.taxonomy.names, taxonomy.names
            if found == expected:
                continue
            if sorted(found) == sorted(expected):
                what = "the same categories in another order"
            else:
                what = f"the categories {_listed(found)} instead of {_listed(expected)}"
            raise StructureError(
                f"{name}: has {what}: networks are joined that were trained on the same classes"
            )

    def join(
        self,
        own: Float[Tensor, "category height width"],
        image: UInt8[Tensor, "channel height width"],
    ) -> Float[Tensor, "category height width"]:
        """Join the first network's scores of an image with those of the others.

        Args:
            own: probabilities for "mean", scores before the softmax for "product".
            image: 0..255.

        Returns:
            Probabilities, on the device of `own`.
        """

        def maps() -> Iterable[Tensor]:
            yield own
            for one in self.others.values():
                found = one.scores(image) if self.rule == "mean" else one.raw_scores(image)
                yield found.to(own.device)

        return join_scores(maps(), rule=self.rule)


def join_scores(
    maps: Iterable[Float[Tensor, "category height width"]], *, rule: EnsembleRule
) -> Float[Tensor, "category height width"]:
    """Join score maps of one image; never more than two of them are held.

    Args:
        maps: probabilities for "mean"; for "product" scores before the softmax, which are cut off
            at 0, multiplied and go through the softmax.
        rule: how.

    Returns:
        Probabilities: they sum to 1 over the categories.

    Raises:
        StructureError: when there are no maps.

    >>> import torch
    >>> one, other = (torch.tensor(x).reshape(2, 1, 1) for x in ([2.0, 0.0], [-1.0, 3.0]))
    >>> mean = join_scores([one.softmax(0), other.softmax(0)], rule="mean")
    >>> [round(float(p), 2) for p in mean.flatten()]
    [0.45, 0.55]
    >>> [round(float(p), 2) for p in join_scores([one, other], rule="product").flatten()]
    [0.5, 0.5]
    """
    joined: Tensor | None = None
    count = 0
    for one in maps:
        factor = one.clamp(min=0) if rule == "product" else one
        if joined is None:
            joined = factor
        else:
            joined = joined * factor if rule == "product" else joined + factor
        count += 1
    if joined is None:
        raise StructureError("an ensemble got no score maps: give one or more")
    return joined.softmax(0) if rule == "product" else joined / count


def check_rule(name: str) -> EnsembleRule:
    """The rule of a name.

    Raises:
        StructureError: when there is none of this name.
    """
    known: dict[str, EnsembleRule] = {known: known for known in get_args(EnsembleRule)}
    if name not in known:
        raise StructureError(f"rule '{name}': choose one of {', '.join(known)}")
    return known[name]


def _listed(names: tuple[str, ...]) -> str:
    shown = ", ".join(f"'{name}'" for name in names[:_MOST_NAMES])
    return shown + (f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else "")
