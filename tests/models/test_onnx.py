"""Every architecture as ONNX, computed by ONNX Runtime: the scores of torch, at sizes it was not traced at, too."""

import io

import pytest
import torch
from torch import nn
from torch.export import Dim

from architectures import PLANAR, make
from biounet.models import MODELS

pytest.importorskip("onnxscript", reason="the exporter of torch needs it: pip install 'biounet[onnx]'")
onnxruntime = pytest.importorskip("onnxruntime", reason="no ONNX Runtime: pip install 'biounet[onnx]'")

# Tracing takes its time for every layer: few of them, but of each kind. At a depth of 1, no skip has a gate.
SETTINGS = {name: {"norm": "none"} for name in PLANAR} | {"attention-unet": {"depth": 2}}


def noise(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.filterwarnings("ignore:.*LeafSpec:FutureWarning")  # within torch
@pytest.mark.parametrize("name", MODELS)
def test_onnx_gives_the_scores_of_torch_at_any_size(name):
    net = make(name, **{"depth": 1} | SETTINGS.get(name, {}))
    for weight in net.parameters():
        if not weight.any():  # until they have learnt something, as the biases and the scores that an FCN adds
            nn.init.normal_(weight, std=0.1, generator=torch.Generator().manual_seed(1))
    step = max(8, *net.geometry.grid)
    traced, other = noise(1, 1, 2 * step, 3 * step), noise(1, 1, 4 * step, 2 * step)
    file, sizes = io.BytesIO(), ({2: Dim.DYNAMIC, 3: Dim.DYNAMIC},)
    torch.onnx.export(net, (traced,), dynamo=True, dynamic_shapes=sizes, verbose=False).save(file)
    session = onnxruntime.InferenceSession(file.getvalue(), providers=["CPUExecutionProvider"])
    for image in (traced, other):
        (scores,) = session.run(None, {session.get_inputs()[0].name: image.numpy()})
        assert scores.std() > 1e-3, "a network that has died proves nothing"
        with torch.inference_mode():
            torch.testing.assert_close(torch.from_numpy(scores), net(image), atol=1e-4, rtol=0)
