// SPDX-License-Identifier: Apache-2.0
/* Facts of a container (docs/formats/events.md) as members that say what they mean. */
#include "console/api-common.h"
#include "console/live-internal.h"
#include "event/caps.h"

void hf_api_facts(struct hf_jw *w, struct hf_span facts);

static void yes_no(struct hf_jw *w, const char *key, struct hf_span v)
{
    if (v.n)
        hf_jw_kbool(w, key, hf_span_eqz(v, "1"));
}

static void capabilities(struct hf_jw *w, struct hf_span hex)
{
    uint64_t bits = 0;
    if (!hex.n || hf_parse_u64(hex, 16, 0, UINT64_MAX, &bits) < 0)
        return;
    hf_jw_key(w, "capabilities");
    hf_jw_array(w);
    for (unsigned i = 0; i < 64; i++)
        if ((bits >> i & 1) && hf_cap_name(i))
            hf_jw_strz(w, hf_cap_name(i));
    hf_jw_array_end(w);
}

/* Lines "source:destination:options".  A path may hold colons: destination and options are what follows the first colon before a "/". */
static void mounts(struct hf_jw *w, struct hf_span all)
{
    struct hf_span line;
    hf_jw_key(w, "mounts");
    hf_jw_array(w);
    while (hf_span_line(&all, &line)) {
        size_t at = hf_span_search(line, HF_S(":/"));
        if (at == SIZE_MAX)
            continue;
        struct hf_span rest = hf_span_from(line, at + 1);
        size_t end = hf_span_rfind(rest, ':');
        hf_jw_object(w);
        hf_jw_kstr(w, "source", hf_span_sub(line, 0, at));
        hf_jw_kstr(w, "destination", hf_span_sub(rest, 0, end));
        if (end != SIZE_MAX)
            hf_jw_kstr_opt(w, "options", hf_span_from(rest, end + 1));
        hf_jw_object_end(w);
    }
    hf_jw_array_end(w);
}

static void of_host(struct hf_jw *w, const char *key, struct hf_span v)
{
    if (v.n)
        hf_jw_kstrz(w, key, hf_span_eqz(v, "1") ? "host" : "own");
}

static void pairs(struct hf_jw *w, const char *key, struct hf_span facts, bool labels)
{
    struct hf_span name, value;
    hf_jw_key(w, key);
    hf_jw_object(w);
    while (hf_live_pair(&facts, &name, &value))
        if (hf_span_starts(name, HF_S("label.")) == labels) {
            hf_jw_key_span(w, labels ? hf_span_from(name, 6) : name);
            hf_jw_str(w, value);
        }
    hf_jw_object_end(w);
}

void hf_api_facts(struct hf_jw *w, struct hf_span facts)
{
    uint64_t pid = 0;
    for (const char *const *k = (const char *const[]){"command", "user", "hostname", "rootfs", "seccomp", "apparmor", NULL}; *k; k++)
        hf_jw_kstr_opt(w, *k, hf_live_fact(facts, *k));
    for (const char *const *k = (const char *const[]){"privileged", "readonly", "no_new_privileges", NULL}; *k; k++)
        yes_no(w, *k, hf_live_fact(facts, *k));
    capabilities(w, hf_live_fact(facts, "caps"));
    hf_jw_key(w, "namespaces");
    hf_jw_object(w);
    of_host(w, "network", hf_live_fact(facts, "host_net"));
    of_host(w, "pid", hf_live_fact(facts, "host_pid"));
    of_host(w, "ipc", hf_live_fact(facts, "host_ipc"));
    hf_jw_object_end(w);
    mounts(w, hf_live_fact(facts, "mounts"));
    pairs(w, "labels", facts, true);
    pairs(w, "facts", facts, false);
    if (hf_parse_u64(hf_live_fact(facts, "init_pid"), 10, 1, UINT32_MAX, &pid) == 0)
        hf_jw_ku64(w, "init_pid", pid);
}
