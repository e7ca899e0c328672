"""Problems of a run of several ranks: one rank of each node downloads, and all have the same."""

from __future__ import annotations

import hashlib
from contextlib import nullcontext

from acereason.config.schema import Config
from acereason.distributed.collectives import gather
from acereason.distributed.turns import first_on_each_node
from acereason.errors import UserError
from acereason.problems.loaders import load_sources, sources
from acereason.problems.problem import Problem
from acereason.problems.rows import downloaded_before

Problems = tuple[dict[str, list[Problem]], list[Problem]]
"""The training problems of each source by its name, and the held-out problems of all."""


def load_together(config: Config) -> Problems:
    """Load all sources on all ranks together; only one rank of each node asks the hub.

    Raises:
        UserError: on every rank, if a source cannot be loaded on one, or ranks have loaded different problems.
    """
    from_hub = any(source.path.startswith("hub:") for source in sources(config).values())

    def load(first: bool) -> Problems:
        with nullcontext() if first or not from_hub else downloaded_before():
            return load_sources(config)

    problems = first_on_each_node(load)
    found = gather(_digest(problems))
    if len(set(found)) > 1:
        other = next(rank for rank, digest in enumerate(found) if digest != found[0])
        raise UserError(
            f"problems.path={config.problems.path}: ranks 0 and {other} have read different problems; give all nodes "
            "the same files, and the same version of a hub data set (or a folder: hub:FOLDER)"
        )
    return problems


def _digest(problems: Problems) -> str:
    digest = hashlib.sha256()
    for problem in (*(problem for source in problems[0].values() for problem in source), *problems[1]):
        digest.update(f"{problem.id}\0{problem.question}\0{problem.answer}\0".encode("utf-8", "surrogatepass"))
    return digest.hexdigest()
