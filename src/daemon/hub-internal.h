/* SPDX-License-Identifier: Apache-2.0 */
/* hub-internal.h - the parts of the hub. */
#pragma once
#include <pthread.h>

#include "base/config.h"
#include "hand/hand.h"
#include "daemon/hub.h"
#include "daemon/ingest.h"
#include "daemon/lines.h"
#include "daemon/notify-store.h"
#include "daemon/shared.h"
#include "incident/incident.h"
#include "notify/answers.h"
#include "notify/deliver.h"
#include "store/store.h"

struct hf_inv;
struct hf_slow;
struct hf_verify;
struct hf_hub_log;
struct hf_emergency;
enum { HUB_ACTS = 64, HUB_ACT_LINE = 4096 };

struct hub {
    const struct hf_hub_opts *o;
    const struct hf_config *c;
    struct hf_daemon_shared *sh;
    char host[256], host_id[64];
    volatile bool stopping;
    struct hf_lines *lines;
    struct hf_hand *hand;       /* NULL: none */
    /* the main thread's own */
    struct hf_store *store;     /* NULL: not open (yet, or any more) */
    struct hf_ingest *ingest;
    struct hf_hub_log *log;     /* NULL: watch's log of alerts is not read */
    struct hf_inv *inv;
    struct hf_buf inv_waits;    /* lines for it while the store is down */
    uint64_t store_try_ms, store_pause_ms, store_told_ms;
    uint64_t change;            /* the last change that was looked at */
    bool change_known;
    uint64_t change_kept, change_kept_ms;
    uint64_t polled_ms, flushed_ms, counted_ms, inv_flushed_ms;
    bool open, told_refused;
    struct timespec excepted;   /* time of the exceptions that were published */
    /* channels */
    struct hf_nconf *conf;      /* NULL: nobody is told */
    struct hf_nstoreq *queue;
    struct hf_ndeliver *deliver;
    struct hf_nanswers *answers;
    pthread_mutex_t answer_lock; /* of the handle */
    struct hf_store *answer_store;
    struct {
        char line[HUB_ACT_LINE];
        uint64_t until_ms; /* 0: free */
    } acts[HUB_ACTS];
    struct hf_emergency *emergency; /* while the store is down */
    /* what takes long */
    struct hf_slow *slow;
    struct hf_verify *verify;   /* NULL: nothing is verified */
    pthread_t serve;
    bool serving;
};
uint64_t hub_now_ms(void);
/* Texts for the status; NULL or "": none. */
void hub_note(char into[HF_SHARED_TEXT], const char *text);
/* The store failed in the main thread: told, and when it is to be tried again. */
void hub_store_failed(struct hub *h, const char *doing, int rc, const char *why);

/* hub-tell.c: channels. */
HF_MUSTUSE int hub_tell_load(struct hub *h, struct hf_err *err); /* with privileges: conf and secrets */
HF_MUSTUSE int hub_tell_open(struct hub *h, struct hf_err *err); /* the queue; threads of delivery and answers */
HF_MUSTUSE int hub_tell(struct hub *h, struct hf_span incident, struct hf_err *err);
/* The store does not take an incident that is new or worse: the channels hear of it all the same, from memory. */
void hub_tell_without_store(struct hub *h, const struct hf_inc *i);
void hub_tell_store_is_back(struct hub *h);
void hub_tell_count(struct hub *h);
void hub_tell_close(struct hub *h);

/* hub-answers.c: what people answer (hf_nanswer_cb), and what responses of rules did. */
int hub_answer(void *ctx, const struct hf_ni *what, const struct hf_nchannel *ch, struct hf_buf *ret_text, struct hf_err *err);
/* A line of acts_fd; main thread.  What belongs to an alert that was not seen yet waits for it, for some seconds. */
void hub_acted(struct hub *h, struct hf_span line);
void hub_acted_again(struct hub *h);
void hub_answers_close(struct hub *h);

/* hub-log.c: alerts that a hub before this one read and did not write.  Main thread. */
HF_MUSTUSE int hub_log_open(struct hub *h, struct hf_err *err); /* with privileges */
void hub_log_close(struct hub *h);
HF_MUSTUSE int hub_log_read(struct hub *h, struct hf_err *err); /* once, before the first line; errors of the store */
bool hub_log_had(struct hub *h, struct hf_span line);           /* a line of the pipe that was taken from the log already */
void hub_log_written(struct hub *h);                            /* nothing waits for the store */
void hub_log_keep(struct hub *h, bool end);                     /* now and then, and at the end */

/* hub-inventory.c: what runs and what is in it.  Main thread. */
HF_MUSTUSE int hub_inv_open(struct hub *h, struct hf_err *err);
void hub_inv_line(struct hub *h, struct hf_span line);
void hub_inv_step(struct hub *h); /* now and then */
void hub_inv_end(struct hub *h);  /* writes what waits */

/* hub-slow.c: what takes long, in a thread with a store handle of its own. */
HF_MUSTUSE int hub_slow_start(struct hub *h, struct hf_err *err);
bool hub_slow_end(struct hub *h); /* false: it is in the middle of something and goes with the process */
/* Of the main thread.  Whether a scan can be given; its result, once: 1 and digest with why (empty: it is in the store), 0. */
bool hub_slow_free(struct hub *h);
void hub_slow_scan(struct hub *h, struct hf_span ref, struct hf_span digest);
int hub_slow_result(struct hub *h, struct hf_buf *ret_digest, struct hf_buf *ret_why);

/* hub-verify.c: containers held against their seals, one after the other, in a thread of its own: a large one holds up nothing else. */
HF_MUSTUSE int hub_verify_start(struct hub *h, struct hf_err *err);
bool hub_verify_end(struct hub *h); /* as hub_slow_end */
/* Of the main thread: an alert that is to be taken as a line of watch, once: 1; 0: none. */
int hub_verify_alert(struct hub *h, struct hf_buf *ret_line);

/* hub-serve.c */
HF_MUSTUSE int hub_serve_start(struct hub *h, struct hf_err *err);
void hub_serve_end(struct hub *h);
