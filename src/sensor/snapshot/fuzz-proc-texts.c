/* SPDX-License-Identifier: Apache-2.0 */
/* Texts of /proc, whose names and environments belong to the processes: stat, status, environ, cgroup, mountinfo with cgroups (split at the first
 * empty line). */
#include <stdlib.h>

#include "sensor/snapshot/env-names.h"
#include "sensor/snapshot/snapshot.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool reach(const char *path, bool v2)
{
    return v2 || path[0] == '/';
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hf_span text = hf_span((const char *)data, size), path = {NULL, 0};
    struct hf_wire_exec e = {.exec_flags = 0};
    struct hf_hierarchy h;
    struct hf_err err = HF_ERR_INIT;
    hf_autobuf out = HF_BUF_INIT(8192);
    hf_snapshot_stat(text, &e);
    if (e.h.comm[sizeof e.h.comm - 1])
        abort();
    hf_snapshot_status(text, &e.h);
    hf_env_filter(text, 4096, &out);
    if (out.failed || out.n > 4096 || (out.n && out.p[out.n - 1]))
        abort();
    size_t middle = hf_span_search(text, HF_S("\n\n"));
    struct hf_span mounts = hf_span_sub(text, 0, HF_MIN(middle, text.n)), groups = hf_span_from(text, HF_MIN(middle, text.n));
    if (hf_hierarchy_choose(mounts, groups, reach, &h, &err) < 0) {
        if (!err.msg[0])
            abort();
        h = (struct hf_hierarchy){.controller = "memory"};
    } else if (!h.mount[0] || strnlen(h.mount, sizeof h.mount) == sizeof h.mount || h.unified != !h.controller[0]) {
        abort();
    }
    if (hf_hierarchy_path(&h, text, &path) && path.n && (path.p < text.p || path.p + path.n > text.p + text.n))
        abort();
    return 0;
}
