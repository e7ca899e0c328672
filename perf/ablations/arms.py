"""Each ablation: what it asks, which figure or table of the paper it repeats, its arms, and what is shown of them.

The settings were chosen once, before the first run: 128 responses a step, 8 a prompt, and as many steps as should
let all arms of all ablations with three seeds end within an hour on two idle cores (an estimate).
"""

from __future__ import annotations

from collections.abc import Sequence

from perf.ablations.ablation import Ablation, Arm, Column, Panel

START = "{start}"
"""Stands for the folder of the policy that math training left, in an arm that starts from it."""

EVERY_RUN = (
    *("recipe=laptop_math", "log.progress_bar=false", "log.rollouts=false", "log.samples=0"),
    *("checkpoint.every_n_steps=20", "checkpoint.keep=1", "checkpoint.best=", "checkpoint.export=false"),
    *("checkpoint.export_stages=false", "problems.held_out=64", "evaluation.samples_per_problem=4"),
    *("evaluation.every_n_steps=10", "curriculum.prompts_per_step=16", "curriculum.rollouts_per_prompt=8"),
)
CODE = (
    *("problems.domain=code", "problems.levels=[2,6]", "curriculum.stage=code"),
    *("curriculum.max_response_tokens=96", "evaluation.max_response_tokens=96"),
)


def starts_after_math(overrides: Sequence[str]) -> bool:
    """Return whether a run with these settings needs the policy that math training left."""
    return any(START in override for override in overrides)


def math_start(scale: float = 1.0) -> list[str]:
    """Return the settings of the math training whose policy `difficulty` and `math_first` start from."""
    return [
        *EVERY_RUN,
        "checkpoint.export=true",
        "evaluation.every_n_steps=0",
        f"trainer.max_steps={_steps(50, scale)}",
    ]


def ablations(scale: float = 1.0) -> dict[str, Ablation]:
    """Return every ablation by its name, with all numbers of steps multiplied by `scale`."""
    made = (_updates(scale), _wrong_rewards(scale), _difficulty(scale), _lengths(scale), _math_first(scale))
    return {ablation.name: ablation for ablation in made}


def _steps(steps: int, scale: float) -> int:
    return max(1, round(steps * scale))


def _updates(scale: float) -> Ablation:
    return Ablation(
        name="updates",
        asks="Does the entropy collapse when a batch of rollouts is used for several updates?",
        paper="Fig. 3c",
        settings=(f"trainer.max_steps={_steps(80, scale)}",),
        arms=(
            Arm("one", "1 update a batch", ("grpo.updates_per_batch=1",)),
            Arm("two", "2 updates a batch", ("grpo.updates_per_batch=2",)),
            Arm("four", "4 updates a batch", ("grpo.updates_per_batch=4",)),
        ),
        panels=(
            Panel("entropy (nats a token)", "policy/entropy", window=5),
            Panel("mean reward of the step", "reward/mean", window=5),
            Panel("held-out pass@1", "eval/pass@1"),
        ),
        columns=(
            Column("entropy, first 10 steps", "policy/entropy", "mean of the first 10"),
            Column("entropy, last 10 steps", "policy/entropy", "mean of the last 10"),
            Column("reward, last 10 steps", "reward/mean", "mean of the last 10"),
            Column("held-out pass@1 at the end", "eval/pass@1"),
        ),
    )


def _wrong_rewards(scale: float) -> Ablation:
    return Ablation(
        name="wrong_rewards",
        asks="What do tests that fail right programs, and tests that pass wrong ones, do to training on code?",
        paper="Fig. 5",
        settings=(*CODE, f"trainer.max_steps={_steps(60, scale)}"),
        arms=(
            Arm("right", "right tests"),
            Arm(
                "false_negatives",
                "false negatives: half of the problems expect a wrong output",
                ("problems.false_negatives=0.5",),
            ),
            Arm(
                "false_positives",
                "false positives: half of the problems have one weak test",
                ("problems.false_positives=0.5",),
            ),
        ),
        panels=(
            Panel("reward, as it was given", "reward/mean", window=5),
            Panel("held-out pass@1 (right tests)", "eval/pass@1"),
        ),
        columns=(
            Column("reward, first 10 steps", "reward/mean", "mean of the first 10"),
            Column("reward, last 10 steps", "reward/mean", "mean of the last 10"),
            Column("held-out pass@1 before", "eval/pass@1", "first"),
            Column("held-out pass@1 at the end", "eval/pass@1"),
        ),
    )


