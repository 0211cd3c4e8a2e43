#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Make image archives from layer tars or folders, in every layout the scanner reads.

  mkimage.py --format docker|docker-old|oci|oci-archive --output PATH [--compress none|gzip|zstd] [--tag NAME:TAG]
             [--platform OS/ARCH] LAYER...

A LAYER is a .tar file or a folder.  Output is the same for the same input.  As a module: write_image()."""
import argparse
import gzip
import hashlib
import io
import json
import os
import subprocess
import tarfile


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def tar_of_folder(path):
    """A folder as a tar with numeric owners and fixed times, sorted."""
    return subprocess.run(["tar", "-C", path, "--sort=name", "--mtime=@1700000000", "--owner=0", "--group=0",
                           "--numeric-owner", "-cf", "-", "."], check=True, stdout=subprocess.PIPE).stdout


def tar_of_files(files):
    """A tar from {path: bytes | ('symlink', target) | ('hardlink', target) | None for a folder}, or a list of pairs."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, content in (files.items() if isinstance(files, dict) else files):
            info = tarfile.TarInfo(name)
            info.mtime = 1700000000
            if content is None:
                info.type, info.mode = tarfile.DIRTYPE, 0o755
                tar.addfile(info)
            elif isinstance(content, tuple):
                info.type = tarfile.SYMTYPE if content[0] == "symlink" else tarfile.LNKTYPE
                info.linkname = content[1]
                tar.addfile(info)
            else:
                info.size, info.mode = len(content), 0o755
                tar.addfile(info, io.BytesIO(content))
    return out.getvalue()


def compress(data, how):
    if how == "gzip":
        return gzip.compress(data, 6, mtime=0)
    if how == "zstd":
        return subprocess.run(["zstd", "-q", "-3", "-c"], input=data, check=True, stdout=subprocess.PIPE).stdout
    return data


def config_of(layers, platform="linux/amd64", created_by=None, config=None):
    os_name, arch = platform.split("/")[:2]
    return json.dumps({
        "os": os_name, "architecture": arch, "created": "2024-01-02T03:04:05Z", "config": config or {},
        "rootfs": {"type": "layers", "diff_ids": ["sha256:" + sha256(t) for t in layers]},
        "history": [{"created_by": (created_by or {}).get(i, f"COPY layer-{i} /")} for i in range(len(layers))],
    }).encode()


def add(tar, name, data):
    info = tarfile.TarInfo(name)
    info.size, info.mtime = len(data), 1700000000
    tar.addfile(info, io.BytesIO(data))


def oci_blobs(layers, how, tag, platform, config=None):
    """(blobs, descriptor) of one image."""
    stored = [compress(t, how) for t in layers]
    suffix = {"none": "", "gzip": "+gzip", "zstd": "+zstd"}[how]
    config = config_of(layers, platform, config=config)
    manifest = json.dumps({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": "sha256:" + sha256(config), "size": len(config)},
        "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar" + suffix, "digest": "sha256:" + sha256(s), "size": len(s)}
                   for s in stored],
    }).encode()
    os_name, arch = platform.split("/")[:2]
    descriptor = {"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": "sha256:" + sha256(manifest), "size": len(manifest),
                  "platform": {"os": os_name, "architecture": arch}, "annotations": {"org.opencontainers.image.ref.name": tag}}
    return {sha256(b): b for b in stored + [config, manifest]}, descriptor


def oci_files(images, how="none", tag="latest", config=None):
    """{path: bytes} of an OCI layout with one or more images [(layers, platform)]."""
    files, descriptors = {"oci-layout": b'{"imageLayoutVersion": "1.0.0"}'}, []
    for layers, platform in images:
        blobs, descriptor = oci_blobs(layers, how, tag, platform, config)
        files.update({"blobs/sha256/" + k: v for k, v in blobs.items()})
        descriptors.append(descriptor)
    files["index.json"] = json.dumps({"schemaVersion": 2, "manifests": descriptors}).encode()
    return files


def docker_files(layers, tag="test:latest", old=False, platform="linux/amd64", how="none"):
    """{path: bytes} of a docker save archive: old layout (<id>/layer.tar) or the one of docker 25 and later (blobs/)."""
    config = config_of(layers, platform)
    stored = [compress(t, how) for t in layers]
    if old:
        names = [f"{sha256(s + bytes([i]))}/layer.tar" for i, s in enumerate(stored)]
        config_name = sha256(config) + ".json"
    else:
        names = ["blobs/sha256/" + sha256(s) for s in stored]
        config_name = "blobs/sha256/" + sha256(config)
    files = dict(zip(names, stored))
    files[config_name] = config
    files["manifest.json"] = json.dumps([{"Config": config_name, "RepoTags": [tag], "Layers": names}]).encode()
    return files


def write_tar(path, files):
    with tarfile.open(path, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, data in files.items():
            add(tar, name, data)


def write_folder(path, files):
    for name, data in files.items():
        full = os.path.join(path, name)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, "wb") as f:
            f.write(data)


def write_image(path, layers, fmt="docker", how="none", tag=None, platform="linux/amd64", config=None):
    """layers: list of tar bytes; config: what the image says of its program (OCI layouts)."""
    if fmt in ("docker", "docker-old"):
        write_tar(path, docker_files(layers, tag or "test:latest", fmt == "docker-old", platform, how))
    elif fmt == "oci-archive":
        write_tar(path, oci_files([(layers, platform)], how, tag or "latest", config))
    else:
        write_folder(path, oci_files([(layers, platform)], how, tag or "latest", config))


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--format", choices=["docker", "docker-old", "oci", "oci-archive"], default="docker")
    p.add_argument("--compress", choices=["none", "gzip", "zstd"], default="none")
    p.add_argument("--output", required=True)
    p.add_argument("--tag")
    p.add_argument("--platform", default="linux/amd64")
    p.add_argument("layers", nargs="+")
    a = p.parse_args()
    layers = []
    for layer in a.layers:
        if os.path.isdir(layer):
            layers.append(tar_of_folder(layer))
        else:
            with open(layer, "rb") as f:
                layers.append(f.read())
    write_image(a.output, layers, a.format, a.compress, a.tag, a.platform)


if __name__ == "__main__":
    main()
