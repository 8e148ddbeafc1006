"""Parameters of every architecture against its paper or public code (docs/papers.toml), and the page on the papers."""

import re
import tomllib
from itertools import pairwise
from pathlib import Path

import pytest
import torch

from biounet.config import ModelConfig
from biounet.models import MODELS

ROOT = Path(__file__).parents[2]
PAPERS = tomllib.loads((ROOT / "docs" / "papers.toml").read_text())
PAGE = (ROOT / "docs" / "papers.md").read_text()
WIDTHS = (64, 128, 256, 512, 1024)


def test_every_architecture_has_its_paper():
    assert list(PAPERS) == list(MODELS)
    for name, paper in PAPERS.items():
        assert paper["source"].split(":")[0] in ("stated", "counted", "none"), name
        assert ("published" in paper) == (not paper["source"].startswith("none")), name


@pytest.mark.parametrize("name", [name for name, paper in PAPERS.items() if "published" in paper])
def test_parameters_are_those_of_the_paper_but_for_named_differences(name):
    paper = PAPERS[name]
    with torch.device("meta"):
        net = MODELS[name](ModelConfig(name=name, **paper["settings"]))
    ours = sum(weight.numel() for weight in net.parameters())
    expected = paper["published"] + sum(number for number, _ in paper.get("differences", []))
    assert abs(ours - expected) <= paper.get("rounding", 0)


def test_the_page_names_every_architecture_and_only_files_that_are_there():
    assert all(f"`{name}`" in PAGE for name in MODELS)
    files = re.findall(r"`((?:tests|benchmarks)/[\w/]+\.py)`", PAGE)
    assert len(files) > 40
    assert [file for file in files if not (ROOT / file).is_file()] == []


def test_every_source_of_a_docstring_is_cited_in_the_page():
    cited = PAGE.partition("## Every paper that is cited")[2]
    sources = set()
    for path in (ROOT / "src").rglob("*.py"):
        sources |= set(re.findall(r"Source: ([A-Z][\w-]+)[\w\s,.-]*? ((?:19|20)\d\d)", path.read_text()))
    assert {("Ronneberger", "2015"), ("Salmon", "2011")} < sources
    missing = [" ".join(source) for source in sources if not re.search(rf"\| {source[0]}[^|]* {source[1]} \|", cited)]
    assert not missing, f"add to the last table of docs/papers.md: {sorted(missing)}"


def test_a_file_that_nobody_has_seen_is_no_source():
    # The learning rate was once said to be that of "the authors' published Caffe solver".
    files = (*(ROOT / "src").rglob("*.py"), *(ROOT / "docs").rglob("*.md"), ROOT / "README.md")
    speaks = {path: re.findall(r"[^.]*\bsolver\b[^.]*", path.read_text()) for path in files}
    assert {path.name: len(said) for path, said in speaks.items() if said} == {"papers.md": 1}
    assert "Nobody here has seen the solver file of the release." in PAGE
    assert "| learning rate, number of steps | not stated | 0.001, constant, customary at the time;" in PAGE


# What follows counts public code layer by layer, from its own layers and not from ours.


def conv(before: int, after: int, size: int, *, dims: int = 2, bias: bool = True) -> int:
    return before * after * size**dims + after * bias


def normed(before: int, after: int, size: int, *, dims: int = 2) -> int:
    """A convolution with biases and a batch normalisation."""
    return conv(before, after, size, dims=dims) + 2 * after


def test_the_unet_that_is_counted_has_the_layers_of_figure_1():
    # github.com/jakeret/tf_unet, tf_unet/unet.py: create_conv_net(channels=1, n_class=2, layers=5, features_root=64)
    down = sum(conv(a, b, 3) + conv(b, b, 3) for a, b in pairwise((1, *WIDTHS)))
    up = sum(conv(b, a, 2) + conv(b, a, 3) + conv(a, a, 3) for a, b in pairwise(WIDTHS))
    assert down + up + conv(64, 2, 1) == PAPERS["unet"]["published"]
    # The release of its authors: 128 channels, not 64, come out of the last up-convolution.
    released = down + up + conv(64, 2, 1) + 64 * (4 * 128 + 1) + 64 * 9 * 64
    assert f"the release has 128, and so {released:,} parameters" in PAGE


