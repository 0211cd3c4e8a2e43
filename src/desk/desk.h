/* SPDX-License-Identifier: Apache-2.0 */
/* desk.h - what people do to incidents, written to the store: one implementation for the command line, the console, chat and the daemon.
 *
 * A change is hf_inc_apply on the document that is there, put back together with its entry in the audit log: both or none.  Threads: as the store. */
#pragma once
#include "incident/incident.h"
#include "store/store.h"

/* 1: changed; 0: it was so already.  *ret (may be NULL) is the document as it is now.  c->time_ns 0: now.
 * expected: the revision whoever asks has seen, 0: any.  Without it a change that somebody else made meanwhile is read and this one made again; with it
 * that is -ESTALE, and err says which revision is there.  HF_E_NOT_FOUND: there is no such incident; HF_E_USAGE, HF_E_LIMIT: refused (hf_inc_apply); else as the store. */
HF_MUSTUSE int hf_desk_change(struct hf_store *s, struct hf_span id, const struct hf_inc_change *c, uint64_t expected, struct hf_inc **ret, struct hf_err *err);
/* The document: 0, or HF_E_NOT_FOUND. */
HF_MUSTUSE int hf_desk_read(struct hf_store *s, struct hf_span id, struct hf_inc **ret, struct hf_err *err);
