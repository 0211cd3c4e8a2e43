/* SPDX-License-Identifier: Apache-2.0 */
/* store.h - what Holdfast remembers: incidents, alerts, the audit chain, queues, the inventory, settings.
 *
 * One interface over SQLite ("sqlite:PATH" or "/PATH", WAL) and PostgreSQL ("postgresql://...", libpq, loaded when first used); both
 * behave the same and pass the same tests (docs/store.md).
 *
 * What is acknowledged is durable: when the outermost hf_tx_commit (or a writing function called outside a transaction)
 * returned 0, the change survives kill -9 at any instant, and power loss as far as the disk does what it says
 * (synchronous=FULL, synchronous_commit=on).  A change that was not acknowledged is there whole or not at all.
 *
 * Writers take turns: a transaction of one process waits for that of another, at most HF_STORE_WAIT_MS, then -EBUSY.  Who opens a store that is there, or
 * reads, waits for nobody.
 * Errors say where ("store sqlite:/x, table alerts: ..."), never a password: -ENOSPC full disk, -EIO (also a damaged page;
 * other tables go on), -EBUSY, -ECONNRESET (PostgreSQL went away: the next call outside a transaction connects again),
 * -EROFS, -EACCES, -ENOENT, -ESTALE (somebody else changed it meanwhile), HF_E_NOT_FOUND, HF_E_FORMAT, HF_E_LIMIT (the cap),
 * HF_E_UNSUPPORTED (a schema newer than this program, or a database that is not UTF-8).
 *
 * Text is UTF-8: NUL and bytes that are not UTF-8 become U+FFFD when stored and when looked up, on both databases.  Times are
 * ns since the epoch.  A handle belongs to one thread at a time; open as many as needed.  A handle does not survive fork. */
#pragma once
#include "base/span.h"

enum {
    HF_STORE_VERSION = 2,           /* of the schema this program writes */
    HF_STORE_WAIT_MS = 10000,       /* for another writer */
    HF_STORE_DOC_MAX = 4 << 20,     /* bytes of a document or text */
    HF_STORE_KEY_MAX = 4096,        /* bytes of an id, a name, a key */
    HF_STORE_LIST_MAX = 10000,      /* rows one list call gives at most */
};

struct hf_store;
enum hf_store_flags {
    HF_STORE_MUST_EXIST = 1, /* -ENOENT instead of making a new one */
    HF_STORE_NO_CHECKPOINT = 4, /* commits never do the database's housekeeping (SQLite: moving the WAL into the file, tens of milliseconds): somebody calls hf_store_checkpoint */
    HF_STORE_READ_ONLY = 2,  /* changes nothing, not even the schema: an older one is HF_E_UNSUPPORTED; implies MUST_EXIST */
};
/* Opens, makes the schema when there is none, moves an older one forward (all of it or nothing).  The SQLite file is made
 * with mode 0600, its folder with 0700.  HF_E_USAGE: not an address, or one with a password in it (~/.pgpass and passfile= are for that). */
HF_MUSTUSE int hf_store_open(struct hf_store **ret, const char *url, struct hf_err *err);
HF_MUSTUSE int hf_store_open_with(struct hf_store **ret, const char *url, unsigned flags, struct hf_err *err);
void hf_store_close(struct hf_store *s); /* rolls an open transaction back; NULL is fine */
HF_DEFINE_FREEP(struct hf_store, hf_store_close)
/* Files and folders that opening it reads beside the database (PostgreSQL: HOME, with passwords and certificates, and what the address names), for who is about to give up reading
 * any others.  Their number; each is the caller's to free. */
enum { HF_STORE_READS = 8 };
size_t hf_store_reads(const char *url, char *ret[HF_STORE_READS]);
/* The address without password. */
const char *hf_store_name(const struct hf_store *s);

/* A transaction, so that several changes are one (an incident, its audit entry and its messages):
 *   hf_autotx tx = {0};
 *   if ((rc = hf_tx_begin(&tx, s, err)) < 0) return rc;
 *   ... any functions of the store ...
 *   return hf_tx_commit(&tx, err);
 * Leaving the scope without commit rolls back.  A transaction in another is a savepoint.  After an error inside, roll back.
 * Everything read inside is what it will be at the commit. */
struct hf_tx {
    struct hf_store *s;
    unsigned depth;
};
HF_MUSTUSE int hf_tx_begin(struct hf_tx *t, struct hf_store *s, struct hf_err *err);
HF_MUSTUSE int hf_tx_try(struct hf_tx *t, struct hf_store *s, struct hf_err *err); /* the same, but -EBUSY at once while another writes */
HF_MUSTUSE int hf_tx_commit(struct hf_tx *t, struct hf_err *err);
void hf_tx_done(struct hf_tx *t);
#define hf_autotx hf_cleanup(hf_tx_done) struct hf_tx

/* on: what is committed from now on by this handle need not be on the disk yet (no wait for it): it survives the death of any process, but may be lost, whole
 * transactions from the last back, when the power fails; a later commit without it makes it durable too.  For what is done again when it is lost. */
HF_MUSTUSE int hf_store_relax(struct hf_store *s, bool on, struct hf_err *err);

/* That housekeeping, when more than some 4 MB wait for it; hinders nobody's reading or writing.  PostgreSQL does its own: nothing. */
HF_MUSTUSE int hf_store_checkpoint(struct hf_store *s, struct hf_err *err);

/* "debug" 0 ... "critical" 6; HF_E_FORMAT for another word.  And back ("?" when out of range). */
HF_MUSTUSE int hf_store_severity(struct hf_span word, int *ret);
const char *hf_store_severity_name(int64_t severity);
int64_t hf_store_now(void);
