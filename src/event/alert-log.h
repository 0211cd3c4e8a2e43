/* SPDX-License-Identifier: Apache-2.0 */
/* alert-log.h - the alerts of the last runs of `watch`, as lines of its JSON, so that `rules why` and `rules except` can speak of them, and the daemon's hub finds
 * those that one before it did not come to.
 *
 * Two files in the state folder, alerts.0.ndjson and alerts.1.ndjson, each up to HF_ALERT_LOG_MAX bytes: when one is full the other is
 * emptied and goes on.  Opened by the privileged side, written by the other. */
#pragma once
#include "base/json.h"

#define HF_ALERT_LOG_MAX (8u << 20)

struct hf_alert_log {
    int fd[2]; /* -1: not open */
    unsigned now; /* which is written */
    uint64_t size;
    bool failed; /* told once */
};
#define HF_ALERT_LOG_INIT {{-1, -1}, 0, 0, false}
HF_MUSTUSE int hf_alert_log_open(struct hf_alert_log *l, const char *dir, struct hf_err *err);
void hf_alert_log_close(struct hf_alert_log *l);
HF_MUSTUSE int hf_alert_log_add(struct hf_alert_log *l, struct hf_span line, struct hf_err *err);
/* For reading: -1 for a file that is not there (yet). */
HF_MUSTUSE int hf_alert_log_reading(int ret_fd[2], const char *dir, struct hf_err *err);
/* Every line of both, the older file first, without its end; what is longer than an alert can be is passed over.  A result of cb other than 0 ends it and is
 * returned.  watch may go on writing meanwhile. */
typedef int (*hf_alert_line_cb)(void *ctx, struct hf_span line);
HF_MUSTUSE int hf_alert_log_each(const int fd[2], hf_alert_line_cb cb, void *ctx, struct hf_err *err);
/* The latest alert of this id (or the only one whose id begins so; at least 10 characters) in a file of lines ("-": standard input) or, when
 * from is NULL, in the log of the folder; a sum of folded alerts only when there is nothing better.  HF_E_NOT_FOUND, HF_E_USAGE (several). */
HF_MUSTUSE int hf_alert_find(const char *from, const char *dir, const char *id, struct hf_json_doc **ret, struct hf_err *err);