def test_the_attention_unet_that_is_counted_has_the_layers_of_its_authors():
    # github.com/ozan-oktay/Attention-Gated-Networks, models/networks/unet_CT_single_att_dsv_3D.py and utils.py,
    # models/layers/grid_attention_layer.py: feature_scale=4, in_channels=1, n_classes=4
    widths, classes = (16, 32, 64, 128, 256), 4
    total = normed(1, 16, 3, dims=3) + normed(16, 16, 3, dims=3)
    for a, b in pairwise(widths):
        total += sum(normed(*pair, 3, dims=3) for pair in ((a, b), (b, b), (a + b, a), (a, a)))
        total += conv(a, classes, 1)  # deep supervision
        if a > 16:
            gate = conv(a, a, 2, dims=3, bias=False) + conv(b, a, 1) + conv(a, 1, 1)  # theta, phi, psi
            total += gate + normed(a, a, 1) + normed(a, a, 1)  # W, combine_gates
    total += normed(256, 256, 1) + conv(4 * classes, classes, 1)  # gating, final
    assert total == PAPERS["attention-unet"]["published"]


def test_the_r2u_net_that_is_counted_has_the_layers_of_its_code():
    # github.com/LeeJunHyun/Image_Segmentation, network.py: R2U_Net(img_ch=3, output_ch=1, t=2)
    def block(before: int, after: int) -> int:  # RRCNN_block; a kernel serves all time steps
        return conv(before, after, 1) + 2 * normed(after, after, 3)

    total = block(3, 64) + conv(64, 1, 1)
    total += sum(block(a, b) + normed(b, a, 3) + block(b, a) for a, b in pairwise(WIDTHS))
    assert total == PAPERS["recurrent-residual-unet"]["published"]


def test_the_dense_unet_that_is_counted_has_the_layers_of_its_code():
    # github.com/axd465/PAM_Deep_Learning_Undersampling_Publication, Code/FD_UNet.py: FD_UNet(filters=32), 1 channel
    # UpBlock computes a 1x1 convolution and gives its input, not its result, to the dense block: Keras leaves it out.
    def block(before: int, enter: int) -> int:  # FD_Block: four layers, a quarter of the channels each
        layers = range(before, before + enter, enter // 4)
        return sum(normed(channels, enter, 1) + normed(enter, enter // 4, 3) for channels in layers)

    enters = (32, 64, 128, 256)
    total = normed(1, 32, 3) + sum(block(c, c) + normed(2 * c, 2 * c, 1) + normed(2 * c, 2 * c, 3) for c in enters)
    total += block(512, 512) + normed(1024, 512, 1) + normed(512, 256, 3)  # BridgeBlock
    for c in (256, 128, 64):  # UpBlock: the skip has 2 c channels, what comes from below c
        total += block(3 * c, c) + normed(4 * c, c, 1) + normed(c, c // 2, 3)
    total += block(64 + 32, 32) + conv(64 + 32 + 32, 1, 1)
    assert total == PAPERS["dense-unet"]["published"]


def test_the_inception_unet_that_is_counted_has_the_layers_of_its_first_author():
    # github.com/danielenricocahall/Keras-UNet, UNet/createtInceptionUNet.py and Inception/InceptionModule.py:
    # createInceptionUNet(numFilters=32, n_labels=1), 1 channel
    def module(before: int, filters: int) -> int:  # 1x1 | 1x1, 3x3 | 1x1, 3x3, 3x3 | pooling, 1x1
        return 4 * normed(before, filters, 1) + 2 * normed(filters, filters, 3) + conv(filters, filters, 3)

    filters = (32, 64, 128, 256, 512)
    total = module(1, 32) + sum(module(4 * a, b) for a, b in pairwise(filters))
    total += module(4 * 512, 256) + sum(module(8 * b, a) for a, b in pairwise(filters[:-1]))  # merged with the skip
    assert total + normed(8 * 32, 1, 1) == PAPERS["inception-unet"]["published"]
