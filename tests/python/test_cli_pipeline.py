"""`sonar --model`: a whole tiny pipeline, saved to disk by the tests, in place of the embedded model."""

import json

import numpy as np
import pytest

pytest.importorskip("diffusers")

import torch
from diffusers import EulerDiscreteScheduler, StableDiffusionPipeline
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from command import made, opened, pixels, refused
from tiny_pipelines import parts

RUN = ["lake", "--seed", "3", "--steps", "3", "--width", "32", "--height", "32", "--device", "cpu"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    words = tmp_path_factory.mktemp("words")
    vocabulary = [*"abcdefghijklmnopqrstuvwxyz", *(f"{letter}</w>" for letter in "abcdefghijklmnopqrstuvwxyz")]
    vocabulary += ["<|startoftext|>", "<|endoftext|>"]
    (words / "vocab.json").write_text(json.dumps({word: index for index, word in enumerate(vocabulary)}))
    (words / "merges.txt").write_text("#version: 0.2\n")
    tokenizer = CLIPTokenizer(str(words / "vocab.json"), str(words / "merges.txt"), model_max_length=16)
    torch.manual_seed(0)
    config = CLIPTextConfig(
        vocab_size=len(vocabulary),
        hidden_size=8,
        intermediate_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=16,
        bos_token_id=len(vocabulary) - 2,
        eos_token_id=len(vocabulary) - 1,
    )
    path = tmp_path_factory.mktemp("models") / "tiny-sd1"
    pipe = StableDiffusionPipeline(**{**parts("sd1"), "text_encoder": CLIPTextModel(config), "tokenizer": tokenizer})
    pipe.save_pretrained(path, safe_serialization=True)
    return path


def test_with_momentum_1_it_is_the_pipeline_with_its_own_euler(folder, tmp_path):
    (path,) = made(
        "txt2img", *RUN, "--model", str(folder), "--sampler", "euler", "--momentum", "1", "--cfg-scale", "7", out=tmp_path
    )
    pipe = StableDiffusionPipeline.from_pretrained(folder)
    pipe.set_progress_bar_config(disable=True)
    pipe.scheduler = EulerDiscreteScheduler.from_config(pipe.scheduler.config, use_karras_sigmas=True)
    generator = torch.Generator().manual_seed(3)
    own = pipe("lake", num_inference_steps=3, generator=generator, width=32, height=32, guidance_scale=7.0).images[0]
    assert (np.asarray(own, float) == pixels(path)).all()


@pytest.mark.parametrize("sampler", ["euler_a", "dpmpp_2m"])
def test_again_makes_it_again_with_the_model_given_again(folder, tmp_path, sampler):
    (path,) = made("txt2img", *RUN, "--model", str(folder), "--sampler", sampler, out=tmp_path)
    text = opened(path).text["parameters"]
    assert "Model: tiny-sd1" in text and str(folder.parent) not in text
    assert "--model" in refused("again", str(path), out=tmp_path)
    (again,) = made("again", str(path), "--model", str(folder), "--device", "cpu", out=tmp_path)
    assert again.read_bytes() == path.read_bytes()


def test_a_grid_of_a_pipeline(folder, tmp_path):
    lists = ["--momentum", "0.5,0.9", "--momentum-hist", "0.5"]
    (sheet,) = made("grid", *RUN, "--model", str(folder), *lists, out=tmp_path)
    first, second = sorted(sheet.with_suffix("").iterdir())
    assert (pixels(first) != pixels(second)).any()


def test_what_is_no_pipeline_is_refused(folder, tmp_path):
    assert "model_index.json" in refused("txt2img", *RUN, "--model", str(tmp_path), out=tmp_path)
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(b"no tensors")
    assert "broken.safetensors" in refused("txt2img", *RUN, "--model", str(broken), out=tmp_path)
    assert "multiple of 8" in refused("txt2img", "lake", "--model", str(folder), "--width", "33", out=tmp_path)
    assert "--model" in refused("txt2img", "lake", "--width", "32", out=tmp_path)
