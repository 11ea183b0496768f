"""The ComfyUI pack in a small host of its interfaces.

With COMFYUI_PATH it is in a checkout of ComfyUI, for which the interpreter must have ComfyUI's requirements.
"""

import asyncio
import builtins
import importlib
import importlib.util
import json
import math
import os
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

import k_sampling
from runs import karras
from sonar_sampler import ConfigError
from sonar_sampler.listed import LISTED
from sonar_sampler.registry import SAMPLERS, knobs

ROOT = Path(__file__).parents[2]
HOST = os.environ.get("COMFYUI_PATH") or str(ROOT / "tests" / "comfy_host")
SIGMAS = torch.tensor(karras(6), dtype=torch.float32)


@pytest.fixture(scope="module")
def pack():
    """The modules of the pack, in their host."""
    sys.path.insert(0, HOST)
    if "COMFYUI_PATH" in os.environ:
        importlib.import_module("comfy.cli_args").args.cpu = True
    names = ("samplers", "nodes", "settings", "sampling", "curve", "extension", "noise", "modalities")
    found = {name: importlib.import_module(f"sonar_sampler.hosts.comfyui.{name}") for name in names}
    yield SimpleNamespace(host=importlib.import_module("comfy.samplers"), **found)
    sys.path.remove(HOST)


class Model:
    """A denoiser in the two shells that the host puts around one."""

    def __init__(self, kind="EPS", conds=None):
        sampling = importlib.import_module("comfy.model_sampling")
        levels = sampling.ModelSamplingDiscreteFlow if kind == "CONST" else sampling.ModelSamplingDiscrete
        self.inner_model = SimpleNamespace(
            model_sampling=type("Sampling", (levels, getattr(sampling, kind)), {})(),
            process_latent_in=lambda latent: latent * 0.5,
            scale_latent_inpaint=lambda *, sigma, noise, latent_image, **_: (
                latent_image + noise * sigma.reshape(-1, 1, 1, 1)
            ),
        )
        self.conds, self.calls = conds or {}, 0

    def __call__(self, x, sigma, seed=None, **_):
        self.calls += 1
        level = sigma.reshape(-1, *[1] * (x.ndim - 1))
        return x / (1 + level**2) + 0.1 * torch.sin(x)


def start(batch=2, seed=0):
    return torch.randn(batch, 4, 8, 8, generator=torch.Generator().manual_seed(seed))


def run(pack, sampler, noise=None, latent=None, mask=None, model=None, sigmas=SIGMAS, told=None):
    noise = start() if noise is None else noise
    latent = torch.zeros_like(noise) if latent is None else latent
    return sampler.sample(model or Model(), sigmas, {"seed": 3}, told, noise, latent, mask, disable_pbar=True)


def node(pack, **options):
    """What Sonar Sampler answers for its defaults and some options."""
    inputs = {each.id: given(each).get("default") for each in schema(pack.nodes.SonarSampler).inputs}
    values = {name: value for name, value in inputs.items() if name not in ("guidance", "schedule")}
    return result(pack.nodes.SonarSampler.execute(**{**values, **options}))


def schema(which):
    return which.define_schema()


def given(declared):
    """What an input was declared with, in both hosts."""
    return declared.told if hasattr(declared, "told") else vars(declared)


def result(output):
    return output.args[0]


def guidance(pack, mask=None, **options):
    values = {each.id: given(each).get("default") for each in schema(pack.nodes.SonarGuidance).inputs}
    values = {name: value for name, value in values.items() if name not in ("latent", "mask")}
    return result(pack.nodes.SonarGuidance.execute(latent={"samples": start(1, 9)}, mask=mask, **{**values, **options}))


def test_every_sampler_is_in_the_hosts_list_once(pack):
    for _ in range(2):
        asyncio.run(pack.extension.comfy_entrypoint())
    for name in ("sonar_lead", "sonar_lead_ode", *(f"sonar_classic_{name}" for name in SAMPLERS)):
        assert pack.host.SAMPLER_NAMES.count(name) == 1
        assert callable(getattr(pack.host.k_diffusion_sampling, f"sample_{name}"))
    assert not {"sonar_euler", "sonar_euler_ancestral", "sonar_dpmpp_sde"} & set(pack.host.SAMPLER_NAMES)
    assert len(pack.samplers.NAMES) == len(LISTED)


