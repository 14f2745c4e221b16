"""How fast a training step and a forward pass are, ours and PyTorch's, in turn on the same machine.

  python -m benchmarks.step --out=FOLDER
  python -m benchmarks.step --out=FOLDER --platform=gpu --dtype=bfloat16 \
      --networks=single_tower --batches=128,512,2048

Each contender (see CONTENDERS) is a process of its own that stays up, asked in turn for a few
steps; after the first turn, only ours and those of PyTorch's that are near its fastest. Every case
writes FOLDER/step_PLATFORM_DTYPE_NETWORK_BATCH.json after each turn, so that a run that is cut
short leaves what it has. Needs jax, flax, optax, numpy and torch alone.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from alexnet_jax.system.cores import processor_name

CONTENDERS = {
    "cpu": (
        "ours",
        "torch",
        "torch_channels_last",
        "torch_compiled",
        "torch_channels_last_compiled",
    ),
    "gpu": ("ours", "torch_channels_last", "torch_channels_last_compiled"),
}
CEILING_ROWS = {"cpu": 4096, "gpu": 8192}  # Of the matrix product that a step is compared with.
NEAR = 1.2  # A peer continues if it takes at most so many times the fastest's.
OURS = ("ours", "ours_plain")  # The second where --contenders names it: model.kernels=plain.
SIDES = dict.fromkeys(OURS, "benchmarks.step_ours") | dict.fromkeys(
    ("onnxruntime", "openvino"), "benchmarks.forward_onnx"
)


class Contender:
    """A process that trains one network and answers one line with another."""

    def __init__(self, name: str, case: dict[str, Any]) -> None:
        self.name = name
        module = SIDES.get(name, "benchmarks.step_torch")
        command = [sys.executable, "-m", module, json.dumps(case | {"form": name})]
        environment = os.environ | {"XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )
        self.start = self._read()

    def ask(self, *words: Any) -> Any:
        """Send a command; see benchmarks/answering.py."""
        assert self._process.stdin is not None
        self._process.stdin.write(" ".join(map(str, words)) + "\n")
        self._process.stdin.flush()
        return self._read()

    def stop(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()

    def _read(self) -> Any:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith("{"):  # Libraries may print lines of their own.
                answer = json.loads(line)
                if "error" in answer:
                    raise RuntimeError(answer["error"])
                return answer
        raise RuntimeError(f"{self.name} ended with exit code {self._process.wait()}")


def measure_case(
    case: dict[str, Any], names: list[str], turns: int, steps: int, out: Path, until: float
) -> dict:
    """Measure one network at one batch size; returns what is written to `out`."""
    result: dict[str, Any] = {"case": case, "machine": describe_machine(), "contenders": {}}
    result["command"] = ["python", "-m", "benchmarks.step", *sys.argv[1:]]
    contenders = []
    for name in names:
        try:
            contender = Contender(name, case)
        except RuntimeError as error:
            result["contenders"][name] = {"failed": str(error)[-2000:]}
            continue
        contenders.append(contender)
        result["contenders"][name] = {
            "start": contender.start, "train_seconds": [], "forward_seconds": [], "ceiling": [],
        }  # fmt: skip
    for turn in range(turns):
        if turn and time.perf_counter() > until:
            break
        for contender in contenders:
            try:
                measure_turn(
                    contender, result["contenders"][contender.name], steps, turn == turns - 1
                )
            except (RuntimeError, BrokenPipeError) as error:
                result["contenders"][contender.name]["failed"] = str(error)[-2000:]
        summarize(result)
        if turn == 0:
            contenders = keep_the_fastest(contenders, result["contenders"])
        out.write_text(json.dumps(result, indent=1) + "\n")
    for contender in contenders:
        contender.stop()
    return result


def keep_the_fastest(contenders: list[Contender], records: dict[str, Any]) -> list[Contender]:
    """Let go the peers that came nowhere near the fastest, in training and forward, at first."""
    peers = [c for c in contenders if c.name not in OURS and "failed" not in records[c.name]]
    kept = {c.name for c in contenders if c.name in OURS}
    for kind in ("train_seconds", "forward_seconds"):
        first = {c.name: records[c.name][kind][0] for c in peers}
        kept |= {name for name, seconds in first.items() if seconds <= NEAR * min(first.values())}
    for contender in contenders:
        if contender.name not in kept:
            contender.stop()
    return [contender for contender in contenders if contender.name in kept]


def measure_turn(contender: Contender, record: dict[str, Any], steps: int, last: bool) -> None:
    """Take one turn of a contender: its training, forward pass and ceiling; at last its trace."""
    if "failed" in record:
        return
    record["train_seconds"].append(contender.ask("train", steps)["seconds"])
    record["memory"] = contender.ask("memory")  # Training's: before the forward pass needs more.
    record["forward_seconds"].append(contender.ask("forward", steps)["seconds"])
    record["ceiling"].append(contender.ask("ceiling")["flops_per_second"])
    if last and contender.name in OURS:
        record["longest_kernels"] = contender.ask("trace")


def summarize(result: dict[str, Any]) -> None:
    """Add medians over the turns and ratios to `result`.

    A turn's time is the median of its steps. The ceiling is the highest product of the whole case,
    by whichever library.
    """
    batch = result["case"]["batch"]
    done = {n: r for n, r in result["contenders"].items() if r.get("forward_seconds")}
    for record in done.values():
        for kind in ("train", "forward"):
            seconds = statistics.median(record[f"{kind}_seconds"])
            record[f"{kind}_images_per_second"] = batch / seconds
    ceiling = max((max(r["ceiling"]) for r in done.values() if r["ceiling"]), default=None)
    summary: dict[str, Any] = {"ceiling_flops_per_second": ceiling}
    turns = max((len(r["forward_seconds"]) for r in done.values()), default=0)
    peers = {
        n: r for n, r in done.items() if n not in OURS and len(r["forward_seconds"]) == turns
    }  # Those that went on: one turn may be a lucky one.
    for name in (n for n in OURS if n in done):
        ours = done[name]
        flops = 2 * ours["start"]["training_multiply_adds"] * ours["train_images_per_second"]
        own = statistics.median(ours["ceiling"]) if ours["ceiling"] else None
        row = {"share_of_own_ceiling": flops / own if own else None}
        row["share_of_highest_ceiling"] = flops / ceiling if ceiling else None
        for kind in ("train", "forward"):
            rates = {n: r[f"{kind}_images_per_second"] for n, r in peers.items()}
            if rates:
                best = max(rates, key=lambda n: rates[n])
                ratios = [
                    peer / own_seconds
                    for peer, own_seconds in zip(
                        peers[best][f"{kind}_seconds"], ours[f"{kind}_seconds"], strict=False
                    )
                ]
                row[kind] = {"best_peer": best, "ratio": statistics.median(ratios)}
        summary[name] = row
    result["summary"] = summary


def describe_machine() -> dict[str, Any]:
    """Say what this was measured on."""
    git = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    return {
        "cores": os.cpu_count(),
        "cpu": processor_name(),
        "python": platform.python_version(),
        "commit": git.stdout.strip() or None,
    }


def main() -> None:
    """Measure every case that the arguments name."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--platform", choices=["cpu", "gpu"], default="cpu")
    parser.add_argument("--dtype", choices=["float32", "bfloat16"], default="float32")
    parser.add_argument("--networks", default="original,single_tower,owt")
    parser.add_argument("--batches", default="32,128")
    parser.add_argument("--contenders", help="names, by commas; unset: all of the platform's")
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--steps", type=int, default=3, help="a turn, after one that is not timed")
    parser.add_argument(
        "--ceiling_rows",
        type=int,
        help="of the ceiling's matrix product; unset: 4096 on CPUs, 8192 on GPUs",
    )
    parser.add_argument("--minutes", type=float, default=1e9, help="begin no turn after")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    until = time.perf_counter() + 60 * arguments.minutes
    names = (arguments.contenders or ",".join(CONTENDERS[arguments.platform])).split(",")
    for network in arguments.networks.split(","):
        for batch in map(int, arguments.batches.split(",")):
            case = {"network": network, "batch": batch}
            case |= {"platform": arguments.platform, "dtype": arguments.dtype}
            case["ceiling_rows"] = arguments.ceiling_rows or CEILING_ROWS[arguments.platform]
            file = f"step_{arguments.platform}_{arguments.dtype}_{network}_{batch}.json"
            begin = time.perf_counter()
            if begin > until:
                return
            result = measure_case(
                case, names, arguments.turns, arguments.steps, arguments.out / file, until
            )
            report = {"seconds": round(time.perf_counter() - begin), **result["summary"]}
            print(json.dumps(case | report), flush=True)


if __name__ == "__main__":
    main()
