/* SPDX-License-Identifier: Apache-2.0 */
/* render.h - what a channel is told of an incident, as requests.  Pure: incident and what the channel knows in, the next request out.
 *
 * A delivery is several requests: the card or the ticket is made, edited, answered to.  hf_nrender_next makes the next one, the caller
 * sends it and gives the answer to hf_nrender_took, which notes in the mark what the channel now knows; until next says that nothing
 * is left.  The mark kept, a delivery that was cut off goes on where it stopped (a request whose answer was lost is made again), and a newer
 * revision of the document takes the place of an older one: nothing is lost, since a document has all its comments and actions.  With `again` what can be found over
 * there (Slack, Jira, GitHub, GitLab) is looked for before it is made.
 * Formats, as their makers documented them in 2026: docs/notify.md.  Not thread-safe per render; renders are independent. */
#pragma once
#include "notify/view.h"

enum hf_nvia { HF_NVIA_HTTP, HF_NVIA_SMTP, HF_NVIA_SYSLOG, HF_NVIA_FILE };
enum hf_nstep { HF_NSTEP_CREATE, HF_NSTEP_EDIT, HF_NSTEP_STATE, HF_NSTEP_COMMENT, HF_NSTEP_ACTION, HF_NSTEP_DONE, HF_NSTEP_FIND /* whether it was made, and only the answer was lost */ };
enum { HF_NHEADERS = 8, HF_NBODY_MAX = 1 << 20 };

struct hf_nrequest {
    enum hf_nvia via;
    const char *method;
    struct hf_buf url, body;
    struct hf_buf headers[HF_NHEADERS]; /* "Name: value" */
    size_t n_headers;
    unsigned news;                      /* HF_NUP_*, with `first` what it is about */
    bool first;
};
struct hf_nanswer {
    unsigned status;      /* of HTTP; 200 for what other ways took */
    struct hf_span body;
    uint64_t retry_after_s; /* of the header; 0: none */
};
enum hf_ntook {
    HF_NTOOK,        /* the channel has it */
    HF_NTOOK_LATER,  /* not now: the same again, after retry_after_s or a growing time */
    HF_NTOOK_SETUP,  /* key, address or rights are wrong: somebody must change something; later again */
    HF_NTOOK_NEVER,  /* it refuses this and always will */
};
struct hf_nrender {
    const struct hf_nconf *conf;
    const struct hf_nchannel *ch;
    const struct hf_nview *v;
    struct hf_nmark *m;
    int64_t now_s;
    uint32_t now_us;
    bool test;            /* a trial message: says so */
    bool again;           /* it was tried before; what became of it is not known */
    bool looked;          /* it was looked for */
    const char *host;     /* name of this machine */
    enum hf_nstep step;
    const struct hf_ntalk *talk; /* of a comment or action step */
    struct hf_nrequest req;
};
void hf_nrender_init(struct hf_nrender *r, const struct hf_nconf *conf, const struct hf_nchannel *ch, const struct hf_nview *v, struct hf_nmark *m, const char *host);
void hf_nrender_done(struct hf_nrender *r);
/* 1: r->req is to be sent; 0: the channel knows everything.  HF_E_LIMIT. */
HF_MUSTUSE int hf_nrender_next(struct hf_nrender *r, int64_t now_s, struct hf_err *err);
/* r->req becomes the request of an otlp channel for these numbers. */
struct hf_nmetric;
void hf_nrender_metrics(struct hf_nrender *r, const struct hf_nmetric *v, size_t n, int64_t start_s, int64_t now_s);
/* Judges the answer; err gets the channel's words when it is not HF_NTOOK. */
enum hf_ntook hf_nrender_took(struct hf_nrender *r, const struct hf_nanswer *a, struct hf_err *err);
