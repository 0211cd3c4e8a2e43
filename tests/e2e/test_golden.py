# SPDX-License-Identifier: Apache-2.0
"""The whole output of two fixed images, byte for byte, against tests/golden.

Everything that an output depends on is made fixed: the images, the advisories with their times, the present (SOURCE_DATE_EPOCH), the names in the working
folder.  Only the program's own version is written as VERSION.  After a wanted change of the output renew the files and review the difference:
HF_UPDATE_GOLDEN=1 /usr/bin/python3 -m pytest tests/e2e/test_golden.py && git diff tests/golden"""
import json
import os
import pathlib
import shutil
import subprocess
import unicodedata

import pytest

from test_scan import BASE, OS_RELEASE, TOP, mkimage, status

ROOT = pathlib.Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "tests" / "golden"
EPOCH = 1720000000  # 2024-07-03

# Names that try to write over the terminal or to turn text around: escape sequences, a C1 control, bidi marks, line ends, invalid UTF-8.
HOSTILE = mkimage.tar_of_files([
    ("etc/os-release", OS_RELEASE.replace(b"Debian GNU/Linux 12 (bookworm)", "\x1b[31mDebian\x1b[0m \u202e21\u202c \x9b2J".encode())),
    ("var/lib/dpkg/status", status(("openssl", "3.0.11-1~deb12u1"), ("bash\x1b]0;owned\x07", "5.2\u202e-1"))),
    ("app/\x1b[2J\x1b[1;1H/node_modules/lodash/package.json", b'{"name": "lodash", "version": "4.17.15"}'),
    ("app/\u202egnp.\u2066/node_modules/minimist/package.json", b'{"name": "minimist", "version": "0.0.8"}'),
    ("srv/line\nend\r/node_modules/x/package.json", json.dumps({"name": "\u2067x\x1b[8m", "version": "1\r\n2"}).encode()),
    ("opt/\x1b[5mbroken\u200f/a.dist-info/METADATA", b"no"),
    ("opt/b\udcffd/requests-2.19.0.dist-info/METADATA", b"Metadata-Version: 2.1\nName: requests\nVersion: 2.19.0\n\n"),
])
IMAGES = {"debian": ([BASE, TOP], 0), "hostile": ([HOSTILE], 4)}
FORMATS = {"table": "txt", "json": "json", "cyclonedx": "cdx.json"}


@pytest.fixture(scope="module")
def folder(binary, tmp_path_factory):
    """image files, and a database whose sources have fixed times."""
    path = tmp_path_factory.mktemp("golden")
    shutil.copytree(ROOT / "data/demo-advisories", path / "demo-advisories")
    for f in (path / "demo-advisories").iterdir():
        os.utime(f, (EPOCH, EPOCH))
    subprocess.run([binary, "db", "build", "--quiet", "--from", "demo-advisories", "--output", "demo.hfdb"], cwd=path, check=True, env={**os.environ, "SOURCE_DATE_EPOCH": str(EPOCH)})
    for name, (layers, _) in IMAGES.items():
        mkimage.write_image(str(path / f"{name}.tar"), layers)
    return path


def output(binary, folder, image, fmt):
    version = subprocess.run([binary, "--version"], capture_output=True, text=True, check=True).stdout.split()[1]
    p = subprocess.run([binary, "scan", "--db", "demo.hfdb", "--no-cache", "--format", fmt, f"{image}.tar"], cwd=folder, capture_output=True, timeout=60,
                       env={**os.environ, "SOURCE_DATE_EPOCH": str(EPOCH), "LC_ALL": "C.UTF-8"})
    assert p.returncode == IMAGES[image][1] and p.stderr == b"", p.stderr
    return p.stdout.replace(f'"version": "{version}"'.encode(), b'"version": "VERSION"')


@pytest.mark.parametrize("fmt", FORMATS)
@pytest.mark.parametrize("image", IMAGES)
def test_output_is_what_it_was(binary, folder, image, fmt):
    path, now = GOLDEN / f"{image}.{FORMATS[fmt]}", output(binary, folder, image, fmt)
    if os.environ.get("HF_UPDATE_GOLDEN") == "1":
        path.write_bytes(now)
    assert now.decode() == path.read_bytes().decode(), f"tests/golden/{path.name} differs; if that is wanted: HF_UPDATE_GOLDEN=1"


def test_hostile_names_stay_text(binary, folder):
    table = output(binary, folder, "hostile", "table").decode()
    bad = {c for c in table if c != "\n" and unicodedata.category(c) in ("Cc", "Cf", "Cs", "Co")}
    assert not bad
    assert "\\x1b[31mDebian" in table and "\\u{202e}" in table
    assert not [c for c in output(binary, folder, "hostile", "json") + output(binary, folder, "hostile", "cyclonedx") if c < 0x20 and c != 0x0a]


def test_golden_images_cover_what_they_say(binary, folder):
    result = json.loads(output(binary, folder, "hostile", "json"))
    paths = "".join(p["path"] for pkg in result["packages"] for p in pkg["locations"]) + "".join(i["path"] for i in result["incomplete"])
    assert "\x1b[2J" in paths and "\u202e" in paths and "\u2066" in paths and "\n" in paths and "\x1b[5m" in paths


@pytest.mark.parametrize("image", IMAGES)
def test_cyclonedx_of_them_passes_the_official_schema(image, cyclonedx_schema):
    errors = [e.message for e in cyclonedx_schema.iter_errors(json.loads((GOLDEN / f"{image}.cdx.json").read_text()))]
    assert not errors
