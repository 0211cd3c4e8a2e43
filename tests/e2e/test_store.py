# SPDX-License-Identifier: Apache-2.0
"""holdfast store: check finds what was altered or damaged, migrate moves a store to PostgreSQL and back, wrong use is refused."""
import json
import os
import pathlib
import sqlite3
import subprocess

import pytest

from postgresql import Postgres

ROOT = pathlib.Path(__file__).resolve().parents[2]
TABLES = ["counters", "incidents", "alerts", "audit", "audit_head", "queue", "settings", "hosts", "images", "containers", "packages", "findings", "seals"]


@pytest.fixture(scope="module")
def fill():
    """fill(ADDRESS): a store with two rows and more in every table (tests/bench/store-bench.c, built as store-bench)."""
    program = pathlib.Path(os.environ.get("HF_BIN", ROOT / "build" / "holdfast")).resolve().parent / "tests" / "store-bench"
    p = subprocess.run(["ninja", "-C", program.parents[1], "tests/store-bench"], capture_output=True, text=True)
    assert p.returncode == 0, p.stdout + p.stderr

    def call(address):
        p = subprocess.run([program, address, "50"], capture_output=True, text=True, timeout=60)
        assert p.returncode == 0, p.stdout + p.stderr
    return call


@pytest.fixture
def full(fill, tmp_path):
    fill(f"sqlite:{tmp_path}/full.db")
    return tmp_path / "full.db"


@pytest.fixture(scope="module")
def postgres():
    """postgres(): the address of a new database of a server of our own."""
    server = Postgres()
    yield server.new
    server.close()


def rows(out):
    return {line.split()[0]: line.split()[-2] for line in out.splitlines()}


def test_check(run, full):
    rc, out, err = run("store", "check", "--store", full)
    assert rc == 0 and err == ""
    assert [line.split()[0] for line in out.splitlines()] == [*TABLES, "audit"]
    assert all(" good " in line for line in out.splitlines())
    assert all(int(n) > 0 for n in rows(out).values()), out
    rc, out, _ = run("store", "check", "--store", f"sqlite:{full}", "--json")
    doc = json.loads(out)
    assert rc == 0 and doc["store"] == f"sqlite:{full}" and [p["part"] for p in doc["parts"]] == [*TABLES, "audit chain"]
    rc, _, err = run("store", "check", env={"HOLDFAST_STORE_URL": str(full)})
    assert rc == 0, err


def test_who_alters_the_audit_log_is_found(run, full):
    db = sqlite3.connect(full)
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        db.execute("UPDATE audit SET who = 'nobody' WHERE seq = 2")
    db.execute("DROP TRIGGER audit_no_update")
    db.execute("UPDATE audit SET who = 'nobody' WHERE seq = 2")
    db.commit()
    db.close()
    rc, out, _ = run("store", "check", "--store", full)
    assert rc == 1
    assert [line for line in out.splitlines() if "DAMAGED" in line] == [line for line in out.splitlines() if "audit entry 2 was altered" in line] != []
    rc, _, err = run("store", "migrate", full, f"sqlite:{full}.new")
    assert rc == 3 and "audit entry 2 was altered" in err


def test_a_damaged_page_names_its_table(run, full):
    db = sqlite3.connect(full)
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    page = db.execute("SELECT rootpage FROM sqlite_master WHERE name = 'hosts'").fetchone()[0]
    db.close()
    with open(full, "r+b") as f:
        f.seek((page - 1) * 4096)
        f.write(b"\xa5" * 4096)
    rc, out, _ = run("store", "check", "--store", full)
    assert rc == 1
    assert {line.split()[0] for line in out.splitlines() if "DAMAGED" in line} == {"hosts"}, out


