#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# In the VM (tests/e2e/test_acceptance_vm.py): a dockerd of its own, `watch` with the rules that come with the program, one container for each act.
# Usage: acceptance.sh HOLDFAST RULES FOLDER, which has image.tar and acts/NAME (a script for the container, its options in acts/NAME.options) and
# gets what was told (told.json, told.err) and each container's exit status (NAME.code).
program=$1 rules=$2 folder=$3

mkdir -p /run/vm/data /run/vm/out
mount -t tmpfs -o size=60% docker /run/vm/data
cd /run/vm/out || exit 1
modprobe evdev 2>/dev/null
dockerd --data-root /run/vm/data --exec-root /run/vm/exec --pidfile /run/vm/pid -H unix:///run/vm/sock --iptables=false --bridge=none >dockerd.log 2>&1 &
export DOCKER_HOST=unix:///run/vm/sock
n=0
until docker version >/dev/null 2>&1; do
    n=$((n + 1))
    [ $n -lt 300 ] || { tail -n 20 dockerd.log >&2; exit 1; }
    sleep 0.3
done
docker import "$folder/image.tar" box:1 >/dev/null || exit 1
"$program" watch --json --budget 0 --rules "$rules" >told.json 2>told.err &
watcher=$!
n=0
until grep -q '"started"' told.json; do
    n=$((n + 1))
    [ $n -lt 300 ] || { echo "watch did not start" >&2; cat told.err >&2; break; }
    sleep 0.3
done
for act in "$folder"/acts/*.options; do
    name=$(basename "$act" .options)
    # shellcheck disable=SC2046 # a list of options
    docker run --rm --network none --name "$name" $(cat "$act") box:1 /bin/sh -c "$(cat "$folder/acts/$name")" >"$name.log" 2>&1
    echo $? >"$name.code"
done
sleep 2 # for what waits in a ring
kill -INT $watcher
wait $watcher
cp /run/vm/out/* "$folder"
