// SPDX-License-Identifier: Apache-2.0
/* What containerd's database says of a container. */
#include "formats/boltdb/boltdb.h"
#include "formats/boltdb/test-pages.h"
#include "sensor/containers/facts.h"
#include "sensor/containers/stores.h"
#include "tap.h"

int main(void)
{
    struct hf_err err = HF_ERR_INIT;
    hf_cleanup(hf_bolt_freep) struct hf_bolt *b = NULL;
    struct hf_bundle bundle = {.id = HF_S("web")};
    hf_autobuf facts = HF_BUF_INIT(4096);
    build();
    EQ_I(hf_bolt_new(&b, from_memory, NULL, &err), 0);
    EQ_I(hf_store_containerd_db(b, HF_S("default"), &bundle, &facts, &err), 1);
    EQ_S(hf_fact_get(hf_buf_span(&facts), "image"), "reg/box:1");
    EQ_S(hf_fact_get(hf_buf_span(&facts), "image_digest"), "sha256:aa");
    EQ_S(hf_fact_get(hf_buf_span(&facts), "name"), "web");
    EQ_S(hf_fact_get(hf_buf_span(&facts), "label.app"), "shop");
    EQ_S(hf_fact_get(hf_buf_span(&facts), "label.secret-token"), "***");
    EQ_U(hf_fact_get(hf_buf_span(&facts), "label.io.containerd.x").n, 0);
    struct hf_bundle other = {.id = HF_S("db")};
    EQ_I(hf_store_containerd_db(b, HF_S("default"), &other, &facts, &err), 0);
    return tap_done();
}
