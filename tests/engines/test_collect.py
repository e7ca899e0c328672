"""Prompts become judged rollouts: in order, judged as they finish, and never longer than the context."""

import threading
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future
from itertools import islice

import pytest
from tiny_runs import JudgeHere, prompts, tokenizer
from torch import Tensor

from acereason.engines.collect import Collected, SamplingJob, collect
from acereason.engines.engine import Engine, Generation, Request, Sampling, never
from acereason.engines.prompt import check_lengths, make_prompt
from acereason.engines.rollout import Rollout
from acereason.engines.scripted_engine import ScriptedEngine
from acereason.errors import UserError
from acereason.problems.problem import Problem
from acereason.verifiers.pool.pool import VerifierPool
from acereason.verifiers.verifier import Verdict

RIGHT = Verdict(1.0, "", "correct", 0.0)


class BackwardsEngine:
    """Finishes the last request first and tells a watcher before and after each response."""

    def __init__(self, log: list[str]) -> None:
        self.log = log
        self.requests: Sequence[Request] = ()

    def generate(self, requests: Iterable[Request], sampling: Sampling, *_: object) -> Iterator[Generation]:
        self.requests = list(requests)
        for request in reversed(self.requests):
            self.log.append(f"finish {request.id}")
            ids = tokenizer().encode(f"{request.id}")
            yield Generation(request.id, tuple(ids), (-0.5,) * len(ids), False)
        self.log.append("end")

    def sync(self, weights: Iterable[tuple[str, Tensor]]) -> None:
        pass

    def sleep(self) -> None:
        pass

    def close(self) -> None:
        pass


def collect_with(engine: Engine, submit, samples: int = 2, count: int = 3) -> Collected:
    phase = SamplingJob(prompts(count), samples, Sampling(8), lambda p, n: 1000 * len(p.question) + n)
    return collect(engine, submit, tokenizer(), phase, range(len(phase)))


def groups_of(collected: Collected, samples: int = 2) -> list[list[Rollout]]:
    assert collected.complete
    assert list(collected.rollouts) == list(range(len(collected.rollouts)))
    rollouts = list(collected.rollouts.values())
    return [rollouts[first : first + samples] for first in range(0, len(rollouts), samples)]


def test_groups_are_in_order_whatever_finishes_first() -> None:
    collected = collect_with(BackwardsEngine([]), JudgeHere(lambda p, r: float(r == "4")).submit)
    assert [[r.response for r in group] for group in groups_of(collected)] == [["0", "1"], ["2", "3"], ["4", "5"]]
    assert [[r.sample for r in group] for group in groups_of(collected)] == [[0, 1]] * 3
    assert [[r.verdict.reward for r in group] for group in groups_of(collected)] == [[0, 0], [0, 0], [1, 0]]
    for group, prompt in zip(groups_of(collected), prompts(3), strict=True):
        assert {(r.problem.id, r.prompt, r.prompt_ids) for r in group} == {(prompt.problem.id, prompt.text, prompt.ids)}


def test_numbers_are_asked_for_as_there_is_room_and_only_those_are_answered() -> None:
    asked: list[int] = []

    class TwoAtATime(ScriptedEngine):
        """Holds two requests, and notes how many numbers were drawn when each response is finished."""

        def generate(self, requests, sampling, concurrency=None, should_stop=never) -> Iterator[Generation]:
            waiting, running = iter(requests), []
            while running or (running := list(islice(waiting, 2))):
                seen.append(len(asked))
                yield Generation(running.pop(0).id, (5,), (0.0,), False)

    def numbers() -> Iterator[int]:
        for number in (4, 0, 5):
            asked.append(number)
            yield number

    seen: list[int] = []
    phase = SamplingJob(prompts(3), 2, Sampling(8), lambda p, n: n)
    collected = collect(TwoAtATime(lambda r: [5]), JudgeHere(lambda p, r: 0.0).submit, tokenizer(), phase, numbers())
    assert seen == [2, 2, 3]
    assert [(n, r.problem.id, r.sample) for n, r in collected.rollouts.items()] == [
        (0, prompts(3)[0].problem.id, 0),
        (4, prompts(3)[2].problem.id, 0),
        (5, prompts(3)[2].problem.id, 1),
    ]


