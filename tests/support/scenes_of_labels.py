"""Hypothesis strategies for the nouns: small taxonomies, label maps, objects, panoptic maps."""

import torch
from hypothesis import strategies as st

from segscape.structures import (
    Category,
    InstanceSet,
    LabelMap,
    PanopticMap,
    Segment,
    Taxonomy,
)


@st.composite
def taxonomies(draw, least=1, most=6, least_things=0):
    """A taxonomy of things and stuff in any order."""
    count = draw(st.integers(max(least, least_things), most))
    is_thing = draw(st.lists(st.booleans(), min_size=count, max_size=count))
    for position in range(least_things):
        is_thing[position] = True
    ignore_id = draw(st.sampled_from([255, count, 65535]))
    return Taxonomy(
        tuple(
            Category(f"category {i}", (i * 37 % 256, i, 255 - i), is_thing=thing)
            for i, thing in enumerate(is_thing)
        ),
        ignore_id,
    )


@st.composite
def id_grids(draw, ids, dtype=torch.int64, most=7):
    """A tensor of height x width whose pixels are drawn from `ids`."""
    height, width = draw(st.integers(1, most)), draw(st.integers(1, most))
    values = draw(
        st.lists(st.sampled_from(list(ids)), min_size=height * width, max_size=height * width)
    )
    return torch.tensor(values, dtype=dtype).reshape(height, width)


@st.composite
def label_maps(draw, taxonomy=None):
    """A label map with ignored pixels, in any type that holds its ids."""
    taxonomy = draw(taxonomies()) if taxonomy is None else taxonomy
    types = [torch.int32, torch.int64] + ([torch.uint8] if taxonomy.ignore_id <= 255 else [])
    ids = [*range(len(taxonomy)), taxonomy.ignore_id]
    return LabelMap(draw(id_grids(ids, draw(st.sampled_from(types)))), taxonomy)


@st.composite
def panoptic_maps(draw, taxonomy=None):
    """A panoptic map whose segments have any ids and any order."""
    taxonomy = draw(taxonomies()) if taxonomy is None else taxonomy
    names = draw(st.lists(st.integers(1, 10**6), min_size=1, max_size=6, unique=True))
    grid = draw(id_grids([0, *names]))
    segments, stuff = [], set()
    for name in draw(st.permutations(sorted(set(grid.unique().tolist()) - {0}))):
        free = [i for i, c in enumerate(taxonomy.categories) if c.is_thing or i not in stuff]
        if not free:
            grid[grid == name] = 0
            continue
        category_id = draw(st.sampled_from(free))
        if not taxonomy.categories[category_id].is_thing:
            stuff.add(category_id)
        score = draw(st.sampled_from([0.0, 0.25, 1.0]))
        segments.append(Segment(name, category_id, score, draw(st.booleans())))
    return PanopticMap(grid, tuple(segments), taxonomy)


@st.composite
def instance_sets(draw, taxonomy, size):
    """Objects that may overlap or be empty."""
    count = draw(st.integers(0, 4))
    pixels = draw(
        st.lists(
            st.booleans(), min_size=count * size[0] * size[1], max_size=count * size[0] * size[1]
        )
    )
    things = list(taxonomy.thing_ids)
    count = count if things else 0
    masks = torch.tensor(pixels, dtype=torch.bool)[: count * size[0] * size[1]]
    ids = [draw(st.sampled_from(things)) for _ in range(count)]
    return InstanceSet.from_masks(
        masks.reshape(count, *size), torch.tensor(ids, dtype=torch.int64), taxonomy
    )
