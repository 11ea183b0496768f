"""Makes the README's pictures: `make pictures`."""

import tempfile
from pathlib import Path
from typing import Any

from PIL import Image

from sonar_sampler import SonarConfig
from sonar_sampler.cli.contact import contact_sheet
from sonar_sampler.cli.grid import run_grid
from sonar_sampler.cli.job import Job
from sonar_sampler.cli.recipe import GRID, Recipe
from sonar_sampler.cli.reference import prepare_reference
from sonar_sampler.cli.report import Report
from sonar_sampler.cli.sheet import Layout, sheet
from sonar_sampler.presets import GUIDED, PRESETS

HERE = Path(__file__).parent


def main() -> None:
    """Writes grid.png, steps.png, reference.png and guided.png beside this file."""
    job = Job("mountains sunset", config=SonarConfig(seed=7))
    searched = {"momentum": (0.6, 0.75, 0.9), "momentum_hist": (0.5, 0.7, 0.9)}
    with tempfile.TemporaryDirectory(dir=HERE) as folder:
        run_grid(Recipe(job, GRID, searched), Path(folder), Report(quiet=True)).path.replace(HERE / "grid.png")

    run = Job("mountains sunset", config=SonarConfig("euler", momentum=0.75, seed=7))
    contact_sheet(run, lambda _: None).save(HERE / "steps.png", optimize=True)

    reference = prepare_reference(Job("sea night", config=SonarConfig(seed=3)).run())
    factors = [0.0, 0.01, 0.02, 0.05]
    pulled = [
        Job("mountains sunset", config=SonarConfig(seed=7, ref_factor=factor), reference=reference).run()
        for factor in factors
    ]
    labels = [f"factor {factor:g}" for factor in factors]
    layout = Layout([""], [*labels, "the reference"], "", 200)
    sheet([[*pulled, reference]], layout).save(HERE / "reference.png", optimize=True)
    guided().save(HERE / "guided.png", optimize=True)


def guided() -> Image.Image:
    """The same strength at 10, 20 and 50 steps, for the pull of the answer and for that of the latent."""
    reference = prepare_reference(Job("city night", config=SonarConfig(seed=3)).run())
    rows: dict[str, dict[str, Any]] = {
        "the preset": dict(PRESETS[GUIDED].options),
        "linear 0.04": {"ref_method": "linear", "ref_factor": 0.04},
        "no reference": {},
    }
    steps = (10, 20, 50)
    pictures = [
        [
            *(
                Job(
                    "mountains day",
                    steps=count,
                    config=SonarConfig(**{"momentum": 1.0, "seed": 7, **options}),
                    reference=reference if options else None,
                ).run()
                for count in steps
            ),
            reference,
        ]
        for options in rows.values()
    ]
    return sheet(pictures, Layout(list(rows), [*(f"{count} steps" for count in steps), "the reference"], "", 200))


main()
