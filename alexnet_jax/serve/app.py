"""The web application: the page, sample images, and answers for uploaded images."""

from importlib import resources
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
from markupsafe import Markup
from PIL import Image
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from alexnet_jax.data.decoding.images import encode_image, read_image
from alexnet_jax.data.imagenet.names import english_name
from alexnet_jax.errors import UserError
from alexnet_jax.report.sample import spread_evenly
from alexnet_jax.runs.run import open_split
from alexnet_jax.runs.trained import TrainedNetwork, open_trained
from alexnet_jax.serve.explanation import Explainer, describe_explanation
from alexnet_jax.serve.neighbors import Neighbors

_SAMPLES = 12
# The browser loads nothing from elsewhere and sends nothing elsewhere.
_POLICY = "default-src 'none'; img-src data: 'self'; style-src 'unsafe-inline'; "
_POLICY += "script-src 'unsafe-inline'; connect-src 'self'; base-uri 'none'; form-action 'none'"


class TryPage:
    """One network behind a page."""

    def __init__(self, trained: TrainedNetwork, neighbors: Neighbors, max_bytes: int) -> None:
        """Compile the network and read the samples of the gallery."""
        self._trained, self._neighbors, self._max_bytes = trained, neighbors, max_bytes
        self._names = [english_name(name) for name in trained.class_names]
        self._explainer = Explainer(trained)
        self._samples, self._no_samples = _read_samples(trained)

    async def page(self, request: Request) -> Response:
        """Serve the page."""
        room = resources.files("alexnet_jax.serve")
        report = resources.files("alexnet_jax.report")
        environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
        config = self._trained.config
        text = environment.from_string((room / "page.html.jinja").read_text()).render(
            title=f"{config.model.name} on {config.data.name}",
            classes=len(self._trained.class_names),
            step=int(self._trained.state.step),
            samples=[label for _, label in self._samples],
            no_samples=self._no_samples,
            megabytes=self._max_bytes // 1_000_000,
            style=Markup((report / "page.css").read_text() + (room / "page.css").read_text()),
            script=Markup((room / "page.js").read_text()),
        )
        return HTMLResponse(text, headers={"Content-Security-Policy": _POLICY})

    async def sample(self, request: Request) -> Response:
        """Serve an image of the gallery."""
        number = int(request.path_params["number"])
        if number >= len(self._samples):
            return Response(status_code=404)
        return Response(self._samples[number][0], media_type="image/png")

    async def explain(self, request: Request) -> Response:
        """Answer for the image in the body of the request."""
        data = bytearray()
        async for chunk in request.stream():
            data += chunk
            if len(data) > self._max_bytes:
                limit = f"{self._max_bytes / 1e6:,.0f} MB"
                return JSONResponse({"error": f"The file is larger than {limit}."}, 413)
        try:
            return JSONResponse(await run_in_threadpool(self._answer, bytes(data)))
        except ValueError as error:
            return JSONResponse({"error": f"This cannot be shown: {error}."}, 400)

    def _answer(self, data: bytes) -> dict[str, Any]:
        limit = self._trained.config.data.max_megapixels
        image = read_image(data, self._explainer.image_size, max_megapixels=limit)
        parts = self._explainer(image)
        return {
            **describe_explanation(parts, self._names),
            "neighbors": self._neighbors.nearest(parts["features"]),
            "neighbors_note": self._neighbors.note,
        }


def make_app(
    workdir: Path,
    checkpoint: str | None,
    data_dir: str | None,
    training_images: int,
    max_bytes: int,
    hosts: list[str],
) -> Starlette:
    """Load a workdir's network and return the application.

    Args:
        workdir: Folder of a run or of imported weights.
        checkpoint: Checkpoint to use, as for `load_trained`.
        data_dir: Folder of the data set, if it has moved; without data there is no gallery.
        training_images: Number of training images among which the nearest ones are sought.
        max_bytes: Largest size of an uploaded file.
        hosts: Names under which the page may be requested, so that no other web site can reach it
            through a name of its own.
    """
    trained = open_trained(workdir, checkpoint, data_dir)
    page = TryPage(trained, Neighbors(trained, training_images), max_bytes)
    return Starlette(
        routes=[
            Route("/", page.page),
            Route("/samples/{number:int}.png", page.sample),
            Route("/explain", page.explain, methods=["POST"]),
        ],
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=hosts)],
    )


def _read_samples(trained: TrainedNetwork) -> tuple[list[tuple[bytes, str]], str]:
    """Return validation images as PNG files with their labels, or none and the reason."""
    try:
        images = open_split(trained.config, "validation")
    except UserError as error:
        return [], str(error)
    chosen, size = spread_evenly(_SAMPLES, len(images)), images.image_size
    pixels = np.zeros((len(chosen), size, size, 3), np.uint8)
    labels = np.zeros(len(chosen), np.int32)
    images.read_into(chosen, pixels, labels)
    return [
        (encode_image(Image.fromarray(image), "png"), english_name(trained.class_names[label]))
        for image, label in zip(pixels, labels, strict=True)
    ], ""
