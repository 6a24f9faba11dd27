"""The taxonomies of the drawn scenes: kinds of stuff and things, and the parts of things."""

from segscape.structures import Category, Taxonomy

SCENE_TAXONOMY = Taxonomy(
    (
        Category("sky", (120, 180, 230)),
        Category("hill", (110, 120, 160)),
        Category("grass", (110, 190, 90)),
        Category("road", (128, 64, 128)),
        Category("water", (30, 90, 200)),
        Category("house", (200, 90, 50), is_thing=True),
        Category("tree", (20, 110, 50), is_thing=True),
        Category("car", (220, 30, 60), is_thing=True),
        Category("person", (250, 200, 40), is_thing=True),
        Category("boat", (240, 240, 240), is_thing=True),
        Category("ball", (250, 120, 200), is_thing=True),
    )
)

PART_TAXONOMY = Taxonomy(
    (
        *SCENE_TAXONOMY.categories,
        Category("house wall", (230, 160, 110), part_of="house"),
        Category("house roof", (150, 40, 20), part_of="house"),
        Category("house window", (160, 210, 220), part_of="house"),
        Category("house door", (90, 50, 30), part_of="house"),
        Category("tree crown", (60, 150, 70), part_of="tree"),
        Category("tree trunk", (110, 80, 50), part_of="tree"),
        Category("car body", (240, 80, 110), part_of="car"),
        Category("car window", (90, 160, 190), part_of="car"),
        Category("car wheel", (50, 50, 60), part_of="car"),
        Category("person head", (255, 220, 180), part_of="person"),
        Category("person torso", (230, 150, 0), part_of="person"),
        Category("person legs", (120, 100, 200), part_of="person"),
        Category("boat hull", (190, 190, 210), part_of="boat"),
        Category("boat sail", (255, 250, 200), part_of="boat"),
    )
)
