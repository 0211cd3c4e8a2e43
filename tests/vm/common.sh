# shellcheck shell=sh
# SPDX-License-Identifier: Apache-2.0
# What the scripts in the VM share.  Sourced.

until_there() { # TEXT FILE: waits for it, a minute at most; 1: it did not come
    tries=0
    until grep -q "$1" "$2" 2>/dev/null; do
        tries=$((tries + 1))
        [ $tries -lt 200 ] || return 1
        sleep 0.3
    done
}

out_folder() { # what is told goes into memory, and from there to the folder at the end
    mkdir -p /run/vm/data /run/vm/out
    cd /run/vm/out || exit 1
}

start_docker() { # IMAGE.tar: a dockerd of its own, which has it as box:1
    mount -t tmpfs -o size=60% docker /run/vm/data
    export DOCKER_HOST=unix:///run/vm/sock
    tries=0 dockerd=
    until docker version >/dev/null 2>&1; do
        tries=$((tries + 1))
        [ $tries -lt 400 ] || { tail -n 20 dockerd.log >&2; exit 1; }
        # on a busy machine it may give containerd up before that has started
        kill -0 "$dockerd" 2>/dev/null || {
            dockerd --data-root /run/vm/data --exec-root /run/vm/exec --pidfile /run/vm/pid -H unix:///run/vm/sock --iptables=false --bridge=none >>dockerd.log 2>&1 &
            dockerd=$!
        }
        sleep 0.3
    done
    docker import "$1" box:1 >/dev/null || exit 1
}

watch_started() { # NAME: NAME.json of a watch says that it sees
    until_there '"started"' "$1.json" || { echo "watch ($1) did not start" >&2; cat "$1.err" >&2; }
}
