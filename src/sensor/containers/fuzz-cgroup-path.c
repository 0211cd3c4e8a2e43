/* SPDX-License-Identifier: Apache-2.0 */
/* Whatever a path says: the id and the pod's uid lie in it, an own group ends with the id's component, and the text of
 * /proc/PID/cgroup gives paths that lie in it. */
#include <stdlib.h>

#include "sensor/containers/cgroup-path.h"
#include "sensor/containers/hierarchy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void inside(struct hf_span s, struct hf_span all)
{
    if (s.n && (s.p < all.p || s.p + s.n > all.p + all.n))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hf_span text = hf_span((const char *)data, size), path = text;
    const struct hf_hierarchy kinds[] = {{.unified = true}, {.controller = "memory"}};
    for (size_t i = 0; i < HF_ARRAY_LEN(kinds); i++)
        if (hf_hierarchy_path(&kinds[i], text, &path))
            inside(path, text);
    const struct hf_span paths[] = {text, path};
    for (size_t i = 0; i < HF_ARRAY_LEN(paths); i++) {
        struct hf_cgroup_id id = {.depth = 0};
        if (!hf_cgroup_path_parse(paths[i], &id))
            continue;
        inside(id.id, paths[i]);
        inside(id.pod_uid, paths[i]);
        if (!id.id.n || !id.depth || hf_span_find(id.id, '/') != SIZE_MAX || hf_span_find(id.pod_uid, '/') != SIZE_MAX)
            abort();
        struct hf_span after = hf_span_from(paths[i], (size_t)(id.id.p + id.id.n - paths[i].p));
        size_t slash = hf_span_find(after, '/');
        bool more = false; /* a component behind the id's */
        for (size_t at = slash; at < after.n; at++)
            more |= after.p[at] != '/';
        if (id.own == more)
            abort();
    }
    return 0;
}
