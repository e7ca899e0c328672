"""What can be known to fail before anything heavy is imported: values out of range, missing files, long responses."""

from __future__ import annotations

import math
from functools import reduce
from pathlib import Path
from typing import Any

from acereason.config.fields import settings, shown
from acereason.config.model_files import check_length, nearest_path
from acereason.config.schema import Config, ProblemsConfig
from acereason.errors import UserError
from acereason.problems.laptop import CODE_LEVELS, MATH_LEVELS
from acereason.problems.loaders import FIRST_SOURCE, sources
from acereason.rollout.curriculum import check_value
from acereason.verifiers.domains import check_domain

# Numbers are finite and at least 0 unless their range stands here: whether the ends belong to it, and the ends.
_RANGES = {
    "seed": "(-inf, inf)",
    "problems.seed": "(-inf, inf)",
    "problems.false_negatives": "[0, 1]",
    "problems.false_positives": "[0, 1]",
    "grpo.entropy_coefficient": "(-inf, inf)",
    "grpo.clip_low": "[0, 1]",
    "grpo.clip_high": "[0, inf]",
    "optimizer.beta1": "[0, 1)",
    "optimizer.beta2": "[0, 1)",
    "optimizer.max_grad_norm": "(0, inf]",
    "engine.gpu_memory_utilization": "(0, 1]",
    "curriculum.top_p": "(0, 1]",
    "evaluation.top_p": "(0, 1]",
} | dict.fromkeys(
    [
        "model.micro_batch_tokens",
        "model.head_chunk_tokens",
        "problems.count",
        "curriculum.max_response_tokens",
        "curriculum.prompts_per_step",
        "curriculum.rollouts_per_prompt",
        "curriculum.temperature",
        "grpo.updates_per_batch",
        "optimizer.eps",
        "engine.max_num_seqs",
        "engine.kv_cache_gib",
        "rewards.workers",
        "rewards.timeout_seconds",
        "rewards.memory_mib",
        "sandbox.time_limit_seconds",
        "sandbox.total_time_limit_seconds",
        "sandbox.memory_mib",
        "sandbox.output_mib",
        "sandbox.tmp_mib",
        "sandbox.processes",
        "evaluation.samples_per_problem",
        "evaluation.temperature",
        "engine.tensor_parallel_size",
        "trainer.timeout_minutes",
        "checkpoint.keep",
    ],
    "(0, inf)",
)


def check(config: Config) -> list[str]:
    """Refuse what cannot work, as far as the standard library can tell.

    Returns:
        With `validate_only`, what training needs and is not there yet, in words: a run planned on a laptop has its
        problems and its sandbox elsewhere. Otherwise that is refused, too.

    Raises:
        UserError: the first problem found, with the setting, its value and the way out.
    """
    _check_ranges(config)
    _check_batch(config)
    _check_run(config)
    missing: list[str] = []
    for name, source in sources(config).items():
        key = name if name == FIRST_SOURCE else f"more_problems.{name}"
        _check_source(source, key)
        missing += [text for text in _missing(config, source, key) if text not in missing]
    if missing and not config.validate_only:
        raise UserError(missing[0])
    check_length(config, "curriculum.max_response_tokens", config.curriculum.max_response_tokens)
    check_length(config, "evaluation.max_response_tokens", config.evaluation.max_response_tokens)
    return missing


def _check_ranges(config: Config) -> None:
    for key, setting in settings().items():
        value: Any = reduce(getattr, key.split("."), config)
        allowed = _RANGES.get(key, "[0, inf)")
        if setting.hint in (int, float) and not _inside(value, allowed):
            raise UserError(f"{key}={value}: must be {_range_words(value, allowed)}")


def _inside(value: float, allowed: str) -> bool:
    low, high = (float(end) for end in allowed[1:-1].split(","))
    above = value >= low if allowed[0] == "[" else value > low
    return above and (value <= high if allowed[-1] == "]" else value < high)


def _range_words(value: float, allowed: str) -> str:
    if allowed.endswith("inf)") and not math.isfinite(value):
        return "finite"
    low, high = allowed[1:-1].split(", ")
    words = [] if low == "-inf" else [f"at least {low}" if allowed[0] == "[" else f"above {low}"]
    if high != "inf":
        words.append(f"at most {high}" if allowed[-1] == "]" else f"below {high}")
    return " and ".join(words)


def _check_batch(config: Config) -> None:
    group = config.curriculum.rollouts_per_prompt
    check_value("rollouts_per_prompt", group, f"curriculum.rollouts_per_prompt={group}")
    prompts, updates = config.curriculum.prompts_per_step, config.grpo.updates_per_batch
    ranks = config.trainer.ranks
    where = f"{ranks} ranks (trainer.devices × trainer.num_nodes)"
    if prompts < ranks:
        raise UserError(f"curriculum.prompts_per_step={prompts}: fewer than the {where}; every rank needs one at least")
    if prompts % ranks:
        raise UserError(f"curriculum.prompts_per_step={prompts}: does not divide over {where}")
    if prompts % updates:
        raise UserError(
            f"grpo.updates_per_batch={updates}: does not divide curriculum.prompts_per_step={prompts} into equal parts"
        )
    for key, size in {
        "trainer.shard_ranks": config.trainer.shard_ranks or ranks,
        "engine.tensor_parallel_size": config.engine.tensor_parallel_size,
    }.items():
        if ranks % size:
            raise UserError(f"{key}={size}: does not divide the {where}")


def _check_run(config: Config) -> None:
    if Path(config.run.name).is_absolute() or ".." in Path(config.run.name).parts:
        raise UserError(f"run.name={shown(config.run.name)}: must be a folder under run.root={config.run.root}")
    if config.ckpt not in ("", "last", "best", "auto") and not Path(config.ckpt).exists():
        raise UserError(f"ckpt={shown(config.ckpt)}: no such checkpoint; {nearest_path(config.ckpt, 'last')}")


def _check_source(problems: ProblemsConfig, key: str) -> None:
    """`key` is what the settings call the source."""
    check_domain(problems.domain.value)
    if max(problems.false_negatives, problems.false_positives) > 0 and problems.domain.value != "code":
        raise UserError(f"{key}.false_negatives and false_positives are for code: {key}.domain={problems.domain.value}")
    low, high = problems.levels
    if low > high:
        raise UserError(f"{key}.levels={shown(list(problems.levels))}: lowest first, so [{high},{low}]")
    if problems.path == "laptop":
        lowest, highest = MATH_LEVELS if problems.domain.value == "math" else CODE_LEVELS
        if low < lowest or high > highest:
            wanted = f"{key}.levels={shown(list(problems.levels))}"
            raise UserError(f"{wanted}: built-in {problems.domain.value} problems have levels {lowest} to {highest}")
    elif problems.path == "hub:":
        raise UserError(f"{key}.path=hub:: expected hub:OWNER/NAME")


def _missing(config: Config, problems: ProblemsConfig, key: str) -> list[str]:
    """What training on a source needs and this machine lacks, in words; a setting that cannot work raises here, too."""
    missing: list[str] = []
    if problems.domain.value == "code":
        from acereason.sandbox.isolation import check_sandbox, find_isolation

        check_sandbox(config.sandbox)
        try:
            find_isolation(config.sandbox)
        except UserError as error:
            missing.append(str(error))
    path = problems.path
    if path != "laptop" and not path.startswith("hub:") and not Path(path).expanduser().exists():
        missing.append(f"{key}.path={shown(path)}: no such file; {nearest_path(path, 'laptop')}")
    return missing