@pytest.mark.parametrize(
    ("sampler", "original"), [("euler", "euler"), ("euler_a", "euler_ancestral"), ("heun", "heun")]
)
def test_without_momentum_it_is_the_hosts_own_bit_for_bit(pack, sampler, original):
    x = start() * SIGMAS[0]
    own = getattr(k_sampling.load(), f"sample_{original}")
    noise = (
        {}
        if sampler != "euler_a"
        else {"noise_sampler": pack.host.k_diffusion_sampling.default_noise_sampler(x, seed=3)}
    )
    expected = own(Model(), x, SIGMAS, disable=True, **noise)
    assert run(pack, node(pack, sampler=sampler, momentum=1.0)).equal(expected)


@pytest.mark.parametrize("name", ["lead", "lead_ode", "euler_a", "euler"])
def test_the_kept_area_is_exact(pack, name):
    image, mask = start(2, 5), torch.ones(2, 4, 8, 8)
    mask[..., :3] = 0
    reference = guidance(pack, ref_method="denoised", ref_factor=0.5, ref_stop="1.0")
    sampler = pack.host.KSAMPLER(pack.samplers.FUNCTIONS[name])
    pulled = pack.host.KSAMPLER(pack.samplers.FUNCTIONS[name], {"settings": pack.settings.Settings(guidance=reference)})
    plain, guided = run(pack, sampler, latent=image, mask=mask), run(pack, pulled, latent=image, mask=mask)
    for out in (plain, guided):
        assert out[..., :3].equal(image[..., :3])
    assert not plain[..., 3:].equal(guided[..., 3:])


def test_images_with_noise_of_their_own_do_not_depend_on_their_neighbours(pack):
    sampler = node(pack, noise="per image", momentum=0.8)
    batch = run(pack, sampler)
    assert run(pack, sampler, noise=start()[:1]).allclose(batch[:1], atol=1e-6)
    assert not run(pack, node(pack, momentum=0.8)).equal(batch)


def test_a_reference_and_its_mask_pull(pack):
    plain = run(pack, node(pack, momentum=1.0))
    mask = torch.zeros(1, 64, 64)
    mask[..., 32:] = 1
    for options in ({}, {"ref_method": "euler", "ref_factor": 0.2}, {"ref_method": "denoised", "ref_factor": 0.4}):
        pulled = run(pack, node(pack, momentum=1.0, guidance=guidance(pack, **options)))
        assert (pulled - plain).abs().mean() > 0.01
    options = {"ref_method": "denoised", "ref_factor": 0.4, "ref_match": "none"}
    half = run(pack, node(pack, momentum=1.0, guidance=guidance(pack, mask=mask, **options)))
    assert half[..., :4].equal(plain[..., :4])
    assert not half[..., 4:].equal(plain[..., 4:])
    with pytest.raises(ConfigError, match="takes no mask"):
        guidance(pack, mask=mask, ref_method="linear")


def test_a_schedule_is_a_curve_over_the_steps(pack):
    curves = result(pack.nodes.SonarSchedule.execute(momentum="0.5, 1", momentum_hist=""))
    assert curves["momentum"].at_steps(5) == pytest.approx((0.5, 0.625, 0.75, 0.875, 1))
    assert curves["momentum"].at_steps(1) == (0.5,)
    scheduled = run(pack, node(pack, schedule=curves))
    assert not scheduled.equal(run(pack, node(pack)))
    for text in ("much", "0.5, 7", "nan"):
        with pytest.raises(ConfigError, match="must be numbers in"):
            pack.nodes.SonarSchedule.execute(momentum=text, momentum_hist="")
    with pytest.raises(ConfigError, match="are empty"):
        pack.nodes.SonarSchedule.execute(momentum="", momentum_hist=" ")


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"momentum_start": "soon"}, "momentum_start = 'soon'"),
        ({"momentum_mode": "lead", "sampler": "heun"}, "must be classic with sampler = heun"),
        ({"momentum": 2.0}, "momentum = 2.0"),
    ],
)
def test_bad_values_are_refused_by_the_node(pack, options, text):
    with pytest.raises(ConfigError, match=text):
        node(pack, **options)


def test_the_inputs_are_the_table(pack):
    for which, groups in (
        (pack.nodes.SonarSampler, ("sampler", "momentum", "noise")),
        (pack.nodes.SonarGuidance, ("reference",)),
    ):
        inputs = {each.id: given(each) for each in schema(which).inputs}
        for name, knob in knobs().items():
            assert (name in inputs) == (knob.group in groups), name
            if name in inputs:
                assert (inputs[name]["display_name"], inputs[name]["tooltip"]) == (knob.label, knob.help)
    assert result_of_defaults(pack).eta == 1.0
    assert result_of_defaults(pack).s_tmax == math.inf


