/* SPDX-License-Identifier: Apache-2.0 */
/* journal.h - what was done to containers, by whom and why: one JSON object a line in DIR/log.ndjson, only ever added to.
 * docs/respond.md has the format.
 *
 * Chain: "prev" of a line is the SHA-256 of the line before it (without its newline; 64 zeros for the first), "seq" counts.  DIR/log.head has
 * the number and hash of the last line, so that lines cut off the end are missed too.  It shows a change by anyone who cannot also
 * make up the rest of the chain and the head; against root on this machine only a copy of the head kept elsewhere helps.
 *
 * Space for more lines is taken ahead (HF_JOURNAL_AHEAD), so that a full disk does not stop the log at once.  A full file is set aside as
 * log-SEQ.ndjson, the chain goes on.  A line torn by a crash is cut off and said so in a line of its own.
 * One writer at a time (flock on DIR/lock); one thread. */
#pragma once
#include "base/json.h"

#define HF_JOURNAL_AHEAD (256u << 10)
#define HF_JOURNAL_MAX (32u << 20)  /* bytes of a file */
#define HF_JOURNAL_LINE (64u << 10)
#define HF_JOURNAL_HASH 65u /* hex and NUL */

struct hf_journal;

struct hf_journal_entry {
    const char *action;   /* "freeze" */
    const char *phase;    /* "begin", "done", "failed", "undone" */
    const char *container_id, *container_name, *image; /* may be NULL */
    struct hf_span rule, alert; /* empty: by a person */
    const char *why;      /* NULL: none given */
    const char *rung;     /* what did it; NULL: nothing yet */
    struct hf_span before, after; /* JSON objects; empty: not told */
    const char *error;    /* NULL: none */
    uint64_t for_s;       /* undone after so many seconds; 0: not */
    uint64_t of;          /* seq of the "begin" that this belongs to; 0: none */
    bool forced;
};

/* Takes the lock DIR/NAME, waits at most 10 s: a descriptor, which gives it back when it is closed. */
HF_MUSTUSE int hf_journal_lock(const char *dir, const char *name, struct hf_err *err);
/* Makes the folder (0700), takes the lock (waits at most 10 s), checks the end of the log. */
HF_MUSTUSE int hf_journal_open(struct hf_journal **ret, const char *dir, struct hf_err *err);
void hf_journal_close(struct hf_journal *j);
HF_DEFINE_FREEP(struct hf_journal, hf_journal_close)
/* Adds a line; *ret_seq its number.  It is on the disk after hf_journal_sync. */
HF_MUSTUSE int hf_journal_add(struct hf_journal *j, const struct hf_journal_entry *e, uint64_t *ret_seq, struct hf_err *err);
HF_MUSTUSE int hf_journal_sync(struct hf_journal *j, struct hf_err *err);
/* How many actions began since (seconds since the epoch), of the last 64 KiB. */
unsigned hf_journal_begun_since(struct hf_journal *j, int64_t since_s);
const char *hf_journal_head(const struct hf_journal *j); /* hash of the last line */

struct hf_journal_check {
    uint64_t lines, first, last;     /* seq of the first and last line */
    char prev[HF_JOURNAL_HASH];      /* "prev" of the first line */
    char head[HF_JOURNAL_HASH];      /* hash of the last line */
    uint64_t bad_line;               /* 0: none; counted from 1 */
};
/* Pure: whether text is a chain of lines.  0; HF_E_DIGEST (the chain is broken: bad_line, err says how), HF_E_FORMAT (bad_line), HF_E_TRUNCATED
 * (the last line has no end). */
HF_MUSTUSE int hf_journal_check_text(struct hf_span text, struct hf_journal_check *ret, struct hf_err *err);
/* All files of a folder and the head.  Same; also HF_E_DIGEST when lines are missing at the end.  HF_E_NOT_FOUND: there is no log. */
HF_MUSTUSE int hf_journal_verify(const char *dir, struct hf_journal_check *ret, struct hf_err *err);
/* Text of all files, oldest first, to out (its ceiling: the newest part that fits). */
HF_MUSTUSE int hf_journal_read(const char *dir, struct hf_buf *out, struct hf_err *err);
/* RFC 3339 of now or a time since the epoch, UTC with ms. */
void hf_journal_time(uint64_t ns, char out[40]);
