"""The paper's claims, tried: what is compared, run, measured and written down."""
