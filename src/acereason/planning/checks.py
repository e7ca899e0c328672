"""What can be known to fail before anything heavy is imported: settings, missing files, long responses."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from acereason.config.checks import check_settings
from acereason.config.fields import shown
from acereason.config.model_families import check_family
from acereason.config.model_files import check_length, nearest_path
from acereason.config.schema import Config, ProblemsConfig
from acereason.errors import UserError
from acereason.problems.laptop import CODE_LEVELS, MATH_LEVELS
from acereason.problems.loaders import BUILT_IN, FIRST_SOURCE, sources
from acereason.problems.prompt_style import read_style
from acereason.problems.word_problems import LEVELS


def check(config: Config) -> list[str]:
    """Refuse what cannot work, as far as the standard library can tell.

    Returns:
        With `validate_only`, what training needs and this machine lacks, in words: a run planned on a laptop has its
        problems and its sandbox elsewhere. Without it, that is refused too.

    Raises:
        UserError: the first problem found, with the setting, its value and what to do instead.
    """
    check_settings(config)
    _check_checkpoint(config.ckpt)
    read_style(config.prompts)
    missing: list[str] = []
    for name, source in sources(config).items():
        key = name if name == FIRST_SOURCE else f"more_problems.{name}"
        _check_levels(source, key)
        missing += [text for text in _missing(config, source, key) if text not in missing]
    if missing and not config.validate_only:
        raise UserError(missing[0])
    check_length(config, "curriculum.max_response_tokens", config.curriculum.max_response_tokens)
    check_length(config, "evaluation.max_response_tokens", config.evaluation.max_response_tokens)
    check_family(config.model.path)
    return missing


def _check_checkpoint(ckpt: str) -> None:
    if ckpt not in ("", "last", "best", "auto") and not Path(ckpt).exists():
        raise UserError(f"ckpt={shown(ckpt)}: no such checkpoint; {nearest_path(ckpt, 'last')}")


def _check_levels(source: ProblemsConfig, key: str) -> None:
    """Refuse levels that built-in problems do not have; `key` is what the settings call the source."""
    if source.path not in BUILT_IN:
        return
    if source.path == "word_problems" and source.domain.value != "math":
        raise UserError(f"{key}.path=word_problems: these are problems of domain math; set {key}.domain=math")
    of_laptop = MATH_LEVELS if source.domain.value == "math" else CODE_LEVELS
    lowest, highest = LEVELS if source.path == "word_problems" else of_laptop
    if not lowest <= source.levels[0] <= source.levels[1] <= highest:
        wanted = f"{key}.levels={shown(list(source.levels))}"
        kind = "word" if source.path == "word_problems" else source.domain.value
        raise UserError(f"{wanted}: built-in {kind} problems have levels {lowest} to {highest}")


def _missing(config: Config, source: ProblemsConfig, key: str) -> Iterator[str]:
    """Yield what training on a source needs and this machine lacks; raise for settings that cannot work anywhere."""
    if source.domain.value == "code":
        from acereason.sandbox.isolation import check_sandbox, find_isolation

        check_sandbox(config.sandbox)
        try:
            find_isolation(config.sandbox)
        except UserError as error:
            yield str(error)
    path = source.path
    if path not in BUILT_IN and not path.startswith("hub:") and not Path(path).expanduser().exists():
        yield f"{key}.path={shown(path)}: no such file; {nearest_path(path, *BUILT_IN)}"
