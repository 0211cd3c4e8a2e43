/* SPDX-License-Identifier: Apache-2.0 */
/* watch-filter.h - which events and alerts `watch` shows.  --type chooses among events, --severity and --rule among alerts, --image among both
 * (as --container does, in watch-engine.c).  Losses are always told of.  Texts are borrowed from the command line. */
#pragma once
#include "base/opts.h"
#include "event/alert.h"

struct hf_rules;

struct hf_watch_filter {
    uint64_t types;      /* bit = row of the table of types; 0: all */
    int severity;        /* enum hf_severity: this or more */
    const char *image;   /* wildcard pattern against the whole reference; NULL: any */
    struct hf_strs rules; /* names; none: all */
};

/* Types from "exec,file" lists; HF_E_USAGE names those that there are. */
HF_MUSTUSE int hf_watch_filter_types(struct hf_watch_filter *f, const struct hf_strs *lists, struct hf_err *err);
/* HF_E_USAGE when one of the names is no rule's. */
HF_MUSTUSE int hf_watch_filter_rules(const struct hf_watch_filter *f, const struct hf_rules *rules, struct hf_err *err);
bool hf_watch_filter_type(const struct hf_watch_filter *f, const struct hf_event *ev);
/* Whether this type is asked for by its name. */
bool hf_watch_filter_names(const struct hf_watch_filter *f, const char *type);
/* c NULL: the host, which has no image. */
bool hf_watch_filter_image(const struct hf_watch_filter *f, const struct hf_container *c);
/* Without its container: that is hf_watch_filter_image's. */
bool hf_watch_filter_alert(const struct hf_watch_filter *f, const struct hf_alert *a);
