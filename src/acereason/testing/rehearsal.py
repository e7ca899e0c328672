"""Tries a curriculum callback before it costs GPU hours: do all ranks decide the same, and does a resumed run?

A rehearsal has a curriculum, problems, batches and metrics like a run, and calls the same hooks in the same order; a
script makes up the responses. There is no policy and no engine: a callback that generates or measures
(`trainer.datamodule.engines`, `sync_engine`) needs a run. In a test of yours:

    from acereason.testing.rehearsal import assert_ranks_agree, assert_resumes

    def test_mine() -> None:
        assert_ranks_agree(lambda: Mine(every=3))
        assert_resumes(lambda: Mine(every=3))
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from acereason.testing.ranks import RankReport, packed_job, rank_pair
from acereason.testing.rollouts import SampleRequest, Script, ScriptedResponse, uneven
from acereason.testing.run import MakeCallback, RehearsedRun, small_config
from acereason.testing.snapshots import Difference, Snapshot, first_difference

__all__ = ["SampleRequest", "ScriptedResponse", "assert_ranks_agree", "assert_resumes", "rehearse", "uneven"]

NEARLY = 1e-6
"""Tolerance for sums over the rollouts of one rank and over those of two, which round differently."""


def rehearse(
    make_callback: MakeCallback, steps: int = 16, *, script: Script = uneven, settings: Sequence[str] = ()
) -> RehearsedRun:
    """Take a callback through a run of one rank, in this process.

    Args:
        make_callback: returns a new callback, or several in the order of the settings.
        steps: number of rollout steps.
        script: makes up each response.
        settings: such as `curriculum.temperature=0.6`, in addition to `acereason.testing.run.SMALL`.

    Returns:
        The run: `curriculum` and its history, `trainer`, `module`, the callbacks `own`, and `snapshots`, what they had
        decided after each hook.

    Raises:
        UserError: the callback refuses the settings, or gives the curriculum a value that is out of range.
    """
    return RehearsedRun(make_callback, small_config(steps, settings), script).run()


def assert_ranks_agree(
    make_callback: MakeCallback,
    steps: int = 16,
    *,
    script: Script = uneven,
    settings: Sequence[str] = (),
    seconds: float = 60.0,
) -> None:
    """Rehearse with all rollouts on one rank, and with the same ones divided between two: real ones, a process each.

    The two processes are started once and serve all later calls. What has to be the same is the curriculum, its
    history, what the callback saves, `trainer.should_stop`, resets of the optimizer, and what it adds to
    `module.metrics`.

    Args:
        make_callback, steps, script, settings: as for `rehearse`; they travel to the processes by cloudpickle.
        seconds: how long the ranks may take, once their processes have started.

    Raises:
        AssertionError: something differs, or a rank does not reach the end; it says at which step, and what to do.
    """
    config = small_config(steps, settings)
    reports = rank_pair().rehearse(packed_job(make_callback, config, script), seconds)
    try:
        alone = RehearsedRun(make_callback, config, script).run()
    finally:
        both = reports()
    _check_completed(both)
    if difference := first_difference(both[0].snapshots, both[1].snapshots):
        raise AssertionError(_message(difference, "on rank 0", "on rank 1", _SAME_ON_ALL))
    if difference := first_difference(alone.snapshots, both[0].snapshots, NEARLY):
        raise AssertionError(_message(difference, "with one rank", "with the same rollouts on two", _SAME_ON_ALL))


def assert_resumes(
    make_callback: MakeCallback, steps: int = 16, *, script: Script = uneven, settings: Sequence[str] = ()
) -> None:
    """Rehearse to the end, then again from every interruption with new callbacks.

    An interruption is a kill after the checkpoint of a step, or a stop during the rollouts of a step, after which
    `on_rollouts_start` runs a second time for that step.

    Args:
        make_callback, steps, script, settings: as for `rehearse`.

    Raises:
        AssertionError: a resumed run differs; it says from which step on, and what to do.
    """
    config = small_config(steps, settings)
    whole = RehearsedRun(make_callback, config, script).run()
    for step, checkpoint, where, instead in _interruptions(whole):
        resumed = RehearsedRun(make_callback, config, script)
        try:
            resumed.run(checkpoint)
        except Exception as error:
            raise AssertionError(f"{where}: {error!r}\n{instead}") from error
        later = resumed.snapshots[1:]  # a run that was not interrupted has no start here
        expected = [snapshot for snapshot in whole.snapshots if _is_after(snapshot, step)]
        if difference := first_difference(expected, later):
            raise AssertionError(_message(difference, "in the run that was not interrupted", f"when {where}", instead))


def _interruptions(whole: RehearsedRun) -> Iterator[tuple[int, bytes, str, str]]:
    """Yield of each its step, its checkpoint, its name, and what to do if the resumed run differs."""
    for step, checkpoint in enumerate(whole.saved[:-1], 1):
        yield step, checkpoint, f"resumed from the checkpoint of step {step}", _IN_STATE
    for step, checkpoint in enumerate(whole.stopped[1:], 1):  # a stop in the first rollouts saves nothing
        yield step, checkpoint, f"stopped in the rollouts of step {step} and resumed", _TWICE


def _is_after(snapshot: Snapshot, step: int) -> bool:
    return snapshot.step > step or (snapshot.step == step and snapshot.hook == "on_rollouts_start")


_SAME_ON_ALL = (
    "`batch` holds the rollouts of one rank only. Decide from module.metrics or trainer.callback_metrics, which are "
    "the same on all ranks, or gather what you need: acereason.distributed.collectives.gather(value) gives every rank "
    "the list of all ranks' values. Never decide from a rank's number, time, files or random numbers."
)
_IN_STATE = (
    "A callback's whole memory belongs in state_dict() and load_state_dict(), or in the curriculum; "
    "module.metrics and trainer.callback_metrics are empty until the first step after a resume."
)
_TWICE = (
    "A stop while rollouts are made saves what on_rollouts_start has changed, and calls it again for the same step: "
    "the result must be the same. Set a value that follows from the step instead of adding to the present one, or note "
    "in state_dict() at which step it was done, as callbacks/hard_prompt_refilter.py does."
)


def _message(difference: Difference, first: str, second: str, instead: str) -> str:
    lines = [
        f"{difference.when}: {difference.what} differs",
        f"  {first}: {difference.first}",
        f"  {second}: {difference.second}",
        *([f"  last changes: {difference.changes}"] if difference.changes else []),
        instead,
    ]
    return "\n".join(lines)


def _check_completed(reports: Sequence[RankReport]) -> None:
    for rank, report in sorted(enumerate(reports), key=lambda numbered: numbered[1].is_stuck):
        if report.error:
            where = str(report.snapshots[-1]) if report.snapshots else "before the first step"
            said = f"{where}: rank {rank} of {len(reports)} did not reach the end: {report.error}"
            raise AssertionError(f"{said}\n{_SAME_ON_ALL}")
