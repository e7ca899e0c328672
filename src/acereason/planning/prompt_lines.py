"""The first prompt of each domain, as `validate_only` shows it; needs the model's tokenizer, but no weights."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from acereason.config.schema import Config, ProblemsConfig
from acereason.problems.loaders import BUILT_IN, load_problems, sources
from acereason.problems.problem import Problem

LONGEST = 4000
"""Characters of a prompt that are shown; a longer one loses its middle."""


def prompt_lines(config: Config) -> list[str]:
    """Return the prompt of the first problem of each domain, and what of the responses is judged, as lines of text.

    Raises:
        UserError: a file cannot be read, or the chat template does not write what the settings ask for.
    """
    folder = _folder(config.model.path)
    if folder is None:
        return [f"prompts      not shown: the tokenizer of {config.model.path} is not on this machine"]
    first: dict[str, Problem] = {}
    for source in sources(config).values():
        for problem in _first(source):
            first.setdefault(problem.domain, problem)
    if not first:
        return ["prompts      not shown: no source of problems is on this machine"]
    from transformers import AutoTokenizer

    from acereason.engines.thinking import prompts_and_rule

    prompts, rule = prompts_and_rule(config, first.values(), AutoTokenizer.from_pretrained(folder))
    lines = [f"thinking     {'required' if rule.required else 'optional'}: {rule.why}"]
    lines += [f"warning: {rule.warning}"] if rule.warning else []
    for prompt in prompts.values():
        lines.append(f"prompt       of the first {prompt.problem.domain} problem, {len(prompt.ids)} tokens:")
        lines += [f"  │ {line}" for line in _shown(prompt.text).split("\n")]
    return lines


def _folder(model: str) -> Path | None:
    """Return the folder with the model's tokenizer, its own or the hub's cache; None if it is not on this machine."""
    if Path(model).is_dir():
        return Path(model)
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(model, "tokenizer_config.json")
    return Path(found).parent if isinstance(found, str) else None


def _first(source: ProblemsConfig) -> Iterator[Problem]:
    """Yield the first problem of a source; none if it is elsewhere."""
    if source.path in BUILT_IN:
        yield load_problems(source)[0][0]
    elif Path(source.path).expanduser().is_file():
        yield load_problems(replace(source, limit=1, held_out=0))[0][0]


def _shown(text: str) -> str:
    if len(text) <= LONGEST:
        return text
    half = LONGEST // 2
    return f"{text[:half]}\n… {len(text) - LONGEST:,} characters …\n{text[-half:]}"
