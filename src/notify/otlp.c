// SPDX-License-Identifier: Apache-2.0
#include "notify/otlp.h"

void hf_notlp_attribute(struct hf_jw *w, const char *key, struct hf_span value)
{
    if (!value.n)
        return;
    hf_jw_object(w);
    hf_jw_kstrz(w, "key", key);
    hf_jw_key(w, "value");
    hf_jw_object(w);
    hf_jw_kstr(w, "stringValue", value);
    hf_jw_object_end(w);
    hf_jw_object_end(w);
}

void hf_notlp_resource(struct hf_jw *w, struct hf_span host)
{
    hf_jw_key(w, "resource");
    hf_jw_object(w);
    hf_jw_key(w, "attributes");
    hf_jw_array(w);
    hf_notlp_attribute(w, "service.name", HF_S("holdfast"));
    hf_notlp_attribute(w, "service.version", HF_S(HF_VERSION));
    hf_notlp_attribute(w, "host.name", host);
    hf_jw_array_end(w);
    hf_jw_object_end(w);
}
