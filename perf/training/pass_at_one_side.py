"""Held-out pass@1 of a model before any training, for `word_problems.py`.

    python -m perf.training.pass_at_one_side KEY=VALUE ...

Takes the settings of train.py. The last line printed is a JSON object.
"""

from __future__ import annotations

import json
import sys

from acereason.config.compose import compose
from acereason.engines.engine import Sampling
from acereason.engines.session import open_session
from acereason.evaluation.evaluate import evaluate, evaluation_key
from acereason.problems.loaders import load_problems
from acereason.training.build import quiet


def main() -> None:
    """Sample responses to the held-out problems, judge them, and print how many are right."""
    quiet()
    config = compose(sys.argv[1:])
    _, held_out = load_problems(config.problems)
    asked = config.evaluation
    sampling = Sampling(asked.max_response_tokens, asked.temperature, asked.top_p)
    with open_session(config, held_out) as session:
        prompts = list(session.prompts.values())
        key = evaluation_key(config.seed)
        results = evaluate(session.engines, prompts, sampling, samples=asked.samples_per_problem, key=key)
    print(json.dumps(results.metrics()))


if __name__ == "__main__":
    main()
