/* SPDX-License-Identifier: Apache-2.0 */
/* otlp.h - what logs and metrics have in common in OTLP's JSON (opentelemetry-proto, common/v1 and resource/v1). */
#pragma once
#include "base/json.h"

/* {"key": ..., "value": {"stringValue": ...}}; nothing for an empty value. */
void hf_notlp_attribute(struct hf_jw *w, const char *key, struct hf_span value);
/* The member "resource": which program, on which host. */
void hf_notlp_resource(struct hf_jw *w, struct hf_span host);
