// SPDX-License-Identifier: Apache-2.0
#include "cli/watch-filter.h"

#include "detect/regex.h"
#include "detect/rules.h"
#include "event/json.h"
#include "event/track.h"

/* The `type` of lines, as docs/schema/event-1.json has them (a test compares); `process` and `cgroup` are told by no line. */
static const char *const types[] = {"accept", "bind", "bpf", "capability", "close", "connect", "container", "container_end", "credentials", "dns", "drop", "exec", "exit", "file",
        "fork", "http", "io_uring", "irc", "listen", "memory", "module", "mount", "namespace", "payload", "ptrace", "rate", "rename", "send", "signal", "socket", "socks", "ssh",
        "status", "stratum", "tls", "verdict"};
_Static_assert(HF_ARRAY_LEN(types) <= 64, "a bit each");

static int unknown_type(struct hf_span name, struct hf_err *err)
{
    char list[400] = "";
    size_t n = 0;
    for (size_t i = 0; i < HF_ARRAY_LEN(types); i++) {
        size_t len = strlen(types[i]);
        if (n + len + 2 > sizeof list)
            break;
        list[n] = ' ';
        memcpy(list + n + 1, types[i], len + 1);
        n += len + 1;
    }
    return hf_fail(err, HF_E_USAGE, "--type: no \"%.*s\"; there are%s", (int)HF_MIN(name.n, (size_t)16), name.p, list);
}

int hf_watch_filter_types(struct hf_watch_filter *f, const struct hf_strs *lists, struct hf_err *err)
{
    for (size_t i = 0; i < lists->n; i++) {
        struct hf_span rest = hf_span_z(lists->v[i]), name;
        if (!rest.n)
            return unknown_type(rest, err);
        while (hf_span_cut(&rest, ',', &name)) {
            size_t t = 0;
            while (t < HF_ARRAY_LEN(types) && !hf_span_eqz(name, types[t]))
                t++;
            if (t == HF_ARRAY_LEN(types))
                return unknown_type(name, err);
            f->types |= 1ull << t;
        }
    }
    return 0;
}

int hf_watch_filter_rules(const struct hf_watch_filter *f, const struct hf_rules *rules, struct hf_err *err)
{
    for (size_t i = 0; i < f->rules.n; i++) {
        bool found = false;
        for (size_t k = 0; rules && k < hf_rules_count(rules) && !found; k++)
            found = hf_span_eqz(hf_rules_at(rules, k)->name, f->rules.v[i]);
        if (!found)
            return hf_fail(err, HF_E_USAGE, "--rule: there is no rule \"%.100s\"; \"holdfast rules list\" names them", f->rules.v[i]);
    }
    return 0;
}

bool hf_watch_filter_type(const struct hf_watch_filter *f, const struct hf_event *ev)
{
    if (!f->types)
        return true;
    const char *type = hf_event_json_type(ev);
    for (size_t i = 0; i < HF_ARRAY_LEN(types); i++)
        if ((f->types >> i & 1) && !strcmp(types[i], type))
            return true;
    return false;
}

bool hf_watch_filter_names(const struct hf_watch_filter *f, const char *type)
{
    for (size_t i = 0; i < HF_ARRAY_LEN(types); i++)
        if (!strcmp(types[i], type))
            return f->types >> i & 1;
    return false;
}

bool hf_watch_filter_image(const struct hf_watch_filter *f, const struct hf_container *c)
{
    return !f->image || (c && hf_glob_match(hf_span_z(f->image), c->image, false));
}

bool hf_watch_filter_alert(const struct hf_watch_filter *f, const struct hf_alert *a)
{
    bool named = !f->rules.n;
    for (size_t i = 0; i < f->rules.n && !named; i++)
        named = hf_span_eqz(a->rule, f->rules.v[i]);
    return named && (int)a->severity >= f->severity;
}
