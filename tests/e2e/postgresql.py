# SPDX-License-Identifier: Apache-2.0
"""A PostgreSQL server of a test's own: temporary folder, Unix socket, unprivileged user, stopped by its pid."""
import glob
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time

import pytest


class Postgres:
    def __init__(self, auth="trust"):
        found = sorted(glob.glob("/usr/lib/postgresql/*/bin"))
        if not found:
            pytest.skip("the package postgresql is not installed")
        user = pwd.getpwnam("postgres") if os.geteuid() == 0 else None
        self.folder = tempfile.mkdtemp(prefix="hf-e2e-pg-", dir="/tmp")
        os.chmod(self.folder, 0o755)  # the daemon's user has to get to the socket
        self.kind = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []} if user else {}
        if user:
            os.chown(self.folder, user.pw_uid, user.pw_gid)
        self.env = {"PATH": f"{found[-1]}:/usr/bin:/bin", "LC_ALL": "C.UTF-8"}
        self.log = open(os.open(f"{self.folder}/log", os.O_CREAT | os.O_RDWR, 0o666), "w")
        self.count, self.server = iter(range(1000)), None
        subprocess.run(["initdb", "-D", f"{self.folder}/data", "-U", "holdfast", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"], check=True, env=self.env, cwd=self.folder,
                       stdout=self.log, stderr=self.log, **self.kind)
        if auth != "trust":
            with open(f"{self.folder}/data/pg_hba.conf", "w") as f:
                f.write(f"local all holdfast trust\nlocal all all {auth}\n")
        self.start()

    def start(self):
        self.server = subprocess.Popen(["postgres", "-D", f"{self.folder}/data", "-k", self.folder, "-c", "listen_addresses="], env=self.env, cwd=self.folder, stdout=self.log, stderr=self.log, **self.kind)
        for _ in range(300):
            if subprocess.run(["pg_isready", "-q", "-h", self.folder, "-U", "holdfast", "-d", "template1"], env=self.env, cwd="/").returncode == 0:
                return
            time.sleep(0.1)
        raise AssertionError(open(f"{self.folder}/log").read())

    def stop(self, sig=signal.SIGINT):
        """SIGINT: "fast", every session is ended; SIGQUIT: as if the power failed."""
        self.server.send_signal(sig)
        self.server.wait(60)

    def sql(self, text, database="template1"):
        return subprocess.run(["psql", "-X", "-q", "-A", "-t", "-h", self.folder, "-U", "holdfast", "-d", database, "-c", text], check=True, env=self.env, cwd="/", capture_output=True, text=True).stdout.strip()

    def new(self, user="holdfast", more=""):
        """The address of a new, empty database."""
        name = f"t{next(self.count)}"
        self.sql(f"CREATE DATABASE {name} OWNER {user}")
        return f"postgresql://{user}@/{name}?host={self.folder}{more}"

    def close(self):
        self.stop()
        self.log.close()
        shutil.rmtree(self.folder)
