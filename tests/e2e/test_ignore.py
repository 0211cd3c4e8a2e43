# SPDX-License-Identifier: Apache-2.0
"""The ignore file through the command: what it takes out, when it ends, what it must never do by a spelling mistake."""
import json
import pathlib
import textwrap

import jsonschema
import pytest

from test_scan import BASE, TOP, mkimage

ROOT = pathlib.Path(__file__).resolve().parents[2]
NOW = 1720000000  # 2024-07-03
ALL = {"CVE-2023-5363", "CVE-2018-18074", "CVE-2023-32681", "CVE-2021-23337"}
OPENSSL = {"CVE-2023-5363"}
REQUESTS = {"CVE-2018-18074", "CVE-2023-32681"}
LODASH = {"CVE-2021-23337"}


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    path = tmp_path_factory.mktemp("image") / "image.tar"
    mkimage.write_image(str(path), [BASE, TOP])
    return path


@pytest.fixture
def scan(holdfast, advdb, image, tmp_path):
    """scan(text of the ignore file, options...) -> (exit code, stdout, stderr); the file is named accepted.yaml."""
    def run(text, *options, now=NOW, fmt="json", target=image):
        (tmp_path / "accepted.yaml").write_text(textwrap.dedent(text))
        return holdfast("scan", "--db", advdb, "--no-cache", "--format", fmt, "--ignore-file", tmp_path / "accepted.yaml", *options, target,
                        env={"SOURCE_DATE_EPOCH": str(now)})
    return run


def ignored(out):
    result = json.loads(out)
    jsonschema.validate(result, json.loads((ROOT / "docs/schema/scan-1.json").read_text()))
    assert {v["id"] for v in result["vulnerabilities"]} == ALL  # what is accepted stays in the JSON
    gone = {v["id"]: v["ignored"] for v in result["vulnerabilities"] if "ignored" in v}
    s = result["summary"]
    assert s["ignored"] == len(gone) and s["high"] + s["medium"] == len(ALL) - len(gone)
    return gone, [w for w in result["warnings"] if "accepted.yaml" in w]


@pytest.mark.parametrize("entry,expected", [
    ("id: CVE-2023-5363", OPENSSL),
    ("id: cve-2023-5363", OPENSSL),
    ("id: HFDEMO-0012", OPENSSL),  # an alias
    ("id: hfdemo-0027", LODASH),
    ("id: CVE-2023-536", set()),  # whole ids only
    ("purl: pkg:pypi/requests", REQUESTS),
    ("purl: pkg:pypi/requests@2.19.0", REQUESTS),
    ("purl: pkg:pypi/requests@2.*", REQUESTS),
    ("purl: pkg:pypi/requests@3.*", set()),
    ("purl: pkg:pypi/*", REQUESTS),
    ("purl: pkg:npm/requests", set()),  # another type
    ("purl: pkg:deb/debian/open*", OPENSSL),
    ("purl: pkg:deb/debian/openssl@3.0.11-1~deb12u1?arch=amd64&distro=debian-12", OPENSSL),
    ("purl: pkg:deb/debian/openssl?arch=arm64", set()),
    ("purl: pkg:deb/ubuntu/openssl", set()),
    ("path: app/node_modules/lodash/package.json", LODASH),
    ("path: /app/node_modules/lodash/package.json", LODASH),
    ("path: app/**", LODASH),
    ("path: app/*", set()),  # one segment
    ("path: '**/site-packages/**'", REQUESTS),
    ("path: usr/local/lib/*/site-packages/*/METADATA", REQUESTS),
    ("path: var/lib/dpkg/status", OPENSSL),
])
def test_what_an_entry_takes_out(scan, entry, expected):
    rc, out, err = scan(f"- {entry}\n  reason: reviewed by hand\n  expires: 2024-12-31\n")
    assert rc == 0, err
    gone, warnings = ignored(out)
    assert gone == {i: "reviewed by hand" for i in expected} and not warnings


