"""The steps of the schedulers for diffusers: diffusers' own contract, its own schedulers, and the core's."""

import copy
import inspect
import pickle

import diffusers
import pytest
import torch

from scheduler_runs import BOTH, SD, SHAPE, answer, made, noise, seeded, walk
from sonar_sampler import ConfigError, DtypeError, LatentError, NumericError, ScheduleError
from sonar_sampler import torch as sonar
from sonar_sampler.hosts.diffusers import SonarFlowScheduler, SonarScheduler

PLAIN = {"euler": diffusers.EulerDiscreteScheduler, "euler_a": diffusers.EulerAncestralDiscreteScheduler}


@pytest.mark.parametrize("sampler", PLAIN)
@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
@pytest.mark.parametrize("spacing", ["linspace", "leading", "trailing"])
def test_without_momentum_it_is_diffusers_own_bit_for_bit_and_leaves_its_generator_alike(sampler, prediction, spacing):
    own = PLAIN[sampler](**SD, prediction_type=prediction, timestep_spacing=spacing)
    scheduler = SonarScheduler.from_config(own.config, sampler=sampler, momentum=1.0)
    generators = seeded(), seeded()
    x = noise() * 14
    results = [walk(each, x, generator=one) for each, one in zip((own, scheduler), generators, strict=True)]
    assert scheduler.init_noise_sigma == own.init_noise_sigma
    assert torch.equal(*results)
    assert torch.equal(*(each.get_state() for each in generators))


def test_the_numbers_of_a_step_are_torchs_also_where_its_square_root_is_not_rounded_right(monkeypatch):
    from sonar_sampler.hosts.diffusers import run

    asked = []

    def next_to_it(function, value):
        asked.append(function)
        return torch.tensor(value).sqrt().nextafter(torch.tensor(9.0)).item()

    x = noise() * 14
    with_torchs = walk(made(SonarScheduler), x, generator=seeded())
    monkeypatch.setattr(run, "ELEMENTARY", {torch.float32: next_to_it})
    assert not torch.equal(with_torchs, walk(made(SonarScheduler), x, generator=seeded()))
    assert set(asked) == {"sqrt"}


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_lower_precisions_stay_near_diffusers_own(dtype):
    own = PLAIN["euler_a"](**SD)
    scheduler = SonarScheduler.from_config(own.config, momentum=1.0)
    x = (noise() * 14).to(dtype)
    theirs, ours = walk(own, x, generator=seeded()), walk(scheduler, x, generator=seeded())
    assert ours.dtype is dtype
    assert (theirs - ours).abs().max() < 16 * torch.finfo(dtype).eps * x.abs().max()


@pytest.mark.parametrize("shape", [SHAPE, (2, 16, 64), (1, 4, 3, 8, 8)])
@pytest.mark.parametrize("config", [{"shift": 3.0}, {"shift": 1.0, "use_karras_sigmas": True}])
def test_without_momentum_the_flow_scheduler_is_diffusers_own_up_to_rounding(shape, config):
    own = diffusers.FlowMatchEulerDiscreteScheduler(**config)
    scheduler = SonarFlowScheduler.from_config(own.config, sampler="euler", momentum=1.0)
    theirs, ours = walk(own, noise(shape), given=False), walk(scheduler, noise(shape), given=False)
    assert (theirs - ours).abs().max() < 1e-6 * theirs.abs().max()
    assert torch.equal(own.timesteps, scheduler.timesteps)


@pytest.mark.parametrize("options", [{}, {"momentum": 0.7}, {"momentum_mode": "lead", "momentum": 0.5}])
def test_with_momentum_it_is_the_torch_function_of_the_same_sampler(options):
    scheduler = made(SonarScheduler, **options)
    ours, other = walk(scheduler, noise() * 14, generator=seeded()), seeded()
    sigmas, times = scheduler.sigmas, dict(zip(scheduler.sigmas.tolist(), scheduler.timesteps, strict=False))

    def model(x, sigma):
        level = sigma[0]
        return x - level * answer(x / (level**2 + 1) ** 0.5, times[level.item()])

    def draw(_sigma, _sigma_next):
        return torch.randn(SHAPE, generator=other)

    result = sonar.sample_sonar_euler_a(
        model, noise() * 14, sigmas, disable=True, noise_sampler=draw, seed=3, **options
    )
    assert torch.equal(ours, result)
    assert not torch.equal(ours, walk(made(SonarScheduler, momentum=1.0), noise() * 14, generator=seeded()))


@pytest.mark.parametrize("sampler", ["euler", "naive", "dpmpp_2m", "dpmpp_2m_sde"])
def test_every_sampler_with_one_call_a_step_runs(sampler):
    out = walk(made(SonarScheduler, sampler=sampler), noise() * 14, generator=seeded())
    again = walk(made(SonarScheduler, sampler=sampler), noise() * 14, generator=seeded())
    assert out.isfinite().all()
    assert torch.equal(out, again)


def test_the_answer_may_be_the_clean_latent():
    epsilon, clean = made(SonarScheduler), made(SonarScheduler, prediction_type="sample")
    for each in (epsilon, clean):
        each.set_timesteps(4)
    x, timestep, answers = noise() * 14, epsilon.timesteps[0], noise(seed=5)
    first = epsilon.step(answers, timestep, x, generator=seeded())
    second = clean.step(first.pred_original_sample, timestep, x, generator=seeded())
    assert torch.equal(first.prev_sample, second.prev_sample)


