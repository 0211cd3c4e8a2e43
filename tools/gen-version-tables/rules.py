# SPDX-License-Identifier: Apache-2.0
"""Orders whose reference implementation cannot be had here, written as sort keys from their documents (None: not a version)."""
import re

INT_MAX = 2**31 - 1


def gem_without_platform(v):
    """rubygems: Gem::Platform names a processor, or java, jruby, dalvik, mswin and so on, behind the version's first dash."""
    cpu = r"x86|x64|x86_64|amd64|i[3-6]86|arm|armv\d\w*|arm64|aarch64|powerpc|ppc|ppc64|ppc64le|powerpc64le|s390x?|riscv64|loongarch64|mips\w*|sparc|universal|java|jruby|dalvik|dotnet|mswin\w*|mingw\w*"
    return re.sub(rf"^([^-]*)-(?:{cpu})(?:-[0-9A-Za-z_.-]*)?(?=\s*$)", r"\1", v)


def apk(v):
    """apk-package(5), apk-tools 3: digits(.digits)* letter? (_suffix digits?)* (~hash)? (-rdigits)?

    A version that ends sorts before one that goes on, except with a pre-release suffix; of two that go on differently the one with the
    later kind of part is lower: number > letter > suffix > hash > revision > end."""
    m = re.fullmatch(r"(\d+)((?:\.\d+)*)([a-z])?((?:_(?:alpha|beta|pre|rc|cvs|svn|git|hg|p)\d*)*)(~[0-9a-f]+)?(-r\d+)?", v, re.A)
    if not m:
        return None
    # every part is (kind, value); kinds grow in the order in which they win.  A pre-release is below the end, which is 0.
    key = [(9, int(m[1]))]
    for c in m[2].split(".")[1:]:
        # numbers with a leading zero are text and below all others, since text order puts '0' first
        key.append((8, 0, c) if c[0] == "0" else (8, 1, int(c)))
    if m[3]:
        key.append((7, m[3]))
    for name, number in re.findall(r"_([a-z]+)(\d*)", m[4]):
        pre = ["alpha", "beta", "pre", "rc"]
        if name in pre:
            key.append((-1, pre.index(name)))
        else:
            key.append((6, ["cvs", "svn", "git", "hg", "p"].index(name)))
        if number:
            key.append((5, int(number)))
    if m[5]:
        key.append((4, m[5][1:]))
    if m[6]:
        key.append((3, int(m[6][2:])))
    return key + [(0,)]


def identifiers(text, numeric):
    return [numeric(p) if numeric(p) is not None else (1, p) for p in text.split(".")]


def nuget(v):
    m = re.fullmatch(r"(\d+)(?:\.(\d+))?(?:\.(\d+))?(?:\.(\d+))?(?:-([0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?(?:\+([0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?", v.strip(), re.A)
    if not m:
        return None
    numbers = [int(m[i] or 0) for i in range(1, 5)]
    if max(numbers) > INT_MAX:
        return None
    if m[5] is None:
        return numbers, 1, []
    labels = m[5].split(".")
    if any(re.fullmatch(r"0\d+", p) for p in labels):
        return None

    def numeric(p):  # int.TryParse: 32 bits, a sign is taken
        return (0, int(p)) if re.fullmatch(r"-?\d+", p) and -INT_MAX - 1 <= int(p) <= INT_MAX else None
    return numbers, 0, identifiers(m[5].upper(), numeric)


def pub(v):
    m = re.fullmatch(r"(\d+)\.(\d+)\.(\d+)(?:-([0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?(?:\+([0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?", v, re.A)
    if not m:
        return None

    def numeric(p):
        return (0, int(p)) if p.isdigit() else None
    return ([int(m[i]) for i in range(1, 4)], (0, identifiers(m[4], numeric)) if m[4] else (1, []), (1, identifiers(m[5], numeric)) if m[5] else (0, []))
