#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# In the VM (tests/e2e/test_acceptance_vm.py): a dockerd of its own, `watch` with the rules that come with the program, one container for each act.
# Usage: acceptance.sh HOLDFAST RULES FOLDER, which has image.tar and acts/NAME (a script for the container, its options in acts/NAME.options) and
# gets what was told (told.json, told.err; lower.json, lower.err: without security hooks), each container's exit status (NAME.code), and which
# programs were attached to control groups while a container was there (groups-with.txt) and while none was (groups-without.txt).
program=$1 rules=$2 folder=$3

# shellcheck source=tests/vm/common.sh
. "$(dirname "$0")/common.sh"
out_folder
modprobe brd rd_nr=1 2>/dev/null
start_docker "$folder/image.tar"
watch() { # NAME HOOKS: HF_HOOKS, empty for all
    HF_HOOKS=$2 "$program" watch --json --budget 0 --state "/run/vm/state-$1" --rules "$rules" >"$1.json" 2>"$1.err" &
    watchers="$watchers $!"
    watch_started "$1"
}
watchers=
watch told ""
watch lower fanotify
told() { # TYPE: both have told of the bystander's
    n=0
    until grep '"type":"'"$1"'"' told.json | grep -q bystander && grep '"type":"'"$1"'"' lower.json | grep -q bystander; do
        n=$((n + 1))
        [ $n -lt 100 ] || return
        sleep 0.3
    done
    sleep 1
}
docker run -d --network none --name bystander box:1 /bin/sleep 600 >/dev/null
told container
bpftool cgroup tree >groups-with.txt 2>&1
docker rm -f bystander >/dev/null
told container_end
bpftool cgroup tree >groups-without.txt 2>&1
for act in "$folder"/acts/*.options; do
    name=$(basename "$act" .options)
    # shellcheck disable=SC2046 # a list of options
    docker run --rm --network none --name "$name" $(cat "$act") box:1 /bin/sh -c "$(cat "$folder/acts/$name")" >"$name.log" 2>&1
    echo $? >"$name.code"
done
sleep 2 # for what waits in a ring
# shellcheck disable=SC2086 # a list of processes
kill -INT $watchers
# shellcheck disable=SC2086
wait $watchers
cp /run/vm/out/* "$folder"
