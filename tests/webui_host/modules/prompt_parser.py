"""Conditions: for each image its prompts (AND), for each of them its schedule ([from:to:when])."""

from types import SimpleNamespace

import torch


class ScheduledPromptConditioning(SimpleNamespace):
    def __init__(self, end_at_step, cond):
        super().__init__(end_at_step=end_at_step, cond=cond)


class ComposableScheduledPromptConditioning(SimpleNamespace):
    def __init__(self, schedules, weight=1.0):
        super().__init__(schedules=schedules, weight=weight)


class MulticondLearnedConditioning(SimpleNamespace):
    def __init__(self, shape, batch):
        super().__init__(shape=shape, batch=batch)


def get_multicond_learned_conditioning(model, prompts, steps):
    batch = []
    for prompt in prompts:
        batch.append([])
        for part in prompt.split(" AND "):
            # "A -> B": the first half of the steps, then the second
            texts = part.split(" -> ")
            conds = model.get_learned_conditioning(texts)
            ends = [steps * (k + 1) // len(texts) for k in range(len(texts))]
            schedules = [ScheduledPromptConditioning(*pair) for pair in zip(ends, conds, strict=True)]
            batch[-1].append(ComposableScheduledPromptConditioning(schedules))
    return MulticondLearnedConditioning((len(prompts),), batch)


def reconstruct_multicond_batch(c, current_step):
    conds_list, conds = [], []
    for prompts in c.batch:
        conds_list.append([(len(conds) + k, prompt.weight) for k, prompt in enumerate(prompts)])
        for prompt in prompts:
            found = [one.cond for one in prompt.schedules if current_step <= one.end_at_step]
            conds.append(found[0] if found else prompt.schedules[0].cond)
    if isinstance(conds[0], dict):
        return conds_list, {key: torch.stack([cond[key] for cond in conds]) for key in conds[0]}
    return conds_list, torch.stack(conds)
