# SPDX-License-Identifier: Apache-2.0
"""holdfast policy: files that are right and wrong, their tests, and their words; the schema for editors agrees."""
import json
import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
SHOP = (ROOT / "tests/corpus/fuzz-policy/shop.yaml").read_text()


@pytest.fixture
def shop(tmp_path):
    path = tmp_path / "shop.yaml"
    path.write_text(SHOP)
    return path


def test_check(run, shop, tmp_path):
    rc, out, err = run("policy", "check", shop)
    assert rc == 0 and "shop-web" in out and "2 policies, 3 tests" in out, err
    rc, out, _ = run("policy", "check", "--json", shop)
    policies = json.loads(out)
    assert [(p["policy"], p["mode"], p["fail"], len(p["clauses"])) for p in policies] == [("shop-web", "enforce", "closed", 9), ("all", "observe", "open", 1)]
    (tmp_path / "b.yaml").write_text('- policy: every\n  match: {image: "*"}\n  no_shells: true\n')
    rc, _, err = run("policy", "check", tmp_path)  # the folder: b.yaml comes first
    assert rc == 2 and re.search(r'shop.yaml:23: policy "all" is as specific as "every" \(\S*b.yaml:1\)', err)


@pytest.mark.parametrize("text, message", [
    ('- policy: p\n  match: {image: "*"}\n  no_shell: true\n', 'bad.yaml:3: unknown key "no_shell" in a policy; did you mean no_shells'),
    ("- policy: p\n  no_shells: true\n", 'bad.yaml:1: policy "p" has no "match"'),
    ('- policy: p\n  match: {image: "*"}\n  destinations: [example.org]\n', "not a name"),
    ("- policy: [\n", "not YAML"),
    ("a: b\n", "a list of policies and tests is expected"),
])
def test_mistakes(run, tmp_path, text, message):
    (tmp_path / "bad.yaml").write_text(text)
    rc, out, err = run("policy", "check", tmp_path / "bad.yaml")
    assert rc == 2 and out == "" and message in err


def test_tests(run, shop):
    rc, out, _ = run("policy", "test", shop)
    assert rc == 0 and out.endswith("3 tests, 0 failed\n")
    shop.write_text(SHOP + '- test: wrong\n  container: {image: other}\n  exec: /bin/sh\n  expect: refused\n')
    rc, out, _ = run("policy", "test", shop)
    assert rc == 1 and "FAILED  wrong" in out and "expected refused, got allowed" in out and out.endswith("4 tests, 1 failed\n")
    rc, out, _ = run("policy", "test", "--json", shop)
    tests = json.loads(out)
    assert rc == 1 and [t["passed"] for t in tests] == [True, True, True, False] and tests[0]["clause"] == "no_shells" and tests[1]["maintenance"]


def test_explain(run, shop):
    rc, out, _ = run("policy", "explain", shop)
    assert rc == 0 and "T1059.004" in out and "10.0.0.0/8 5432/tcp, fd00::/8 53, 192.0.2.7/32 any port" in out and "closed: when nobody is there to judge" in out
    rc, out, _ = run("policy", "explain", "--json", shop)
    refuses = {c["clause"]: c for c in json.loads(out)[0]["refuses"]}
    assert refuses["kernel_use"]["but_for"] == "mount" and refuses["read_only"]["paths"] == "/etc/, /usr/**"


def test_schema(run, tmp_path):
    jsonschema, yaml = pytest.importorskip("jsonschema"), pytest.importorskip("yaml")
    schema = json.loads((ROOT / "docs/schema/policy-1.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)

    class Plain(yaml.SafeLoader):  # times stay texts, as they are for the program
        pass
    Plain.yaml_implicit_resolvers = {k: [r for r in v if r[0] != "tag:yaml.org,2002:timestamp"] for k, v in yaml.SafeLoader.yaml_implicit_resolvers.items()}
    shop = yaml.load(SHOP, Plain)
    assert not list(validator.iter_errors(shop))
    for change in ({"mode": "on"}, {"no_shell": True}, {"destinations": ["example.org"]}, {"kernel_use": ["rootkits"]}, {"match": {}}, {"read_only": ["etc"]}):
        bad = [{**shop[0], **change}]
        assert list(validator.iter_errors(bad))
        (tmp_path / "bad.yaml").write_text(json.dumps(bad))
        assert run("policy", "check", tmp_path / "bad.yaml")[0] == 2
