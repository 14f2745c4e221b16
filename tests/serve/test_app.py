"""What the application answers."""

import io
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from alexnet_jax.evaluation.scoring import view_probabilities
from alexnet_jax.parallel.mesh import make_data_mesh, to_devices
from alexnet_jax.runs.trained import load_trained
from alexnet_jax.serve.app import make_app


@pytest.mark.slow
def test_the_page_loads_nothing_from_elsewhere(client):
    response = client.get("/")
    assert response.status_code == 200 and "http" not in response.text.replace("https?", "")
    assert "default-src 'none'" in response.headers["content-security-policy"]


def test_a_sample_of_the_gallery_gets_the_probabilities_of_an_evaluation(client, finished):
    sample = client.get("/samples/3.png").content
    answer = client.post("/explain", content=sample).json()
    mesh = make_data_mesh()
    trained = load_trained(finished[0], mesh)
    pixels = np.repeat(np.asarray(Image.open(io.BytesIO(sample)))[None], mesh.size, axis=0)
    on_devices = to_devices({"image": pixels}, mesh)["image"]
    expected = view_probabilities([trained.predict], on_devices, "ten_crop")["ten_crop"][0]
    best = np.argsort(-np.asarray(expected))[:5]
    assert [one["name"] for one in answer["classes"]] == [trained.class_names[i] for i in best]
    found = [one["probability"] for one in answer["classes"]]
    np.testing.assert_allclose(found, expected[best], rtol=1e-4)


def test_each_of_the_ten_crops_has_its_say(client, photograph):
    crops = client.post("/explain", content=photograph).json()["crops"]
    assert len({crop["place"] for crop in crops}) == 10
    assert all(0 < crop["probability"] <= 1 for crop in crops)


def test_the_nearest_training_images_come_when_they_have_been_looked_at(client, photograph):
    for _ in range(600):
        answer = client.post("/explain", content=photograph).json()
        if not answer["neighbors_note"]:
            break
        assert answer["neighbors"] == [] and "ask again" in answer["neighbors_note"]
        time.sleep(0.1)
    assert len(answer["neighbors"]) == 6


@pytest.mark.parametrize("data", [b"", b"hello", b"\xff\xd8\xff" + bytes(99)])
def test_a_file_that_is_no_image_is_refused_in_a_sentence(client, data):
    response = client.post("/explain", content=data)
    assert response.status_code == 400 and "cannot be shown" in response.json()["error"]


def test_an_upload_above_the_limit_is_cut_off(client):
    response = client.post("/explain", content=bytes(300_001))
    assert response.status_code == 413 and "larger than" in response.json()["error"]


def test_a_picture_of_fifty_megapixels_is_answered(client):
    data = io.BytesIO()
    Image.new("L", (10_000, 5_000), 99).save(data, "png")
    assert client.post("/explain", content=data.getvalue()).status_code == 200


def test_a_picture_above_the_limit_of_the_config_is_refused(client):
    data = io.BytesIO()
    Image.new("1", (9_000, 8_000)).save(data, "png")
    response = client.post("/explain", content=data.getvalue())
    assert response.status_code == 400 and "megapixels" in response.json()["error"]


def test_two_users_at_once_get_their_own_answers(client):
    samples = [client.get(f"/samples/{number}.png").content for number in range(4)]
    alone = [client.post("/explain", content=sample).json()["classes"] for sample in samples]
    with ThreadPoolExecutor(4) as users:
        together = list(users.map(lambda data: client.post("/explain", content=data), samples * 3))
    assert [response.json()["classes"] for response in together] == alone * 3


def test_another_site_cannot_reach_the_page_by_a_name_of_its_own(client):
    assert client.get("/", headers={"Host": "evil.example"}).status_code == 400


def test_a_sample_that_is_not_there_is_not_found(client):
    assert client.get("/samples/99.png").status_code == 404


def test_without_the_data_there_is_no_gallery(finished, tmp_path):
    app = make_app(finished[0], None, str(tmp_path), 40, 300_000, ["*"])
    assert "no sample images" in TestClient(app).get("/").text
