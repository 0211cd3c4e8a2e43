/* SPDX-License-Identifier: Apache-2.0 */
/* pages.h - what pages of the console ask: lists in the order in which people look at them, and the key by which the next page goes on.  Only reads.
 *
 * A page goes on behind the key of its last row, so that what comes and goes meanwhile shifts nothing.  `text` is looked for as hf_incident_filter's; empty: all.
 * ret_total may be NULL; it is the count of the whole filter, whatever the page. */
#pragma once
#include "store/audit.h"
#include "store/incidents.h"
#include "store/inventory.h"

enum { HF_PAGE_MAX = 1000 };

/* Those that run, by their start, or those that ended, by their end; the newest first. */
struct hf_page_containers {
    bool ended;
    struct hf_span text, digest; /* text: in name, id, image or doc (labels, pod); digest: of the image */
    bool after;                  /* behind this: */
    int64_t after_time;          /* started or ended */
    struct hf_span after_id;
    unsigned limit;
};
HF_MUSTUSE int hf_page_containers(struct hf_store *s, const struct hf_page_containers *p, hf_inv_container_cb cb, void *ctx, uint64_t *ret_total, struct hf_err *err);

/* By name, then digest. */
struct hf_page_images {
    struct hf_span text;
    int running; /* 1: only those of which a container runs; 0: the others; -1: all */
    struct hf_span after_name, after_digest;
    unsigned limit;
};
HF_MUSTUSE int hf_page_images(struct hf_store *s, const struct hf_page_images *p, hf_inv_image_cb cb, void *ctx, uint64_t *ret_total, struct hf_err *err);
struct hf_page_image_counts {
    uint64_t packages;
    bool sealed;
    int64_t sealed_at;
};
HF_MUSTUSE int hf_page_image_counts(struct hf_store *s, struct hf_span digest, struct hf_page_image_counts *ret, struct hf_err *err);

/* Packages of an image: used ones first, then by ecosystem, name, version. */
struct hf_page_packages {
    struct hf_span digest, text;
    bool after, after_used;
    struct hf_span after_ecosystem, after_name, after_version;
    unsigned limit;
};
/* findings: how many of the package. */
typedef int (*hf_page_package_cb)(void *ctx, const struct hf_inv_package *p, uint64_t findings);
HF_MUSTUSE int hf_page_packages(struct hf_store *s, const struct hf_page_packages *p, hf_page_package_cb cb, void *ctx, uint64_t *ret_total, struct hf_err *err);

/* Findings of an image: those of packages in use first, then the worst, then by id, ecosystem, package, version. */
struct hf_page_findings {
    struct hf_span digest, text; /* text: in id or package */
    int min_severity, used;      /* used: 1, 0, -1 either */
    bool after, after_used;
    int after_severity;
    struct hf_span after_id, after_ecosystem, after_package, after_version;
    unsigned limit;
};
HF_MUSTUSE int hf_page_findings(struct hf_store *s, const struct hf_page_findings *p, hf_inv_finding_cb cb, void *ctx, uint64_t *ret_total, struct hf_err *err);

/* The audit log from its end: entries with a seq below `before` (0: all), of one target or (empty) of all. */
HF_MUSTUSE int hf_page_audit(struct hf_store *s, struct hf_span target, uint64_t before, unsigned limit, hf_audit_cb cb, void *ctx, uint64_t *ret_total, struct hf_err *err);

/* Unresolved incidents without their documents: names of theirs (hosts, containers, images, rules), a line each. */
typedef int (*hf_page_index_cb)(void *ctx, struct hf_span id, int severity, struct hf_span names);
HF_MUSTUSE int hf_page_incident_index(struct hf_store *s, unsigned limit, hf_page_index_cb cb, void *ctx, struct hf_err *err);
/* Ids of incidents that alerts of a container are part of, the last alert first. */
typedef int (*hf_page_count_cb)(void *ctx, struct hf_span what, uint64_t n);
HF_MUSTUSE int hf_page_incidents_of(struct hf_store *s, struct hf_span container, unsigned limit, hf_page_count_cb cb, void *ctx, struct hf_err *err);
/* In which containers a rule fires most since, of its last 5000 alerts. */
HF_MUSTUSE int hf_page_rule_containers(struct hf_store *s, struct hf_span rule, int64_t since, unsigned limit, hf_page_count_cb cb, void *ctx, struct hf_err *err);
/* Alerts of a rule by steps of time since, the oldest first. */
typedef int (*hf_page_step_cb)(void *ctx, int64_t from, uint64_t n);
HF_MUSTUSE int hf_page_rule_steps(struct hf_store *s, struct hf_span rule, int64_t since, int64_t step_ns, hf_page_step_cb cb, void *ctx, struct hf_err *err);
/* Channels that have messages, whatever the settings name. */
HF_MUSTUSE int hf_page_channels(struct hf_store *s, hf_page_count_cb cb, void *ctx, struct hf_err *err);

/* What an overview counts of the inventory; from small tables and indexes only. */
struct hf_page_inventory {
    uint64_t images, scanned, images_running, containers, running;
};
HF_MUSTUSE int hf_page_inventory(struct hf_store *s, struct hf_page_inventory *ret, struct hf_err *err);

/* Alerts without their lines, in the order they came: those after seq, at most limit. */
struct hf_page_alert {
    uint64_t seq;
    int64_t time;
    struct hf_span rule, container;
    int severity;
};
typedef int (*hf_page_alert_cb)(void *ctx, const struct hf_page_alert *a);
HF_MUSTUSE int hf_page_alerts(struct hf_store *s, uint64_t after, unsigned limit, hf_page_alert_cb cb, void *ctx, struct hf_err *err);
/* The seq before the first alert at or after a time; that of the last alert when there is none. */
HF_MUSTUSE int hf_page_alerts_before(struct hf_store *s, int64_t since, uint64_t *ret, struct hf_err *err);
/* Of a rule, the newest first: those before a time and seq (INT64_MAX: all). */
HF_MUSTUSE int hf_page_rule_alerts(struct hf_store *s, struct hf_span rule, int64_t time, uint64_t seq, unsigned limit, hf_alert_cb cb, void *ctx, struct hf_err *err);

/* A page of a list of incidents (incidents.h) without documents. */
typedef int (*hf_page_incident_cb)(void *ctx, struct hf_span id, uint64_t revision, int64_t updated);
HF_MUSTUSE int hf_page_incidents(struct hf_store *s, const struct hf_incident_filter *f, hf_page_incident_cb cb, void *ctx, struct hf_err *err);
HF_MUSTUSE int hf_page_incident_count(struct hf_store *s, const struct hf_incident_filter *f, uint64_t *ret, struct hf_err *err);
