#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# In the VM (tests/e2e/test_drift_vm.py): a dockerd of its own and `watch`; a container whose programs are changed.
# Usage: drift.sh HOLDFAST FOLDER, which has image.tar and script.sh and gets out.json and out.err.
program=$1 folder=$2
# shellcheck source=tests/vm/common.sh
. "$(dirname "$0")/common.sh"
out_folder
start_docker "$folder/image.tar"
"$program" watch --no-rules --type verdict,status --state /run/vm/state --budget 0 --json >out.json 2>out.err &
watch=$!
watch_started out
docker run --rm --network none --name box box:1 /bin/sh -c "$(cat "$folder/script.sh")" >run.log 2>&1
sleep 4 # for what waits in a ring, and for the seal
kill -INT $watch
wait $watch
cp /run/vm/out/* "$folder"
