#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# In the VM (tests/e2e/test_acceptance_vm.py): a dockerd of its own, `watch` with the rules that come with the program, one container for each act.
# Usage: acceptance.sh HOLDFAST RULES FOLDER DRIVERS; FOLDER has image.tar, the program drivers, exploit.ko and acts/NAME (a script for the container, its options
# in acts/NAME.options, in acts/NAME.exec what somebody runs in it by docker exec), DRIVERS the modules to load and their order; FOLDER gets what was told (told.json, told.err; lower.json, lower.err: without security hooks), each container's exit status (NAME.code), and which
# programs were attached to control groups while a container was there (groups-with.txt) and while none was (groups-without.txt).
program=$1 rules=$2 folder=$3 drivers=$4

# shellcheck source=tests/vm/common.sh
. "$(dirname "$0")/common.sh"
out_folder
modprobe brd rd_nr=1 2>/dev/null
busybox insmod "$folder/exploit.ko"
while read -r driver; do
    # shellcheck disable=SC2046 # an option, or none
    busybox insmod "$drivers/$driver.ko" $([ "$driver" = scsi_debug ] && echo dev_size_mb=4)
done <"$drivers/order"
# Keyboards on which a key is pressed all the time, until the machine ends
"$folder/drivers" keyboard 100000 &
"$folder/drivers" hid 100000 &
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
# The typed keyboard under a name that is known before
for input in /sys/class/input/event*; do
    # shellcheck disable=SC2046 # two numbers
    [ "$(cat "$input/device/name")" != "typed by a program" ] || mknod /dev/input/event90 c $(tr : ' ' <"$input/dev")
done
for act in "$folder"/acts/*.options; do
    name=$(basename "$act" .options)
    [ ! -e "$folder/acts/$name.exec" ] || (
        until docker exec --user 1000 "$name" /bin/sh -c "$(cat "$folder/acts/$name.exec")" >"$name.exec.log" 2>&1; do sleep 0.3; done
    ) &
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
