"""`python -m sonar_sampler.cli` is `sonar`."""

from sonar_sampler.cli.main import main

main(prog_name="sonar")
