# SPDX-License-Identifier: Apache-2.0
"""The console's page in headless Chromium, served by the built program: what a person does with it, what an attacker's texts become in it, whether everybody
can use it (keyboard, screen reader by axe, phone, dark), and long lists.  HF_SCREENSHOTS=FOLDER keeps pictures of every view."""
import copy
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import tarfile
import threading
import time
import urllib.parse

import pytest

webdriver = pytest.importorskip("selenium.webdriver", reason="Debian package python3-selenium")
from selenium.common.exceptions import JavascriptException, StaleElementReferenceException, WebDriverException  # noqa: E402
from selenium.webdriver.chrome.options import Options  # noqa: E402
from selenium.webdriver.chrome.service import Service  # noqa: E402
from selenium.webdriver.common.action_chains import ActionChains  # noqa: E402
from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402

from test_daemon import attack, daemon, user  # noqa: E402, F401 (fixtures)
from test_docker import mkimage, overlay  # noqa: E402, F401 (a fixture)
from test_scan import BASE, TOP  # noqa: E402
from test_watch import busybox  # noqa: E402, F401 (a fixture)

ROOT = pathlib.Path(__file__).resolve().parents[2]
WEB = ROOT / "src/console/web"
STORY = [json.loads(line) for line in (ROOT / "tests/corpus/fuzz-correlate/story.ndjson").read_text().splitlines()]
PASSWORD = "correct horse battery"
PICTURES = os.environ.get("HF_SCREENSHOTS")


def until(fn, seconds=60, what="it"):
    end = time.monotonic() + seconds
    while True:
        try:
            got = fn()
        except (StaleElementReferenceException, JavascriptException):
            got = None
        if got:
            return got
        assert time.monotonic() < end, f"waited {seconds} s for {what}"
        time.sleep(0.05)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Console:
    """`holdfast console` over a store, with lines fed to it."""
    def __init__(self, binary, folder, store=None):
        self.binary, self.folder, self.store = binary, folder, store or folder / "store.db"
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.process = None

    def run(self, *args, input=None, code=0):
        p = subprocess.run([self.binary, *map(str, args), "--store", f"sqlite:{self.store}"], input=input, capture_output=True, timeout=60)
        assert p.returncode == code, (args, p.stdout, p.stderr)
        return p.stdout.decode()

    def add_user(self, name, role):
        self.run("user", "add", name, "--role", role, input=PASSWORD.encode() + b"\n")

    def bring(self, lines, host="h"):
        """Alerts become incidents of the store, as the daemon's hub does it."""
        self.run("incident", "import", "--host", host, "-", input=b"".join(json.dumps(line).encode() + b"\n" for line in lines))

    def start(self):
        self.err = open(self.folder / "console.err", "ab")
        self.process = subprocess.Popen([self.binary, "console", "--store", f"sqlite:{self.store}", "--listen", f"127.0.0.1:{self.port}", "--live", "-", "--rules", ROOT / "data/rules"],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.err)
        assert self.process.stdout.readline().decode().startswith(self.url), (self.folder / "console.err").read_text()
        return self

    def feed(self, lines):
        self.process.stdin.write(b"".join(json.dumps(line).encode() + b"\n" for line in lines))
        self.process.stdin.flush()

    def incident(self, which):
        return json.loads(self.run("incident", "show", "--json", which))

    def incidents(self):
        return json.loads(self.run("incident", "list", "--json", "--state", "all"))

    def stop(self, how=signal.SIGTERM):
        if self.process and self.process.poll() is None:
            self.process.send_signal(how)
            self.process.wait(20)
            self.process.stdin.close()
            self.process.stdout.close()
        self.process = None


