"""OME-TIFF of several images and several files: the image that is meant, all of its planes, or words."""

import numpy as np
import pytest
import tifffile

from biounet.core.errors import ImageError
from biounet.io import image_files, read
from biounet.io.ome_tiff import parts_of_others

PLANES = np.random.default_rng(0).integers(0, 255, (6, 12, 10)).astype(np.uint8)


def image(planes, *, z=1, c=1, t=1, size=(12, 10), name="", more=""):
    sizes = f'SizeX="{size[1]}" SizeY="{size[0]}" SizeC="{c}" SizeZ="{z}" SizeT="{t}" {more}'
    return f'<Image Name="{name}"><Pixels DimensionOrder="XYZCT" Type="uint8" {sizes}>{planes}</Pixels></Image>'


def plane(name, z=0, c=0, ifd=0, count=1):
    uuid = f'<UUID FileName="{name}">urn:uuid:{name}</UUID>'
    return f'<TiffData FirstZ="{z}" FirstC="{c}" FirstT="0" IFD="{ifd}" PlaneCount="{count}">{uuid}</TiffData>'


def ome(*images, uuid=""):
    return f'<?xml version="1.0" encoding="UTF-8"?><OME UUID="urn:uuid:{uuid}">{"".join(images)}</OME>'


def save(path, pixels, xml):
    tifffile.imwrite(path, pixels, description=xml.encode(), metadata=None, photometric="minisblack")
    return path


def test_planes_that_were_never_recorded_are_missing(tmp_path):
    path = save(tmp_path / "a.ome.tif", PLANES[:2], ome(image("<TiffData/>", z=5)))
    with pytest.raises(ImageError, match=r"a\.ome\.tif: 3 of 5 planes are missing; the recording was stopped"):
        read(path)


def test_a_header_that_promises_a_billion_planes_is_refused_at_once(tmp_path):
    path = save(tmp_path / "a.ome.tif", PLANES[:2], ome(image("<TiffData/>", z=10**9)))
    with pytest.raises(ImageError, match="999999998 of 1000000000 planes are missing"):
        read(path)


def sections_in_files(folder):
    xml = "".join(plane(f"z{z}.ome.tif", z) for z in range(3))
    for z in range(3):
        save(folder / f"z{z}.ome.tif", PLANES[z], ome(image(xml, z=3), uuid=f"z{z}.ome.tif"))


def test_an_image_of_several_files_is_read_from_any_of_them(tmp_path):
    sections_in_files(tmp_path)
    for z in range(3):
        found = read(tmp_path / f"z{z}.ome.tif")
        assert found.axes == "ZYX"
        assert np.array_equal(found.array, PLANES[:3])


def test_the_first_file_of_an_image_stands_for_the_others(tmp_path):
    sections_in_files(tmp_path)
    save(tmp_path / "y.ome.tif", PLANES[0], ome(image(plane("y.ome.tif", 0)), uuid="y.ome.tif"))
    files = sorted(tmp_path.iterdir())
    assert parts_of_others(files) == {tmp_path / "z1.ome.tif", tmp_path / "z2.ome.tif"}
    assert parts_of_others(files[2:]) == {tmp_path / "z0.ome.tif", tmp_path / "z2.ome.tif"}


def test_partner_files_that_are_missing_are_named(tmp_path):
    sections_in_files(tmp_path)
    (tmp_path / "z1.ome.tif").unlink()
    with pytest.raises(ImageError, match=r"1 of 3 planes are missing, since z1\.ome\.tif cannot be found"):
        read(tmp_path / "z0.ome.tif")


def test_partner_files_of_another_size_are_refused(tmp_path):
    sections_in_files(tmp_path)
    tifffile.imwrite(tmp_path / "z1.ome.tif", PLANES[0, :5], photometric="minisblack")
    with pytest.raises(ImageError, match="pages of different sizes or types"):
        read(tmp_path / "z0.ome.tif")


