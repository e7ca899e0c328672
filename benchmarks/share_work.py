"""Simulates one generation phase on many engines: what sharing single responses gains over sharing prompts out.

    python benchmarks/share_work.py [--seeds 5] [--engines 128] [--max-num-seqs 256]

An event simulation, not a measurement; no GPU, about two minutes on one core. Each engine decodes its running
responses in lockstep; a step takes longer the more of them there are and the more tokens they hold. When the KV cache
is full, the youngest response waits and is computed again later, as in vLLM. All engines start at once; the phase ends
with the last response of the slowest. Means and standard deviations over seeds: `idle` is 1 - mean(busy) / max(busy)
over the engines, where busy is the time until an engine's own last response; `seconds` the time until the last of all.
Every policy sees the same lengths. Left out: engines that differ in speed. A reader may conclude how policies compare
under these constants; the seconds are no promise.

    whole prompts     each engine gets an equal, contiguous share of the prompts, all responses to them, at the start
    fixed             `engine.work=fixed`: an equal, contiguous share of the order of `draw_order`
    queue             `engine.work=queue`: engines draw the next response in that order whenever they have room. At the
                      start each fills all its room before the next one draws
