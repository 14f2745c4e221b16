"""The report of a run, whole and with parts missing."""

import re
import shutil
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from PIL import Image

from alexnet_jax.errors import UserError
from alexnet_jax.report.making import make_report


@pytest.fixture(scope="module")
def page(reported):
    return (reported / "report" / "index.html").read_text()


def text_of(page, part):
    """The text of a section, without tags."""
    section = re.search(rf'<section id="{part}">(.*?)</section>', page, re.DOTALL)[1]
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", section))


@pytest.mark.slow
def test_the_page_is_below_five_megabytes(page):
    assert len(page.encode()) < 5e6


def test_the_page_needs_no_other_file(page):
    without_scripts = re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL)
    sources = re.findall(r'(?:src|href|url)[=(]"?([^")\s>]+)', without_scripts)
    assert sources and all(re.match(r"data:|#", source) for source in sources)


def test_the_result_comes_first(page, finished):
    error = finished[1]["ten_crop"]["top1_error"]
    assert f"{100 * error:.2f} %" in text_of(page, "result")
    assert page.index('id="result"') < page.index('id="curves"')


def test_every_image_has_a_text(page):
    images = re.findall(r"<img[^>]*>", page.split("<script>")[0])
    assert len(images) > 100 and all(re.search(r'alt="[^"]+"', image) for image in images)


def test_every_unit_has_its_anchor(page, trained):
    features = [layer.features for layer in trained.network.model.spec.convolutions]
    for number, count in enumerate(features, start=1):
        assert len(re.findall(rf'id="conv{number}-\d+"', page)) == count
    assert 'id="fc8-9"' in page and 'id="fc8-10"' not in page


@pytest.mark.parametrize(
    "name", ["network", "kernels", "predictions", "neighbors", "curve-loss", "calibration"]
)
def test_figures_are_written_as_svg_and_png(reported, name):
    figures = reported / "report" / "figures"
    assert ET.parse(figures / f"{name}.svg").getroot().tag.endswith("svg")
    pixels = np.asarray(Image.open(figures / f"{name}.png").convert("RGB"))
    assert pixels.std() > 10


def test_without_the_data_the_page_says_what_to_do(finished, tmp_path, capsys):
    workdir = shutil.copytree(finished[0], tmp_path / "run")
    page = make_report([workdir], data_dir=str(tmp_path / "nowhere")).read_text()
    assert "nowhere" in text_of(page, "predictions") and "data set" in text_of(page, "inside")
    assert "no pictures" in capsys.readouterr().err
    assert "conv1" in text_of(page, "network")  # What needs no data is there.


def test_without_checkpoints_the_page_has_the_curves(finished, tmp_path):
    workdir = shutil.copytree(
        finished[0], tmp_path / "run", ignore=shutil.ignore_patterns("check*")
    )
    page = make_report([workdir]).read_text()
    assert "cannot be loaded" in text_of(page, "network")
    assert 'id="curve-loss"' in page


def test_several_runs_share_the_table_and_the_curves(finished, tmp_path):
    other = shutil.copytree(finished[0], tmp_path / "other")
    page = make_report([other, finished[0]], data_dir=str(tmp_path / "nowhere")).read_text()
    assert text_of(page, "result").count("ten crops") == 2
    assert '"run": "other"' in page and '"run": "run"' in page


def test_a_folder_that_is_no_workdir_is_refused(tmp_path):
    with pytest.raises(UserError, match="no workdir of a run"):
        make_report([tmp_path])


def test_a_checkpoint_that_is_not_there_leaves_an_earlier_report(finished, tmp_path):
    workdir = shutil.copytree(finished[0], tmp_path / "run")
    (workdir / "report").mkdir()
    (workdir / "report" / "index.html").write_text("earlier")
    with pytest.raises(UserError, match="no checkpoint 5"):
        make_report([workdir], checkpoint="5")
    assert (workdir / "report" / "index.html").read_text() == "earlier"


def test_the_nearest_images_have_their_classes_and_ranks(page):
    rows = re.findall(r'<div class="neighbors">(.*?)</div>', page)
    alts = re.findall(r'alt="([^"]*)"', rows[0])
    assert alts[0].startswith("Validation image: fractal_")
    assert alts[6].startswith("Training image 6 by distance: fractal_")


def test_each_layer_has_the_size_of_its_sums(page, trained):
    row = re.search(r'<a href="#fc8">.*?</tr>', page)[0]
    share, size = re.findall(r'<td class="n">([^<]*)</td>', row)[2:4]
    assert share.endswith(" %") and float(size) > 0


def test_the_mistakes_name_their_checkpoint(page, trained):
    assert f"checkpoint of step {int(trained.state.step)}" in text_of(page, "mistakes")
