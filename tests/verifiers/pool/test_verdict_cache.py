"""Sharing cache: who waits for which, and what is forgotten."""

from concurrent.futures import Future

from acereason.problems.problem import Problem
from acereason.verifiers.pool.verdict_cache import Judgement, VerdictCache
from acereason.verifiers.verifier import Verdict


def asked(cache: VerdictCache, gold: str, answer: str, **about: str) -> tuple[Judgement | None, "Future[Verdict]"]:
    future: Future[Verdict] = Future()
    return cache.ask(Problem(gold + answer, "math", **{"question": "?"} | about, answer=gold), answer, future), future


def test_gold_and_answer_alone_tell_judgements_apart() -> None:
    cache = VerdictCache()
    assert asked(cache, "5", "6")[0] is not None
    assert asked(cache, "5", "6", question="another", source="elsewhere")[0] is None
    assert asked(cache, "6", "5")[0] is not None
    assert asked(cache, "56", "")[0] is not None
    assert cache.shared == 1


def test_one_judgement_settles_all_who_wait_and_those_who_come_later() -> None:
    cache = VerdictCache()
    judgement, first = asked(cache, "5", "5")
    _, second = asked(cache, "5", "5")
    assert judgement
    cache.settle(judgement, 1.0, "correct", 0.25)
    _, later = asked(cache, "5", "5")
    assert first.result(0) == Verdict(1.0, "5", "correct", 0.25)
    assert second.result(0) == later.result(0) == Verdict(1.0, "5", "correct", 0.0)
    assert cache.shared == 2


def test_a_failure_is_shared_and_forgotten() -> None:
    cache = VerdictCache()
    judgement, first = asked(cache, "5", "7")
    _, second = asked(cache, "5", "7")
    assert judgement
    cache.fail(judgement, "timeout", 5.0)
    assert first.result(0) == Verdict(0.0, "7", "timeout", 5.0)
    assert second.result(0) == Verdict(0.0, "7", "timeout", 0.0)
    assert asked(cache, "5", "7")[0] is not None


def test_of_more_verdicts_than_are_remembered_the_least_asked_for_goes() -> None:
    cache = VerdictCache(remembered=2)
    for answer in ("1", "2"):
        judgement, _ = asked(cache, "5", answer)
        assert judgement
        cache.settle(judgement, 0.0, "wrong", 0.1)
    assert asked(cache, "5", "1")[1].done()
    judgement, _ = asked(cache, "5", "3")
    assert judgement
    cache.settle(judgement, 0.0, "wrong", 0.1)
    assert [asked(cache, "5", answer)[1].done() for answer in ("1", "3", "2")] == [True, True, False]