def positions(folder):
    images = [image(plane(f"Pos{k}.ome.tif"), name=f"Pos{k}") for k in range(2)]
    for k in range(2):
        save(folder / f"Pos{k}.ome.tif", PLANES[k], ome(*images, uuid=f"Pos{k}.ome.tif"))


def test_the_image_of_a_position_is_that_in_its_file(tmp_path):
    positions(tmp_path)
    (tmp_path / "Pos0.ome.tif").unlink()  # one position is often copied alone
    assert np.array_equal(read(tmp_path / "Pos1.ome.tif").array, PLANES[1])


def test_a_file_that_was_renamed_knows_itself_by_its_uuid(tmp_path):
    positions(tmp_path)
    (tmp_path / "Pos1.ome.tif").rename(tmp_path / "best.ome.tif")
    assert np.array_equal(read(tmp_path / "best.ome.tif").array, PLANES[1])


def test_another_position_is_read_by_number_or_name(tmp_path):
    positions(tmp_path)
    for series in (0, "0", "Pos0"):
        assert np.array_equal(read(tmp_path / "Pos1.ome.tif", series=series).array, PLANES[0])
    with pytest.raises(ImageError, match="images 0 to 1; there is no series 2"):
        read(tmp_path / "Pos1.ome.tif", series=2)


def companion(folder):
    xml = ome(image("".join(plane(f"Z{z}.ome.tif", z) for z in range(3)), z=3, more='PhysicalSizeX="2"'))
    (folder / "All.companion.ome").write_text(xml)
    for z in range(3):
        told = f'<OME UUID="urn:uuid:Z{z}.ome.tif"><BinaryOnly MetadataFile="all.companion.ome" UUID="x"/></OME>'
        save(folder / f"Z{z}.ome.tif", PLANES[z], f'<?xml version="1.0"?>{told}')


def test_a_companion_is_followed_and_may_be_named(tmp_path):
    companion(tmp_path)
    for name in ("Z1.ome.tif", "All.companion.ome"):
        assert np.array_equal(read(tmp_path / name).array, PLANES[:3])
    assert [path.name for path in image_files(tmp_path)] == [f"Z{z}.ome.tif" for z in range(3)]


def test_a_companion_that_is_missing_is_named(tmp_path):
    companion(tmp_path)
    (tmp_path / "All.companion.ome").unlink()
    with pytest.raises(ImageError, match=r"described in all\.companion\.ome, which is not beside it"):
        read(tmp_path / "Z1.ome.tif")


def test_channels_come_before_sections_where_the_file_has_them_so(tmp_path):
    blocks = "".join(plane("a.ome.tif", z, c, 2 * z + c) for z in range(3) for c in range(2))
    path = save(tmp_path / "a.ome.tif", PLANES, ome(image(blocks, z=3, c=2)))
    found = read(path)
    assert found.axes == "CZYX"
    assert np.array_equal(found.array, PLANES.reshape(3, 2, 12, 10).swapaxes(0, 1))


def test_a_smaller_level_has_larger_pixels(tmp_path):
    stack = np.random.default_rng(0).integers(0, 255, (3, 64, 48)).astype(np.uint8)
    with tifffile.TiffWriter(tmp_path / "a.ome.tif", ome=True) as writer:
        sizes = {"axes": "ZYX", "PhysicalSizeX": 0.2, "PhysicalSizeY": 0.1, "PhysicalSizeZ": 0.5}
        options = {"tile": (16, 16), "photometric": "minisblack"}
        writer.write(stack, subifds=2, metadata=sizes, **options)
        writer.write(stack[:, ::2, ::2], subfiletype=1, **options)
        writer.write(stack[:, ::4, ::4], subfiletype=1, **options)
    for level in range(3):
        found = read(tmp_path / "a.ome.tif", level=level)
        assert np.array_equal(found.array, stack[:, :: 2**level, :: 2**level])
        assert found.spacing == pytest.approx((0.5, 0.1 * 2**level, 0.2 * 2**level))
    with pytest.raises(ImageError, match="levels 0 to 2, no level 3"):
        read(tmp_path / "a.ome.tif", level=3)
