"""The table of claims for a terminal."""

import textwrap

from alexnet_jax.reproduction import costs
from alexnet_jax.reproduction.claims import Claims


def format_claims(claims: Claims) -> str:
    """Return each claim: what is compared, published, on which data, at what cost on ImageNet."""
    blocks = []
    for claim in claims.claims:
        experiment = claims.experiments[claim.experiment]
        seeds = costs.seeds_for(claim)
        cost = "no published difference to tell from noise"
        if seeds is not None:
            hours = [
                f"{2 * seeds * hours:,.0f} hours on one {device}"
                for device, hours in costs.imagenet_hours()
            ]
            cost = ", ".join(
                [f"{seeds} seeds of each arm tell {claim.difference} points from noise", *hours]
            )
        lines = [
            f"{claim.name}  (section {claim.section})",
            claim.statement,
            f"compares   {claim.compared}",
            f"published  {claim.published}",
            f"source     {claim.source}",
            f"data       {', '.join(experiment.data)}",
            f"ImageNet   {cost}",
        ]
        wrapped = [
            textwrap.fill(line, 100, subsequent_indent=" " * 11, break_on_hyphens=False)
            for line in lines
        ]
        blocks.append("\n  ".join("\n".join(wrapped).split("\n")))
    assumed = (
        f"The number of seeds is for p < 0.01 nine times in ten, if a run's top-1 error has a "
        f"standard deviation of {costs.ASSUMED_DEVIATION} points. Hours are those of the steps of "
        f"configs/automatic.py, measured."
    )
    return "\n\n".join([*blocks, textwrap.fill(assumed, 100)])
