"""Sharing judgements: who waits for which, and what is forgotten."""

from concurrent.futures import Future

from acereason.problems.problem import Problem
from acereason.verifiers.pool.verdict_cache import Judgement, Judgements
from acereason.verifiers.verifier import Verdict


def asked(judgements: Judgements, gold: str, answer: str, **about: str) -> tuple[Judgement | None, "Future[Verdict]"]:
    future: Future[Verdict] = Future()
    return judgements.ask(
        Problem(gold + answer, "math", **{"question": "?"} | about, answer=gold), answer, future
    ), future


def test_gold_and_answer_alone_tell_judgements_apart() -> None:
    judgements = Judgements()
    assert asked(judgements, "5", "6")[0] is not None
    assert asked(judgements, "5", "6", question="another", source="elsewhere")[0] is None
    assert asked(judgements, "6", "5")[0] is not None
    assert asked(judgements, "56", "")[0] is not None
    assert judgements.shared == 1


def test_one_judgement_settles_all_who_wait_and_those_who_come_later() -> None:
    judgements = Judgements()
    judgement, first = asked(judgements, "5", "5")
    _, second = asked(judgements, "5", "5")
    assert judgement
    judgements.settle(judgement, 1.0, "correct", 0.25)
    _, later = asked(judgements, "5", "5")
    assert first.result(0) == Verdict(1.0, "5", "correct", 0.25)
    assert second.result(0) == later.result(0) == Verdict(1.0, "5", "correct", 0.0)
    assert judgements.shared == 2


def test_a_failure_is_shared_and_forgotten() -> None:
    judgements = Judgements()
    judgement, first = asked(judgements, "5", "7")
    _, second = asked(judgements, "5", "7")
    assert judgement
    judgements.fail(judgement, "timeout", 5.0)
    assert first.result(0) == Verdict(0.0, "7", "timeout", 5.0)
    assert second.result(0) == Verdict(0.0, "7", "timeout", 0.0)
    assert asked(judgements, "5", "7")[0] is not None


def test_of_more_verdicts_than_are_remembered_the_least_asked_for_goes() -> None:
    judgements = Judgements(remembered=2)
    for answer in ("1", "2"):
        judgement, _ = asked(judgements, "5", answer)
        assert judgement
        judgements.settle(judgement, 0.0, "wrong", 0.1)
    assert asked(judgements, "5", "1")[1].done()
    judgement, _ = asked(judgements, "5", "3")
    assert judgement
    judgements.settle(judgement, 0.0, "wrong", 0.1)
    assert [asked(judgements, "5", answer)[1].done() for answer in ("1", "3", "2")] == [True, True, False]
