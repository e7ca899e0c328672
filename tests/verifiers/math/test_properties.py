"""Any answer, written in any two ways, is equal to itself; changed in one place it is not; layout changes nothing."""

import math

import pytest
from hypothesis import given, note, settings
from hypothesis import strategies as st
from math_strategies import KINDS
from math_strategies.kind import Kind
from math_strategies.rationals import RATIONALS, spell_rational
from math_strategies.trigonometry import ANGLES, IDENTITIES
from math_strategies.typesetting import typeset

from acereason.verifiers.math.compare import compare

kinds = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
examples = settings(derandomize=True, deadline=None, max_examples=150)


def is_equal(gold: str, answer: str) -> bool:
    note(f"gold   {gold}\nanswer {answer}")
    return compare(gold, answer) == "correct"


@kinds
@examples
@given(data=st.data())
def test_two_ways_to_write_a_value_are_equal(kind: Kind, data: st.DataObject) -> None:
    value = data.draw(kind.values)
    one, other = (data.draw(kind.spellings(value)) for _ in range(2))
    assert is_equal(one, other)
    assert is_equal(other, one)


@kinds
@examples
@given(data=st.data())
def test_values_that_differ_in_one_place_are_not_equal(kind: Kind, data: st.DataObject) -> None:
    value = data.draw(kind.values)
    changed = data.draw(kind.others(value))
    one, other = data.draw(kind.spellings(value)), data.draw(kind.spellings(changed))
    assert not is_equal(one, other)
    assert not is_equal(other, one)


@kinds
@examples
@given(data=st.data())
def test_layout_changes_no_verdict(kind: Kind, data: st.DataObject) -> None:
    value = data.draw(kind.values)
    changed = data.draw(st.just(value) | kind.others(value))
    gold, answer = data.draw(kind.spellings(value)), data.draw(kind.spellings(changed))
    assert is_equal(data.draw(typeset(gold)), data.draw(typeset(answer))) == is_equal(gold, answer)


@examples
@given(data=st.data(), name=st.sampled_from(["x=", "x = ", "A=", r"\theta=", "N = ", "f(2)=", "a_1="]))
def test_a_name_before_a_number_may_be_left_out(data: st.DataObject, name: str) -> None:
    value = data.draw(RATIONALS.values)
    named, bare = name + data.draw(spell_rational(value)), data.draw(spell_rational(value))
    assert is_equal(named, bare)
    assert is_equal(bare, named)
    other = data.draw(spell_rational(data.draw(RATIONALS.others(value))))
    assert not is_equal(named, other)
    assert not is_equal(other, named)


# --- the strategies themselves


def values_of(identity: str, u: float, v: float) -> list[float]:
    """What Python makes of every form of an identity."""
    scope = {"sin": math.sin, "cos": math.cos, "tan": math.tan, "pi": math.pi, "u": u, "v": v}
    return [eval(python, scope) for _, python in IDENTITIES[identity]]


@pytest.mark.parametrize("identity", IDENTITIES)
def test_the_identities_hold(identity: str) -> None:
    for u, v in ((0.3, 0.8), (-1.1, 2.3), (2.0, -0.6)):
        assert values_of(identity, u, v) == pytest.approx([values_of(identity, u, v)[0]] * len(IDENTITIES[identity]))


def test_no_identity_is_another_one() -> None:
    assert len({round(values_of(identity, 0.3, 0.8)[0], 6) for identity in IDENTITIES}) == len(IDENTITIES)
    assert len({angle for angle, _ in ANGLES}) == len(ANGLES)


@kinds
@examples
@given(data=st.data())
def test_every_change_changes_the_value(kind: Kind, data: st.DataObject) -> None:
    value = data.draw(kind.values)
    changed = data.draw(kind.others(value))
    assert kind.canonical(changed) != kind.canonical(value)
