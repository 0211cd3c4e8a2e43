# SPDX-License-Identifier: Apache-2.0
"""Images that only containerd, podman or CRI-O have on this host, found by name, tag, digest and id, and read from the disk without a daemon: containerd's content store and
snapshots, containers/storage with both drivers that a test can use."""
import gzip
import json
import os
import pathlib
import shutil
import subprocess
import sys
import time

import pytest

from test_runtimes import containerd, rootfs  # noqa: F401 (a fixture)
from test_scan import status
from test_seal_running import podman
from test_watch import Watch

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tools"))
import mkimage  # noqa: E402

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="stores of containerd need root")
OS = b'ID=debian\nVERSION_ID="12"\n'
NOWHERE = {"HOLDFAST_DOCKER_HOST": "unix:///nonexistent/sock", "HOLDFAST_CONTAINERD_ROOT": "/nonexistent", "HOLDFAST_PODMAN_ROOT": "/nonexistent"}


def layers(word, version="1.2.11"):
    """Two layers: the second removes a folder of the first and puts another into its place, replaces a file, and brings a link."""
    first = mkimage.tar_of_files([("etc", None), ("etc/os-release", OS), ("var/lib/dpkg/status", status(("zlib1g", version, ""))), ("opt/gone/a", b"a"), ("opt/kept", b"old"),
                                  ("usr/bin/tool", b"#!/bin/sh\n" + word)])
    second = mkimage.tar_of_files([("opt/gone/.wh..wh..opq", b""), ("opt/gone/b", b"b"), ("opt/.wh.kept", b""), ("usr/bin/tool", b"#!/bin/sh\necho " + word), ("usr/bin/link", ("symlink", "tool")),
                                   ("usr/bin/hard", ("hardlink", "usr/bin/tool"))])
    return [first, second]


@pytest.fixture(scope="module")
def scan(run, advdb):
    def call(target, *args, env=None, code=0):
        rc, out, err = run("scan", "--db", advdb, "--format", "json", "--no-cache", *args, target, env={**NOWHERE, **(env or {})})
        assert rc == code, (rc, out[-500:], err)
        return (json.loads(out) if out else None), err
    return call


def facts(result):
    return [(p["name"], p["version"]) for p in result["packages"]], [(v["id"], v["package"] if "package" in v else v["name"]) for v in result["vulnerabilities"]]


# ---- containerd ----

