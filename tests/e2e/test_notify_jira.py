# SPDX-License-Identifier: Apache-2.0
"""What people do in Jira comes back: issues with comments and a history, asked for a few times a minute."""
import json
import time

from test_notify import Web, comment, incident, setup  # noqa: F401 (fixtures)
from test_notify_answers import ID, ROUTE, built, driver, until  # noqa: F401


class Jira:
    """Issues with comments and a history; search/jql, issue, comment, myself (developer.atlassian.com, Jira Cloud REST v3)."""
    US, ALICE = {"accountId": "us", "displayName": "Holdfast"}, {"accountId": "al", "displayName": "Alice"}

    def __init__(self):
        self.issues, self.answers, self.next_id = {}, {}, 10000
        self.web = Web(self.answer)

    def touch(self, issue):
        self.next_id += 1
        issue["fields"]["updated"] = f"2026-11-26T18:00:{len(issue['history']) + len(issue['comments']):02d}.{self.next_id % 1000:03d}+0000"

    def move(self, key, category, by=None):
        issue = self.issues[key]
        issue["fields"]["status"] = {"name": category, "statusCategory": {"key": category}}
        issue["fields"]["resolution"] = {"name": "Fixed"} if category == "done" else None
        issue["history"].insert(0, {"author": by or self.ALICE, "created": f"2026-11-26T18:00:{len(issue['history']):02d}.000+0000", "items": [{"field": "status"}]})
        issue["history"].append({"author": self.US, "created": "2026-11-26T17:00:00.000+0000", "items": [{"field": "priority"}]})
        self.touch(issue)

    def say(self, key, text, by=None):
        self.next_id += 1
        body = {"type": "doc", "version": 1, "content": [{"type": "paragraph", "content": [{"type": "text", "text": t}, {"type": "hardBreak"}]} for t in text.split("\n")]}
        self.issues[key]["comments"].append({"id": str(self.next_id), "author": by or self.ALICE, "body": body})
        self.touch(self.issues[key])

    def answer(self, n, method, path, body):
        name = path.split("?")[0].removeprefix("/rest/api/3/")
        if name in self.answers:
            return self.answers.pop(name)
        if (method, name) == ("GET", "myself"):
            return 200, {}, json.dumps(self.US).encode()
        if (method, name) == ("POST", "search/jql"):
            asked = json.loads(body)
            assert set(asked) <= {"jql", "fields", "maxResults", "nextPageToken"} and asked["jql"].startswith('project = "SEC" AND updated >= "-') and asked["maxResults"] <= 50, asked
            return 200, {}, json.dumps({"issues": [{"id": "1", "key": k, "fields": {"updated": i["fields"]["updated"]}} for k, i in self.issues.items()], "isLast": True}).encode()
        if (method, name) == ("POST", "issue"):
            key = f"SEC-{len(self.issues) + 1}"
            self.issues[key] = {"fields": {"status": {"statusCategory": {"key": "new"}}}, "history": [], "comments": []}
            self.touch(self.issues[key])
            return 201, {}, json.dumps({"id": "1", "key": key}).encode()
        parts = name.split("/")
        if parts[0] == "issue" and parts[1] in self.issues:
            issue = self.issues[parts[1]]
            if parts[2:] == ["comment"] and method == "GET":
                return 200, {}, json.dumps({"comments": issue["comments"][::-1], "total": len(issue["comments"])}).encode()
            if parts[2:] == ["comment"]:
                self.say(parts[1], "ours", self.US)
                return 201, {}, b"{}"
            if not parts[2:] and method == "GET":
                return 200, {}, json.dumps({"key": parts[1], "fields": issue["fields"], "changelog": {"histories": issue["history"]}}).encode()
        return 404, {}, b"{}"


def test_jira_is_read_back(setup):
    jira = Jira()
    try:
        config = setup.channel(channel="team", type="jira", url=jira.web.url, user="bot@example.org", token_file=str(setup.secret("j", "jira-token")), project="SEC", read_back="10s", people={"al": "alice"}).write(ROUTE)
        with driver(config) as d:
            d.push(incident(comments=[comment("hello")]))
            assert list(jira.issues) == ["SEC-1"]
            jira.issues["SEC-99"] = {"fields": {"status": {"statusCategory": {"key": "done"}}}, "history": [], "comments": []}  # somebody else's
            jira.touch(jira.issues["SEC-99"])
            jira.say("SEC-1", "first\nsecond line")
            jira.move("SEC-1", "indeterminate")
            first, second = d.get("answer", 30), d.get("answer")
            assert (first["kind"], first["text"], first["who"], first["via"], first["incident"]) == ("comment", "first\nsecond line", "alice", "jira:team", ID)
            assert (second["kind"], second["state"], second["who"]) == ("state", "acknowledged", "alice")
            before = len(jira.web.got)
            jira.say("SEC-1", "ours", Jira.US)
            jira.move("SEC-1", "done", Jira.US)  # by our own account: no news
            jira.answers["search/jql"] = (429, {"Retry-After": "1"}, b"")
            until(lambda: sum(g["path"].endswith("search/jql") for g in jira.web.got) >= 3)
            time.sleep(0.5)
            d.nothing()
            jira.move("SEC-1", "new")
            assert d.get("answer", 30)["state"] == "open"
            assert any("Jira answers 429" in x for x in d.log) and any("Jira answers again" in x for x in d.log)
            assert len(jira.web.got) - before < 14
            assert not any("jira-token" in x for x in d.log)
    finally:
        jira.web.close()