def test_a_newer_store_is_refused_and_left_alone(run, full):
    db = sqlite3.connect(full)
    db.execute("INSERT INTO hf_schema VALUES(7, 1, 'holdfast 9.9')")
    db.commit()
    db.close()
    for command in (["store", "check", "--store", full], ["store", "migrate", full, f"{full}.new"]):
        rc, _, err = run(*command)
        assert rc == 3 and "schema version 7" in err and "versions up to 2" in err


def test_who_reads_never_waits_for_who_writes(run, tmp_path):
    """Another process holds SQLite's writer's lock for good: every command that only reads answers; one that writes says what hinders it."""
    full = tmp_path / "busy.db"
    rc, _, err = run("incident", "import", ROOT / "tests/corpus/fuzz-correlate/story.ndjson", "--store", full)
    assert rc == 0, err
    incident = json.loads(run("incident", "list", "--store", full, "--json")[1])[0]["id"]
    holder = subprocess.Popen(["/usr/bin/python3", "-c", "import sqlite3,sys\nc=sqlite3.connect(sys.argv[1], isolation_level=None)\nc.execute('BEGIN IMMEDIATE')\nprint('held', flush=True)\nsys.stdin.read()", full],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert holder.stdout.readline() == b"held\n"
        for command in (["incident", "list"], ["incident", "show", incident], ["incident", "export", incident], ["audit", "list"], ["audit", "verify"], ["inventory", "hosts"], ["inventory", "images"],
                        ["inventory", "containers"], ["store", "check"], ["store", "retain", "--dry-run"], ["notify", "dead"]):
            rc, _, err = run(*command[:2], "--store", full, *command[2:])
            assert rc == 0, (command, err)
        rc, _, err = run("incident", "comment", "--store", full, incident, "hello")
        assert rc == 3 and "locked" in err
    finally:
        holder.stdin.close()
        holder.wait()
    assert run("incident", "comment", "--store", full, incident, "hello")[0] == 0


def test_migrate_to_postgresql_and_back(run, full, postgres, tmp_path):
    address = postgres()
    rc, out, err = run("store", "migrate", full, address)
    assert rc == 0, err
    assert list(rows(out)) == TABLES
    rc, checked, err = run("store", "check", "--store", address)
    assert rc == 0 and rows(checked)["alerts"] == rows(out)["alerts"], checked + err
    back = tmp_path / "back.db"
    rc, out2, err = run("store", "migrate", address, f"sqlite:{back}")
    assert rc == 0 and out2 == out, err
    a, b = sqlite3.connect(full), sqlite3.connect(back)
    for table in TABLES:
        assert sorted(a.execute(f"SELECT * FROM {table}").fetchall()) == sorted(b.execute(f"SELECT * FROM {table}").fetchall()), table
    assert os.stat(back).st_mode & 0o777 == 0o600
    rc, _, err = run("store", "migrate", full, address)
    assert rc == 2 and "is not empty" in err


def test_wrong_use(run, tmp_path):
    for args, code, words in [
            (["store"], 2, "which?"), (["store", "chekc"], 2, "did you mean store check"), (["store", "migrate", "a"], 2, ""),
            (["store", "check", "--store", "mysql://x/y"], 2, "not the address of a store"),
            (["store", "check", "--store", tmp_path / "none.db"], 3, "there is no such file"),
            (["store", "migrate", tmp_path / "none.db", tmp_path / "new.db"], 3, "there is no such file"),
            (["store", "check", "--store", "postgresql://u:hunter2@localhost/x"], 2, "passfile"),
            (["store", "check", "--store", "postgresql://u@localhost/x?password=hunter2"], 2, "passfile"),
            (["store", "check", "--store", f"postgresql://u@/x?host={tmp_path}"], 3, str(tmp_path))]:
        rc, out, err = run(*args)
        assert rc == code and words in err and "hunter2" not in err and out == "", (args, rc, err)
    assert not (tmp_path / "new.db").exists()
    (tmp_path / "text.db").write_text("no database\n" * 1000)
    rc, _, err = run("store", "check", "--store", tmp_path / "text.db")
    assert rc == 3 and "file is not a database" in err
