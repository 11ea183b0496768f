"""What docs/diffusers.md and the README tell a reader to type works, with tiny networks in place of the large ones."""

import re
from pathlib import Path

import diffusers
import pytest
from PIL import Image

from sonar_sampler.presets import LEAD, PRESETS
from test_diffusers_pipelines import KINDS, picture
from tiny_pipelines import SIZE, pipeline, prompt

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs" / "diffusers.md").read_text()
README = (ROOT / "README.md").read_text()
BLOCKS = [
    *re.findall(r"```python\n(.*?)```", GUIDE, re.S),
    *(block for block in re.findall(r"```python\n(.*?)```", README, re.S) if "hosts.diffusers" in block),
]
FAMILIES = {"stabilityai/stable-diffusion-xl-base-1.0": "sdxl", "black-forest-labs/FLUX.1-dev": "flux"}


def small(model):
    """A pipeline of the model's family that takes a prompt and a size as the large one does."""
    family = FAMILIES[model]
    kind = getattr(diffusers, KINDS[family][0])

    def call(self, text, *, width=SIZE, height=SIZE, num_inference_steps=3, **more):
        assert text
        size = {"width": SIZE, "height": SIZE}
        return kind.__call__(self, **prompt(family), **size, num_inference_steps=num_inference_steps, **more)

    return pipeline(type(kind.__name__, (kind,), {"__call__": call, "__module__": kind.__module__}), family)


@pytest.mark.parametrize("code", BLOCKS, ids=range(len(BLOCKS)))
def test_the_examples_run(code, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(diffusers.DiffusionPipeline, "from_pretrained", staticmethod(small))
    picture().save("reference.png")
    names = {}
    exec(compile(code.replace("1024", str(SIZE)), "diffusers.md", "exec"), names)
    assert isinstance(names["image"], Image.Image)
    assert type(names["pipe"].scheduler).__name__ in code


def test_the_guide_has_an_example_of_each_part_and_lead_is_the_preset():
    assert len(BLOCKS) == 5
    lead = re.search(r"lead = (\{.*\})", GUIDE)[1]
    assert eval(lead) == dict(PRESETS[LEAD].options)
