"""`sonar --model`: whole tiny pipelines, saved to disk by the tests, in place of the embedded model."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("diffusers")

import diffusers
import tokenizers
import torch
from PIL import Image
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    CLIPTokenizer,
    PreTrainedTokenizerFast,
    T5Config,
    T5EncoderModel,
)

from command import COMMAND, made, opened, pixels, refused
from sonar_sampler.cli import pipeline_files
from tiny_pipelines import parts

KINDS = {"sd1": "StableDiffusionPipeline", "sdxl": "StableDiffusionXLPipeline", "sd3": "StableDiffusion3Pipeline"}
LETTERS = [*"abcdefghijklmnopqrstuvwxyz", *(f"{letter}</w>" for letter in "abcdefghijklmnopqrstuvwxyz")]
VOCABULARY = [*LETTERS, "<|startoftext|>", "<|endoftext|>"]
RUN = ["lake", "--seed", "3", "--steps", "3", "--width", "32", "--height", "32", "--device", "cpu"]
GUIDED = ["--momentum", "1", "--ref-method", "denoised", "--ref-factor", "0.6"]


def encoder(kind, size):
    torch.manual_seed(0)
    config = CLIPTextConfig(
        vocab_size=len(VOCABULARY),
        hidden_size=size,
        intermediate_size=8,
        projection_dim=size,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=16,
        bos_token_id=len(VOCABULARY) - 2,
        eos_token_id=len(VOCABULARY) - 1,
    )
    return kind(config)


def encoder_of_t5():
    torch.manual_seed(0)
    sizes = {"d_model": 8, "d_kv": 4, "d_ff": 8, "num_layers": 1, "num_heads": 2}
    return T5EncoderModel(T5Config(vocab_size=len(VOCABULARY), **sizes))


def tokenizer_of_t5():
    words = tokenizers.models.WordLevel({word: index for index, word in enumerate(VOCABULARY)}, unk_token="z</w>")
    names = {"unk_token": "z</w>", "pad_token": "a</w>", "eos_token": "b</w>"}
    return PreTrainedTokenizerFast(tokenizer_object=tokenizers.Tokenizer(words), **names)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    words = tmp_path_factory.mktemp("words")
    (words / "vocab.json").write_text(json.dumps({word: index for index, word in enumerate(VOCABULARY)}))
    (words / "merges.txt").write_text("#version: 0.2\n")
    tokenizer = CLIPTokenizer(str(words / "vocab.json"), str(words / "merges.txt"), model_max_length=16)
    projected = CLIPTextModelWithProjection
    texts = {
        "sd1": {"text_encoder": encoder(CLIPTextModel, 8), "tokenizer": tokenizer},
        "sdxl": {
            "text_encoder": encoder(CLIPTextModel, 4),
            "text_encoder_2": encoder(projected, 4),
            "tokenizer": tokenizer,
            "tokenizer_2": tokenizer,
        },
        "sd3": {
            "text_encoder": encoder(projected, 4),
            "text_encoder_2": encoder(projected, 4),
            "text_encoder_3": encoder_of_t5(),
            "tokenizer": tokenizer,
            "tokenizer_2": tokenizer,
            "tokenizer_3": tokenizer_of_t5(),
        },
    }
    found = {}
    for family, kind in KINDS.items():
        found[family] = tmp_path_factory.mktemp("models") / f"tiny-{family}"
        given = {**parts(family), **texts[family]}
        if family == "sdxl":
            given["unet"] = _unet_of_sdxl()
        getattr(diffusers, kind)(**given).save_pretrained(found[family], safe_serialization=True)
    return found


def _unet_of_sdxl():
    """For a text projection of 4 numbers and six of size and crop."""
    torch.manual_seed(0)
    config = dict(parts("sdxl")["unet"].config)
    config["projection_class_embeddings_input_dim"] = 4 + 6 * config["addition_time_embed_dim"]
    return diffusers.UNet2DConditionModel.from_config(config)


@pytest.fixture
def folder(folders):
    return folders["sd1"]


def picture(path):
    made = Image.linear_gradient("L").resize((48, 48)).convert("RGB")
    made.paste((200, 30, 10), (8, 8, 24, 40))
    made.save(path)
    return str(path)


@pytest.mark.parametrize("family", KINDS)
def test_with_momentum_1_it_is_the_pipeline_with_its_own_euler(folders, tmp_path, family):
    folder = folders[family]
    plain = ["--sampler", "euler", "--momentum", "1", "--cfg-scale", "7"]
    (path,) = made("txt2img", *RUN, "--model", str(folder), *plain, out=tmp_path)
    own = getattr(diffusers, KINDS[family]).from_pretrained(folder)
    own.set_progress_bar_config(disable=True)
    if family != "sd3":  # a flow-matching model has its schedule
        own.scheduler = type(own.scheduler).from_config(own.scheduler.config, use_karras_sigmas=True)
    generator = torch.Generator().manual_seed(3)
    expected = own("lake", num_inference_steps=3, generator=generator, width=32, height=32, guidance_scale=7.0).images
    assert np.abs(np.asarray(expected[0], float) - pixels(path)).max() <= (family == "sd3")


@pytest.mark.parametrize("sampler", ["euler_a", "dpmpp_2m"])
def test_again_makes_it_again_with_the_model_given_again(folders, tmp_path, sampler):
    folder = folders["sd1"]
    (path,) = made("txt2img", *RUN, "--model", str(folder), "--sampler", sampler, out=tmp_path)
    text = opened(path).text["parameters"]
    assert "Model: tiny-sd1" in text
    assert str(folder.parent) not in text
    assert "--model PATH_OR_ID" in refused("again", str(path), out=tmp_path)
    assert "is not the pipeline" in refused("again", str(path), "--model", str(folders["sd3"]), out=tmp_path)
    (again,) = made("again", str(path), "--model", str(folder), "--device", "cpu", out=tmp_path)
    assert again.read_bytes() == path.read_bytes()
    (embedded,) = made("txt2img", "lake", "--seed", "1", "--steps", "2", out=tmp_path)
    assert "without a pipeline" in refused("again", str(embedded), "--model", str(folder), out=tmp_path)


def test_options_of_the_run_before_are_not_the_models(folder, tmp_path):
    here, there = tmp_path / "a", tmp_path / "b"
    (first,) = made("txt2img", *RUN, "--model", str(folder), out=here)
    made("txt2img", *RUN, "--model", str(folder), "--momentum", "0.5", "--schedule", "exponential", out=there)
    (second,) = made("txt2img", *RUN, "--model", str(folder), out=there)
    assert first.read_bytes() == second.read_bytes()


def test_a_grid_is_the_same_in_two_processes(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    lists = ["--momentum", "0.5,0.9", "--momentum-hist", "0.5"]
    (here,) = made("grid", *RUN, "--model", str(folder), *lists, out=tmp_path / "one")
    (there,) = made("grid", *RUN, "--model", str(folder), *lists, "--workers", "2", out=tmp_path / "two")
    first, second = sorted(here.with_suffix("").iterdir())
    assert (pixels(first) != pixels(second)).any()
    assert here.read_bytes() == there.read_bytes()
    assert "tiny-sd1" in opened(here).text["parameters"]


@pytest.mark.parametrize("family", KINDS)
def test_the_steps_of_a_pipeline_are_a_sheet(folders, tmp_path, family):
    run = ["steps", *RUN, "--model", str(folders[family]), "--sampler", "euler"]
    still, moving = (made(*run, "--momentum", momentum, out=tmp_path / momentum)[0] for momentum in ("1", "0.7"))
    assert opened(moving).size == opened(still).size
    # The two rows below the pictures are white without momentum: there is no history, and it changes nothing.
    corner = (-40, -40)
    assert (pixels(still)[corner] == 255).all()
    assert not (pixels(moving)[corner] == 255).all()
    (again,) = made("again", str(moving), "--model", str(folders[family]), "--device", "cpu", out=tmp_path)
    assert again.read_bytes() == moving.read_bytes()


def test_it_is_loaded_once_in_a_process(folder, tmp_path, monkeypatch):
    loaded = []
    load = diffusers.DiffusionPipeline.from_pretrained

    def counted(*arguments, **options):
        loaded.append(arguments)
        return load(*arguments, **options)

    monkeypatch.setattr(diffusers.DiffusionPipeline, "from_pretrained", counted)
    pipeline_files.load.cache_clear()
    made("txt2img", *RUN, "--model", str(folder), "--count", "3", out=tmp_path)
    assert len(loaded) == 1


@pytest.mark.parametrize("family", KINDS)
def test_a_reference_pulls_and_a_mask_limits_it(folders, tmp_path, family):
    model = ["--model", str(folders[family])]
    reference = ["--reference", picture(tmp_path / "reference.png")]
    half = Image.new("L", (64, 64))
    half.paste(255, (0, 0, 32, 64))
    half.save(tmp_path / "mask.png")
    plain, pulled, masked = (
        made("txt2img", *RUN, *model, *GUIDED, *more, out=tmp_path / name)[0]
        for name, more in {
            "plain": [],
            "pulled": reference,
            "masked": [*reference, "--reference-mask", str(tmp_path / "mask.png")],
        }.items()
    )
    assert (pixels(plain) != pixels(pulled)).any()
    assert (pixels(masked) != pixels(pulled)).any()
    (again,) = made("again", str(masked), *model, "--device", "cpu", out=tmp_path)
    assert again.read_bytes() == masked.read_bytes()


def test_the_real_command_tells_its_steps_and_nothing_else(folder, tmp_path):
    command = [*COMMAND, "txt2img", *RUN, "--model", str(folder), "-q", "--out", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.strip().endswith(".png")
    assert done.stderr == ""


def test_what_is_no_pipeline_is_refused(folder, tmp_path):
    assert "model_index.json" in refused("txt2img", *RUN, "--model", str(tmp_path), out=tmp_path)
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(b"no tensors")
    assert "broken.safetensors" in refused("txt2img", *RUN, "--model", str(broken), out=tmp_path)
    pickled = tmp_path / "model.ckpt"
    pickled.write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    assert "must be a .safetensors file" in refused("txt2img", *RUN, "--model", str(pickled), out=tmp_path)
    assert "multiple of 8" in refused("txt2img", "lake", "--model", str(folder), "--width", "33", out=tmp_path)
    assert "give both" in refused("txt2img", "lake", "--model", str(folder), "--width", "32", out=tmp_path)
    assert "give --model" in refused("txt2img", "lake", "--width", "32", "--height", "32", out=tmp_path)
    if not torch.cuda.is_available():
        assert "is not there; use cpu" in refused(
            "txt2img", "lake", "--model", str(folder), "--device", "cuda", out=tmp_path
        )
    churn = ["--sampler", "euler", "--s-churn", "5"]
    assert "with --model" in refused("txt2img", *RUN, "--model", str(folder), *churn, out=tmp_path)
    assert "twice in a step" in refused("txt2img", *RUN, "--model", str(folder), "--sampler", "heun", out=tmp_path)


def test_want_of_memory_is_one_line(folder, tmp_path, monkeypatch):
    def wanting(*_arguments, **_options):
        raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")

    monkeypatch.setattr(diffusers.AutoencoderKL, "decode", wanting)
    line = refused("txt2img", *RUN, "--model", str(folder), out=tmp_path, status=1)
    assert "there is not enough memory; try a smaller --width and --height" in line


def test_a_folder_of_pickles_is_refused(folders, tmp_path):
    pickles = tmp_path / "pickles"
    made_of = diffusers.StableDiffusionPipeline.from_pretrained(folders["sd1"])
    made_of.save_pretrained(pickles, safe_serialization=False)
    assert "safetensors alone" in refused("txt2img", *RUN, "--model", str(pickles), out=tmp_path)


def test_a_hub_that_cannot_be_reached_is_one_line(tmp_path):
    code = "import sys; from sonar_sampler.cli import main; main(sys.argv[1:])"
    command = [sys.executable, "-c", code, "txt2img", *RUN, "--model", "nobody/nothing", "--out", str(tmp_path)]
    offline = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path)}
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, env=offline)
    assert done.returncode == 1
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("Error: ")]
    assert "no hub gives it" in line
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("missing", ["torch", "diffusers", "transformers"])
def test_what_is_not_installed_is_named(folder, tmp_path, monkeypatch, missing):
    monkeypatch.setitem(sys.modules, missing, None)
    pipeline_files.load.cache_clear()
    line = refused("txt2img", *RUN, "--model", str(folder), out=tmp_path, status=1)
    assert f"needs {missing}" in line
    assert "sonar-sampler[diffusers]" in line