class Page:
    """A browser: what a person sees and does."""
    def __init__(self, driver):
        self.driver, self.base = driver, None

    def js(self, script, *args):
        return self.driver.execute_script("return (function(){" + script + "}).apply(null, arguments)", *args)

    def wait_js(self, script, *args):
        return self.driver.execute_async_script(script, *args)

    def size(self, width, height, mobile=False):
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": mobile})

    def scheme(self, name, motion="no-preference"):
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": name}, {"name": "prefers-reduced-motion", "value": motion}]})

    def open(self, path):
        self.driver.get(self.base + path)
        self.settle()

    def settle(self):
        """The view is there with its data."""
        until(lambda: self.js("return document.readyState === 'complete' && document.querySelector('main h1') && !document.querySelector('main [aria-busy=true]')"), what="the view at " + self.driver.current_url)

    def text(self):
        return self.js("return document.body.innerText")

    def sees(self, text, seconds=15):
        until(lambda: text in self.text(), seconds, f"{text!r} in the page:\n{self.text()[:3000]}")

    def find(self, css, text=None, seconds=15):
        def look():
            return next((e for e in self.driver.find_elements(By.CSS_SELECTOR, css) if e.is_displayed() and (text is None or text in e.text)), None)
        return until(look, seconds, f"{css} {text or ''}")

    def click(self, css, text=None):
        def do():
            e = self.find(css, text)
            self.js("arguments[0].scrollIntoView({block: 'center'})", e)
            try:
                e.click()
            except WebDriverException:
                return False
            return True
        until(do, what=f"a click on {css} {text or ''}")

    def sign_in(self, console, name="admin"):
        self.base = console.url
        self.driver.get(console.url + "/sign-in")
        self.driver.delete_all_cookies()
        self.driver.get(console.url + "/sign-in")
        self.find("input[name=user]").send_keys(name)
        self.find("input[name=password]").send_keys(PASSWORD, Keys.ENTER)
        until(lambda: self.js("return location.pathname") == "/", what="the overview after signing in")
        self.settle()

    def focused(self):
        return self.js("const e = document.activeElement; return [e.tagName, (e.getAttribute('aria-label') || e.innerText || (e instanceof SVGElement ? e.textContent : e.value) || '').slice(0, 80), e.className]")

    def keys(self, *keys):
        ActionChains(self.driver).send_keys(*keys).perform()

    def tab_to(self, text, limit=60):
        for _ in range(limit):
            self.keys(Keys.TAB)
            if text in self.focused()[1]:
                assert self.js("const e = document.activeElement; const o = (s) => s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) >= 1;"
                               "const box = e.querySelector('.g-box');"
                               "return o(getComputedStyle(e)) || o(getComputedStyle(e, '::after')) || box && parseFloat(getComputedStyle(box).strokeWidth) > 2"), f"the focus on {text} cannot be seen"
                return
        raise AssertionError(f"{text!r} is not reached by {limit} times Tab; the focus is on {self.focused()}")

    def picture(self, name):
        if PICTURES:
            pathlib.Path(PICTURES).mkdir(parents=True, exist_ok=True)
            self.driver.save_screenshot(str(pathlib.Path(PICTURES) / (name + ".png")))

    def complaints(self):
        """What the browser's console says since the last look; answers of the server that are no success are not a mistake of the page."""
        return [e["message"] for e in self.driver.get_log("browser") if e["level"] == "SEVERE" and "Failed to load resource" not in e["message"]]


WATCH = """
window.pwned = []; window.violations = [];
for (const name of ['alert', 'confirm', 'prompt']) window[name] = (x) => { window.pwned.push(String(x)); };
document.addEventListener('securitypolicyviolation', (e) => window.violations.push(e.violatedDirective + ' ' + e.blockedURI + ' ' + e.sourceFile + ':' + e.lineNumber));
"""


@pytest.fixture(scope="module")
def driver(tmp_path_factory):
    chromium, chromedriver = shutil.which("chromium"), shutil.which("chromedriver")
    if not chromium or not chromedriver:
        pytest.skip("Debian packages chromium and chromium-driver")
    options = Options()
    options.binary_location = chromium
    for a in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars", "--lang=en-GB", "--disable-background-networking", "--disable-component-update",
              "--no-first-run", f"--user-data-dir={tmp_path_factory.mktemp('chromium')}"):
        options.add_argument(a)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    options.set_capability("pageLoadStrategy", "eager")
    d = webdriver.Chrome(service=Service(chromedriver), options=options)
    d.set_script_timeout(60)
    d.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": WATCH})
    yield d
    d.quit()


@pytest.fixture
def page(driver):
    p = Page(driver)
    p.size(1380, 900)
    p.scheme("light")
    p.driver.get_log("browser")
    yield p
    driver.get("about:blank")


@pytest.fixture(scope="module")
def console(binary, run, advdb, tmp_path_factory):
    c = Console(binary, tmp_path_factory.mktemp("console"))
    c.bring(STORY)
    # an image that was really scanned, a channel with a dead letter
    mkimage.write_image(str(c.folder / "image.tar"), [BASE, TOP])
    rc, out, err = run("scan", "--db", advdb, "--no-cache", "--format", "json", c.folder / "image.tar", env={"SOURCE_DATE_EPOCH": "1720000000"})
    assert rc == 0, err
    c.digest = json.loads(out)["image"]["digest"]
    c.run("inventory", "add", "-", input=out.encode())
    with sqlite3.connect(c.store) as db:
        db.execute("INSERT INTO queue VALUES(1, 'ops', 'k1', 2, 0, 0, 9, 0, ?, 'connection refused', '{}')", (10**18,))
        db.execute("INSERT INTO settings VALUES('console/channels', 1, ?)", (json.dumps({"channels": [{"name": "ops", "kind": "slack", "updates": ["state"], "routes": ["all"]}]}),))
    for name, role in (("admin", "administrator"), ("rita", "responder"), ("vera", "viewer")):
        c.add_user(name, role)
    c.start()
    c.feed(STORY)
    yield c
    c.stop()


def changed(lines, seconds, names, prefix="01"):
    """The story once more: other containers, later, other alerts."""
    out = []
    ids = {}
    for line in copy.deepcopy(lines):
        at = time.time() + seconds
        line["time"] = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at)) + f".{len(out):09d}Z"
        text = json.dumps(line)
        for old, new in names.items():
            text = text.replace(f'"name": "{old}"', f'"name": {json.dumps(new)}')
        for old in set(re.findall(r'"id": "([0-9a-f]{64})"', text)):
            ids.setdefault(old, "".join(reversed(old)) if prefix == "01" else prefix + old[len(prefix):])
            text = text.replace(old, ids[old])
        line = json.loads(text)
        if "id" in line:
            line["id"] = prefix + line["id"][2:]
        line.pop("before", None)
        out.append(line)
    return out


