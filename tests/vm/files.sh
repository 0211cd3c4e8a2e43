#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# In the VM (tests/e2e/test_protect_vm.py): a dockerd of its own, a container that has a file open, and a `watch` whose policy holds paths of it.
# Usage: files.sh HOLDFAST FOLDER, which has image.tar, policies.yaml and script.sh and gets out.json, status.json and run.log.
program=$1 folder=$2
# shellcheck source=tests/vm/common.sh
. "$(dirname "$0")/common.sh"
out_folder
start_docker "$folder/image.tar"
docker run -d --network none --name box -v /run/vm/vol:/etc/vol box:1 /bin/sh -c "$(cat "$folder/script.sh")" >run.log 2>&1
sleep 2
"$program" watch --no-rules --type verdict,status,exec --state /run/vm/state --policy "$folder/policies.yaml" --json >out.json 2>out.err &
watch=$!
until_there '"enforced": *true' /run/vm/state/protect/status.json
docker kill -s USR1 box >/dev/null
docker wait box >/dev/null
docker logs box >run.log 2>&1
sleep 6 # it is written every few seconds
cp /run/vm/state/protect/status.json status.json
kill -INT $watch
wait $watch
cp /run/vm/out/* "$folder"