def test_what_an_entry_names_must_all_agree(scan):
    rc, out, err = scan("""\
        - id: CVE-2018-18074
          purl: pkg:pypi/requests@2.*
          path: usr/local/**
          reason: all three agree
          expires: 2024-12-31
        - id: CVE-2023-32681
          path: opt/**
          reason: another place
          permanent: true
        - id: CVE-2021-23337
          purl: pkg:npm/lodash@3.*
          reason: another version
          permanent: true
        """)
    assert rc == 0, err
    assert ignored(out)[0] == {"CVE-2018-18074": "all three agree"}


def test_a_package_in_two_places_needs_both(scan, tmp_path):
    two = tmp_path / "two.tar"
    lodash = b'{"name": "lodash", "version": "4.17.15"}'
    mkimage.write_image(str(two), [BASE, TOP, mkimage.tar_of_files([("srv/node_modules/lodash/package.json", lodash)])])
    rc, out, err = scan("- path: app/**\n  reason: r\n  permanent: true\n", target=two)
    result = json.loads(out)
    assert rc == 0, err
    places = [p["path"] for pkg in result["packages"] if pkg["name"] == "lodash" for p in pkg["locations"]]
    assert sorted(places) == ["app/node_modules/lodash/package.json", "srv/node_modules/lodash/package.json"]
    counted = {v["id"] for v in result["vulnerabilities"] if "ignored" not in v}
    assert "CVE-2021-23337" in counted  # the copy in srv is not accepted
    rc, out, err = scan("- path: '**/node_modules/**'\n  reason: r\n  permanent: true\n", target=two)
    assert "CVE-2021-23337" not in {v["id"] for v in json.loads(out)["vulnerabilities"] if "ignored" not in v}


@pytest.mark.parametrize("expires,applies,warning", [
    ("2024-07-02", False, "expired on 2024-07-02 (owner: web team): it counts again"),
    ("2024-07-03", True, "ends on 2024-07-03 (owner: web team)"),  # the day itself counts
    ("2024-07-09", True, "ends on 2024-07-09"),
    ("2024-07-31", True, None),
])
def test_exceptions_end(scan, expires, applies, warning):
    rc, out, err = scan(f"# a comment\n- id: CVE-2021-23337\n  reason: r\n  owner: web team\n  expires: {expires}\n", "--fail-on", "critical")
    assert rc == 0, err
    gone, warnings = ignored(out)
    assert set(gone) == (LODASH if applies else set())
    assert len(warnings) == (warning is not None)
    if warning:
        assert warning in warnings[0] and "accepted.yaml:2: the exception for CVE-2021-23337" in warnings[0]


def test_an_expired_entry_lets_the_gate_close_again(scan):
    text = "".join(f"- id: {i}\n  reason: r\n  expires: 2024-08-31\n" for i in sorted(ALL))
    assert scan(text, "--fail-on", "low", now=NOW)[0] == 0
    assert scan(text, "--fail-on", "low", now=NOW + 90 * 86400)[0] == 1
    rc, out, err = scan(text, fmt="table", now=NOW + 90 * 86400)
    assert rc == 0 and out.count("it counts again") == 4 and "4 vulnerabilities" in out and err == ""


def test_an_expired_entry_that_would_not_apply_is_not_spoken_of(scan):
    rc, out, _ = scan("- id: CVE-1999-0001\n  reason: r\n  expires: 2020-01-01\n")
    assert rc == 0 and ignored(out) == ({}, [])


def test_a_live_entry_applies_beside_an_expired_one(scan):
    rc, out, _ = scan("- id: CVE-2021-23337\n  reason: old\n  expires: 2020-01-01\n- id: CVE-2021-23337\n  reason: renewed\n  expires: 2025-01-01\n")
    assert rc == 0
    assert ignored(out)[0] == {"CVE-2021-23337": "renewed"}


