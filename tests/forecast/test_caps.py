"""
Caps of attempts and outputs that stand in the program itself.
"""

import numpy as np
import pytest
import small
from msgspec.structs import replace

from solvent.forecast._caps import caps_of
from solvent.forecast._chances import chances
from solvent.forecast._counts import Count, Fixed, Lognormal, NegativeBinomial, OneOf, Rare
from solvent.forecast._model import Call, Wishes, every

COUNTS = [
    Count(usual=Lognormal(p50=100, p95=300, most=900)),
    Count(usual=Lognormal(p50=100, p95=300, most=900), rare=Rare(share=0.02, least=500, most=2_000)),
    Count(usual=Lognormal(p50=5, p95=5, most=None)),
    Count(usual=NegativeBinomial(mean=5, size=2, least=1, most=50), rare=Rare(share=0.02, least=0, most=2_000)),
    Count(usual=OneOf((0, 5), (0.99, 0.01))),
    Count(usual=Fixed(7)),
]


def writing(output, *, may_block):
    call = replace(small.call(), output=output)
    return replace(small.workflow(call), wishes=Wishes(may_block=may_block))


def cap_of(workflow):
    (call,) = [block for block in every(workflow.graph) if isinstance(block, Call)]
    table = chances(call.output[0])
    return table.least + int(np.searchsorted(np.cumsum(table.of), 1 - workflow.wishes.may_block - 1e-12))


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("may_block", [0.001, 0.01, 0.1])
def test_an_output_is_cut_where_its_table_says(count, may_block):
    workflow = writing((count,), may_block=may_block)
    expected = cap_of(workflow)

    found = [cap.enough for cap in caps_of(workflow)]

    assert found == ([] if count.most is not None and expected >= count.most else [expected])


def test_an_output_too_wide_to_be_listed_is_cut_all_the_same():
    workflow = writing((Count(usual=Lognormal(p50=100, p95=3_000, most=None)),), may_block=0.05)

    (cap,) = caps_of(workflow)

    assert cap.declared is None
    assert cap.enough == 3_000