def index_archive(path, reference, platforms):
    """An OCI layout whose one entry is an index of several platforms, as docker buildx pushes; returns the digests of index and manifests."""
    files, manifests = {"oci-layout": b'{"imageLayoutVersion": "1.0.0"}'}, []
    for platform, tars in platforms.items():
        blobs, descriptor = mkimage.oci_blobs(tars, "gzip", "x", platform, {"Cmd": ["/bin/sleep", "3600"]})
        del descriptor["annotations"]
        files.update({"blobs/sha256/" + k: v for k, v in blobs.items()})
        manifests.append(descriptor)
    index = json.dumps({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": manifests}).encode()
    digest = mkimage.sha256(index)
    files["blobs/sha256/" + digest] = index
    files["index.json"] = json.dumps({"schemaVersion": 2, "manifests": [{
        "mediaType": "application/vnd.oci.image.index.v1+json", "digest": "sha256:" + digest, "size": len(index), "annotations": {"io.containerd.image.name": reference}}]}).encode()
    mkimage.write_tar(path, files)
    return "sha256:" + digest, [m["digest"] for m in manifests]


@pytest.fixture(scope="module")
def images(containerd, tmp_path_factory):  # noqa: F811
    """containerd with an image of two platforms in `default`, and two of the same short name."""
    at = tmp_path_factory.mktemp("images")
    made = {}
    for reference, namespace, word in (("registry.example.org/team/app:1", "default", b"one"), ("registry.example.org/other/tool:2", "default", b"two"),
                                       ("mirror.example.net/other/tool:2", "default", b"three"), ("docker.io/library/plain:latest", "k8s.io", b"four")):
        tars = layers(word)
        arm = layers(word + b" on arm", "1.2.13")
        path = at / (word.decode() + ".tar")
        made[reference] = (path, *index_archive(path, reference, {"linux/arm64": arm, "linux/amd64": tars}))
        containerd.ctr("-n", namespace, "images", "import", "--all-platforms", path)
        plain = at / (word.decode() + "-amd64.tar")
        mkimage.write_image(plain, tars, "oci-archive", "gzip", tag="x", config={"Cmd": ["/bin/sleep", "3600"]})
        made[reference] += (plain,)
    return made


@pytest.fixture
def env(containerd):  # noqa: F811
    return {"HOLDFAST_CONTAINERD_ROOT": str(containerd.root / "root")}


def blob(containerd, digest):  # noqa: F811
    return containerd.root / "root/io.containerd.content.v1.content/blobs/sha256" / digest.removeprefix("sha256:")


def config_of(containerd, manifest):  # noqa: F811
    return json.loads(blob(containerd, manifest).read_text())["config"]["digest"]


def test_containerd_by_name_digest_and_id(scan, images, containerd, env):  # noqa: F811
    archive, index, (arm, amd), plain = images["registry.example.org/team/app:1"]
    wanted, _ = scan(plain)
    config = config_of(containerd, amd)
    for name in ("registry.example.org/team/app:1", "team/app:1", "app:1", index, amd, config, config.removeprefix("sha256:")[:12], f"whatever@{index}"):
        got, err = scan("containerd:" + name, env=env)
        assert got["image"]["digest"] == amd and got["image"]["index"] == index and got["image"]["config"] == config, (name, got["image"])
        assert got["target"] == "containerd:" + name and facts(got) == facts(wanted) and got["incomplete"] == []
        assert [x["diff_id"] for x in got["image"]["layers"]] == [x["diff_id"] for x in wanted["image"]["layers"]]
    assert facts(scan("containerd:plain", env=env)[0]) == facts(scan("image:plain", env=env)[0]) == facts(scan("plain", env=env)[0])
    assert facts(scan("containerd:app:1", "--platform", "linux/arm64", env=env)[0])[0] == [("zlib1g", "1.2.13")]
    assert facts(scan("containerd:" + arm, env=env)[0])[0] == [("zlib1g", "1.2.13")], "a manifest that was named is meant, whatever its platform"
    assert scan("containerd:app:1", "--platform", "linux/s390x", env=env, code=3)[1].count("linux/arm64") == 1


def test_containerd_all_platforms_of_which_one_was_not_pulled(run, advdb, images, containerd, env):  # noqa: F811
    archive, index, (arm, amd), plain = images["registry.example.org/team/app:1"]

    def all_platforms():
        rc, out, err = run("scan", "--db", advdb, "--format", "json", "--no-cache", "--all-platforms", "containerd:app:1", env={**NOWHERE, **env})
        assert rc == 0, err
        return [json.loads(text) for text in out.replace("}\n{", "}\0{").split("\0")]
    assert [r["image"]["digest"] for r in all_platforms()] == [arm, amd]
    path = blob(containerd, arm)
    good = path.read_bytes()
    path.unlink()
    try:
        only, = all_platforms()
        assert only["image"]["digest"] == amd and any("1 other manifests of the index are not in the store" in w for w in only["warnings"])
        rc, out, err = run("scan", "--db", advdb, "--platform", "linux/arm64", "containerd:app:1", env={**NOWHERE, **env})
        assert rc == 3 and "linux/arm64 (not in the store)" in err
    finally:
        path.write_bytes(good)


def test_containerd_ambiguous_and_missing(scan, images, containerd, env):  # noqa: F811
    _, err = scan("containerd:other/tool:2", env=env, code=2)
    assert "registry.example.org/other/tool:2" in err and "mirror.example.net/other/tool:2" in err and "2 images" in err
    assert scan("image:tool:2", env=env, code=2)[1].count("means 2 images") == 1
    assert scan("containerd:registry.example.org/other/tool:2", env=env)[0]["packages"]
    for name in ("nothing:1", "sha256:" + "0" * 64, "app:2", "0" * 64):
        assert "has no image" in scan("containerd:" + name, env=env, code=3)[1]
    assert "there is no containerd here" in scan("containerd:app:1", code=3)[1]
    assert scan("containerd:plain", env={**env, "CONTAINERD_NAMESPACE": "default"}, code=3)[1].count("has no image") == 1
    assert scan("containerd:plain", env={**env, "CONTAINERD_NAMESPACE": "k8s.io"})[0]["packages"]


def test_containerd_seal_is_that_of_the_archive(run, images, containerd, env, tmp_path):  # noqa: F811
    """Bound to manifest, config and index: found by each of them."""
    archive, index, (arm, amd), plain = images["registry.example.org/team/app:1"]
    environment = {**NOWHERE, **env}
    state = tmp_path / "state"
    assert run("seal", "--no-cache", "--state", state, "containerd:app:1", env=environment)[0] == 0
    assert run("seal", "--no-cache", "-o", tmp_path / "archive.seal", plain, env=environment)[0] == 0
    for digest in (amd, index, config_of(containerd, amd)):
        rc, out, err = run("seal", "diff", "--state", state, digest, tmp_path / "archive.seal", env=environment)
        assert (rc, out) == (0, "0 differences\n"), (digest, out, err)
    told = json.loads(run("seal", "list", "--json", "--state", state)[1])["seals"]
    assert [(s["manifest"], s["index"]) for s in told] == [(amd, index)]
    assert run("seal", "verify", "--state", state, "containerd:app:1", env=environment)[0] == 0
    shown = run("seal", "show", "--state", state, index)[1]
    assert "/opt/gone/b" in shown and "/opt/gone/a" not in shown and "/opt/kept" not in shown and "/usr/bin/hard" in shown


def test_containerd_seal_of_a_running_container(run, binary, images, containerd, env, tmp_path):  # noqa: F811
    """Its runtime knows it by the digest of the index."""
    if "respond" not in run("--help")[1]:
        pytest.skip("built without the sensor")
    box = rootfs(tmp_path / "box")
    reference = "registry.example.org/run/box:1"
    index, _ = index_archive(tmp_path / "box.tar", reference, {"linux/amd64": [mkimage.tar_of_folder(box)], "linux/arm64": layers(b"x")})
    containerd.ctr("images", "import", tmp_path / "box.tar")
    assert containerd.digest(reference) == index
    environment = {**NOWHERE, **env}
    assert run("seal", "--no-cache", "--state", tmp_path / "state", "image:" + reference, env=environment)[0] == 0
    name = f"sealed-{os.getpid()}"
    containerd.ctr("run", "-d", reference, name, "/bin/sleep", "3600")
    try:
        rc, out, err = run("seal", "verify", "--state", tmp_path / "state", f"container:{name}", env=environment)
        assert rc == 0 and "whether" not in err, (out, err)
    finally:
        containerd.ctr("tasks", "rm", "-f", name, check=False)
        containerd.ctr("containers", "rm", name, check=False)


def test_containerd_layers_that_are_unpacked_only(scan, images, containerd, env, tmp_path):  # noqa: F811
    """As with discard_unpacked_layers: the blob is gone, its snapshot is there."""
    archive, index, (arm, amd), plain = images["registry.example.org/team/app:1"]
    wanted, _ = scan(plain)
    gone = [blob(containerd, x["digest"]) for x in json.loads(blob(containerd, amd).read_text())["layers"]]
    kept = [(path, path.read_bytes()) for path in gone]
    try:
        for n in (1, 2):
            gone[n - 1].unlink()
            got, _ = scan("containerd:app:1", env=env)
            assert facts(got) == facts(wanted) and got["incomplete"] == []
            assert [w for w in got["warnings"] if f"of {n} of 2 layers" in w and "digests cannot be checked" in w], got["warnings"]
        copy = tmp_path / "root"  # without the snapshotter
        for name in ("io.containerd.metadata.v1.bolt", "io.containerd.content.v1.content"):
            shutil.copytree(containerd.root / "root" / name, copy / name)
        assert "layer 1: neither its blob nor a snapshot of it is in" in scan("containerd:app:1", env={"HOLDFAST_CONTAINERD_ROOT": str(copy)}, code=3)[1]
    finally:
        for path, data in kept:
            path.write_bytes(data)
    assert not any("digests" in w for w in scan("containerd:app:1", env=env)[0]["warnings"])


def test_containerd_damage_is_told(scan, images, containerd, env, tmp_path):  # noqa: F811
    archive, index, (arm, amd), plain = images["mirror.example.net/other/tool:2"]
    name = "containerd:mirror.example.net/other/tool:2"
    layer = blob(containerd, json.loads(blob(containerd, amd).read_text())["layers"][0]["digest"])
    for path, word in ((layer, "expected sha256:"), (blob(containerd, amd), "expected sha256:"), (blob(containerd, index), "expected sha256:")):
        good = path.read_bytes()
        try:
            path.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
            assert word in scan(name, env=env, code=3)[1]
        finally:
            path.write_bytes(good)
    root = tmp_path / "root"
    shutil.copytree(containerd.root / "root/io.containerd.metadata.v1.bolt", root / "io.containerd.metadata.v1.bolt")
    (root / "io.containerd.content.v1.content").mkdir()
    database = root / "io.containerd.metadata.v1.bolt/meta.db"
    good = database.read_bytes()
    for data in (good[:4096], good[:9000], b"", good[:16384] + b"\xff" * 4096 + good[20480:], b"\0" * 20000):
        database.write_bytes(data)
        for what in ("containerd:app:1", "image:" + index, "containerd:" + "ab" * 32):
            rc = scan(what, env={"HOLDFAST_CONTAINERD_ROOT": str(root)}, code=3)
            assert rc[1].startswith("holdfast: error: ")


# ---- containers/storage ----

@pytest.fixture(params=["overlay", "vfs"])
def storage(request, tmp_path):
    at, _ = podman(tmp_path)
    root = at / ("images-" + request.param)

    def call(*args, check=True):
        p = subprocess.run(["podman", "--root", root, "--runroot", at / "run-images", "--storage-driver", request.param, "--cgroup-manager", "cgroupfs", *map(str, args)], capture_output=True, text=True,
                           timeout=60, cwd=tmp_path)
        assert not check or p.returncode == 0, (args, p.stderr)
        return p
    image = tmp_path / "i.tar"
    mkimage.write_image(image, layers(b"pod"), "oci-archive", "gzip", tag="x", config={"Cmd": ["/bin/sleep", "3600"]})
    p = call("load", "-i", image, check=False)
    if p.returncode:
        shutil.rmtree(at, ignore_errors=True)
        pytest.skip(f"podman does not load images here with {request.param}: " + p.stderr.strip()[-200:])
    call("tag", call("images", "-q", "--no-trunc").stdout.split()[0], "quay.example.org/team/pod:1")
    try:
        yield call, root, request.param, image
    finally:
        call("rmi", "-fa", check=False)
        subprocess.run(["umount", "-R", root / "overlay"], capture_output=True)
        shutil.rmtree(at, ignore_errors=True)


def test_storage(run, scan, storage, tmp_path):
    call, root, driver, image = storage
    env = {"HOLDFAST_PODMAN_ROOT": str(root)}
    wanted, _ = scan(image)
    record, = json.loads((root / f"{driver}-images/images.json").read_text())
    for name in ("quay.example.org/team/pod:1", "team/pod:1", "pod:1", record["id"], record["id"][:10], "sha256:" + record["id"], record["digest"], "x@" + record["digest"]):
        for scheme in ("podman:", "containers-storage:", "image:"):
            got, err = scan(scheme + name, env=env)
            assert facts(got) == facts(wanted) and got["incomplete"] == [] and got["image"]["config"] == "sha256:" + record["id"] and got["image"]["digest"] == record["digest"], (name, err)
            assert [x["diff_id"] for x in got["image"]["layers"]] == [x["diff_id"] for x in wanted["image"]["layers"]] and not any("digest" in w for w in got["warnings"])
    assert "no image" in scan("podman:pod:2", env=env, code=3)[1]
    environment = {**NOWHERE, **env}
    assert run("seal", "--no-cache", "-o", tmp_path / "store.seal", "podman:pod:1", env=environment)[0] == 0
    assert run("seal", "--no-cache", "-o", tmp_path / "archive.seal", image)[0] == 0
    assert run("seal", "diff", tmp_path / "store.seal", tmp_path / "archive.seal")[:2] == (0, "0 differences\n")


def test_storage_that_was_changed(run, scan, storage):
    """One byte of an unpacked file, one more, a file that is gone or has become a link: the layer is no longer what its digest says, and nothing of it is believed."""
    call, root, driver, image = storage
    env = {"HOLDFAST_PODMAN_ROOT": str(root)}
    at = next(p for p in (root / ("overlay" if driver == "overlay" else "vfs/dir")).rglob("usr/bin/tool") if p.read_bytes() == b"#!/bin/sh\npod" or driver == "overlay")
    good = at.read_bytes()
    for change, word in ((lambda: at.write_bytes(good[:-1] + b"X"), "expected sha256:|has the content"), (lambda: at.write_bytes(good + b"X"), "the store was changed"),
                         (at.unlink, "as it was unpacked"), (lambda: (at.unlink(), at.symlink_to("/etc/hostname")), "as it was unpacked")):
        change()
        err = scan("podman:pod:1", env=env, code=3)[1]
        assert any(w in err for w in word.split("|")), err
        at.unlink(missing_ok=True)
        at.write_bytes(good)
    assert scan("podman:pod:1", env=env)[0]["packages"]
    split = next((root / f"{driver}-layers").glob("*.tar-split.gz"))
    lines = split.read_bytes()
    for data in (lines[:len(lines) // 2], b"", gzip.compress(b"{}\n"), gzip.compress(gzip.decompress(lines) + b'{"type":2,"payload":"AAAA"}\n')):
        split.write_bytes(data)
        assert scan("podman:pod:1", env=env, code=3)[1].startswith("holdfast: error: ")
    split.unlink()
    if driver == "overlay":
        got, _ = scan("podman:pod:1", env=env)
        assert facts(got) == facts(scan(image)[0]) and any("digests of layers could not be checked" in w for w in got["warnings"])
    else:
        assert "does not say what their tar was" in scan("podman:pod:1", env=env, code=3)[1]
    for name in ("images/images.json", "layers/layers.json"):
        listing = root / f"{driver}-{name}"
        good = listing.read_text()
        for data in ("", "[", "{}", "[{}]", good.replace('"parent"', '"grandparent"').replace('"layer"', '"slayer"'), good[:len(good) // 2]):
            listing.write_text(data)
            assert scan("podman:pod:1", env=env, code=3)[1].startswith("holdfast: error: ")
        listing.write_text(good)


# ---- the guard's own seals ----

def kept(run, state, digest):
    """Its seals of this image."""
    return [s for s in json.loads(run("seal", "list", "--json", "--state", state)[1])["seals"] if digest in (s.get("config"), s.get("manifest"), s.get("index"))]


@pytest.mark.parametrize("snapshotter", ["overlayfs", "native"])
def test_seals_made_at_the_start_of_a_container(run, binary, containerd, env, tmp_path, monkeypatch, snapshotter):  # noqa: F811
    """Bound to the manifest that the runtime means by the digest of an index; where the root is no overlay, made of the image in containerd's store."""
    if "--no-guard" not in run("watch", "--help")[1]:
        pytest.skip("built without the guard")
    box = rootfs(tmp_path / "box")
    (box / "etc/which").write_text(snapshotter)
    (box / "opt/gone").mkdir(parents=True)
    (box / "opt/gone/a").write_text("hidden by what the next layer says of its folder")
    (box / "opt/removed").write_text("x")
    upper = mkimage.tar_of_files([("opt/gone", None), ("opt/gone/.wh..wh..opq", b""), ("opt/gone/b", b"b"), ("opt/.wh.removed", b"")])
    reference = f"registry.example.org/guard/{snapshotter}:1"
    index, (amd, arm) = index_archive(tmp_path / "box.tar", reference, {"linux/amd64": [mkimage.tar_of_folder(box), upper], "linux/arm64": layers(b"x")})
    containerd.ctr("images", "import", "--snapshotter", snapshotter, tmp_path / "box.tar")
    monkeypatch.setenv("HOLDFAST_CONTAINERD_ROOT", env["HOLDFAST_CONTAINERD_ROOT"])
    (tmp_path / "watch").mkdir()
    (tmp_path / "state").mkdir()
    w = Watch(binary, tmp_path / "watch", "--json", "--no-rules", "--state", tmp_path / "state")
    name = f"guard-{snapshotter}-{os.getpid()}"
    try:
        containerd.ctr("run", "-d", "--snapshotter", snapshotter, reference, name, "/bin/sleep", "3600")
        end = time.monotonic() + 20
        while not kept(run, tmp_path / "state", index) and time.monotonic() < end:
            time.sleep(0.1)
        seal, = kept(run, tmp_path / "state", index)
        assert (seal["manifest"], seal["index"], seal["by_watch"]) == (amd, index, True)
        assert seal["config"] == config_of(containerd, amd)
        assert run("seal", "--no-cache", "-o", tmp_path / "archive.seal", "containerd:" + reference)[0] == 0
        for digest in (index, amd, seal["config"]):
            rc, out, err = run("seal", "diff", "--state", tmp_path / "state", digest, tmp_path / "archive.seal")
            assert (rc, out) == (0, "0 differences\n"), (digest, out, err)
        assert run("seal", "show", "--state", tmp_path / "state", arm)[0] == 3
        rc, out, err = run("seal", "verify", "--state", tmp_path / "state", f"container:{name}")
        assert rc == 0, (out, err)
        assert w.end() == (0, "")
    finally:
        w.stop()
        containerd.ctr("tasks", "rm", "-f", name, check=False)
        containerd.ctr("containers", "rm", name, check=False)
