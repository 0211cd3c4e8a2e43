// SPDX-License-Identifier: Apache-2.0
#include "notify/route.h"

#include <time.h>

#include "policy/glob.h"

static const uint32_t WEEK = 7 * 1440;

int64_t hf_nwindows_until(const struct hf_nwindows *w, int64_t now_s, bool local)
{
    struct tm tm;
    time_t t = (time_t)now_s;
    int64_t until = 0;
    if (!w->n || !(local ? localtime_r(&t, &tm) : gmtime_r(&t, &tm)))
        return 0;
    uint32_t minute = (uint32_t)((tm.tm_wday + 6) % 7 * 1440 + tm.tm_hour * 60 + tm.tm_min);
    for (size_t i = 0; i < w->n; i++)
        for (uint32_t at = minute; at <= minute + WEEK; at += WEEK) /* a window of Sunday may reach into Monday */
            if (at >= w->v[i].from && at < w->v[i].to)
                until = HF_MAX(until, now_s - tm.tm_sec + (int64_t)(w->v[i].to - at) * 60);
    return until;
}

static bool any_glob(const struct hf_nspans *patterns, struct hf_span s)
{
    for (size_t i = 0; i < patterns->n; i++)
        if (hf_glob(patterns->v[i], s))
            return true;
    return false;
}

/* All labels a route names are on this container, or on its pod. */
static bool labels_match(const struct hf_nspans *labels, hf_jnode container)
{
    for (size_t i = 0; i + 1 < labels->n; i += 2) {
        struct hf_span value = hf_jgetstr(hf_jget(container, "labels"), labels->v[i].p); /* copies of an arena end in NUL */
        if (!value.n)
            value = hf_jgetstr(hf_jget(hf_jget(container, "pod"), "labels"), labels->v[i].p);
        if (!value.n || !hf_glob(labels->v[i + 1], value))
            return false;
    }
    return true;
}

bool hf_nroute_matches(const struct hf_nconf *c, const struct hf_nroute *r, const struct hf_nview *v, int64_t now_s)
{
    bool container = !r->images.n && !r->namespaces.n && !r->labels.n, rule = !r->rules.n;
    if (v->severity < r->at_least || (r->hours.n && !hf_nwindows_until(&r->hours, now_s, c->local_time)))
        return false;
    /* image, namespace and labels must be of one container */
    for (size_t i = 0; i < v->n_containers && !container; i++) {
        const struct hf_ncontainer *x = &v->containers[i];
        container = (!r->images.n || any_glob(&r->images, x->image)) && (!r->namespaces.n || any_glob(&r->namespaces, x->namespace)) && labels_match(&r->labels, x->node);
    }
    for (size_t i = 0; i < v->n_rules && !rule; i++)
        rule = any_glob(&r->rules, v->rules[i].rule);
    return container && rule;
}

static void add(struct hf_ndue *ret, size_t *n, struct hf_ndue due)
{
    for (size_t i = 0; i < *n; i++)
        if (ret[i].channel == due.channel) {
            /* told anyway: no need to escalate there */
            if (ret[i].escalate && !due.escalate)
                ret[i] = due;
            else if (ret[i].escalate == due.escalate && due.not_before_s < ret[i].not_before_s)
                ret[i] = due;
            return;
        }
    if (*n < HF_NDUE_MAX)
        ret[(*n)++] = due;
}

size_t hf_nroute_due(const struct hf_nconf *c, const struct hf_nview *v, int64_t now_s, bool fresh, struct hf_ndue *ret)
{
    size_t n = 0;
    for (size_t i = 0; i < c->n_routes; i++) {
        const struct hf_nroute *r = &c->routes[i];
        if (!hf_nroute_matches(c, r, v, now_s))
            continue;
        int64_t at = fresh ? now_s : now_s + r->group_s, quiet = v->severity < r->quiet_below ? hf_nwindows_until(&r->quiet, now_s, c->local_time) : 0;
        for (size_t k = 0; k < r->n_to; k++)
            add(ret, &n, (struct hf_ndue){r->to[k], HF_MAX(at, quiet), false, quiet > at});
        for (size_t k = 0; k < r->n_escalate_to; k++)
            add(ret, &n, (struct hf_ndue){r->escalate_to[k], HF_MAX(now_s, v->opened_s + r->escalate_s), true, false});
        if (r->stop)
            break;
    }
    return n;
}
