"""What `make mutation` found, as the table of docs/lab/mutation.md."""

import json
from collections import Counter
from pathlib import Path

# mutmut's exit codes: the tests passed; no test reaches the function; mypy refuses the mutant.
SURVIVED, UNREACHED, ILL_TYPED = 0, 33, 37


def row(name: str, ends: Counter[int | None]) -> str:
    """Return a row; mutants that mypy refuses count nowhere, those that no test reaches survive."""
    tried = sum(ends.values()) - ends[ILL_TYPED]
    killed = tried - ends[SURVIVED] - ends[UNREACHED] - ends[None]
    score = f"{killed / tried:.1%}" if tried else "-"
    return f"| {name} | {ends[ILL_TYPED]} | {tried} | {killed} | {ends[None]} | {score} |"


def main() -> None:
    """Print a row for each module that was mutated, and their sum."""
    total: Counter[int | None] = Counter()
    print("| module | refused by mypy | tried | killed | not yet run | score |")
    print("|---|---|---|---|---|---|")
    folder = Path("mutants/alexnet_jax")
    for path in sorted(folder.rglob("*.meta")):
        ends = Counter(json.loads(path.read_text())["exit_code_by_key"].values())
        if ends:
            total += ends
            print(row(f"`{path.relative_to(folder).with_suffix('')}`", ends))
    print(row("all", total))


if __name__ == "__main__":
    main()