def _difficulty(scale: float) -> Ablation:
    def pool(solved: int) -> tuple[str, ...]:
        arguments = f"init_args: {{mode: measure, stages: [math], attempts: 16, keep_solved_at_most: {solved}}}"
        path = "callbacks.hard_prompt_refilter.HardPromptRefilter"
        return (f"callbacks.hard_prompts={{class_path: {path}, {arguments}}}",)

    return Ablation(
        name="difficulty",
        asks="Does a policy that has learnt already gain more from the problems that it still fails?",
        paper="Table 3",
        settings=(f"model.path={START}", "problems.count=384", f"trainer.max_steps={_steps(40, scale)}"),
        arms=(
            Arm("full", "full: all problems"),
            Arm("easy", "easy: solved at most 14 times in 16", pool(14)),
            Arm("medium", "medium: solved at most 10 times", pool(10)),
            Arm("hard", "hard: solved at most 6 times", pool(6)),
        ),
        panels=(
            Panel("mean reward of the step", "reward/mean", window=5),
            Panel("mixed groups (share)", "reward/mixed", window=5),
            Panel("held-out pass@1", "eval/pass@1"),
        ),
        columns=(
            Column("problems", "curriculum/pool", form=".0f"),
            Column("mixed groups", "reward/mixed", "mean of the first 10"),
            Column("held-out pass@1 before", "eval/pass@1", "first"),
            Column("held-out pass@1 at the end", "eval/pass@1"),
        ),
    )


def _lengths(scale: float) -> Ablation:
    def stages(*lengths: int) -> tuple[str, ...]:
        ends = f"ends: {{steps: {max(1, _steps(60, scale) // len(lengths))}}}"
        listed = ", ".join(f"{{name: tokens_{length}, max_response_tokens: {length}, {ends}}}" for length in lengths)
        path = "callbacks.stage_switch.StageSwitch"
        return (f"callbacks.stages={{class_path: {path}, init_args: {{stages: [{listed}]}}}}",)

    return Ablation(
        name="lengths",
        asks="Is it better to begin with short responses and extend them than to begin with long ones?",
        paper="Fig. 3b",
        settings=(
            "evaluation.max_response_tokens=96",
            "curriculum.max_response_tokens=72",
            f"trainer.max_steps={_steps(60, scale)}",
        ),
        arms=(
            Arm("short", "24 → 48 → 72 tokens", stages(24, 48, 72)),
            Arm("middle", "48 → 72 tokens", stages(48, 72)),
            Arm("long", "72 tokens", stages(72)),
        ),
        panels=(
            Panel("held-out pass@1 (limit 96 tokens)", "eval/pass@1", over="seconds"),
            Panel("held-out pass@1 (limit 96 tokens)", "eval/pass@1", over="tokens"),
            Panel("mean response length (tokens)", "response/length_mean", window=5),
        ),
        columns=(
            Column("time of all steps (s)", "time/step", "sum", ".0f"),
            Column("response tokens (thousands)", "response/tokens", "sum", ".0f", 1 / 1000),
            Column("mean length, last 10 steps", "response/length_mean", "mean of the last 10", ".1f"),
            Column("held-out pass@1 at the end", "eval/pass@1"),
        ),
    )


def _math_first(scale: float) -> Ablation:
    math = "more_problems.math={path: laptop, domain: math, levels: [2, 9], count: 16, held_out: 64}"
    return Ablation(
        name="math_first",
        asks="Does training on code begin higher and end higher after training on math?",
        paper="Fig. 2",
        settings=(*CODE, math, f"trainer.max_steps={_steps(60, scale)}"),
        arms=(
            Arm("initial", "code from the initial policy", ("model.path=models/laptop",)),
            Arm("after_math", "code after math", (f"model.path={START}",)),
        ),
        panels=(
            Panel("held-out code pass@1", "eval/code_pass@1"),
            Panel("held-out math pass@1", "eval/math_pass@1"),
        ),
        columns=(
            Column("code pass@1 before code", "eval/code_pass@1", "first"),
            Column("code pass@1 at the end", "eval/code_pass@1"),
            Column("math pass@1 before code", "eval/math_pass@1", "first"),
            Column("math pass@1 at the end", "eval/math_pass@1"),
        ),
    )