@pytest.mark.parametrize("level,code", [("critical", 0), ("high", 0), ("medium", 1), ("low", 1)])
def test_fail_on_is_not_triggered_by_what_is_accepted(scan, level, code):
    text = "".join(f"- id: {i}\n  reason: r\n  permanent: true\n" for i in ("CVE-2023-5363", "CVE-2018-18074", "CVE-2021-23337"))  # all that are high
    assert scan(text, "--fail-on", level)[0] == code


def test_the_table_counts_what_is_accepted_and_cyclonedx_leaves_it_out(scan):
    text = "- purl: pkg:pypi/*\n  reason: r\n  permanent: true\n"
    out = scan(text, fmt="table")[1]
    assert "CVE-2018-18074" not in out and "CVE-2021-23337" in out
    assert "2 vulnerabilities: 2 high" in out and "2 are accepted by the ignore file" in out
    bom = json.loads(scan(text, fmt="cyclonedx")[1])
    assert {v["id"] for v in bom["vulnerabilities"]} == ALL - REQUESTS and "requests" in {c["name"] for c in bom["components"]}


@pytest.mark.parametrize("text", ["", "# only a comment\n", "[]\n"])
def test_an_empty_file_accepts_nothing(scan, text):
    rc, out, err = scan(text)
    assert rc == 0, err
    assert ignored(out) == ({}, [])


@pytest.mark.parametrize("text,line,message", [
    ("- id: CVE-1\n  resaon: r\n  permanent: true\n", 2, 'unknown key "resaon"; did you mean reason?'),
    ("- id: CVE-1\n  severity: low\n  reason: r\n  permanent: true\n", 2, 'unknown key "severity"'),
    ("# first\n\n- id: CVE-1\n  expires: 2025-01-01\n", 3, "entry without reason"),
    ("- id: CVE-1\n  reason: ''\n  permanent: true\n", 2, "empty value"),
    ("- id: CVE-0\n  reason: r\n  permanent: true\n- id: CVE-1\n  reason: r\n", 4, "entry without expires: give a date, or permanent: true"),
    ("- id: CVE-1\n  reason: r\n  permanent: false\n", 1, "entry without expires"),
    ("- id: CVE-1\n  reason: r\n  expires: 2025-01-01\n  permanent: true\n", 1, "both expires and permanent"),
    ("- id: CVE-1\n  reason: r\n  expires: 2025-02-29\n", 3, "not a date"),
    ("- id: CVE-1\n  reason: r\n  expires: soon\n", 3, "not a date"),
    ("- id: CVE-1\n  reason: r\n  permanent: yes\n", 3, "neither true nor false"),
    ("- id: CVE-1\n  id: CVE-2\n  reason: r\n  permanent: true\n", 2, "twice"),
    ("- reason: r\n  permanent: true\n", 1, "would ignore everything"),
    ("- id: CVE-2023-*\n  reason: r\n  permanent: true\n", 1, "as a whole"),
    ("- purl: requests\n  reason: r\n  permanent: true\n", 1, ""),
    ("- id: CVE-1\n  reason: [a, b]\n  permanent: true\n", 2, "plain text"),
    ("- id: CVE-1\n\treason: r\n", 2, "not YAML"),
    ("ignore:\n- id: CVE-1\n", 1, "not a list"),
    ("- &a\n  id: CVE-1\n  reason: r\n  permanent: true\n- *a\n", 5, "aliases"),
])
def test_mistakes_are_errors_with_file_and_line(scan, tmp_path, text, line, message):
    rc, out, err = scan(text)
    assert rc == 2 and out == "" and len(err.splitlines()) == 1
    assert f"{tmp_path}/accepted.yaml:{line}: " in err and message in err


def test_a_missing_file_is_an_error(holdfast, advdb, image, tmp_path):
    rc, out, err = holdfast("scan", "--db", advdb, "--no-cache", "--ignore-file", tmp_path / "none.yaml", image)
    assert rc in (2, 3) and out == "" and "none.yaml" in err
