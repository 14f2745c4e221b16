"""The paper's claims as overrides of a recipe, each with the published difference.

  python -m alexnet_jax.sweep --config=automatic --sweep=configs/sweeps/ablations.py --workdir=DIR

They are the arms of the experiment `ablations` in alexnet_jax/reproduction/claims.toml;
`python -m launch.reproduce` also compares them and writes down what it finds.
"""

from alexnet_jax.reproduction.claims import load_claims
from alexnet_jax.sweeps import Trial


def get_sweep() -> list[Trial]:
    """Return the baseline, then an arm for each change."""
    claims = load_claims()
    published = {
        claim.arm: claim.published
        for claim in claims.of_experiment("ablations")
        if claim.measure == "error"
    }
    arms = claims.experiments["ablations"].arms
    return [Trial(overrides, arm, published.get(arm, "")) for arm, overrides in arms.items()]
