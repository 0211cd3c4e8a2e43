/* SPDX-License-Identifier: Apache-2.0 */
/* state.h - what counting rules remember, per key: HF_STATE_KEYS keys a rule, the one longest unseen gives way. */
#pragma once
#include "detect/rules.h"

#define HF_STATE_KEYS 256u

struct hf_state;
struct hf_state *hf_state_new(const struct hf_rule *r);
void hf_state_free(struct hf_state *s);
size_t hf_state_bytes(const struct hf_state *s_or_null);
/* The rule's condition held for an event of this key (and value): whether that makes it an alert.
 * COUNT: the count-th within the window.  DISTINCT: so many different values within the window.  REGULAR: the last intervals are alike.
 * FIRST: a value not seen before with this key, once born_ns (0: when the key was first seen) is longer ago than the window.
 * SURGE: the last samples were all above the floor and so many times what was usual for the key. */
bool hf_state_event(struct hf_state *s, const struct hf_rule *r, uint64_t key, uint64_t value, uint64_t born_ns, uint64_t now_ns);
/* SURGE, of an interval that is not over: whether what has passed already is enough for all samples.  Nothing of what is usual changes, since the
 * number comes again with the whole interval. */
bool hf_state_surge_early(struct hf_state *s, const struct hf_rule *r, uint64_t key, uint64_t value);
/* The key is remembered from now on for the rule's window; whether it is. */
void hf_state_remember(struct hf_state *s, uint64_t key, uint64_t now_ns);
bool hf_state_remembers(struct hf_state *s, const struct hf_rule *r, uint64_t key, uint64_t now_ns);
/* Which steps hold for the event at hand: whether the last step follows all others within the window.  late: the event is one of those
 * that are told late, what followed it may have been told before it. */
bool hf_state_sequence(struct hf_state *s, const struct hf_rule *r, uint64_t key, const bool *step, bool late, uint64_t now_ns);
