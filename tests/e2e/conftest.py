# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the end-to-end tests: the built program, and an advisory database built with it."""
import contextlib
import os
import pathlib
import subprocess
import time

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
SHARED = ROOT.parent / "shared" / "data" / "advisories"


def pytest_sessionstart(session):
    """What guards of a run that was killed an hour ago or more left in force would cost every system call of this one."""
    for link in pathlib.Path("/run/holdfast/guard").glob("*/state") if os.geteuid() == 0 else []:
        with contextlib.suppress(OSError):  # gone meanwhile
            if "/pytest-" in os.readlink(link) and time.time() - link.parent.stat().st_mtime > 3600:
                subprocess.run(["umount", "-l", link.parent], check=False)
                link.parent.rmdir()


@pytest.fixture(scope="session")
def binary():
    path = pathlib.Path(os.environ.get("HF_BIN", ROOT / "build" / "holdfast")).resolve()
    assert path.exists(), f"{path} is not built; run make"
    return path


@pytest.fixture(scope="session")
def run(binary):
    """run(args..., input=bytes, env={}) -> (exit code, stdout, stderr), with a time limit."""
    def call(*args, input=None, env=None, timeout=120, text=True):
        p = subprocess.run([str(binary), *map(str, args)], input=input, stdin=subprocess.DEVNULL if input is None else None, capture_output=True,
                           timeout=timeout, text=text, env={**os.environ, "LC_ALL": "C.UTF-8", **(env or {})})
        return p.returncode, p.stdout, p.stderr
    return call


@pytest.fixture(scope="session")
def holdfast(run):
    return run


@pytest.fixture(scope="session")
def advdb(run, tmp_path_factory):
    """A database of the project's own demonstration feed: present on every machine."""
    path = tmp_path_factory.mktemp("db") / "advisories.hfdb"
    rc, out, err = run("db", "build", "--from", ROOT / "data" / "demo-advisories", "--output", path)
    assert rc == 0, err
    return path


@pytest.fixture(scope="session")
def shared_advdb(run, tmp_path_factory):
    """A database of the shared real advisories, where they are."""
    if not SHARED.is_dir():
        pytest.skip(f"{SHARED} is not on this machine")
    path = tmp_path_factory.mktemp("db") / "shared.hfdb"
    rc, out, err = run("db", "build", "--from", SHARED, "--output", path, timeout=300)
    assert rc in (0, 4), err
    return path


CYCLONEDX_WHEEL = ("cyclonedx-python-lib", "8.5.0")


@pytest.fixture(scope="session")
def cyclonedx_schema(tmp_path_factory):
    """A validator of the official CycloneDX 1.6 schema, which the reference library on PyPI carries; kept between runs."""
    import json
    import zipfile

    import jsonschema
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")) / "holdfast-tests"
    wheels = list(cache.glob("cyclonedx_python_lib-*.whl"))
    if not wheels:
        cache.mkdir(parents=True, exist_ok=True)
        p = subprocess.run(["/usr/bin/python3", "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", "--dest", cache, "==".join(CYCLONEDX_WHEEL)],
                           capture_output=True, text=True, timeout=120)
        wheels = list(cache.glob("cyclonedx_python_lib-*.whl"))
        if not wheels:
            pytest.skip("the official schema is on PyPI, which cannot be reached: " + p.stderr.strip()[-200:])
    with zipfile.ZipFile(wheels[0]) as z:
        docs = {name: json.loads(z.read("cyclonedx/schema/_res/" + name)) for name in ("bom-1.6.SNAPSHOT.schema.json", "spdx.SNAPSHOT.schema.json", "jsf-0.82.SNAPSHOT.schema.json")}
    top = docs["bom-1.6.SNAPSHOT.schema.json"]
    store = {"http://cyclonedx.org/schema/" + name: doc for name, doc in docs.items()}
    store.update({doc["$id"]: doc for doc in docs.values()})
    resolver = jsonschema.RefResolver(base_uri=top["$id"], referrer=top, store=store)
    return jsonschema.Draft7Validator(top, resolver=resolver, format_checker=jsonschema.FormatChecker())