def test_a_stop_in_the_middle_of_generation_leaves_nothing_half_done() -> None:
    answered: list[str] = []
    phase = SamplingJob(prompts(3), 2, Sampling(8), lambda p, n: n)
    submit = JudgeHere(lambda p, r: answered.append(r) or 0.0).submit
    engine = ScriptedEngine(lambda r: [5])
    collected = collect(engine, submit, tokenizer(), phase, range(6), None, lambda: len(answered) == 3)
    assert (len(answered), collected.complete, collected.rollouts) == (3, False, {})


def test_every_response_is_submitted_before_the_next_one_is_finished() -> None:
    log: list[str] = []

    def submit(problem: Problem, response: str) -> "Future[Verdict]":
        log.append(f"judge {response}")
        future: Future[Verdict] = Future()
        future.set_result(RIGHT)
        return future

    collect_with(BackwardsEngine(log), submit)
    assert log == [word for i in range(5, -1, -1) for word in (f"finish {i}", f"judge {i}")] + ["end"]


def test_verdicts_are_awaited_only_when_generation_is_over() -> None:
    log: list[str] = []
    waiting: list[Future[Verdict]] = []

    def submit(problem: Problem, response: str) -> "Future[Verdict]":
        waiting.append(Future())
        if len(waiting) == 6:
            threading.Timer(0.1, lambda: [future.set_result(RIGHT) for future in waiting]).start()
        return waiting[-1]

    collected = collect_with(BackwardsEngine(log), submit)
    assert log[-1] == "end"
    assert [r.verdict for group in groups_of(collected) for r in group] == [RIGHT] * 6
    assert collected.verify_exposed_seconds > 0.05


def test_each_request_carries_its_prompt_and_its_own_seed() -> None:
    engine = BackwardsEngine([])
    collect_with(engine, JudgeHere(lambda p, r: 0.0).submit)
    assert [request.prompt_ids for request in engine.requests] == [p.ids for p in prompts(3) for _ in range(2)]
    assert [request.seed for request in engine.requests] == [
        1000 * len(p.problem.question) + n for p in prompts(3) for n in range(2)
    ]


def test_real_verifiers_judge_the_text_without_its_end_token(verifiers: VerifierPool) -> None:
    answers = [p.problem.answer for p in prompts(3)]

    def script(request: Request) -> list[int]:
        right = int(answers[request.id // 2])
        said = right if request.id % 2 == 0 else (right + 1) % 10
        return [*tokenizer().encode(f"a</think>\n\\boxed{{{said}}}"), tokenizer().eos_token_id]

    phase = SamplingJob(prompts(3), 2, Sampling(30), lambda p, n: n)
    collected = collect(ScriptedEngine(script), verifiers.submit, tokenizer(), phase, range(6))
    assert [[r.verdict.reward for r in group] for group in groups_of(collected)] == [[1, 0]] * 3
    assert [group[0].verdict.extracted for group in groups_of(collected)] == answers
    assert all(r.response.endswith("}") for group in groups_of(collected) for r in group)
    assert all(r.generation.token_ids[-1] == tokenizer().eos_token_id for group in groups_of(collected) for r in group)


def test_a_prompt_is_the_chat_template_and_its_tokens_are_its_text() -> None:
    problem = prompts(1)[0].problem
    prompt = make_prompt(problem, tokenizer())
    assert prompt.text.startswith("<｜User｜>Start at ")
    assert prompt.text.endswith("<｜Assistant｜><think>\n")
    assert tokenizer().decode(prompt.ids) == prompt.text


def test_prompt_and_longest_response_may_fill_the_context_to_the_last_token() -> None:
    longest = max(len(prompt.ids) for prompt in prompts(8))
    check_lengths(prompts(8), 100, longest + 100)
    with pytest.raises(UserError):
        check_lengths(prompts(8), 100, longest + 99)


def test_a_response_that_does_not_fit_is_one_line_with_the_prompt_and_the_numbers() -> None:
    longest = max(prompts(8), key=lambda prompt: len(prompt.ids))
    with pytest.raises(UserError) as caught:
        check_lengths(prompts(8), 500, 512)
    message = str(caught.value)
    assert "\n" not in message
    for part in ("500", "512", longest.problem.id, f"({len(longest.ids)} tokens)", "curriculum.max_response_tokens"):
        assert part in message
