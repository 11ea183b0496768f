"""The benchmark of quality: its figures can be made again, and what they are made with is right."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from quality import figures
from quality.experiment import Case, Converged, Size, measure, start
from quality.k_samplers import EULER, EULER_A
from quality.lead import sample_lead
from quality.package_samplers import LEAD, LEAD_ODE
from quality.part import every_sampler
from quality.problems import problem
from quality.report import headline, report
from quality.samplers import Noise, Sampler
from quality.schedules import SCHEDULES, karras
from quality.summary import PLAIN, PLAIN_ODE, Summary, geometric_mean, ratio

ROOT = Path(__file__).parents[2]
FIGURES = figures.read(ROOT / "docs" / "quality-figures.csv")
PAGE = (ROOT / "docs" / "quality.md").read_text(encoding="utf-8")
SLICED = "sliced"
CALLS = (5, 8, 12, 20)


@pytest.fixture(autouse=True, scope="module")
def _one_thread():
    """As the benchmark: on few cores torch's threads and other tests' take many times as long side by side."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def test_the_tables_are_those_of_the_figures(tmp_path):
    assert (ROOT / "docs" / "quality-figures.md").read_text(encoding="utf-8") == report(FIGURES)
    figures.write(FIGURES, tmp_path / "again.csv")
    assert (tmp_path / "again.csv").read_bytes() == (ROOT / "docs" / "quality-figures.csv").read_bytes()


def test_what_was_not_measured_has_no_row():
    some = report([r for r in FIGURES if r.case.calls == 5 and r.case.guidance == 4])
    assert "nan" not in some
    assert "lead at 5 calls, in units of euler_ancestral at 5 |" in some


@pytest.mark.parametrize("name", ["mixture64_2611", "digits_mlp"])
def test_figures_are_made_again(tmp_path, name):
    """Of one seed, against that seed's figures: on another processor they differ in the last digits of a network."""
    case = Case(name, 4.0, "karras", 8)
    told = {r.sampler: r for r in FIGURES if r.case == case}
    task, size = problem(name), dataclasses.replace(Size(), seeds=1)
    known = every_sampler()
    chosen = [known[sampler] for sampler in ("lead", "euler_ancestral", "dpmpp_2m_sde", "sa_solver")]
    for result in measure(task, Converged(task, 4.0, size, tmp_path), case, chosen, size):
        expected = told[result.sampler]
        assert result.calls == expected.calls == 8
        for metric, values in result.squared.items():
            assert values[0] == pytest.approx(expected.squared[metric][0], rel=0.05), (result.sampler, metric)
            assert result.floor[metric] == pytest.approx(expected.floor[metric], rel=0.05)


@pytest.mark.parametrize(("ours", "plain"), [(LEAD, EULER_A), (LEAD_ODE, EULER)])
@pytest.mark.parametrize("guidance", [1.0, 7.5])
def test_lead_is_nearer_than_what_it_leads_on_a_problem_that_nobody_tuned_to(tmp_path, ours, plain, guidance):
    task, size = problem("mixture64_987"), Size(images=300, seeds=4)
    case = Case(task.name, guidance, "karras", 8)
    found = list(measure(task, Converged(task, guidance, size, tmp_path), case, [ours, plain], size))
    against = ratio(*found, SLICED)
    assert against.value + 2 * against.error < 0.95
    assert Summary(found).ratios(ours.name, plain.name)[0] == against


@pytest.mark.parametrize("noisy", [True, False])
@pytest.mark.parametrize("guidance", [1.0, 7.5])
def test_the_ablations_lead_is_the_packages(noisy, guidance):
    task = problem("mixture64_3")
    labels = torch.arange(20) % task.classes
    sigmas = karras(9)
    x = start(task, 20, 1) * sigmas[0]

    def model(x, sigma, **_more):
        return task.denoise(x, sigma, labels, guidance)

    ours = (LEAD if noisy else LEAD_ODE).run(model, x, sigmas, 5)
    torch.testing.assert_close(
        sample_lead(model, x, sigmas, Noise(x, 5) if noisy else None), ours, rtol=1e-3, atol=1e-3
    )
    free = sample_lead(model, x, sigmas, Noise(x, 5) if noisy else None, guard=0.0)
    assert (free - ours).abs().max() > 0.01


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_no_sampler_makes_more_calls_than_it_may(schedule):
    task = problem("mixture64_3")
    labels = torch.arange(4) % task.classes
    for sampler in every_sampler().values():
        for calls in (5, 8):
            asked = []

            def model(x, sigma, asked=asked, **_more):
                asked.append(float(sigma.flatten()[0]))
                return task.denoise(x, sigma, labels, 1.0)

            sigmas = SCHEDULES[schedule](sampler.steps(calls))
            out = sampler.run(model, start(task, 4, 1) * sigmas[0], sigmas, 1)
            assert len(asked) <= calls, sampler.name
            assert np.isclose(asked[0], 14.61, atol=0.01), sampler.name
            assert out.isfinite().all(), sampler.name


