#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# In the VM (tests/e2e/test_vm.py): a dockerd of its own, `watch` once with each kind of hook, two containers that do what is to be seen.
# Usage: watch.sh HOLDFAST FOLDER, which has image.tar, rules.yaml, files.sh, privileged.sh and memory.sh and gets what was told: features-KIND.json, KIND.json, KIND.err.
program=$1 folder=$2
kinds="lsm fentry kprobe"

mkdir -p /run/vm/data /run/vm/out
mount -t tmpfs -o size=60% docker /run/vm/data
cd /run/vm/out || exit 1
for kind in $kinds; do
    HF_HOOKS=$kind "$program" sensor features --json >"features-$kind.json" 2>"features-$kind.err"
done
dockerd --data-root /run/vm/data --exec-root /run/vm/exec --pidfile /run/vm/pid -H unix:///run/vm/sock --iptables=false --bridge=none >dockerd.log 2>&1 &
export DOCKER_HOST=unix:///run/vm/sock
n=0
until docker version >/dev/null 2>&1; do
    n=$((n + 1))
    [ $n -lt 200 ] || { tail -n 20 dockerd.log >&2; exit 1; }
    sleep 0.3
done
docker import "$folder/image.tar" box:1 >/dev/null || exit 1

watchers=
for kind in $kinds; do
    HF_HOOKS=$kind "$program" watch --rules "$folder/rules.yaml" --state "/run/vm/state-$kind" --budget 0 --json >"$kind.json" 2>"$kind.err" &
    watchers="$watchers $!"
    n=0
    until grep -q '"started"' "$kind.json"; do
        n=$((n + 1))
        [ $n -lt 200 ] || { echo "watch ($kind) did not start" >&2; cat "$kind.err" >&2; break; }
        sleep 0.3
    done
done
docker run --rm --network none --name files box:1 /bin/sh -c "$(cat "$folder/files.sh")" >run-files.log 2>&1 &
one=$!
docker run --rm --network none --security-opt seccomp=unconfined --name memory box:1 /bin/sh -c "$(cat "$folder/memory.sh")" >run-memory.log 2>&1 &
two=$!
docker run --rm --network none --name privileged --privileged box:1 /bin/sh -c "$(cat "$folder/privileged.sh")" >run-privileged.log 2>&1
wait $one $two
sleep 2 # for what waits in a ring
# shellcheck disable=SC2086 # a list of processes
kill -INT $watchers
# shellcheck disable=SC2086
wait $watchers
cp /run/vm/out/* "$folder"
