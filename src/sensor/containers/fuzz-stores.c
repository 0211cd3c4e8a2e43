/* SPDX-License-Identifier: Apache-2.0 */
/* Lists and states of runtimes, arguments of those who make groups: what is told are whole pairs, what is found are whole paths. */
#include <stdlib.h>

#include "event/event.h"
#include "sensor/containers/daemon.h"
#include "sensor/containers/facts.h"
#include "sensor/containers/maker.h"
#include "sensor/containers/stores.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct hf_buf *out, int rc, const struct hf_err *err)
{
    struct hf_span rest = hf_buf_span(out), name, value;
    size_t seen = 0;
    if (rc < 0 && !err->msg[0])
        abort();
    while (hf_event_pair(&rest, &name, &value))
        seen += name.n + value.n + 2;
    if (!out->failed && seen != out->n)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int (*const parsers[])(struct hf_span, struct hf_bundle *, struct hf_buf *, struct hf_err *) = {hf_store_containers_json, hf_store_images_json, hf_store_repositories_json};
    struct hf_span text = hf_span((const char *)data, size);
    for (size_t i = 0; i < HF_ARRAY_LEN(parsers); i++) {
        struct hf_bundle b = {.id = HF_S("0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef")};
        struct hf_err err = HF_ERR_INIT;
        hf_autobuf out = HF_BUF_INIT(1 << 20);
        hf_fact_addz(&out, "image_id", "sha256:aa");
        hf_fact_addz(&out, "image", "box:1");
        check(&out, parsers[i](text, &b, &out, &err), &err);
    }
    struct hf_span body;
    struct hf_bundle b = {.id = HF_S("0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef")};
    struct hf_err err = HF_ERR_INIT;
    hf_autobuf out = HF_BUF_INIT(1 << 20);
    check(&out, hf_daemon_facts(hf_daemon_body(text, &body) ? body : text, &b, &out, &err), &err);
    struct hf_made m = {.dir = ""};
    if (hf_made_by_args(text, &m) && (!m.id[0] || (m.dir[0] && m.dir[0] != '/') || strchr(m.id, '/')))
        abort();
    if (hf_made_by_state(text, HF_S("/mine/web"), &m) && m.dir[0] != '/')
        abort();
    size_t middle = hf_span_find(text, '\n');
    if (middle != SIZE_MAX)
        (void)hf_made_path_is(hf_span_sub(text, 0, middle), HF_S("web"), hf_span_from(text, middle + 1));
    return 0;
}
