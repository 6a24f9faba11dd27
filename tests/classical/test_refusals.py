from typing import Literal

import pytest

from segscape.classical.refusals import refuse_other, refuse_seed
from segscape.structures import MethodError


def test_another_choice_is_refused_with_those_there_are():
    with pytest.raises(MethodError, match='m got cut=\'halves\': expected "two" or "many"'):
        refuse_other("m", "cut", "halves", Literal["two", "many"])
    refuse_other("m", "cut", "two", Literal["two", "many"])


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_seeds_that_generators_do_not_take_are_refused(seed):
    with pytest.raises(MethodError, match=f"m got seed={seed}, expected 0 to 4294967295"):
        refuse_seed("m", seed)
    refuse_seed("m", 2**32 - 1)
