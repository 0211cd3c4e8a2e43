/* SPDX-License-Identifier: Apache-2.0 */
/* gate.h - who has to wait before trying again: wrong passwords by account and by address, requests by address.
 *
 * In memory, bounded (HF_GATE_SLOTS; the longest unused goes), for any thread.  Three counts of failures, so that guessing is slow but nobody can lock
 * another out for long:
 *   account from this address  5 wrong ones, then 30 s, doubled each time, at most 15 min
 *   address                   20 wrong ones over all accounts, likewise
 *   account from anywhere     50 wrong ones, then 10 s at most 60 s; not where the account signed in before
 * A right password clears the first and the third.  An IPv6 address counts as its /64. */
#pragma once
#include "base/span.h"

enum { HF_GATE_SLOTS = 8192, HF_GATE_RATE = 100 /* requests a second of one address */, HF_GATE_BURST = 500 };
struct hf_gate;
struct hf_gate *hf_gate_new(void);
void hf_gate_free(struct hf_gate *g);
HF_DEFINE_FREEP(struct hf_gate, hf_gate_free)
/* Seconds to wait before a password of this account is looked at; 0: now. unlocked_ns: when an administrator lifted the lock. */
unsigned hf_gate_wait(struct hf_gate *g, struct hf_span account, struct hf_span peer, int64_t unlocked_ns, int64_t now_ns);
/* A wrong one.  true: with this the account or the address has to wait. */
bool hf_gate_wrong(struct hf_gate *g, struct hf_span account, struct hf_span peer, int64_t now_ns);
void hf_gate_right(struct hf_gate *g, struct hf_span account, struct hf_span peer, int64_t now_ns);
/* Counts a request; false: too many. */
bool hf_gate_request(struct hf_gate *g, struct hf_span peer, int64_t now_ns);
/* Whether an entry about strangers' failures may go to the audit log now (60 a minute): others are counted, *ret_left_out since the last that was. */
bool hf_gate_audit(struct hf_gate *g, int64_t now_ns, uint64_t *ret_left_out);
