"""Scripts for Fiji and QuPath give the labels of `segment_objects`, where ImageJ and Groovy are there to run them."""

import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from biounet.config.object_rules import ObjectRules
from biounet.export.object_scripts import object_scripts
from biounet.segmentation import segment_objects

JAR = Path("/usr/share/java/ij.jar")  # of Debian's package imagej
RULES = {
    "foreground": ObjectRules(seed=0.7, least_pixels=30, largest_hole=20),
    "border": ObjectRules(target="border", foreground=0.4, seed=0.55, least_seed=4),
    "distance": ObjectRules(target="distance", seed=0.45, peak=0.5, second_seed=0.35, largest_seed=45),
    "seeds alone": ObjectRules(seed=0.55, foreground=0.55, grow=False, largest_hole=0),
}


OTHERS = [name for name in RULES if name != "distance"]


def groovy(folder, code, *, classpath=""):
    """Run a script."""
    (folder / "run.groovy").write_text(code)
    java = Path(shutil.which("java")).resolve().parents[1]
    options = "-Djava.awt.headless=true --add-opens=java.base/java.lang=ALL-UNNAMED"
    environment = os.environ | {"JAVA_HOME": str(java), "CLASSPATH": str(classpath), "JAVA_OPTS": options}
    words = ["groovy", str(folder / "run.groovy"), str(folder)]
    subprocess.run(words, check=True, env=environment, capture_output=True, timeout=120)


def probabilities_of(rules, shape):
    """Smooth probabilities of the classes of a target."""
    count = {"foreground": 2, "border": 3, "distance": 5}[rules.target]
    drawn = np.random.default_rng(0).normal(size=(count, *shape))
    logits = 9 * np.stack([gaussian_filter(plane, 1.5) for plane in drawn])
    logits[0] += 1.5 * (count > 2)
    shares = np.exp(logits)
    return (shares / shares.sum(axis=0)).astype(np.float32)


def test_rules_are_written_in_the_words_of_both_languages():
    rules = ObjectRules(target="border", foreground=0.3, second_seed=0.2, largest_hole=None, grow=False)
    files = {name: text.decode() for name, text in object_scripts(rules, dims=2).items()}
    assert "var SECOND_SEED = 52;" in files["objects.ijm"]  # 1 + 254 / 5
    assert 'static final String TARGET = "border"\n' in files["objects.groovy"]
    assert "static final boolean GROW = false\n" in files["objects.groovy"]
    assert "static final int LARGEST_HOLE = -1\n" in files["objects.groovy"]
    assert "static final double FOREGROUND = 0.300" in files["objects.groovy"]
    assert list(object_scripts(rules, dims=3)) == ["objects.ijm"]


def test_a_seed_is_split_in_what_the_scripts_are_tested_on():
    rules = RULES["distance"]
    for shape in [(48, 60), (5, 24, 26)]:
        probabilities = probabilities_of(rules, shape)
        joined = segment_objects(probabilities, rules.model_copy(update={"largest_seed": None}))
        assert segment_objects(probabilities, rules).max() > joined.max()


@pytest.mark.skipif(not shutil.which("groovy"), reason="Groovy is not installed")
@pytest.mark.parametrize("name", ["distance", *(pytest.param(name, marks=pytest.mark.slow) for name in OTHERS)])
def test_the_script_of_qupath_gives_the_same_labels(tmp_path, name):
    rules = RULES[name]
    probabilities = probabilities_of(rules, (48, 60))
    expected = segment_objects(probabilities, rules)
    assert expected.max() > 3
    probabilities.astype(">f4").tofile(tmp_path / "probabilities")
    script = object_scripts(rules, dims=2)["objects.groovy"].decode()
    core = script[: script.index("// QUPATH")]
    groovy(
        tmp_path,
        f"""{core}
def buffer = java.nio.ByteBuffer.wrap(new File(args[0], "probabilities").bytes).asFloatBuffer()
float[][] p = new float[{len(probabilities)}][48 * 60]
p.each {{ buffer.get(it) }}
new File(args[0], "labels").text = BiounetObjects.of(p, 60, 48).join(" ")
""",
    )
    labels = np.array((tmp_path / "labels").read_text().split(), float).reshape(48, 60)
    np.testing.assert_array_equal(labels, expected)


@pytest.mark.skipif(not (JAR.exists() and shutil.which("groovy")), reason="ImageJ or Groovy is not installed")
@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("distance", (5, 24, 26)),
        *(pytest.param(name, (30, 36), marks=pytest.mark.slow) for name in RULES),
    ],
)
def test_the_macro_of_imagej_gives_the_same_labels(tmp_path, name, shape):
    rules = RULES[name]
    probabilities = probabilities_of(rules, shape)
    expected = segment_objects(probabilities, rules)
    assert expected.max() > 1
    planes = probabilities.reshape(len(probabilities), -1, *shape[-2:]).swapaxes(0, 1)  # (Z, C, Y, X), as ImageJ has it
    planes.astype(">f4").tofile(tmp_path / "probabilities")
    macro = object_scripts(rules, dims=len(shape))["objects.ijm"].decode()
    tell = """
text = ""; for (z = 0; z < slices; z++) for (y = 0; y < height; y++) for (x = 0; x < width; x++)
    text = text + labels[place(x, y, z)] + " ";
File.saveString(text, "FOLDER/labels");
"""
    (tmp_path / "told.ijm").write_text(macro.replace("show();\n", tell.replace("FOLDER", str(tmp_path)), 1))
    slices, channels = planes.shape[:2]
    groovy(
        tmp_path,
        f"""
def buffer = java.nio.ByteBuffer.wrap(new File(args[0], "probabilities").bytes).asFloatBuffer()
def stack = new ij.ImageStack({shape[-1]}, {shape[-2]})
{slices * channels}.times {{
    float[] plane = new float[{shape[-1] * shape[-2]}]
    buffer.get(plane)
    stack.addSlice("", plane)
}}
def image = new ij.ImagePlus("p", stack)
image.setDimensions({channels}, {slices}, 1)
image.setOpenAsHyperStack(true)
ij.macro.Interpreter.batchMode = true
new ij.macro.Interpreter().runBatchMacro(new File(args[0], "told.ijm").text, image)
""",
        classpath=JAR,
    )
    labels = np.array((tmp_path / "labels").read_text().split(), float).reshape(shape)
    np.testing.assert_array_equal(labels, expected)
