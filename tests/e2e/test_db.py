# SPDX-License-Identifier: Apache-2.0
"""`holdfast db`: building from the demonstration feed and from the shared real one, status, show, cmp, damage."""
import json
import pathlib
import zipfile

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]


def test_show_and_status(run, advdb):
    rc, out, _ = run("db", "show", "--db", advdb, "CVE-2021-44228")
    assert rc == 0 and "10.0 CVSS:3.1" in out and "log4j-core: from 2.0-beta9 to before 2.15.0" in out and "ransomware" in out
    rc, out, err = run("db", "show", "--db", advdb, "CVE-1999-9999")
    assert rc == 3 and "none of the database's sources" in err
    rc, out, _ = run("db", "status", "--db", advdb, "--json")
    status = json.loads(out)
    assert rc == 4 and {s["name"]: s["records"] for s in status["sources"]} == {"osv:demo-advisories": 41, "kev": 8}
    assert all(s["demonstration"] for s in status["sources"])


@pytest.mark.parametrize("scheme,pairs", [
    ("deb", [("1.0~rc1", "1.0", "<"), ("1:1", "2", ">"), ("1.0", "1.0-0", "="), ("a b", "1", "!")]),
    ("rpm", [("1.0~rc1-1", "1.0-1", "<"), ("1.0^git1-1", "1.0-1", ">"), ("0:1-1", "1-1", "=")]),
    ("apk", [("1.2", "1.2-r0", "<"), ("1.2_alpha", "1.2", "<"), ("10.2.24.r0", "1", "!")]),
    ("pep440", [("1.0.dev1", "1.0a1", "<"), ("1.0", "1.0.0", "="), ("french toast", "1", "!")]),
    ("npm", [("1.0.0-alpha.9", "1.0.0-alpha.10", "<")]),
    ("maven", [("1.0-sp", "1.0", ">"), ("1.0-rc1", "1.0-SNAPSHOT", "<")]),
])
def test_cmp(run, scheme, pairs):
    rc, out, _ = run("db", "cmp", scheme, input="".join(f"{a}\t{b}\n" for a, b, _ in pairs))
    assert rc == 0 and out.split() == [c for _, _, c in pairs]


def test_cmp_bad_lines_and_unknown_scheme(run):
    rc, out, err = run("db", "cmp", "deb", input="1\n1\t2\n")
    assert rc == 4 and out.split() == ["!", "<"] and "line 1" in err
    rc, out, err = run("db", "cmp", "debian")
    assert rc == 2 and "deb, rpm, apk" in err


def test_malformed_records_are_counted_and_the_rest_is_kept(run, tmp_path):
    good = {"id": "X-1", "modified": "2024-01-01T00:00:00Z", "aliases": ["CVE-2024-1"],
            "affected": [{"package": {"ecosystem": "PyPI", "name": "Some_Pkg"}, "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "2"}]}]}]}
    (tmp_path / "PyPI").mkdir()
    with zipfile.ZipFile(tmp_path / "PyPI/all.zip", "w", zipfile.ZIP_DEFLATED) as z:
        z.writestr("X-1.json", json.dumps(good))
        z.writestr("bad.json", "{not json")
        z.writestr("deep.json", "[" * 100000)
        z.writestr("noid.json", "{}")
        z.writestr("withdrawn.json", json.dumps({**good, "id": "X-2", "withdrawn": "2024-01-02T00:00:00Z"}))
    rc, out, err = run("db", "build", "--from", tmp_path, "--output", tmp_path / "x.hfdb")
    assert rc in (0, 3, 4), err
    if rc != 3:
        status = json.loads(run("db", "status", "--db", tmp_path / "x.hfdb", "--json")[1])
        assert status["sources"][0]["records"] == 1 and status["sources"][0]["rejected"] == 3
        assert "some-pkg" in run("db", "show", "--db", tmp_path / "x.hfdb", "CVE-2024-1")[1]


def test_build_is_the_same_twice(run, tmp_path):
    for name in ("a", "b"):
        assert run("db", "build", "--from", ROOT / "data/demo-advisories", "--output", tmp_path / name, env={"SOURCE_DATE_EPOCH": "1720000000"})[0] == 0
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_damaged_database_is_an_error_not_a_clean_result(run, advdb, tmp_path):
    data = advdb.read_bytes()
    for cut in (0, 10, 100, len(data) // 2, len(data) - 1):
        path = tmp_path / "cut.hfdb"
        path.write_bytes(data[:cut])
        rc, out, err = run("db", "show", "--db", path, "CVE-2021-44228")
        assert rc == 3 and "holdfast db build" in err
    for at in range(0, len(data), max(1, len(data) // 200)):
        path = tmp_path / "flip.hfdb"
        path.write_bytes(data[:at] + bytes([data[at] ^ 0xff]) + data[at + 1:])
        assert run("db", "show", "--db", path, "CVE-2021-44228")[0] in (0, 3)


def test_nothing_to_build_from(run, tmp_path):
    rc, _, err = run("db", "build", "--from", tmp_path, "--output", tmp_path / "x")
    assert rc == 3 and "no advisory data" in err
    assert run("db", "build", "--output", tmp_path / "x")[0] == 2


def test_shared_real_advisories(run, shared_advdb):
    rc, out, _ = run("db", "show", "--db", shared_advdb, "CVE-2022-0778")
    assert rc == 0 and "1.1.1k-1+deb11u2" in out
