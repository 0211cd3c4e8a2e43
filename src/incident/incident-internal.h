/* SPDX-License-Identifier: Apache-2.0 */
/* incident-internal.h - the tree behind a document. */
#pragma once
#include <cjson/cJSON.h>

#include "incident/incident.h"

struct hf_inc {
    cJSON *root;
};
/* Memory ran out somewhere in this thread since it was last set to false: what was to be put into a document may be missing.  Set wherever that happens, looked at
 * where a change or an alert ends, so that nothing is called done that is not. */
extern _Thread_local bool hf_inc_starved;
static inline cJSON *hf_inc_made(cJSON *v)
{
    hf_inc_starved |= !v;
    return v;
}
static inline bool hf_inc_kept(bool done)
{
    hf_inc_starved |= !done;
    return done;
}
static inline bool hf_inc_added(cJSON *o, const char *name, cJSON *v)
{
    return hf_inc_kept(cJSON_AddItemToObject(o, name, v));
}

/* A new, empty one. NULL without memory. */
struct hf_inc *hf_inc_new(const char *id, uint64_t time_ns);

/* s made safe and at most cols columns wide; valid until hf_buf is used again. */
const char *hf_inc_safe(struct hf_buf *b, struct hf_span s, size_t cols);
void hf_inc_set(cJSON *o, const char *name, const char *value);
void hf_inc_set_number(cJSON *o, const char *name, uint64_t v);
uint64_t hf_inc_num(const cJSON *o, const char *name);
const char *hf_inc_z(const cJSON *o, const char *name); /* "" when there is none */
cJSON *hf_inc_array(const struct hf_inc *i, const char *name);
/* Before the at-th.  cJSON_InsertItemInArray of Debian's cJSON 1.7.15 refuses every place but the ends (its fix of CVE-2023-50471 looks at the wrong item). */
bool hf_inc_insert(cJSON *list, int at, cJSON *item);
void hf_inc_set_time(cJSON *o, const char *name, uint64_t ns);
void hf_inc_time_text(uint64_t ns, char out[40]);
/* One more line in the story, in its place by time; the oldest of kind "event", then "alert", gives way (counted). */
void hf_inc_tell(struct hf_inc *i, uint64_t ns, const char *kind, const char *text, const char *by);
int hf_inc_severity(const char *name); /* 0 debug ... 6 critical; -1 */
/* The node with this ref, made when missing; NULL: no room (counted). */
cJSON *hf_inc_node(struct hf_inc *i, const char *kind, const char *ref, const char *label);
void hf_inc_edge(struct hf_inc *i, const cJSON *from, const cJSON *to, const char *kind, uint64_t ns, uint64_t count);
/* One text into a list of texts, once. */
void hf_inc_once(cJSON *list, const char *text, int max);
/* Everything that follows from the rest: title, summary, order of the techniques; and within HF_INC_MAX. */
void hf_inc_finish(struct hf_inc *i);
/* The place of a tactic ("execution", "TA0002") in the chain, 0..13; 14 unknown. */
unsigned hf_inc_tactic_rank(const char *tactic);
const char *hf_inc_tactic_title(unsigned rank);
/* Labels of a container into its entry: bounded, safe (advisory.c). */
void hf_inc_labels(cJSON *box, hf_jnode from);
/* Title and summary of an incident of advisories; false: it is none. */
bool hf_inc_advisory_words(struct hf_inc *i);
