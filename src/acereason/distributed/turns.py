"""Work that one rank of each node does before the others look, such as a download."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TypeVar

from acereason.distributed.collectives import gather
from acereason.errors import UserError

T = TypeVar("T")


def first_on_each_node(act: Callable[[bool], T]) -> T:
    """Call `act` on one rank of each node and then on the others; return its result. All ranks call this together.

    Args:
        act: is told whether its rank is the first of its node.

    Raises:
        UserError: on every rank, if `act` raises it on one.
    """
    first = os.environ.get("LOCAL_RANK", "0") == "0"
    for my_turn in (first, not first):
        refusal: UserError | None = None
        if my_turn:
            try:
                found = act(first)
            except UserError as error:
                refusal = error
        for other in gather(refusal):
            if other:
                raise other
    return found
