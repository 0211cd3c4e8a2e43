#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# make-rpm-tree.sh DIR - RPM databases made by rpm's and Berkeley DB's own tools, all with the same seven packages (and one gpg-pubkey).
#
# DIR/rpms/*.rpm                                   packages built by rpmbuild
# DIR/sqlite                                       root with var/lib/rpm/rpmdb.sqlite, by rpm
# DIR/ndb                                          root with usr/lib/sysimage/rpm/Packages.db: the same headers in the layout of rpm's
#                                                  lib/backend/ndb/rpmpkg.c (Debian builds rpm without it; docs/formats/rpmdb.md)
# DIR/wal                                          as sqlite, with what it holds still in rpmdb.sqlite-wal
# DIR/bdb-le, DIR/bdb-be                           roots with var/lib/rpm/Packages: the same headers through db5.3_load
# DIR/expected.tsv                                 name, EVR, arch, source rpm, vendor, licence, module as rpm -qa says
# DIR/expected-files.tsv                           package NEVRA, path, of what is not a directory
# Exits 77 when a tool is missing.
set -euo pipefail
[ $# = 1 ] || { echo "usage: $0 DIR" >&2; exit 2; }
for t in rpmbuild rpm db5.3_load sqlite3 python3; do
    command -v "$t" >/dev/null || { echo "make-rpm-tree.sh: $t is missing" >&2; exit 77; }
done
mkdir -p "$1"
D=$(cd "$1" && pwd)
export HOME="$D/home" LC_ALL=C SOURCE_DATE_EPOCH=1700000000
mkdir -p "$D"/{home,spec,rpms,build}

# name version release epoch arch vendor licence module source-name files
spec() {
    local name=$1 version=$2 release=$3 epoch=$4 arch=$5 vendor=$6 license=$7 module=$8 body=$9
    {
        echo "Name: $name"
        echo "Version: $version"
        echo "Release: $release"
        [ -z "$epoch" ] || echo "Epoch: $epoch"
        [ -z "$vendor" ] || echo "Vendor: $vendor"
        [ -z "$module" ] || echo "ModularityLabel: $module"
        [ "$arch" != noarch ] || echo "BuildArch: noarch"
        echo "License: $license"
        echo "Summary: test of Holdfast"
        printf '%%description\ntest\n'
        printf '%s\n' "$body"
    } >"$D/spec/$name-$version.spec"
    rpmbuild -bb --quiet --nodeps --define "_topdir $D/build" --define "_rpmdir $D/rpms" \
        --define '_build_name_fmt %%{NAME}-%%{VERSION}-%%{RELEASE}.%%{ARCH}.rpm' --define '_binary_payload w0.gzdio' \
        --define 'debug_package %{nil}' --define '__os_install_post %{nil}' "$D/spec/$name-$version.spec"
}
R='Red Hat, Inc.'
spec bash 5.1.8 6.el9 '' x86_64 "$R" 'GPLv3+' '' '%install
mkdir -p %{buildroot}/usr/bin %{buildroot}/etc/skel
echo x >%{buildroot}/usr/bin/bash; ln -s bash %{buildroot}/usr/bin/sh; echo x >%{buildroot}/etc/skel/.bashrc
%files
/usr/bin/bash
/usr/bin/sh
%dir /etc/skel
/etc/skel/.bashrc'
spec openssl 3.0.7 24.el9 1 x86_64 "$R" 'ASL 2.0' '' '%package libs
Summary: libraries
%description libs
libraries
%install
mkdir -p %{buildroot}/usr/lib64 %{buildroot}/usr/bin
echo x >%{buildroot}/usr/lib64/libssl.so.3; echo x >%{buildroot}/usr/bin/openssl
%files
/usr/bin/openssl
%files libs
/usr/lib64/libssl.so.3'
spec nodejs 18.20.2 1.module+el8.9.0+21767+537f34ee 1 x86_64 "$R" 'MIT and ASL 2.0' 'nodejs:18:8090020240301110609:a75119d5' '%install
mkdir -p %{buildroot}/usr/lib/node_modules/npm
echo "{\"name\":\"npm\",\"version\":\"10.5.0\"}" >%{buildroot}/usr/lib/node_modules/npm/package.json
%files
/usr/lib/node_modules'
# shellcheck disable=SC2016 # for rpmbuild's shell
spec tzdata 2024a 1.el9 '' noarch "$R" 'Public Domain' '' '%install
mkdir -p %{buildroot}/usr/share/zoneinfo
for i in $(seq 2000); do echo x >%{buildroot}/usr/share/zoneinfo/Zone-with-a-rather-long-name-$i; done
%files
/usr/share/zoneinfo'
spec thirdparty 1.0~rc1 1 '' noarch 'Example GmbH' 'Proprietary' '' '%files'
spec odd-name-with-dashes 0 0.1^git20240101 '' noarch '' 'BSD and (MIT or GPLv2+)' '' '%files'
# what rpm --import leaves; scanners must drop it
spec gpg-pubkey 8483c65d 5ccc5b19 '' noarch '' pubkey '' '%files'

DB="$D/sqlite/var/lib/rpm/rpmdb.sqlite"
RPM=(rpm --root "$D/sqlite" --dbpath /var/lib/rpm --define '_db_backend sqlite')
rm -rf "$D/sqlite"
mkdir -p "$D/sqlite/var/lib/rpm"
"${RPM[@]}" --initdb
"${RPM[@]}" -i --justdb --nodeps --noscripts --nosignature --ignorearch --ignoreos "$D"/rpms/*.rpm 2>"$D/rpm.log"
rm -rf "$D/build" "$D"/sqlite/{dev,proc,run,tmp,var/tmp}
Q=("${RPM[@]}" -qa)
"${Q[@]}" --qf '%{NAME}\t%{EVR}\t%{ARCH}\t%{SOURCERPM}\t%{VENDOR}\t%{LICENSE}\t%{MODULARITYLABEL}\n' | grep -v ^gpg-pubkey | sort >"$D/expected.tsv"
"${Q[@]}" --qf '[%{=NEVRA}\t%{FILEMODES:perms}\t%{FILENAMES}\n]' | awk -F'\t' '$2 !~ /^d/ {print $1 "\t" $3}' | sort >"$D/expected-files.tsv"
sqlite3 "$DB" 'PRAGMA wal_checkpoint(TRUNCATE)' >/dev/null
rm -f "$DB-shm"
[ -s "$DB-wal" ] || rm -f "$DB-wal"

# The same rows, written by a process that never checkpoints: all but one page of the database lies in the log.
mkdir -p "$D/wal/var/lib/rpm"
python3 - "$DB" "$D/wal/var/lib/rpm/rpmdb.sqlite" <<'PY'
import os, shutil, sqlite3, sys
src, dst = sys.argv[1:]
for f in (dst, dst + "-wal", dst + "-shm", dst + ".w", dst + ".w-wal", dst + ".w-shm"):
    if os.path.exists(f):
        os.remove(f)
rows = sqlite3.connect(src).execute("SELECT hnum, blob FROM Packages ORDER BY hnum").fetchall()
con = sqlite3.connect(dst + ".w", isolation_level=None)
con.execute("PRAGMA journal_mode=WAL")
con.execute("PRAGMA wal_autocheckpoint=0")
con.execute("CREATE TABLE 'Packages' (hnum INTEGER PRIMARY KEY AUTOINCREMENT, blob BLOB NOT NULL)")
for r in rows:
    con.execute("INSERT INTO Packages VALUES (?, ?)", r)
shutil.copy(dst + ".w", dst)
shutil.copy(dst + ".w-wal", dst + "-wal")
con.close()
for f in (".w", ".w-wal", ".w-shm"):
    if os.path.exists(dst + f):
        os.remove(dst + f)
PY

# Berkeley DB: keys are header numbers in the database's byte order, record 0 the highest number.
for order in le:1234 be:4321; do
    root="$D/bdb-${order%%:*}"
    mkdir -p "$root/var/lib/rpm"
    rm -f "$root/var/lib/rpm/Packages"
    python3 - "$DB" "${order%%:*}" >"$D/dump.txt" <<'PY'
import sqlite3, struct, sys
fmt = "<I" if sys.argv[2] == "le" else ">I"
rows = sqlite3.connect(sys.argv[1]).execute("SELECT hnum, blob FROM Packages ORDER BY hnum").fetchall()
print("VERSION=3\nformat=bytevalue\ntype=hash\nh_nelem=16\ndb_pagesize=4096\nHEADER=END")
for k, v in [(0, struct.pack(fmt, max(r[0] for r in rows)))] + rows:
    print(" " + struct.pack(fmt, k).hex() + "\n " + bytes(v).hex())
print("DATA=END")
PY
    db5.3_load -c "db_lorder=${order##*:}" -t hash -f "$D/dump.txt" "$root/var/lib/rpm/Packages"
    rm "$D/dump.txt"
done
# NDB: header and slots in the first page, blobs in units of 16 bytes; Adler-32 as rpmpkg.c counts it.
mkdir -p "$D/ndb/usr/lib/sysimage/rpm"
python3 - "$DB" "$D/ndb/usr/lib/sysimage/rpm/Packages.db" <<'PY'
import sqlite3, struct, sys, zlib
rows = sqlite3.connect(sys.argv[1]).execute("SELECT hnum, blob FROM Packages ORDER BY hnum").fetchall()
slots, blobs, unit = b"", b"", 4096 // 16
for k, v in rows:
    v = bytes(v)
    body = struct.pack("<4sIII", b"BlbS", k, 1700000000, len(v)) + v
    body += b"\0" * (-(len(body) + 12) % 16)
    body += struct.pack("<I", zlib.adler32(body)) + struct.pack("<I4s", len(v), b"BlbE")
    slots += struct.pack("<4sIII", b"Slot", k, unit, len(body) // 16)
    blobs += body
    unit += len(body) // 16
head = struct.pack("<4sIIIIIII", b"RpmP", 0, len(rows), 1, len(rows) + 1, 0, 0, 0)
slots += struct.pack("<4sIII", b"Slot", 0, 0, 0) * ((4096 - 32 - len(slots)) // 16)
open(sys.argv[2], "wb").write(head + slots + blobs)
PY
for root in sqlite ndb wal bdb-le bdb-be; do
    mkdir -p "$D/$root/etc"
    printf 'NAME="Red Hat Enterprise Linux"\nID="rhel"\nID_LIKE="fedora"\nVERSION_ID="9.4"\nPRETTY_NAME="Red Hat Enterprise Linux 9.4 (Plow)"\n' >"$D/$root/etc/os-release"
done
