"""The published JSON is what Python's own ``json`` would write, indented by one space."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from mars_server.common.jsontext import encode_json

FINITE = st.floats(allow_nan=False, allow_infinity=False)
SCALARS = st.none() | st.booleans() | st.integers() | FINITE | st.text()
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(VALUES)
def test_the_bytes_are_those_of_the_standard_library(value: object) -> None:
    assert encode_json(value) == (json.dumps(value, indent=1) + "\n").encode("ascii")
