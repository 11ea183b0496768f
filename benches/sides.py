"""What `bench.py` compares: the sizes, and what each side does in a run."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from plain_torch import sample_euler_a

from sonar_sampler import SonarConfig
from sonar_sampler.torch import sample_sonar_euler_a

sys.path.append(str(Path(__file__).resolve().parents[1] / "tests" / "python"))

Run = Callable[[], object]

SONAR, TORCH, K_DIFFUSION, COPY = "Sonar", "the same in torch", "k-diffusion without momentum", "copying"
ONE_THREAD, LINEAR, EULER = "Sonar, one thread", "Sonar, linear guidance", "Sonar, euler guidance"
DENOISED, COARSE = "Sonar, denoised guidance", "Sonar, coarse guidance"
LEAD = "Sonar, lead"
SIDES = (SONAR, TORCH, K_DIFFUSION, COPY, ONE_THREAD, LINEAR, EULER, DENOISED, COARSE, LEAD)

PLAIN = SonarConfig()
LEADING = SonarConfig.lead()
GUIDED = {
    **{
        side: SonarConfig(ref_method=method, ref_start=0, ref_stop=10_000)
        for side, method in ((LINEAR, "linear"), (EULER, "euler"))
    },
    **{
        side: SonarConfig(ref_method="denoised", ref_factor=0.3, ref_stop=1.0, ref_detail=detail)
        for side, detail in ((DENOISED, 1.0), (COARSE, 0.25))
    },
}


@dataclass(frozen=True)
class Case:
    """A size, how many runs of it a process makes, and what is asked of it."""

    name: str
    shape: tuple[int, ...]
    runs: int
    vs_torch: float
    vs_k_diffusion: float
    of_copying: float | None = None

    def __str__(self) -> str:
        """`1x4x64x64`."""
        return "x".join(map(str, self.shape))


CASES = (
    Case("SD 1.5", (1, 4, 64, 64), 100, 10, 6),
    Case("SDXL", (1, 4, 128, 128), 60, 8, 4),
    Case("SDXL, 8 images", (8, 4, 128, 128), 20, 10, 5, 0.7),
    Case("video", (1, 16, 21, 90, 160), 4, 12, 7, 0.7),
)


def sides(case: Case, steps: int, threads: int) -> dict[str, list[Run]]:
    """The ways to run each side, of which the fastest counts."""
    generator = torch.Generator().manual_seed(0)
    x, denoised, noise, reference = (torch.randn(case.shape, generator=generator) for _ in range(4))
    # Karras et al. 2022, equation 5.
    sigmas = torch.cat([torch.linspace(14.6 ** (1 / 7), 0.03 ** (1 / 7), steps) ** 7, torch.zeros(1)])
    x *= sigmas[0]

    def model(x: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:  # noqa: ARG001
        return denoised

    def noise_sampler(sigma: torch.Tensor, sigma_next: torch.Tensor) -> torch.Tensor:  # noqa: ARG001
        return noise

    def sonar(config: SonarConfig = PLAIN, reference: torch.Tensor | None = None) -> torch.Tensor:
        return sample_sonar_euler_a(
            model, x, sigmas, disable=True, noise_sampler=noise_sampler, config=config, reference=reference
        )

    def in_torch() -> torch.Tensor:
        return sample_euler_a(
            model, x, sigmas, noise_sampler, momentum=PLAIN.momentum, momentum_hist=PLAIN.momentum_hist, disable=True
        )

    def k_diffusion() -> torch.Tensor:
        k_sampling = importlib.import_module("k_sampling").load()  # here, since it takes seconds the first time
        return k_sampling.sample_euler_ancestral(model, x, sigmas, disable=True, noise_sampler=noise_sampler)

    def one_thread() -> None:
        torch.set_num_threads(1)
        sonar()
        torch.set_num_threads(threads)

    return {
        SONAR: [sonar],
        TORCH: [in_torch],
        K_DIFFUSION: [k_diffusion],
        COPY: copying(x.numel(), steps, threads),
        ONE_THREAD: [one_thread],
        **{side: [partial(sonar, config, reference)] for side, config in GUIDED.items()},
        LEAD: [lambda: sonar(LEADING)],
    }


def copying(size: int, steps: int, threads: int) -> list[Run]:
    """Two ways to copy as many bytes as `steps` steps must read and write: x, answer, noise, history; x, history."""
    source, target = torch.ones(3 * size), torch.zeros(3 * size)
    parts = list(zip(np.array_split(target.numpy(), threads), np.array_split(source.numpy(), threads), strict=True))
    pool = ThreadPoolExecutor(threads)

    def by_torch() -> None:
        for _ in range(steps):
            target.copy_(source)

    def by_numpy() -> None:
        for _ in range(steps):
            list(pool.map(lambda part: np.copyto(*part), parts))

    return [by_torch, by_numpy]


def check(case: Case, steps: int, threads: int) -> None:
    """Stops the benchmark if the two sides that should do the same do not."""
    both = sides(case, steps, threads)
    if not torch.equal(both[SONAR][0](), both[TORCH][0]()):
        raise SystemExit(f"{case}: Sonar and torch do not compute the same")
