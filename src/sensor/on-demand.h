/* SPDX-License-Identifier: Apache-2.0 */
/* on-demand.h - hooks that are attached only while somebody needs them (event/demand.h): each family of programs is an object of its own,
 * loaded when it is asked for and given back when not, so that a sensor whose rules do not need it neither pays nor carries it.
 * They share the rings, policies and counters of the sensor's own object.  Private to the sensor. */
#pragma once
#include "sensor/kernel.h"

struct hf_on_demand;
HF_MUSTUSE int hf_on_demand_new(struct hf_on_demand **ret, struct hf_kernel *k, struct hf_err *err);
void hf_on_demand_free(struct hf_on_demand *d);
/* Attaches what these classes need (of `cheap` only hooks that nobody else pays for), detaches the rest.  What this kernel refuses falls to
 * the next hook; what nothing serves is told by the features. */
void hf_on_demand_set(struct hf_on_demand *d, uint64_t classes, uint64_t cheap);
/* Classes that at least one hook serves now. */
uint64_t hf_on_demand_attached(const struct hf_on_demand *d);
/* Measures what is attached, then detaches it; from then on the features tell. */
void hf_on_demand_measure(struct hf_on_demand *d);
/* A row for each capability; how many. */
size_t hf_on_demand_features(struct hf_on_demand *d, struct hf_feature *out, size_t max);
size_t hf_on_demand_costs(const struct hf_on_demand *d, struct hf_hook_cost *out, size_t max);
/* Descriptors of programs and own maps, for what they are charged. */
void hf_on_demand_each_fd(const struct hf_on_demand *d, void (*fn)(void *ctx, int fd), void *ctx);
