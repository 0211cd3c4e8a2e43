#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# In the VM (tests/e2e/test_vm.py): a dockerd of its own, `watch` once with each kind of hook, two containers that do what is to be seen.
# Usage: watch.sh HOLDFAST FOLDER, which has image.tar, rules.yaml, files.sh, privileged.sh and memory.sh and gets what was told: features-KIND.json, KIND.json, KIND.err.
program=$1 folder=$2
kinds="lsm fentry kprobe"

# shellcheck source=tests/vm/common.sh
. "$(dirname "$0")/common.sh"
out_folder
for kind in $kinds; do
    HF_HOOKS=$kind "$program" sensor features --json >"features-$kind.json" 2>"features-$kind.err"
done
start_docker "$folder/image.tar"

watchers=
for kind in $kinds; do
    HF_HOOKS=$kind "$program" watch --rules "$folder/rules.yaml" --state "/run/vm/state-$kind" --budget 0 --json >"$kind.json" 2>"$kind.err" &
    watchers="$watchers $!"
    watch_started "$kind"
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
