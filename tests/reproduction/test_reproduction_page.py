"""The page in docs/ says what the logs in benchmarks/ say."""

import re
import shutil
from dataclasses import replace

from made_logs import made_log, made_run
from short_run import REPOSITORY

from alexnet_jax.reproduction.claims import load_claims
from alexnet_jax.reproduction.figures import draw_differences
from alexnet_jax.reproduction.findings import find, read_logs
from alexnet_jax.reproduction.logs import log_path, read_log
from alexnet_jax.reproduction.measures import MEASURES
from alexnet_jax.reproduction.page import draw_figures, format_page, write_page

CLAIMS = load_claims()
RESULTS = REPOSITORY / "benchmarks" / "results" / "paper"
PAGE = REPOSITORY / "docs" / "reproducing-2012.md"


def text_of(results):
    """The page of the logs in `results`."""
    logs = read_logs(results, CLAIMS)
    findings = find(CLAIMS, logs)
    figures = draw_figures(CLAIMS, logs, findings)
    return format_page(CLAIMS, results, logs, findings, figures)


def test_every_number_of_the_page_comes_from_the_logs(monkeypatch):
    monkeypatch.chdir(REPOSITORY)
    assert PAGE.read_text() == text_of(RESULTS.relative_to(REPOSITORY))


def test_its_figures_are_there():
    paths = re.findall(r"\]\((images/paper/\S+)\)", PAGE.read_text())
    assert paths
    for path in paths:
        assert (PAGE.parent / path).stat().st_size > 0
        assert (PAGE.parent / path).with_suffix(".png").stat().st_size > 0


def test_without_logs_the_page_says_what_to_run(tmp_path):
    findings = write_page(CLAIMS, tmp_path / "results", tmp_path / "page.md")
    assert findings == []
    text = (tmp_path / "page.md").read_text()
    assert "Nothing has been measured yet. `python -m launch.reproduce" in text
    assert "What was found" not in text


def test_another_log_gives_another_page(tmp_path):
    shutil.copytree(RESULTS, tmp_path / "results")
    path = log_path(tmp_path / "results", "fractals/few", "ablations")
    before = text_of(tmp_path / "results")
    log = read_log(path)
    for run in log.of_arm("no_dropout"):
        run.result["ten_crop"]["top1_error"] = 0.9 + run.seed / 1000
    log.write(path)
    after = text_of(tmp_path / "results")
    changed = [
        line for line in after.splitlines() if line not in before and "`dropout_error`" in line
    ]
    assert changed


def test_a_claim_without_a_number_is_named(tmp_path):
    shutil.copytree(RESULTS, tmp_path / "results")
    path = log_path(tmp_path / "results", "fashion_mnist", "figure1")
    log = read_log(path)
    for run in log.of_arm("tanh"):
        run.train[:] = [[epoch, loss, 0.9] for epoch, loss, _ in run.train]
    log.write(path)
    text = text_of(tmp_path / "results")
    assert "a run never reached the training error: `relu` on `fashion_mnist`." in text


def test_a_log_of_the_baseline_alone_gives_a_command_that_runs(tmp_path):
    made_log(*(made_run("baseline", seed) for seed in range(2))).write(
        log_path(tmp_path, "fractals/few", "ablations")
    )
    assert "--data=fractals/few --seeds=1 " in text_of(tmp_path)


def test_a_log_of_imagenet_gives_a_page_too(tmp_path):
    runs = [
        made_run("baseline", seed, mistakes={"center": [1], "ten_crop": [1]}) for seed in (0, 1)
    ]
    for data in ("imagenet2012", "fractals/few"):
        replace(made_log(*runs), data=data).write(log_path(tmp_path, data, "ablations"))
    text = text_of(tmp_path)
    assert "| `imagenet2012` | 2 | center crop | 1.0 % |" in text
    assert "| `fractals/few` | 2 | center crop | 1.0 % |" in text


def test_the_page_has_a_color_for_each_verdict_that_disagrees():
    logs = read_logs(RESULTS, CLAIMS)
    findings = [each for each in find(CLAIMS, logs) if each.claim.name == "conv2_norms"]
    assert [each.verdict for each in findings] == ["differs"]
    lines = draw_differences(findings, {}).figure.axes[0].lines
    assert "#D55E00" in {line.get_color() for line in lines}


def test_every_interval_is_inside_its_figure():
    findings = find(CLAIMS, read_logs(RESULTS, CLAIMS))
    own = [each for each in findings if each.claim.experiment == "ablations"]
    low, high = draw_differences(own, {}).figure.axes[0].get_xlim()
    for each in own:
        if MEASURES[each.claim.measure].curve is None:
            assert low < each.estimate.low <= each.estimate.high < high


def test_the_page_says_which_starts_leave_the_loss_of_a_guess(tmp_path):
    def run(arm, seed, *losses):
        return made_run(arm, seed, train=[[epoch, loss, 0.5] for epoch, loss in enumerate(losses)])

    log = made_log(
        run("text", 0, 2.3, 2.3, 2.3), run("text", 1, 2.3, 2.3, 2.2),
        run("code", 0, 2.3, 1.5, 1.0), run("code", 1, 2.3, 2.3, 1.2), run("code", 2, 1.0, 1.0, 1.1),
    )  # fmt: skip
    replace(log, experiment="starts").write(log_path(tmp_path, "fractals/few", "starts"))
    text = text_of(tmp_path)
    assert "| `text` | 0 of 2 |  | 2.25 |" in text
    assert "| `code` | 3 of 3 | 40 (20 to 60) | 1.10 |" in text
    assert "images/paper/starts_fractals_few.svg" in text