# ---- the files ----

def test_nothing_in_the_page_can_become_a_script():
    """No sink that reads text as HTML or code; nothing inline; nothing from elsewhere."""
    sinks = re.compile(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|createContextualFragment|setHTML|DOMParser|\beval\(|new Function|srcdoc\s*=|javascript:|setTimeout\(\s*['\"`]|setAttribute\('(?:style|on)")
    for file in sorted(WEB.glob("**/*")):
        text = file.read_text()
        found = sinks.search(text)
        assert not found, f"{file.name}: {found[0]}"
        outside = [u for u in re.findall(r"https?://[^\s'\"`<>)]+", text) if not u.startswith(("http://www.w3.org/2000/svg", "https://attack.mitre.org/techniques/"))]
        assert not outside, (file.name, outside)
    index = (WEB / "index.html").read_text()
    assert not re.search(r"<script(?![^>]*\ssrc=)|<style|\sstyle=|\son[a-z]+=", index)


def test_every_module_is_used():
    used = set(re.findall(r"/assets/([\w.-]+)", (WEB / "index.html").read_text()))
    for file in WEB.glob("*.js"):
        used |= set(re.findall(r"(?:from|import\()\s*'\./([\w.-]+)'", file.read_text()))
    assert {f.name for f in WEB.iterdir()} - used == {"index.html"}


# ---- signing in ----

def test_sign_in_and_out(page, console):
    page.base = console.url
    page.driver.get(console.url + "/incidents?state=all")
    page.find("h1", "Sign in")
    assert urllib.parse.parse_qs(urllib.parse.urlsplit(page.driver.current_url).query)["next"] == ["/incidents?state=all"]
    assert page.focused()[0] == "INPUT"
    page.find("input[name=user]").send_keys("admin")
    page.find("input[name=password]").send_keys("wrong", Keys.ENTER)
    page.sees("Name or password is wrong")
    page.find("input[name=password]").send_keys(Keys.CONTROL, "a")
    page.find("input[name=password]").send_keys(PASSWORD, Keys.ENTER)
    until(lambda: page.driver.current_url == console.url + "/incidents?state=all", what="the page one wanted")
    page.sees("Shell on a network connection in web")
    page.open("/settings/account")
    page.sees("Signed in as admin, administrator")
    page.click("button", "Sign out")
    page.find("h1", "Sign in")
    page.driver.get(console.url + "/audit")
    page.find("h1", "Sign in")
    # the link that is printed on the machine: good once, and not in the history
    link = re.search(r"#link=\S+", console.run("user", "link"))[0]
    page.driver.get(console.url + "/sign-in" + link)
    until(lambda: page.js("return location.pathname") == "/", what="the overview after the link")
    page.settle()
    page.driver.delete_all_cookies()
    page.driver.get(console.url + "/sign-in")
    page.find("input[name=user]")
    page.driver.get(console.url + "/sign-in" + link)  # only what is behind # changes: no new page
    page.sees("The link is no longer good")
    assert "link=" not in page.driver.current_url and page.find("input[name=user]")
    page.driver.get(console.url + "/sign-in?error=provider")
    page.sees("The identity provider does not answer")
    assert page.complaints() == []


# ---- an incident, from the first alert to the end ----

def test_an_attack_arrives_and_is_worked_on(page, console):
    page.sign_in(console, "rita")
    page.open("/incidents")
    page.js("window.stays = true")
    before = page.js("return document.querySelectorAll('.vlist-row').length")
    console.bring(changed(STORY, 0, {"web": "shop", "db": "ledger", "other": "third"}), host="h2")
    page.find(".row-link", "in shop and 2 more")  # by itself
    assert page.js("return window.stays") and page.js("return document.querySelectorAll('.vlist-row').length") == before + 1
    assert "New incident, critical: Shell on a network connection in shop" in until(lambda: page.js("return document.querySelector('[role=status][aria-live]').textContent"), what="the news for screen readers")
    page.click(".row-link", "in shop")
    page.sees("What to do now")
    which = page.js("return location.pathname").split("/")[-1]
    assert page.focused()[0] == "H1" and page.driver.title.endswith("Holdfast") and "shop" in page.driver.title
    for part in ("Summary", "Discussion", "MITRE ATT&CK", "Execution", "T1059.004", "Rules", "reached from", "Cut the connection"):
        assert part in page.text(), part
    page.click("button", "Acknowledge")
    page.sees("acknowledged by rita")
    assert console.incident(which)["state"] == "acknowledged"
    page.click("button", "Assign to me")
    page.sees("assigned to rita")
    page.find("textarea").send_keys("Looking at <b>it</b> & more", Keys.CONTROL, Keys.ENTER)
    page.sees("Looking at <b>it</b> & more")
    assert page.js("return document.querySelector('textarea').value") == ""
    console.run("incident", "comment", which, "from the command line", "--by", "anna")  # what others say comes by itself
    page.sees("from the command line")
    # containing: what it would do is asked first; without the daemon there is no hand, and that is said in words
    page.click("button", "Isolate")
    page.find("dialog input[name=why]").send_keys(" test")
    page.click("dialog button", "Show what it would do")
    page.find("dialog .problem")
    page.picture("no-hand")
    page.keys(Keys.ESCAPE)
    until(lambda: not page.js("return document.querySelector('dialog[open]')"))
    page.click("button", "Link …")
    page.find("dialog input").send_keys("Ticket 7")
    page.find("dialog input[type=url]").send_keys("https://tickets.example.org/7")
    page.click("dialog button", "Add")
    page.sees("tickets.example.org/7")
    page.click("button", "Resolve …")
    page.click("dialog label", "It was a test")
    page.find("dialog textarea").send_keys("drill of November")
    page.click("dialog button", "Resolve")
    page.sees("Resolved: test")
    page.sees("drill of November")
    page.click("[role=tab]", "Audit trail")
    page.sees("resolved test")
    page.click("[role=tab]", "Graph")
    assert page.js("return document.querySelectorAll('.g-node').length") >= 10 and page.js("return document.querySelectorAll('.g-edge').length") >= 10
    page.click("[role=tab]", "Alerts")
    page.click("summary", "Why, and what was before")
    page.sees("evt.type = dup")
    page.driver.back()  # tabs are no steps of the history
    page.find("h1", "Incidents")
    page.sees("Shell on a network connection in web")
    assert "in shop" not in page.text()  # resolved
    document = console.incident(which)
    assert (document["state"], document["resolution"], document["assignee"], document["acknowledged_by"]) == ("resolved", "test", "rita", "rita")
    assert [c["text"] for c in document["comments"]] == ["Looking at <b>it</b> & more", "from the command line", "drill of November"] and document["links"] == [{"title": "Ticket 7", "url": "https://tickets.example.org/7"}]
    log = json.loads(console.run("audit", "list", "--json", "--target", which))
    assert {("rita", "console", "incident.ack"), ("rita", "console", "incident.resolve")} <= {(e["by"], e["via"], e["what"]) for e in log}
    assert page.complaints() == []


def test_only_the_keyboard(page, console):
    page.base = console.url
    page.driver.get(console.url + "/sign-in")
    page.driver.delete_all_cookies()
    page.driver.get(console.url + "/sign-in")
    page.find("input[name=user]")
    page.keys("rita", Keys.TAB, PASSWORD, Keys.ENTER)
    until(lambda: page.js("return location.pathname") == "/", what="the overview")
    page.settle()
    page.driver.refresh()
    page.settle()
    page.keys(Keys.TAB)
    assert page.focused()[1] == "Skip to the content"
    page.tab_to("Incidents")
    page.keys(Keys.ENTER)
    until(lambda: page.focused()[:2] == ["H1", "Incidents"], what="the focus on the heading")
    page.settle()
    page.tab_to("Shell on a network connection in web")
    page.keys(Keys.ENTER)
    until(lambda: page.focused()[0] == "H1" and "in web" in page.text(), what="the incident")
    page.find("button", "Acknowledge")
    page.tab_to("Acknowledge")
    page.keys(Keys.SPACE)
    page.sees("acknowledged by rita")
    page.tab_to("Graph" if page.focused()[1] == "Time line" else "Time line")
    page.keys(Keys.ARROW_RIGHT)
    until(lambda: page.focused()[1].startswith("Graph"), what="the next tab")
    page.tab_to("Container web")
    page.keys(Keys.ENTER)
    until(lambda: page.js("return location.pathname").startswith("/containers/"), what="the container")
    page.find("h1", "web")
    page.settle()
    page.tab_to("Freeze")
    page.keys(Keys.ENTER)
    page.find("dialog[open]")
    assert page.js("return document.querySelector('dialog').contains(document.activeElement)")
    for _ in range(12):
        page.keys(Keys.TAB)
        assert page.js("return document.activeElement === document.body || document.querySelector('dialog').contains(document.activeElement)"), page.focused()
    page.keys(Keys.ESCAPE)
    until(lambda: page.focused()[1] == "Freeze", what="the focus where it was")
    page.driver.back()
    page.find("h1", "in web")
    assert page.complaints() == []


def test_a_viewer_changes_nothing(page, console):
    page.sign_in(console, "vera")
    which = next(i["id"] for i in console.incidents() if "in web" in i["title"])
    page.open("/incidents/" + which)
    page.sees("Writing needs the role responder")
    assert page.js("return [...document.querySelectorAll('main .action-bar button')].every((b) => b.disabled)")
    assert page.js("return document.querySelectorAll('main form').length") == 0
    page.open("/settings/users")
    page.sees("Only administrators see this")


def test_users_and_tokens(page, console):
    page.sign_in(console)
    page.open("/settings/users")
    page.sees("vera")
    page.find("form input").send_keys("new.person")
    page.find("form input[type=password]").send_keys("short")
    page.click("button", "Add user")
    assert page.js("return !document.querySelector('form').checkValidity()")
    page.find("form input[type=password]").send_keys(" but now longer")
    page.click("button", "Add user")
    page.sees("new.person is added")
    page.find("td strong", "new.person")
    page.click("button[aria-label='Remove new.person']")
    page.click("dialog button", "Remove")
    page.sees("new.person is removed")
    page.open("/settings/tokens")
    page.find("form input").send_keys("ci")
    page.click("button", "Make a token")
    token = page.find(".token").text
    assert re.fullmatch(r"hf_\S{20,}", token)
    page.find("td strong", "ci")
    page.open("/settings/tokens")
    page.find("td strong", "ci")
    assert token not in page.js("return document.documentElement.outerHTML")  # once
    page.click("button[aria-label='Revoke ci']")
    page.click("dialog button", "Revoke")
    page.sees("ci is revoked")
    assert page.complaints() == []


def test_images_and_channels(page, console):
    page.sign_in(console, "vera")
    page.open("/images")
    page.click(".row-link")
    page.find("td", "CVE-2023-5363")
    page.sees("3.0.11-1~deb12u2")
    page.find("input[type=search]").send_keys("lodash")
    until(lambda: "CVE-2021-23337" in page.text() and "CVE-2023-5363" not in page.text(), what="the filter")
    page.click("[role=tab]", "Packages")
    page.find("td", "openssl")
    page.click("[role=tab]", "Layers")
    page.sees("Layers by size")
    assert page.js("return [...document.querySelectorAll('.lying-fill')].map((f) => f.getBoundingClientRect().width > 0)") == [True, True]
    page.open("/settings/channels")
    page.click("button", "1 dead letter")
    page.sees("connection refused")
    assert page.find("button", "Send a test").get_attribute("disabled")  # a viewer
    assert page.complaints() == []


def test_a_rule(page, console):
    page.sign_in(console)
    page.open("/rules?q=network+connection")
    page.click(".row-link", "Shell on a network connection")
    for part in ("Somebody elsewhere types into it", "Condition", "evt.type = dup", "Cut the connection", "T1059.004", "backdoors.yaml"):
        page.sees(part)
    page.click("button", "Replay 7 days")
    page.sees("kept alerts of 7 days")
    page.click("button", "Except …")
    page.find("dialog input").send_keys("inetd of the test")
    page.click("dialog button", "Show what it would be")
    page.find("dialog .problem, dialog pre")  # without the daemon nobody can write it: that is said
    page.keys(Keys.ESCAPE)
    assert page.complaints() == []


def test_events_as_they_come(page, console):
    page.sign_in(console, "vera")
    page.open("/live?tab=events")
    page.find(".event-row")
    line = copy.deepcopy(STORY[0])
    line["process"]["name"] = "first-one"
    console.feed([line])
    page.sees("first-one")
    page.click("button", "Pause")
    line["process"]["name"] = "second-one"
    console.feed([line])
    page.find(".pill", "1 new")
    assert "second-one" not in page.text()
    page.click("button", "Go on")
    page.sees("second-one")
    page.find("input[type=search]").send_keys("second-ONE")
    until(lambda: page.js("return document.querySelectorAll('.event-row').length") == 1 and "first-one" not in page.text(), what="the filter")
    assert "find=second-ONE" in page.driver.current_url
    page.open("/live?tab=events&type=alert&min_severity=critical")
    until(lambda: page.js("return document.querySelectorAll('.event-row').length") > 0)
    assert page.js("return [...document.querySelectorAll('.event-row .c-kind')].every((k) => k.textContent === 'Critical')")
    page.click(".row-button")
    page.sees("The whole line")


def test_a_lost_connection_is_said_and_taken_up(page, binary, tmp_path):
    c = Console(binary, tmp_path)
    c.bring(STORY)
    c.add_user("admin", "administrator")
    c.start()
    try:
        page.sign_in(c)
        page.open("/incidents")
        until(lambda: "Live" in page.find(".stream-state").text)
        c.stop(signal.SIGKILL)
        page.find(".lost", "Connection lost")
        page.picture("lost")
        assert "What you see is as of" in page.find(".lost").text and "in web" in page.text()  # what was seen stays
        c.bring(changed(STORY, 0, {"web": "while-away"}), host="h2")
        c.start()
        page.click(".lost button", "Try now")
        until(lambda: not page.js("return document.querySelector('.lost').checkVisibility()"), what="the connection")
        page.sees("in while-away")
    finally:
        c.stop()


@pytest.mark.skipif(os.geteuid() != 0, reason="the daemon needs root")
def test_a_real_attack_is_contained_from_the_page(page, daemon, attack):  # noqa: F811
    """The daemon and a container: the reverse shell appears while one looks, what freezing does is shown, it is frozen, and let go again."""
    daemon.settings["console"]["listen"] = f'"127.0.0.1:{free_port()}"'
    daemon.start()
    url = "http://" + daemon.settings["console"]["listen"].strip('"')
    subprocess.run([daemon.binary, "user", "add", "rita", "--role", "responder", "--store", daemon.store], input=PASSWORD.encode() + b"\n", check=True, capture_output=True, timeout=60)

    class Here:
        pass
    here = Here()
    here.url = url
    page.sign_in(here, "rita")
    page.open("/incidents")
    name = attack()
    link = page.find(".row-link", name, 30)
    page.js("arguments[0].click()", link)
    page.sees("What to do now")
    which = page.js("return location.pathname").split("/")[-1]
    page.click("button", "Acknowledge")
    page.sees("acknowledged by rita")
    page.find("textarea").send_keys("I freeze it", Keys.CONTROL, Keys.ENTER)
    page.sees("I freeze it")
    page.click("button", "Freeze")
    page.click("dialog button", "Show what it would do")
    page.find(".effects", "lost, the other sides wait")
    page.picture("freeze")
    assert json.loads(daemon.run("respond", "list", "--json", "--state", daemon.state)) == []  # nothing was done yet
    page.click("dialog button", "Freeze now")
    page.find("dialog .good-box", "Done")
    page.click("dialog .form-actions button", "Close")
    page.sees("Contained")
    assert [(a["action"], a["name"]) for a in json.loads(daemon.run("respond", "list", "--json", "--state", daemon.state))] == [("freeze", name)]
    document = daemon.show(which)
    assert document["state"] == "contained" and [(a["action"], a["by"], a["result"]) for a in document["actions"]] == [("freeze", "rita", "done")]
    page.click("main a.ref", name)
    page.find("h1", name)
    page.sees("Freeze is in force")
    assert "busybox" in page.find(".tree").text
    page.picture("container-frozen")
    page.click("button", "Thaw")
    page.find("dialog input[name=why]").send_keys("looked at")
    page.click("dialog button", "Show what it would do")
    page.click("dialog button", "Thaw now")
    page.find("dialog .good-box", "Done")
    page.keys(Keys.ESCAPE)
    assert json.loads(daemon.run("respond", "list", "--json", "--state", daemon.state)) == []
    page.open("/live?tab=sensor")
    page.sees("% of one core now")
    page.sees("Dearest rules", 30)
    page.picture("sensor-real")
    page.open("/rules")
    page.sees("Shell on a network connection")
    page.open("/incidents/" + which)
    page.click("button", "Resolve …")
    page.click("dialog button", "Resolve")
    page.sees("Resolved: was real")
    assert daemon.show(which)["resolution"] == "true" and page.complaints() == []


# ---- hostile texts ----

NASTY = "<img src=x onerror=alert(1)><script>alert(2)</script>\"'`${alert(3)}{{7*7}}&lt;b&gt;"
SPOOF = "safe\u202egnp.exe\u2066\u200b\x1b[31mred"
LONG = "A" * 10240


def hostile(lines):
    out = []
    for i, line in enumerate(changed(lines, 0, {}, "ab")):
        line = copy.deepcopy(line)
        for whole in (line, line.get("event") or {}):
            c, p = whole.get("container"), whole.get("process")
            if c:
                c.update(name=[NASTY, SPOOF, LONG][i % 3], image=NASTY + ":1", labels={NASTY: NASTY, "long": LONG, SPOOF: SPOOF})
            if p:
                p.update(name=NASTY, exe="/" + NASTY, args=[NASTY, SPOOF, LONG, "javascript:alert(4)"], cwd=SPOOF)
                for a in p.get("ancestors", []):
                    a.update(name=NASTY, exe=SPOOF, args=[NASTY])
            for part in whole.values():
                if isinstance(part, dict):
                    for k in ("path", "target", "peer_name", "name") if part is not c and part is not p else ():
                        if k in part or k == "peer_name" and "peer" in part:
                            part[k] = NASTY
        for k in ("summary", "what", "do", "benign", "rule"):
            if k in line:
                line[k] = NASTY + " " + SPOOF
        for w in line.get("why", []):
            w.update(clause=NASTY, value=SPOOF)
        if line["type"] == "alert":
            line["techniques"] = ["T1059", NASTY]
        out.append(line)
    return out


def test_hostile_texts_are_text(page, binary, tmp_path):
    c = Console(binary, tmp_path)
    lines = hostile(STORY)
    c.bring(lines, host=NASTY)
    c.add_user("admin", "administrator")
    c.start()
    try:
        c.feed(lines)
        which = c.incidents()[0]["id"]
        c.run("incident", "comment", which, NASTY, "--by", NASTY)
        c.run("incident", "assign", which, NASTY, "--by", "anna")
        page.sign_in(c)
        ids = page.wait_js("const d = arguments[arguments.length - 1]; fetch('/api/v1/containers').then((r) => r.json()).then((j) => d(j.items.map((x) => x.id)))")
        assert ids
        rule = next(line["rule"] for line in lines if line["type"] == "alert")
        rules = page.wait_js("const d = arguments[arguments.length - 1]; fetch('/api/v1/rules').then((r) => r.json()).then((j) => d(j.items.map((x) => x.name)))")
        views = ["/", "/live", "/live?tab=map", "/live?tab=events", "/incidents", f"/incidents/{which}", f"/incidents/{which}?tab=graph", f"/incidents/{which}?tab=alerts", f"/incidents/{which}?tab=audit", "/images", "/audit",
                 "/rules", *(f"/rules/{urllib.parse.quote(r, safe='')}" for r in rules[:1]), *(f"/containers/{ids[0]}?tab={t}" for t in ("processes", "peers", "events", "facts", "incidents")),
                 "/incidents?q=" + urllib.parse.quote(NASTY), "/audit?target=" + urllib.parse.quote(NASTY), "/settings/" + urllib.parse.quote(NASTY), "/sign-in?error=" + urllib.parse.quote(NASTY) + "&next=javascript:alert(5)"]
        shown = 0
        for view in views:
            page.open(view)
            assert page.js("return [window.pwned, window.violations]") == [[], []], view
            assert page.js("return document.querySelectorAll('main script, main iframe, main img, main object, main [onerror]').length") == 0, view
            assert page.js("return [...document.querySelectorAll('a[href]')].every((a) => ['http:', 'https:'].includes(new URL(a.getAttribute('href'), location).protocol))"), view
            assert page.js("return document.documentElement.scrollWidth <= document.documentElement.clientWidth"), f"{view} is wider than the screen"
            text = page.text()
            shown += "<img src=x onerror=alert(1)>" in text
            assert not re.search("[\u202a-\u202e\u2066-\u2069\u200b\x00\x1b]", text), view
        assert shown >= 12, shown
        page.open(f"/incidents/{which}")
        for d in page.driver.find_elements(By.CSS_SELECTOR, "main details"):
            page.js("arguments[0].open = true", d)
        page.open("/live?tab=events")
        page.click(".row-button")
        page.click("dialog summary")
        assert page.js("return [window.pwned, window.violations]") == [[], []]
        assert "\\u202e" in page.text() and rule
        assert page.complaints() == []
    finally:
        c.stop()


# ---- for everybody ----

def views_of(console):
    which = next(i["id"] for i in console.incidents() if "in web" in i["title"])
    box, image = STORY[0]["container"], "/images/" + console.digest
    return ["/", "/live", "/live?tab=map", "/live?tab=events", "/live?tab=sensor", "/incidents?state=all", f"/incidents/{which}", f"/incidents/{which}?tab=graph", f"/incidents/{which}?tab=alerts", f"/incidents/{which}?tab=audit",
            *(f"/containers/{box['id']}{t}" for t in ("", "?tab=peers", "?tab=facts")), "/images", image, image + "?tab=packages", image + "?tab=layers", "/rules", "/rules/" + urllib.parse.quote("Shell on a network connection"), "/audit",
            "/settings/account", "/settings/appearance", "/settings/channels", "/settings/users", "/settings/tokens"]


def name_of(view):
    return re.sub(r"[^a-z]+", "-", re.sub(r"I-[0-9A-Z-]+|sha256:[0-9a-f]+|[0-9a-f]{64}", "", view.lower())).strip("-") or "overview"


AXE = "4.14.1"


@pytest.fixture(scope="module")
def axe():
    """axe-core from npm, kept between runs."""
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")) / "holdfast-tests"
    tarball = cache / f"axe-core-{AXE}.tgz"
    if not tarball.exists():
        if not shutil.which("npm"):
            pytest.skip("npm is not installed: no axe-core")
        cache.mkdir(parents=True, exist_ok=True)
        p = subprocess.run(["npm", "pack", "--silent", f"axe-core@{AXE}", "--pack-destination", cache], capture_output=True, text=True, timeout=120)
        if not tarball.exists():
            pytest.skip("axe-core is on npm, which cannot be reached: " + p.stderr.strip()[-200:])
    with tarfile.open(tarball) as t:
        return t.extractfile("package/axe.min.js").read().decode()


def look(page, axe, rules=None):
    page.js("document.getAnimations().forEach((a) => a.finish && a.effect.getComputedTiming().iterations !== Infinity && a.finish())")
    page.driver.execute_script(axe)
    options = {"resultTypes": ["violations"], **({"runOnly": {"type": "rule", "values": rules}} if rules else {})}
    found = page.wait_js("const d = arguments[arguments.length - 1]; axe.run(document, arguments[0]).then((r) => d(r.violations), (e) => d([{impact: 'critical', id: String(e), nodes: []}]))", options)
    return [(v["impact"], v["id"], [n["html"][:200] for n in v["nodes"][:3]]) for v in found if v["impact"] in ("serious", "critical")]


def test_axe_finds_nothing_serious_in_light_and_dark(page, console, axe):
    page.base = console.url
    page.scheme("light", "reduce")
    page.driver.get(console.url + "/sign-in")
    page.driver.delete_all_cookies()
    page.driver.get(console.url + "/sign-in")
    page.find("input[name=user]")
    assert look(page, axe) == []
    page.sign_in(console)
    found = {}
    for view in views_of(console):
        page.scheme("light", "reduce")
        page.open(view)
        found["light " + view] = look(page, axe)
        page.picture("light-" + name_of(view))
        page.scheme("dark", "reduce")
        found["dark " + view] = look(page, axe, ["color-contrast", "link-in-text-block"])
        page.picture("dark-" + name_of(view))
    page.open(views_of(console)[6])
    page.click("button", "Isolate")
    page.find("dialog[open]")
    found["dialog"] = look(page, axe)
    assert {k: v for k, v in found.items() if v} == {}


def test_phone_and_dark(page, console):
    page.sign_in(console)
    page.size(360, 780, True)
    page.scheme("dark")
    for view in views_of(console):
        page.open(view)
        wide = page.js("return [document.documentElement.scrollWidth, document.documentElement.clientWidth, [...document.querySelectorAll('main *')].filter((e) => e.getBoundingClientRect().right > innerWidth + 1"
                       " && !e.closest('.graph-box, .tabs, .table-box, pre, .hide, .vlist-row')).slice(0, 4).map((e) => e.tagName + '.' + e.className)]")
        assert wide[0] <= wide[1] == 360 and wide[2] == [], (view, wide)
        page.picture("phone-" + name_of(view))
    shade = page.js("return getComputedStyle(document.body).backgroundColor")
    assert sum(map(int, re.findall(r"\d+", shade)[:3])) < 150, shade
    page.click(".top .icon-button")  # from the system's to light
    assert sum(map(int, re.findall(r"\d+", page.js("return getComputedStyle(document.body).backgroundColor"))[:3])) > 600
    page.driver.refresh()
    page.settle()
    assert page.js("return document.documentElement.dataset.theme") == "light"
    page.js("localStorage.clear()")
    page.click("button", "More")
    page.click(".nav-link", "Settings")
    page.find("h1", "Account")


def test_time_zones(page, console):
    page.driver.execute_cdp_cmd("Emulation.setTimezoneOverride", {"timezoneId": "Asia/Kolkata"})
    try:
        page.sign_in(console)
        page.open("/incidents/" + next(i["id"] for i in console.incidents() if "in web" in i["title"]))
        first = page.find(".timeline time")
        assert first.get_attribute("datetime").startswith("2026-11-26T20:06:12") and first.text == "01:36:12" and "20:06:12 UTC" in first.get_attribute("title")
        page.click(".zone-button")
        assert first.text == "20:06:12 UTC"
        page.open("/audit")
        assert "UTC" in page.find("td time").text
        page.js("localStorage.clear()")
    finally:
        page.driver.execute_cdp_cmd("Emulation.setTimezoneOverride", {"timezoneId": ""})


def test_ten_thousand_incidents_scroll(page, binary, tmp_path):
    c = Console(binary, tmp_path)
    c.bring(STORY)
    c.add_user("admin", "administrator")
    db = sqlite3.connect(c.store)
    [row] = db.execute("SELECT * FROM incidents").fetchall()
    names = [d[1] for d in db.execute("PRAGMA table_info(incidents)")]
    one = dict(zip(names, row))
    # small documents, as those of most incidents are
    doc = json.loads(one["doc"])
    doc.update(graph={"nodes": [], "edges": []}, timeline=[], title="")
    rows = []
    for n in range(10000):
        doc.update(id=f"I-20251126-{n:06d}", title=f"Number {n} of many")
        rows.append(tuple({**one, "id": doc["id"], "title": doc["title"], "search": doc["title"].lower(), "updated": one["updated"] - (n + 1) * 10**9, "change": one["change"] + n + 1, "doc": json.dumps(doc)}[k] for k in names))
    db.executemany(f"INSERT INTO incidents VALUES({','.join('?' * len(names))})", rows)
    db.execute("UPDATE counters SET value = value + 10000 WHERE name LIKE '%change%'") if "value" in [d[1] for d in db.execute("PRAGMA table_info(counters)")] else None
    db.commit()
    db.close()
    c.start()
    try:
        page.sign_in(c)
        page.open("/incidents")
        page.sees("10,001 incidents")
        assert page.js("return document.querySelector('.vlist').getAttribute('aria-rowcount')") == "10002"
        seen = set()

        def at_end():
            page.js("window.scrollTo(0, document.documentElement.scrollHeight)")
            seen.add(page.js("return document.querySelectorAll('.vlist-row').length"))
            return "Number 9999 of many" in page.text()
        until(at_end, 40, "the last of 10,000")
        assert max(seen) < 80  # only what is near is there
        top = page.js("const y = window.scrollY; return [y, [...document.querySelectorAll('.vlist-row')].find((r) => r.getBoundingClientRect().top > 200).innerText]")
        c.bring(changed(STORY, 0, {"web": "newest"}), host="h2")
        page.find(".pill", "new or changed")
        assert page.js("const y = window.scrollY; return [y, [...document.querySelectorAll('.vlist-row')].find((r) => r.getBoundingClientRect().top > 200).innerText]")[0] == top[0]  # nothing jumped
        page.js("[...document.querySelectorAll('.row-link')].find((a) => a.innerText.includes('9990')).focus()")
        page.keys(Keys.ARROW_UP)
        assert "9989" in page.focused()[1]
        page.keys(Keys.HOME)
        until(lambda: page.js("return window.scrollY") < 400 and "in web" in page.focused()[1], what="the first row by Home")
        page.click(".pill")
        page.sees("in newest")
        page.open("/incidents?q=Number+77")
        page.sees("111 incidents")
        page.picture("many")
        assert page.complaints() == []
    finally:
        c.stop()
