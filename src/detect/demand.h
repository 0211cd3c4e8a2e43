/* SPDX-License-Identifier: Apache-2.0 */
/* demand.h - which hooks that are only attached on demand (event/demand.h) a rule needs: by the classes of events that it listens to, and
 * where only part of a class costs, by the values that it asks for. */
#pragma once
#include "detect/rules.h"
#include "event/demand.h"

/* HF_DEMAND_*: of one rule, whether it is enabled or not. */
uint64_t hf_rule_demand(const struct hf_rule *r);
/* Of all enabled rules together; *ret_cheap: of those that say so (hooks: cheap), only as far as it costs nobody else. */
uint64_t hf_rules_demand(const struct hf_rules *r, uint64_t *ret_cheap);