@BOTH
def test_step_has_no_eta_and_answers_an_object_or_a_tuple(kind):
    assert "eta" not in inspect.signature(kind.step).parameters
    first, second = made(kind, seed=1), made(kind, seed=1)
    for each in (first, second):
        each.set_timesteps(4)
    x, timestep = noise(), first.timesteps[0]
    left = first.step(answer(x, timestep), timestep, x).prev_sample
    right = second.step(answer(x, timestep), timestep, x, return_dict=False)[0]
    assert left.shape == x.shape
    assert torch.equal(left, right)


@BOTH
@pytest.mark.parametrize("index", [3, torch.tensor(3)])
def test_an_index_is_no_timestep(kind, index):
    scheduler = made(kind)
    scheduler.set_timesteps(4)
    with pytest.raises(ConfigError, match="timestep = 3: is an index"):
        scheduler.step(noise(), index, noise())


@BOTH
@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ({"model_output": noise((2, 3, 8, 8))}, LatentError, r"model_output has shape \[2, 3, 8, 8\]: must be"),
        ({"model_output": noise().long()}, DtypeError, "model_output has dtype torch.int64"),
        ({"sample": None}, DtypeError, "sample is a NoneType"),
        ({"model_output": noise() * torch.nan}, NumericError, "step 0: the denoiser answered NaN"),
        ({"timestep": torch.tensor(77.7)}, ScheduleError, "timestep = 77.*is none of the scheduler's timesteps"),
        ({"generator": [seeded()]}, ValueError, "1"),
    ],
)
def test_what_cannot_be_stepped_with_is_refused_and_the_next_run_is_whole(kind, given, error, words):
    scheduler = made(kind)
    expected = walk(scheduler, noise(), generator=seeded())
    scheduler.set_timesteps(4)
    call = {"model_output": noise(), "timestep": scheduler.timesteps[0], "sample": noise(), "generator": seeded()}
    with pytest.raises(error, match=words):
        scheduler.step(**{**call, **given})
    assert torch.equal(walk(scheduler, noise(), generator=seeded()), expected)


@BOTH
@pytest.mark.parametrize("way", [copy.deepcopy, lambda each: pickle.loads(pickle.dumps(each))], ids=["copy", "pickle"])
def test_a_copy_goes_on_by_itself(kind, way):
    scheduler, x = made(kind, seed=4), noise()
    scheduler.set_timesteps(5)
    for timestep in scheduler.timesteps[:2]:
        x = scheduler.step(answer(x, timestep), timestep, x).prev_sample
    twin, results = way(scheduler), []
    for each in (scheduler, twin):
        latent = x
        for timestep in each.timesteps[2:]:
            latent = each.step(answer(latent, timestep), timestep, latent).prev_sample
        results.append(latent)
    assert torch.equal(*results)


@BOTH
def test_a_second_run_knows_nothing_of_the_first(kind):
    scheduler = made(kind, seed=4)
    assert torch.equal(walk(scheduler, noise()), walk(scheduler, noise()))


@BOTH
def test_an_image_does_not_depend_on_its_neighbours(kind):
    both = walk(made(kind), noise(), generator=[seeded(1), seeded(2)])
    for image in range(2):
        alone = walk(made(kind), noise()[image : image + 1], generator=[seeded(1 + image)])
        assert torch.equal(both[image], alone[0])
    own = walk(made(kind, seed=(5, 6)), noise())
    assert torch.equal(own[1:], walk(made(kind, seed=6), noise()[1:]))


@BOTH
@pytest.mark.parametrize("options", [{"momentum_sign": "rand"}, {"momentum_hist_init": "rand_new"}])
def test_what_is_private_comes_from_the_generators_seed_without_a_draw(kind, options):
    plain, other = seeded(), seeded()
    results = [walk(made(kind, momentum=0.6, **options), noise(), 20, generator=seeded(seed)) for seed in (3, 3)]
    assert torch.equal(*results)
    walk(made(kind), noise(), 20, generator=plain)
    walk(made(kind, momentum=0.6, **options), noise(), 20, generator=other)
    assert torch.equal(plain.get_state(), other.get_state())


@BOTH
def test_a_run_may_begin_in_the_middle(kind):
    """As image to image does; the fractions of a range are of the steps that are run."""
    late = made(kind, seed=1, momentum=0.5, momentum_start=0.5)
    part = walk(late, noise(), 6, first=2)
    whole = made(kind, seed=1, momentum=0.5, momentum_start=2)
    assert torch.equal(part, walk(whole, noise(), 6, first=2))
    assert not torch.equal(part, walk(made(kind, seed=1, momentum=0.5), noise(), 6, first=2))


@BOTH
def test_noise_is_added_as_diffusers_does(kind):
    sigmas = kind is SonarScheduler
    own = diffusers.EulerDiscreteScheduler(**SD) if sigmas else diffusers.FlowMatchEulerDiscreteScheduler()
    scheduler = kind.from_config(own.config)
    x, added = noise(seed=1), noise(seed=2)
    for each in (scheduler, own):
        each.set_timesteps(5)
        each.set_begin_index(2)
    times = scheduler.timesteps[2:3].repeat(2)
    theirs = own.add_noise(x, added, times) if sigmas else own.scale_noise(x, times, added)
    assert torch.equal(scheduler.add_noise(x, added, times), theirs)
    assert torch.equal(scheduler.scale_noise(x, times, added), theirs)
