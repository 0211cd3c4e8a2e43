/* SPDX-License-Identifier: Apache-2.0 */
/* watch.h - the one table of files that are watched: which, where, for what.  Every way of seeing files (files.h, the kernel half's
 * file programs) takes it from here, so that they agree.
 *
 * A pattern is an absolute path.  '*' within a component stands for any bytes but '/'; a leading "~/" for every home directory;
 * a '/' at the end for the directory, its entries, and `depth` levels of directories below.  Rules may add paths of their own.
 * A match is decided by the path from the root of the container (or the host), with links resolved; no files are read here.
 * Not thread-safe. */
#pragma once
#include "base/span.h"
#include "event/wire.h"
#include "sensor/policy-map.h"

#define HF_W_ALL (HF_W_READ | HF_W_WRITE | HF_W_NAMES | HF_W_ATTR)

#define HF_W_HOST 0x1u
#define HF_W_CONTAINER 0x2u

struct hf_watch {
    const char *pattern;
    uint8_t watch_class; /* HF_WATCH_* */
    uint8_t what;        /* HF_W_* */
    uint8_t where;       /* HF_W_HOST, HF_W_CONTAINER */
    uint8_t depth;
};

struct hf_watch_list;
/* Built-in rows; rules' rows come after them. */
HF_MUSTUSE int hf_watch_list_new(struct hf_watch_list **ret, struct hf_err *err);
void hf_watch_list_free(struct hf_watch_list *l);
HF_DEFINE_FREEP(struct hf_watch_list, hf_watch_list_free)
/* A path or, with '/' at the end, a directory (and `depth` levels below) that a rule asks for.  HF_E_LIMIT: more than 1,024; HF_E_FORMAT: no absolute path. */
HF_MUSTUSE int hf_watch_add(struct hf_watch_list *l, struct hf_span pattern, unsigned what, unsigned where, unsigned depth, struct hf_err *err);
/* Rows in order; the i-th or NULL. */
const struct hf_watch *hf_watch_at(const struct hf_watch_list *l, size_t i);

/* Home directories of one root: those of its passwd file, /root and /home/ *. */
#define HF_HOMES_MAX 64u
struct hf_homes {
    struct hf_buf text; /* NUL-terminated paths one after the other */
    size_t n;
};
void hf_homes_init(struct hf_homes *h);
void hf_homes_done(struct hf_homes *h);
/* Adds one, unless it is known, is "/", or is a system's placeholder ("/nonexistent", "/dev/null"). */
void hf_homes_add(struct hf_homes *h, struct hf_span path);
/* Adds those of a passwd file (passwd(5)) whose shell lets somebody in. */
void hf_homes_passwd(struct hf_homes *h, struct hf_span text);
/* The next one; *at begins as 0. */
bool hf_homes_next(const struct hf_homes *h, size_t *at, struct hf_span *ret);

/* What the rows say of a path. */
struct hf_watch_found {
    unsigned watch_class; /* of the first row that matches */
    unsigned what;        /* of that row, and of the rows of rules that match */
    bool leads;           /* a watched object can lie below */
};
struct hf_watch_found hf_watch_match(const struct hf_watch_list *l, const struct hf_homes *homes, unsigned where, struct hf_span path);
/* What one row says of a path: nothing, that objects of it can lie below, or that it is one. */
enum hf_watch_fit { HF_FIT_NO, HF_FIT_LEADS, HF_FIT_YES };
enum hf_watch_fit hf_watch_fit(const struct hf_watch *w, const struct hf_homes *homes, struct hf_span path);
/* Whether a text matches a component with '*'. */
bool hf_watch_glob(struct hf_span pattern, struct hf_span text);