def result_of_defaults(pack):
    return node(pack).extra_options["settings"].config(3)


def test_flow_models_are_known_by_their_kind(pack):
    sigmas = torch.linspace(1, 0, 6)
    flow, other = (run(pack, node(pack, momentum=1.0), model=Model(kind), sigmas=sigmas) for kind in ("CONST", "EPS"))
    assert not flow.equal(other)


def test_the_callback_is_told_tensors_and_the_model_is_asked_once_a_step(pack):
    seen, model = [], Model()
    run(pack, node(pack), model=model, told=lambda step, denoised, x, steps: seen.append((step, denoised, x, steps)))
    assert [step for step, *_ in seen] == list(range(6)) and model.calls == 6
    assert all(isinstance(each, torch.Tensor) for _, denoised, x, _ in seen for each in (denoised, x))


def test_audio_and_video_are_runs_of_their_own_in_lockstep(pack):
    video, audio = (2, 4, 3, 4, 4), (2, 8, 5)
    sizes = [math.prod(shape[1:]) for shape in (video, audio)]
    conds = {"positive": [{"model_conds": {"latent_shapes": SimpleNamespace(cond=[video, audio])}}]}
    x = torch.randn(2, 1, sum(sizes), generator=torch.Generator().manual_seed(1)) * SIGMAS[0]
    function, lead = pack.samplers.FUNCTIONS["lead_ode"], {"settings": pack.settings.Settings()}

    def sampled(x, model):
        return function(Shell(model), x, SIGMAS, extra_args={"seed": 3}, disable=True, **lead)

    packed = sampled(x, Model(conds=conds))
    for part, shape in zip(x.split(sizes, -1), (video, audio), strict=True):
        alone = sampled(part.reshape(shape), Model())
        place = 0 if shape is video else sizes[0]
        assert packed[..., place : place + part.shape[-1]].allclose(alone.reshape(2, 1, -1), atol=1e-5)


class Shell:
    """The outer of the host's two shells."""

    def __init__(self, model):
        self.inner_model = model

    def __call__(self, *args, **kwargs):
        return self.inner_model(*args, **kwargs)


def test_the_pack_is_what_the_registry_wants():
    folder = ROOT / "comfyui"
    assert (folder / "pyproject.toml").exists() and not list(folder.glob("install.py"))
    workflows = sorted((folder / "example_workflows").glob("*.json"))
    assert workflows
    for workflow in workflows:
        graph = json.loads(workflow.read_text())
        assert any(each["type"].startswith("Sonar") or "sonar_" in str(each) for each in graph["nodes"])
        made, *scaled = (
            each["widgets_values"]
            for kind in ("EmptyLatentImage", "ImageScale")
            for each in graph["nodes"]
            if each["type"] == kind
        )
        # A reference of another size is refused, and nobody's picture has this one.
        assert ("SonarGuidance" in str(graph)) == bool(scaled)
        assert all(scale[1:3] == made[:2] for scale in scaled)
        assert workflow.with_suffix(".jpg").exists() or workflow.with_suffix(".png").exists()
    for locale in ("en", "zh"):
        told = json.loads((folder / "locales" / locale / "nodeDefs.json").read_text())
        assert set(told) == {"SonarSampler", "SonarGuidance", "SonarSchedule"}
    for name in ("SonarSampler", "SonarGuidance", "SonarSchedule"):
        assert (folder / "web" / "docs" / f"{name}.md").exists()


@pytest.mark.parametrize("clone", [True, False])
def test_a_pack_without_its_package_says_how_to_install_it(monkeypatch, tmp_path, clone):
    pack = ROOT / "comfyui" / "__init__.py"
    if not clone:
        pack = shutil.copy(pack, tmp_path / "__init__.py")
    find = builtins.__import__

    def without(name, *arguments, **options):
        if name.startswith("sonar_sampler"):
            raise ModuleNotFoundError("No module named 'sonar_sampler'", name="sonar_sampler")
        return find(name, *arguments, **options)

    spec = importlib.util.spec_from_file_location("pack_alone", pack)
    monkeypatch.setattr("builtins.__import__", without)
    with pytest.raises(ImportError) as told:
        spec.loader.exec_module(importlib.util.module_from_spec(spec))
    assert str(told.value).endswith(f'-m pip install "{ROOT if clone else "sonar-sampler[torch]"}"')