def test_a_runs_noise_is_not_its_start_again(tmp_path):
    """With one seed for both, the second step would see more noise than its level says."""
    task, size, seen = problem("mixture64_3"), Size(images=40, seeds=1, converged_steps=4), []

    def run(model, x, sigmas, seed):
        seen.extend([x / sigmas[0], Noise(x, seed)()])
        return x

    found = measure(
        task,
        Converged(task, 1.0, size, tmp_path),
        Case(task.name, 1.0, "karras", 5),
        [Sampler("", "", "sde", run)],
        size,
    )
    assert len(list(found)) == 1
    assert abs(np.corrcoef(*(values.flatten().numpy() for values in seen))[0, 1]) < 0.1


def test_every_sampler_ends_at_the_converged_samples_with_many_calls(tmp_path):
    """So what is measured at few calls is its own error, not that of how it is run here."""
    task, size = problem("mixture64_7"), Size(images=300, seeds=1)
    case = Case(task.name, 4.0, "karras", 60)
    for result in measure(task, Converged(task, 4.0, size, tmp_path), case, every_sampler().values(), size):
        assert result.squared[SLICED][0] < 2.5 * result.floor[SLICED], result.sampler


def test_the_documentation_has_the_figures():
    assert headline(Summary(FIGURES)) in PAGE


QUOTED = {
    PLAIN: [
        LEAD.name,
        "dpmpp_2m_sde",
        "dpmpp_sde",
        "seeds_2",
        "er_sde",
        "lead, no guard",
        "lead, clip only",
        "lead, plain ends",
        "2M SDE, guard",
    ],
    PLAIN_ODE: [LEAD_ODE.name, "dpmpp_2m", "unipc", "lms", "deis"],
}


@pytest.mark.parametrize(("plain", "sampler"), [(plain, name) for plain, names in QUOTED.items() for name in names])
def test_a_samplers_figures_in_the_text_are_those_measured(plain, sampler):
    assert in_the_text(Summary(FIGURES).mean(sampler, plain, calls) for calls in CALLS)


@pytest.mark.parametrize("sampler", [LEAD.name, "dpmpp_2m_sde", "dpmpp_3m_sde"])
def test_distances_to_the_data_in_the_text_are_those_measured(sampler):
    assert in_the_text(Summary(FIGURES).to_data(sampler, PLAIN, calls) for calls in CALLS)


@pytest.mark.parametrize("mixtures", [True, False])
def test_leads_figures_on_one_kind_of_problem_are_those_measured(mixtures):
    kind = Summary(r for r in FIGURES if r.case.problem.startswith("mixture") == mixtures)
    assert in_the_text(kind.mean(LEAD.name, PLAIN, calls) for calls in CALLS)


NOISY = {
    *("euler_ancestral", "dpmpp_2m_sde", "dpmpp_3m_sde", "dpm_2_ancestral", "dpmpp_2s_ancestral", "dpmpp_sde"),
    *("sa_solver", "res_multistep_ancestral", "sa_solver_comfyui", "seeds_2", "er_sde"),
}


def test_lead_against_the_best_of_each_kind_is_as_the_text_says():
    summary = Summary(FIGURES)
    others = {name for name, source in summary.samplers().items() if source not in ("sonar", "ablation")}
    assert others > NOISY

    def mean(sampler, among=None):
        return geometric_mean(found.value for found, _ in summary.to_best(sampler, among))

    text, lead, ode = " ".join(PAGE.split()), LEAD.name, LEAD_ODE.name
    assert f"Lead ODE is at {mean(ode):.2f}, of all samplers the nearest, Lead at {mean(lead):.2f}" in text
    assert f"of those with noise alone Lead is at {mean(lead, NOISY):.2f}" in text
    assert f"of those without Lead ODE is at {mean(ode, others - NOISY):.2f}" in text
    assert f"with noise in each case would be at {mean(lead) / mean(lead, NOISY):.2f}" in text


def in_the_text(values):
    return " / ".join(f"{value:.2f}" for value in values) in " ".join(PAGE.split())
