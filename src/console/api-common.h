/* SPDX-License-Identifier: Apache-2.0 */
/* api-common.h - what handlers share: strict parameters, cursors, times and severities as JSON.  Rows of routes.c: HF_HANDLER. */
#pragma once
#include "console/api.h"

#ifndef HF_HANDLER
#define HF_HANDLER(name) int name(struct hf_api *api, const struct hf_request *q, struct hf_reply *ret, struct hf_err *err)
#endif

/* A parameter that is not one of names ("a|b|c"), or is given twice, is refused: HF_E_USAGE.  So is a member of the body, and a body where none is taken. */
HF_MUSTUSE int hf_api_only(const struct hf_request *q, const char *names, struct hf_err *err);
HF_MUSTUSE int hf_api_body_only(const struct hf_request *q, const char *names, struct hf_err *err);
/* Of the query: 1, 0, or -1 when it is not given. */
HF_MUSTUSE int hf_api_bool(const struct hf_request *q, const char *name, int *ret, struct hf_err *err);
HF_MUSTUSE int hf_api_severity(const struct hf_request *q, const char *name, int *ret, struct hf_err *err); /* 0 when it is not given */
HF_MUSTUSE int hf_api_since(const struct hf_request *q, const char *name, int64_t *ret, struct hf_err *err); /* a time in UTC; 0 */
HF_MUSTUSE int hf_api_search(const struct hf_request *q, struct hf_span *ret, struct hf_err *err);           /* "q": 1 to 200 bytes */
size_t hf_api_characters(struct hf_span utf8);
/* Of the query: 1 to max characters, or not given; of the body: at most max. */
HF_MUSTUSE int hf_api_text(const struct hf_request *q, const char *name, size_t max, struct hf_span *ret, struct hf_err *err);
HF_MUSTUSE int hf_api_body_text(const struct hf_request *q, const char *name, bool required, size_t max, struct hf_span *ret, struct hf_err *err);
HF_MUSTUSE int hf_api_limit(const struct hf_request *q, unsigned max, unsigned missing, unsigned *ret, struct hf_err *err);
/* Of the body: false when it is not given. */
HF_MUSTUSE int hf_api_body_bool(const struct hf_request *q, const char *name, bool *ret, struct hf_err *err);
HF_MUSTUSE int hf_api_body_u64(const struct hf_request *q, const char *name, uint64_t lo, uint64_t hi, uint64_t missing, uint64_t *ret, struct hf_err *err);
bool hf_api_is_incident(struct hf_span id);  /* has the form of an id */
bool hf_api_is_container(struct hf_span id);
bool hf_api_is_digest(struct hf_span digest);

/* Where a page ended: a number and up to four texts, in hexadecimal.  What is longer than the room ends behind all that begin the same. */
struct hf_cursor {
    bool given;
    int64_t n;
    uint8_t flags;
    struct hf_span part[4];
};
HF_MUSTUSE int hf_api_cursor(const struct hf_request *q, struct hf_cursor *ret, struct hf_err *err);
void hf_api_next(struct hf_reply *ret, int64_t n, uint8_t flags, const struct hf_span *part, size_t n_parts);

/* {"items": [ ... */
void hf_api_page(struct hf_jw *w, struct hf_reply *ret);
/* ... ], "next": ..., "total": ...}; total UINT64_MAX: not given. */
void hf_api_page_end(struct hf_jw *w, const struct hf_reply *ret, uint64_t total);
void hf_api_when(struct hf_jw *w, const char *key, int64_t ns); /* nothing for 0 and below */
const char *hf_api_severity_name(int severity);
void hf_api_by_severity(struct hf_jw *w, const char *key, const uint64_t n[7]);
/* A copy that lives as long as the request; empty without memory. */
struct hf_span hf_api_keep(const struct hf_request *q, struct hf_span s);
bool hf_api_contains(struct hf_span text, struct hf_span needle); /* ASCII case does not matter; an empty needle is everywhere */
/* Bytes that went out: HF_E_LIMIT when they were too many. */
HF_MUSTUSE int hf_api_end(struct hf_reply *ret, struct hf_err *err);

/* Shared between files: an item of a list of incidents, of its document or by id (revision 0: any; 1: written, 0: there is none); a container's row. */
void hf_api_incident_item(struct hf_jw *w, struct hf_span doc);
HF_MUSTUSE int hf_api_incident_of(struct hf_api *api, const struct hf_request *q, struct hf_jw *w, struct hf_span id, uint64_t revision, struct hf_err *err);
void hf_api_raw(struct hf_jw *w, struct hf_span json); /* a value that is written already */
struct hf_image_counts {
    uint64_t packages, n[7], used[7]; /* findings by severity */
    bool sealed;
};
/* Counted at most every ten seconds. */
HF_MUSTUSE int hf_api_image_counts(struct hf_api *api, const struct hf_request *q, struct hf_span digest, struct hf_image_counts *ret, struct hf_err *err);
void hf_api_findings(struct hf_jw *w, const struct hf_image_counts *c);
struct hf_finding_counts;
/* Of images of which a container runs; likewise. */
HF_MUSTUSE int hf_api_running_findings(struct hf_api *api, const struct hf_request *q, struct hf_finding_counts *ret, struct hf_err *err);
/* Rows of containers of an image, those that run; at most max. */
HF_MUSTUSE int hf_api_containers_of(struct hf_api *api, const struct hf_request *q, struct hf_jw *w, struct hf_span digest, unsigned max, struct hf_err *err);
void hf_api_sensor_health(struct hf_api *api, struct hf_jw *w, const char *key);
/* The row of an audit entry. */
struct hf_audit_entry;
void hf_api_audit_item(struct hf_jw *w, const struct hf_audit_entry *e);

HF_MUSTUSE int hf_api_channel_known(const struct hf_request *q, struct hf_err *err); /* of args[0]: HF_E_NOT_FOUND */

HF_HANDLER(hf_api_overview);
HF_HANDLER(hf_api_containers);
HF_HANDLER(hf_api_container);
HF_HANDLER(hf_api_act);
HF_HANDLER(hf_api_map);
HF_HANDLER(hf_api_events);
HF_HANDLER(hf_api_incidents);
HF_HANDLER(hf_api_incident);
HF_HANDLER(hf_api_incident_change);
HF_HANDLER(hf_api_incident_alerts);
HF_HANDLER(hf_api_incident_audit);
HF_HANDLER(hf_api_incident_export);
HF_HANDLER(hf_api_images);
HF_HANDLER(hf_api_image);
HF_HANDLER(hf_api_packages);
HF_HANDLER(hf_api_findings_list);
HF_HANDLER(hf_api_scan);
HF_HANDLER(hf_api_rules);
HF_HANDLER(hf_api_rule);
HF_HANDLER(hf_api_except);
HF_HANDLER(hf_api_replay);
HF_HANDLER(hf_api_channels);
HF_HANDLER(hf_api_channel_test);
HF_HANDLER(hf_api_channel_dead);
HF_HANDLER(hf_api_audit);
HF_HANDLER(hf_api_audit_verify);
HF_HANDLER(hf_api_sensor);
HF_HANDLER(hf_api_openapi);
HF_HANDLER(hf_api_metrics);
HF_HANDLER(hf_api_hook);
