#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# In the VM (tests/e2e/test_vm.py): podman with runc and with crun, on the unified hierarchy, one container before `watch` and one after.
# Usage: podman.sh HOLDFAST FOLDER, which has image.tar and gets what was told: podman.json, podman.err, podman.log; seals.json, verify.json, scan.json.
program=$1 folder=$2
# shellcheck source=tests/vm/common.sh
. "$(dirname "$0")/common.sh"
storage=/var/lib/containers # podman's own place, in memory
exec >"$folder/podman.log" 2>&1

mkdir -p $storage /run/vm
mount -t tmpfs -o size=60% containers $storage && mkdir -p $storage/tmp && cd /run/vm || exit 1
export TMPDIR=$storage/tmp
with() { # runtime argument...
    runtime=$1
    shift
    podman --cgroup-manager cgroupfs --storage-driver overlay --runtime "$runtime" "$@"
}
with crun import "$folder/image.tar" box:1 || exit 1
with crun run -d --network none --name before --label team=shop box:1 /bin/busybox sleep 3000 || exit 1
mkdir -p /run/vm/state
"$program" watch --state /run/vm/state --budget 0 --no-rules --json >podman.json 2>podman.err &
watcher=$!
watch_started podman
with crun exec before /bin/sh -c 'exit 5'
with runc run --rm --network none --name after box:1 /bin/sh -c 'exit 6'
with crun pod create --name shop --network none --infra-image box:1 --infra-command '/bin/busybox sleep 3000' && with crun pod start shop
until grep -q '"after".*"container_end"\|container_end.*"after"' podman.json; do
    n=$((n + 1))
    [ $n -lt 300 ] || break
    sleep 0.3
done
# podman mounts by names relative to its folder: the guard's seal is made of the image in its store
"$program" seal list --json --state /run/vm/state >seals.json
"$program" seal verify --json --state /run/vm/state container:before >verify.json 2>verify.err
"$program" scan --no-vulnerabilities --format json podman:box:1 >scan.json 2>scan.err
kill -INT $watcher
wait $watcher
cp ./*.json ./*.err "$folder"
