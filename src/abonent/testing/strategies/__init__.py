"""Hypothesis strategies for what abonent takes and gives, valid and nearly valid.

`of(X)` gives values of any record of ours. For most, `st.from_type(X)` does the same in any test,
since Hypothesis learns of them through its entry point; those of the rooms that need more than
attrs and msgspec, such as `GateChanged`, are had by `of` only.
"""

from abonent.testing.strategies.histories import History, histories, reachable
from abonent.testing.strategies.near_misses import NearMiss, near_misses, nearly_valid
from abonent.testing.strategies.records import arguments, of
from abonent.testing.strategies.values import (
    aware_instants,
    ids,
    mobile_numbers,
    naive_instants,
    spellings,
    subscriber_numbers,
    user_ids,
)

__all__ = [
    "History",
    "NearMiss",
    "arguments",
    "aware_instants",
    "histories",
    "ids",
    "mobile_numbers",
    "naive_instants",
    "near_misses",
    "nearly_valid",
    "of",
    "reachable",
    "spellings",
    "subscriber_numbers",
    "user_ids",
]
