/* SPDX-License-Identifier: Apache-2.0 */
/* answers-internal.h - what the ways back share.  Private to notify. */
#pragma once
#include <pthread.h>
#include <stdatomic.h>

#include "notify/answers.h"
#include "notify/conf.h"
#include "notify/send.h"

enum { HF_NA_JOBS_MAX = 256, HF_NA_SEEN = 4096, HF_NA_NAMES = 512 };

struct hf_na_job {
    struct hf_arena arena;
    struct hf_ni what;
    const struct hf_nchannel *ch;
    struct hf_span refusal; /* only to be told to the asker */
    uint64_t once;
};
struct hf_na_name {
    char id[72], name[208];
};
struct hf_na_socket;
struct hf_na_jira;
struct hf_nanswers {
    const struct hf_nconf *conf;
    struct hf_nqueue q;
    hf_nanswer_cb cb;
    void *ctx;
    pthread_mutex_t lock;
    pthread_cond_t news;        /* a job, an end of one, stop: all under lock */
    struct hf_na_job *jobs[HF_NA_JOBS_MAX];
    size_t first, n;
    struct hf_na_seen {
        uint64_t id;
        bool running;
    } seen[HF_NA_SEEN];         /* what was done or is being done; the oldest goes */
    size_t seen_at;
    uint64_t unnamed;
    bool stop, started;
    pthread_t worker;
    struct hf_nsender **senders; /* of the worker, one a Slack channel */
    struct hf_na_name names[HF_NA_NAMES]; /* of the worker */
    size_t n_names;
    struct hf_na_socket *sockets;
    size_t n_sockets;
    struct hf_na_jira *jiras;
    size_t n_jiras;
};

enum hf_na_took { HF_NA_DONE, HF_NA_LATER, HF_NA_IGNORED, HF_NA_REFUSED };
/* What came from `from` is checked, found, and done: buttons behind this call, the rest within wait_ms (LATER when it takes longer, though it goes on). */
enum hf_na_took hf_na_accept(struct hf_nanswers *a, const struct hf_nchannel *from, enum hf_nsecret_kind by, const struct hf_ni *what, int wait_ms);
/* Sleeps; false: stop. */
bool hf_na_sleep(struct hf_nanswers *a, int64_t ms);
bool hf_na_stopped(struct hf_nanswers *a);
int64_t hf_na_now_ms(void);
/* "TYPE:NAME", or "TYPE" when that would be too long for a document. */
void hf_na_via(const struct hf_nchannel *ch, struct hf_buf *out);

/* answers-slack.c */
HF_MUSTUSE int hf_na_sockets_new(struct hf_nanswers *a, struct hf_err *err);
HF_MUSTUSE int hf_na_sockets_start(struct hf_nanswers *a, struct hf_err *err);
void hf_na_sockets_stop(struct hf_nanswers *a);
void hf_na_sockets_free(struct hf_nanswers *a);
bool hf_na_sockets_up(struct hf_nanswers *a, struct hf_buf *ret_why);
/* By the worker: what the asker alone sees; the name of somebody Slack only gave the id of. */
void hf_na_slack_tell(struct hf_nanswers *a, const struct hf_na_job *job, struct hf_span text);
struct hf_span hf_na_slack_name(struct hf_nanswers *a, const struct hf_na_job *job);
/* Whether a WebSocket's address, given by the server at `api`, leads to the same people. */
bool hf_na_slack_url_ok(struct hf_span api, struct hf_span url);

/* answers-jira.c */
HF_MUSTUSE int hf_na_jiras_new(struct hf_nanswers *a, struct hf_err *err);
HF_MUSTUSE int hf_na_jiras_start(struct hf_nanswers *a, struct hf_err *err);
void hf_na_jiras_stop(struct hf_nanswers *a);
void hf_na_jiras_free(struct hf_nanswers *a);
/* Pure: plain text of a comment's body (Atlassian Document Format, or a string); whose id; who made the last change of status (NULL). */
void hf_na_jira_text(hf_jnode body, struct hf_buf *out);
struct hf_span hf_na_jira_id(hf_jnode person);
hf_jnode hf_na_jira_mover(hf_jnode issue);
