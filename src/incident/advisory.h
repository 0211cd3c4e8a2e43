/* SPDX-License-Identifier: Apache-2.0 */
/* advisory.h - the incident that a new advisory is, when containers run of an image it concerns: a document as those of alerts (incident.h), with the list
 * "vulnerabilities" beside it.  No I/O, no clock: times come from the caller.  Texts of advisories, images and labels are made safe and bounded on their way in. */
#pragma once
#include "incident/incident.h"

enum { HF_INC_VULNS_MAX = 50, HF_INC_LABELS_MAX = 24 };

struct hf_inc_vuln {
    struct hf_span id, package, version, fixed, summary; /* fixed empty: no fix is known */
    struct hf_span image, image_digest;
    int severity;           /* 0 debug ... 6 critical */
    unsigned score10;       /* CVSS times ten; 0: none */
    bool kev, in_use;       /* known to be exploited (CISA); a file of the package ran or was loaded */
};
struct hf_inc_container {
    struct hf_span id, name, image, image_digest, host;
    hf_jnode labels, pod;   /* objects; may be NULL */
};
/* A new one; its id follows from the day, what it is about (key) and salt.  NULL without memory. */
struct hf_inc *hf_inc_from_advisory(struct hf_span key, unsigned salt, uint64_t ns);
bool hf_inc_is_advisory(const struct hf_inc *i);
/* 1: added, or changed what was said of it; 0: was there.  At most HF_INC_VULNS_MAX (the least severe gives way, and is counted). */
int hf_inc_add_vulnerability(struct hf_inc *i, const struct hf_inc_vuln *v, uint64_t ns);
int hf_inc_add_container(struct hf_inc *i, const struct hf_inc_container *c, uint64_t ns);
/* At most HF_INC_CONTAINERS_MAX are listed; this says how many there are. */
void hf_inc_containers_run(struct hf_inc *i, uint64_t n);
/* Those the document has, for who looks whether they are still there. */
void hf_inc_each_vulnerability(const struct hf_inc *i, void (*fn)(void *ctx, struct hf_span id, struct hf_span image_digest), void *ctx);
void hf_inc_each_container(const struct hf_inc *i, void (*fn)(void *ctx, struct hf_span id), void *ctx);
/* Title, summary, severity and advice follow from the rest; the revision is one more.  -ENOMEM: something is missing since it was made or parsed. */
HF_MUSTUSE int hf_inc_advisory_done(struct hf_inc *i, uint64_t ns);
