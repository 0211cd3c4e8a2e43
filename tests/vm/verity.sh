#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# In the VM (tests/e2e/test_drift_vm.py): an ext4 file system with fs-verity for a unit test.  Usage: verity.sh TEST.
set -e
mkdir -p /run/verity
mount -t tmpfs tmpfs /run/verity
for module in loop ext4; do
    modprobe "$module" 2>/dev/null || true # or built in
done
truncate -s 64M /run/verity/image
mkfs.ext4 -q -O verity -b 4096 /run/verity/image
device=$(losetup -f --show /run/verity/image)
HF_TEST_VERITY=$device "$1"
