"""Sampling inside the small webui, seen from within: latents bit for bit, noise, hooks, hires, flow models."""

import gc
import random

import numpy as np
import pytest
import torch
from webui.jobs import FORMS, STRONG, encode, picture

IMG2IMG = {"kind": "img2img", "denoising_strength": 0.7, "steps": 8}
HIRES = {"enable_hr": True, "hr_scale": 2, "denoising_strength": 0.6}


@pytest.mark.parametrize("name", ["Euler a", "Euler"])
@pytest.mark.parametrize(
    ("fields", "settings"),
    [
        ({}, {}),
        ({"eta": 0.0}, {}),
        ({"eta": 0.6}, {}),
        ({"scheduler": "Karras"}, {"sgm_noise_multiplier": True}),
        ({"batch_size": 2}, {"eta_noise_seed_delta": 31337}),
        ({"steps": 1}, {}),
        ({"steps": 30}, {"s_churn": 20.0, "s_tmin": 0.3, "s_tmax": 8.0, "s_noise": 1.01}),
        ({}, {"always_discard_next_to_last_sigma": True}),
        (HIRES, {}),
        ({**IMG2IMG, "init_images": [picture()]}, {"img2img_extra_noise": 0.05}),
    ],
    ids=["plain", "eta-0", "eta", "karras-sgm", "ensd-batch", "one-step", "churn", "discard", "hires", "img2img"],
)
def test_momentum_1_is_the_plain_sampler_bit_for_bit(host, name, fields, settings):
    for key, value in settings.items():
        host.shared.opts.set(key, value)
    torch.manual_seed(0)  # the host's img2img encodes with a random draw
    plain = host.run(sampler_name=name, **fields)
    torch.manual_seed(0)
    off = host.run(sonar={"momentum": 1.0}, sampler_name=name, **fields)
    assert off.processed.sampler_name == f"Sonar {name}"
    assert len(plain.latents) == len(off.latents)
    for one, other in zip(plain.latents, off.latents, strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("sampler", ["Euler a", "Euler", "Naive"])
@pytest.mark.parametrize("sign", ["pos", "neg", "rand"])
@pytest.mark.parametrize("init", ["zero", "rand_init", "rand_new"])
def test_an_image_of_a_batch_is_the_single_image_bit_for_bit(host, sampler, sign, init):
    host.shared.opts.set("s_churn", 5.0)
    options = {"sampler": sampler, "momentum_sign": sign, "momentum_hist_init": init, **STRONG}
    batch = host.run(sonar=options, seed=4, batch_size=3).latent
    for k in range(3):
        assert torch.equal(batch[k], host.run(sonar=options, seed=4 + k).latent[0])


def test_images_of_later_batches_are_single_images_too(host):
    options = {"momentum_sign": "rand", "momentum_hist_init": "rand_new"}
    latents = host.run(sonar=options, seed=4, batch_size=2, n_iter=2).latents
    assert torch.equal(latents[1][1], host.run(sonar=options, seed=7).latent[0])


def test_other_random_numbers_stay_as_they_are(host):
    def state_after(sonar):
        torch.manual_seed(1)
        random.seed(1)
        np.random.seed(1)  # noqa: NPY002 - whether the old generator is left alone is the question
        host.run(sonar=sonar, subseed=2)
        return torch.rand(4).tolist(), random.random(), np.random.rand(2).tolist()  # noqa: NPY002

    image = encode(picture())
    options = {"momentum_sign": "rand", "momentum_hist_init": "rand_new", "ref_source": "Image", "ref_image": image}
    assert state_after(options) == state_after(None)
    assert state_after({**options, "sampler": "Naive"}) == state_after(None)


def test_the_model_is_asked_once_a_step_and_its_answers_are_not_written_to(host, monkeypatch):
    sampled, callbacks = [], host.module("script_callbacks")
    callbacks.on_cfg_after_cfg(lambda params: sampled.append((params.x, params.x.clone())))
    host.run(sonar={**STRONG, "ref_source": "Image", "ref_image": encode(picture())}, steps=9)
    assert len(sampled) == 9
    assert all(torch.equal(answer, copy) for answer, copy in sampled)
    callbacks.callbacks["cfg_after_cfg"].clear()


def test_each_step_is_reported_once_with_all_that_hosts_read(host, monkeypatch):
    told = []
    sampler = host.module("sd_samplers_common").Sampler
    tell = sampler.callback_state

    def callback(self, d):
        told.append({**d, "x": d["x"].clone()})
        tell(self, d)

    monkeypatch.setattr(sampler, "callback_state", callback)
    for name in ("Sonar Euler a", "Sonar Euler", "Sonar Naive"):
        told.clear()
        host.run(sampler_name=name, steps=6)
        assert [d["i"] for d in told] == list(range(6))
        assert all({"x", "i", "sigma", "sigma_hat", "denoised"} <= set(d) for d in told)


def hooks_of(host, monkeypatch, **job):
    called = []
    runner = host.module("scripts").ScriptRunner
    call = runner.call

    def record(self, hook, p, *objects, **kwargs):
        called.append(hook)
        call(self, hook, p, *objects, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(runner, "call", record)
        host.run(**job)
    return called


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    "fields",
    [{"batch_size": 2, "n_iter": 2}, HIRES, {**IMG2IMG, "init_images": [picture()], "mask": picture("L")}],
    ids=["batches", "hires", "inpaint"],
)
def test_the_host_calls_the_hooks_that_it_calls_for_its_own_samplers(host, monkeypatch, form, fields):
    host.use(form)
    plain = hooks_of(host, monkeypatch, **fields)
    assert "process_before_every_sampling" in plain
    assert ("on_mask_blend" in plain) == ("mask" in fields)
    assert hooks_of(host, monkeypatch, sonar=STRONG, **fields) == plain


@pytest.mark.parametrize("kind", ["a1111-1.8", "a1111-1.9", "forge"])
def test_hosts_that_announce_samplings_never_or_twice(host, kind):
    job = {"sonar": {**STRONG, "ref_source": "Image", "ref_image": encode(picture()), "ref_factor": 0.1}, **HIRES}
    expected = host.run(**job)
    host.shared.cmd_opts.kind = kind
    result = host.run(**job)
    assert [torch.equal(*pair) for pair in zip(result.latents, expected.latents, strict=True)] == [True, True]
    if kind != "a1111-1.8":
        assert result.processed.info == expected.processed.info
    assert "<" not in result.processed.info


def test_a_reference_is_encoded_before_the_loop(host, monkeypatch):
    """In the loop, the autoencoder would push the denoiser off the card."""
    common, model = host.module("sd_samplers_common"), host.shared.sd_model
    events, encoded = [], common.images_tensor_to_samples

    def encode_and_tell(image, *args):
        events.append(("encode", tuple(image.shape[-2:]), model.calls))
        with torch.inference_mode():  # Forge answers an inference tensor
            return encoded(image, *args)

    monkeypatch.setattr(common, "images_tensor_to_samples", encode_and_tell)
    before = model.calls
    host.run(sonar={"ref_source": "Image", "ref_image": encode(picture())}, steps=4, batch_size=2, **HIRES)
    assert events == [("encode", (64, 64), before), ("encode", (128, 128), before + 4)]


@pytest.mark.parametrize("channels", [4, 16])
def test_latents_of_four_and_sixteen_channels(host, channels):
    tiny_model = host.module("tiny_model")
    tiny_model.loaded["tiny"] = tiny_model.TinyModel(latent_channels=channels)
    options = {**STRONG, "ref_source": "Image", "ref_image": encode(picture()), "ref_factor": 0.1}
    plain, pulled = host.run(sonar=STRONG), host.run(sonar=options)
    assert pulled.latent.shape == (1, channels, 8, 8)
    assert not torch.equal(plain.latent, pulled.latent)


def test_interrupt_returns_the_last_latent(host, monkeypatch):
    denoiser = host.module("sd_samplers_kdiffusion").CFGDenoiserKDiffusion
    forward = denoiser.forward

    def interrupting(self, *args, **kwargs):
        if self.step == 3:
            host.shared.state.interrupt()
        return forward(self, *args, **kwargs)

    monkeypatch.setattr(denoiser, "forward", interrupting)
    result = host.run(sonar=STRONG, steps=20, n_iter=3)
    assert len(result.processed.images) == 1
    assert host.shared.state.sampling_step == 0
    assert not host.reported


def test_the_refiner_takes_over_in_the_middle(host):
    plain = host.run(sonar=STRONG, steps=10)
    refined = host.run(sonar=STRONG, steps=10, refiner_checkpoint="tiny2", refiner_switch_at=0.5)
    assert "Refiner: tiny2" in refined.processed.info
    assert not torch.equal(plain.latent, refined.latent)
    reference = host.run(sonar={"momentum": 1.0}, steps=10, refiner_checkpoint="tiny2", refiner_switch_at=0.5)
    own = host.run(sampler_name="Euler a", steps=10, refiner_checkpoint="tiny2", refiner_switch_at=0.5)
    assert torch.equal(reference.latent, own.latent)


def test_an_inner_job_has_the_settings_page_and_not_the_outer_jobs_options(host, monkeypatch):
    """As extensions do that repair faces: a job of their own, without scripts, in the middle of ours."""
    processing = host.module("processing")
    inner, runner = [], host.module("scripts").ScriptRunner
    call = runner.call

    def with_inner_job(self, hook, p, *objects, **kwargs):
        call(self, hook, p, *objects, **kwargs)
        if hook == "postprocess_image" and not inner:
            inner.append(None)
            job = host.make(sampler_name="Sonar Euler a", seed=1)
            job.scripts = runner()
            inner[0] = processing.process_images(job)

    monkeypatch.setattr(runner, "call", with_inner_job)
    host.run(sonar={**STRONG, "sampler": "Naive"}, seed=5)
    monkeypatch.undo()
    assert "Sonar momentum current: 0.95" in inner[0].info
    expected = host.run(sampler_name="Sonar Euler a", seed=1)
    assert inner[0].images[0].tobytes() == expected.processed.images[0].tobytes()


def flow_model(host):
    """A flow-matching model with AUTOMATIC1111's interface for SD3."""

    class Denoiser(torch.nn.Module):
        sigmas = torch.linspace(0.001, 1, 1000)

        def get_sigmas(self, n):
            return torch.cat([torch.linspace(1, 0.02, n), torch.zeros(1)])

        def forward(self, x, sigma, cond=None):
            target = model.pattern(cond["c_crossattn"][0], *x.shape[-2:])
            s = sigma[:, None, None, None]
            return target + 0.25 * (1 - s) / (0.25 * (1 - s) ** 2 + s**2) * (x - (1 - s) * target)

    model = host.module("tiny_model").TinyModel()
    model.create_denoiser = Denoiser
    model.add_noise_to_latent = lambda x, noise, amount: x * (1 - amount) + noise * amount
    return model


def rectified_euler_ancestral(model, x, sigmas, noises, args, eta=1.0):
    """The ancestral step of a straight path between image and noise."""
    for i in range(len(sigmas) - 1):
        sigma, following = sigmas[i], sigmas[i + 1]
        denoised = model(x, sigma.expand(len(x)), **args)
        down = following * (1 + (following / sigma - 1) * eta)
        x = x + (x - denoised) / sigma * (down - sigma)
        if following > 0:
            part = (1 - following) / (1 - down)
            x = part * x + noises[i] * (following**2 - down**2 * part**2).clamp(min=0).sqrt()
    return x


def test_a_flow_model_gets_the_ancestral_step_of_flow_models(host, monkeypatch):
    host.module("tiny_model").loaded["tiny"] = flow_model(host)
    calls = []
    sampler = host.module("sd_samplers_kdiffusion").KDiffusionSampler
    initialize = sampler.initialize

    def keep(self, p):
        calls.append(self)
        return initialize(self, p)

    monkeypatch.setattr(sampler, "initialize", keep)
    result = host.run(sonar={"momentum": 1.0}, sampler_name="Euler a", steps=6, seed=3)
    run, shape = calls[-1], (4, 8, 8)
    rng = host.module("rng").ImageRNG(shape, [3])
    sigmas = run.model_wrap.get_sigmas(6)
    x = rng.next() * sigmas[0]
    args = run.sampler_extra_args
    with torch.no_grad():
        expected = rectified_euler_ancestral(run.model_wrap_cfg, x, sigmas, [rng.next() for _ in range(5)], args)
    churned = host.run(sonar=STRONG, sampler_name="Euler", s_churn=10.0)
    host.shared.opts.set("s_churn", 10.0)
    told = host.run(sonar=STRONG, sampler_name="Euler")
    torch.testing.assert_close(result.latent, expected, rtol=1e-4, atol=1e-5)
    assert torch.isfinite(churned.latent).all()
    assert "churn" in told.processed.comments


def soft_inpainting(host):
    """The host's script of that name, reduced: the blend follows the noise level, and the final blend is left out."""

    class SoftInpainting(host.module("scripts").Script):
        args_from, args_to = 0, 0

        def process(self, p):
            p.mask_round = False
            p.extra_generation_params["Soft inpainting enabled"] = True

        def on_mask_blend(self, p, mba):
            if mba.is_final_blend:
                mba.blended_latent = mba.current_latent
                return
            assert mba.sigma.shape == (len(mba.current_latent),)
            share = (mba.nmask ** (1 / (1 + float(mba.sigma[0])))).clamp(0, 1)
            mba.blended_latent = mba.current_latent * share + mba.init_latent * (1 - share)

    return SoftInpainting()


def test_soft_inpainting_takes_the_denoised_image_at_the_last_step(host, monkeypatch):
    """The host leaves its final blend out there: what is kept must come out of the loop untouched."""
    answers = []
    host.module("script_callbacks").on_cfg_after_cfg(lambda params: answers.append(params.x))
    mask = picture("L", (64, 64)).point(lambda value: 255 if value > 80 else 0)
    job = {**IMG2IMG, "init_images": [picture(size=(64, 64))], "mask": mask, "sonar": STRONG}
    hard = host.run(**job)
    assert not torch.equal(hard.latent, answers[-1])
    runner = host.runner("img2img")
    monkeypatch.setattr(runner, "alwayson_scripts", [*runner.alwayson_scripts, soft_inpainting(host)])
    soft = host.run(**job)
    assert torch.equal(soft.latent, answers[-1])
    host.module("script_callbacks").callbacks["cfg_after_cfg"].clear()


def test_many_jobs_leave_no_tensors_behind(host):
    def alive():
        gc.collect()
        return sum(1 for thing in gc.get_objects() if type(thing) is torch.Tensor and thing.shape[-3:] == (4, 8, 8))

    job = {"sonar": {**STRONG, "ref_source": "Image", "ref_image": encode(picture())}}
    host.run(**job)
    before = alive()
    for seed in range(5):
        host.run(**job, seed=seed)
    assert alive() <= before + 1
