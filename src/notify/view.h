/* SPDX-License-Identifier: Apache-2.0 */
/* view.h - what channels read of an incident document (holdfast.incident/1), and what a channel already knows of it.
 *
 * Texts of a view are safe to show: valid UTF-8 without control, ANSI or bidirectional characters, cut to sensible lengths; lines of
 * comments end in "\n".  They are not escaped for any format.  A view borrows from its arena. */
#pragma once
#include "base/json.h"
#include "base/mem.h"
#include "notify/conf.h"

enum hf_nstate { HF_NST_OPEN, HF_NST_ACKNOWLEDGED, HF_NST_CONTAINED, HF_NST_RESOLVED, HF_NSTATES };
extern const char *const hf_nstates[HF_NSTATES];

enum {
    HF_NDOC_MAX = 256 << 10, /* bytes of a document: CONTRACTS of incidents */
    HF_NLIST_MAX = 32,       /* containers, rules, techniques, hosts, advice shown: more are counted */
    HF_NTALK_MAX = 512,      /* comments, and actions, of a document */
};
struct hf_ncontainer {
    struct hf_span id, name, image, namespace, pod;
    hf_jnode node;
};
struct hf_nrule {
    struct hf_span rule;
    enum hf_nseverity severity;
    uint64_t count;
};
struct hf_ntalk { /* a comment or an action */
    struct hf_span time, by, via, text; /* text of an action: "freeze shop-web: done" */
    char mark[64];                      /* time and a hash: names it for good */
};
struct hf_nview {
    struct hf_json_doc *doc;
    hf_jnode root;
    struct hf_span id, title, summary, resolution, assignee, acknowledged_by, opened, updated, first_alert, last_alert;
    uint64_t revision, alerts, reopened;
    enum hf_nseverity severity;
    enum hf_nstate state;
    int64_t opened_s, updated_s; /* seconds since the epoch */
    struct hf_ncontainer *containers;
    struct hf_nrule *rules;
    struct hf_span *techniques, *hosts, *advice;
    struct hf_ntalk *comments, *actions;
    size_t n_containers, n_rules, n_techniques, n_hosts, n_advice, n_comments, n_actions;
    size_t all_containers, all_rules;
};
/* HF_E_FORMAT when it is no such document, HF_E_LIMIT. */
HF_MUSTUSE int hf_nview_read(struct hf_nview *ret, struct hf_arena *arena, struct hf_span json, struct hf_err *err);
void hf_nview_done(struct hf_nview *v);

struct hf_nmark {
    char ref[256], ref2[256];     /* the thing over there: Slack's ts and channel, an issue's key, a message's id */
    uint64_t revision, card;      /* everything of this revision was told; the card shows this one */
    uint64_t alerts, reopened;
    enum hf_nseverity severity;
    enum hf_nstate state;
    char comment[64], action[64]; /* the last ones told */
    char pending[64];             /* Jira: the transition to make */
    bool known;                   /* was told at all */
};
/* Empty text: nothing known.  HF_E_FORMAT. */
HF_MUSTUSE int hf_nmark_read(struct hf_nmark *ret, struct hf_span json, struct hf_err *err);
void hf_nmark_write(const struct hf_nmark *m, struct hf_buf *out);
/* What the thing over there is called in the queue's refs: "ref2/ref", "ref" or empty. */
void hf_nmark_ref(const struct hf_nmark *m, struct hf_buf *out);
/* The first comment or action behind the one with this mark; NULL when all were told.  Documents drop their oldest: then those later
 * than the mark's time are new. */
const struct hf_ntalk *hf_ntalk_after(const struct hf_ntalk *v, size_t n, const char *mark);
/* RFC 3339; HF_E_FORMAT. */
HF_MUSTUSE int hf_ntime_parse(struct hf_span s, int64_t *ret_s, uint32_t *ret_ns);
/* HF_NUP_*: what is new for someone who knows m. */
unsigned hf_nview_news(const struct hf_nview *v, const struct hf_nmark *m);
