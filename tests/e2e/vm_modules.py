# SPDX-License-Identifier: Apache-2.0
"""Modules for Debian's kernels in a virtual machine: drivers that vm-run leaves out of its cache (input, HID, SCSI), fetched once more from the kernel's package
and kept beside it, and the hole that tests/vm/exploit.c is."""
import lzma
import os
import pathlib
import re
import shutil
import subprocess
import types

import pytest

from conftest import ROOT

DRIVERS = ("evdev", "uinput", "hid", "uhid", "hid-generic", "crct10dif_common", "crc-t10dif", "crc64", "crc64-rocksoft", "t10-pi", "scsi_common", "scsi_mod", "sd_mod", "sg", "scsi_debug")  # what needs others comes after them
CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache")
# As the kernel itself is compiled, as far as it matters to a few lines
FLAGS = ("-O2", "-std=gnu11", "-w", "-ffreestanding", "-fno-pic", "-fno-common", "-mcmodel=kernel", "-mno-red-zone", "-mgeneral-regs-only", "-fno-stack-protector", "-fno-asynchronous-unwind-tables", "-fcf-protection=branch",
         "-DBPF_NO_PRESERVE_ACCESS_INDEX")


def tool(path):
    """vm-run is a program without a suffix; what it knows of Debian's archives is of use here, too."""
    module = types.ModuleType("vm_run")
    exec(compile(path.read_text(), str(path), "exec"), module.__dict__)
    return module


def kernel_folder(vm_run, wanted):
    """Where vm-run keeps the kernel that it boots."""
    archive = tool(vm_run)
    return archive.CACHE / "kernels" / archive.choose(wanted, archive.cached_kernels())


def run(*command, **kw):
    p = subprocess.run([str(c) for c in command], capture_output=True, text=not kw.get("stdout"), **kw)
    assert p.returncode == 0, (command, p.stderr[-2000:])
    return p.stdout


def drivers(vm_run, kernel):
    """The folder with them, in the order in which they are loaded: `order`."""
    kept = CACHE / "holdfast-test" / "drivers" / kernel
    if (kept / "order").exists():
        return kept
    archive = tool(vm_run)
    work = archive.CACHE = kept.parent / f".{kernel}-{os.getpid()}"
    suite = archive.SUITES[".".join(kernel.split(".")[:2])]
    try:
        archive.apt(suite, "apt-get", "update")
        archive.apt(suite, "apt-get", "download", f"linux-image-{kernel}")
        package, = (work / "apt" / suite / "archives").glob("*.deb")
        run("dpkg-deb", "-x", package, work / "all")
        new = work / "new"
        new.mkdir()
        order = []
        for name in DRIVERS:
            for path in (work / "all").rglob(f"{name}.ko*"):
                data = path.read_bytes()
                (new / f"{name}.ko").write_bytes(lzma.decompress(data) if path.suffix == ".xz" else data)
                order.append(name)
        (new / "order").write_text("\n".join(order) + "\n")
        shutil.rmtree(kept, ignore_errors=True)
        new.rename(kept)
    except archive.Broken as e:
        pytest.skip(f"the drivers of Debian's kernel {kernel} cannot be had: {str(e)[-200:]}")
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return kept


def types_of(image, folder):
    """vmlinux.h, of the kernel as vm-run keeps it: the program itself, or (6.12) one that unpacks itself with zstd."""
    data = image.read_bytes()
    if not data.startswith(b"\x7fELF"):
        at = data.index(b"\x28\xb5\x2f\xfd")
        image = folder / "vmlinux"
        with open(image, "wb") as out:
            subprocess.run(["zstd", "-dcq"], input=data[at:], stdout=out, stderr=subprocess.DEVNULL)  # it complains of what comes behind
    (folder / "vmlinux.h").write_text(run("bpftool", "btf", "dump", "file", image, "format", "c"))


def exploit(kernel_folder, folder):
    """exploit.ko, in the folder."""
    types_of(kernel_folder / "kernel", folder)
    some = next((kernel_folder / "lib/modules").rglob("9p.ko")).read_bytes()
    magic = re.search(rb"vermagic=([^\0]*)", some)[1].decode()
    run("gcc", *FLAGS, f'-DVERMAGIC="{magic}"', "-I", folder, "-c", "-o", folder / "exploit.ko", ROOT / "tests/vm/exploit.c")
    for name in ("vmlinux", "vmlinux.h"):
        (folder / name).unlink(missing_ok=True)
