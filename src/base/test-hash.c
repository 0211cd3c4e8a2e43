/* SPDX-License-Identifier: Apache-2.0 */
/* Vectors: FIPS 180-4 examples ("abc", empty, a million times "a"). */
#include "base/hash.h"

#include "tap.h"

static void vector(enum hf_hash_kind kind, struct hf_span in, unsigned times, const char *expect)
{
    hf_cleanup(hf_hash_freep) struct hf_hash *h = hf_hash_new(kind);
    uint8_t out[64];
    char hex[129];
    for (unsigned again = 0; again < 2; again++) { /* a finished hash begins anew */
        for (unsigned i = 0; i < times; i++)
            hf_hash_add(h, in.p, in.n);
        hf_hex(out, hf_hash_end(h, out), hex);
        EQ_S(hf_span_z(hex), expect);
    }
}

int main(void)
{
    vector(HF_SHA1, HF_S("abc"), 1, "a9993e364706816aba3e25717850c26c9cd0d89d");
    vector(HF_SHA256, HF_S("abc"), 1, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    vector(HF_SHA256, hf_span(NULL, 0), 1, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    vector(HF_SHA256, HF_S("aaaaaaaaaa"), 100000, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
    vector(HF_SHA512, HF_S("abc"), 1,
            "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f");

    const char *text = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    struct hf_digest d = {0}, e = {0}, none = {0};
    char buf[HF_DIGEST_TEXT];
    OK(hf_digest_parse(hf_span_z(text), &d) == 0 && d.kind == HF_SHA256 && d.n == 32);
    EQ_S(hf_span_z(hf_digest_text(&d, buf)), text);
    hf_digest_of(HF_SHA256, HF_S("abc"), &e);
    OK(hf_digest_eq(&d, &e));
    hf_digest_of(HF_SHA256, HF_S("abd"), &e);
    OK(!hf_digest_eq(&d, &e));
    hf_digest_of(HF_SHA512, HF_S("abc"), &e);
    OK(!hf_digest_eq(&d, &e));
    hf_autobuf long_text = HF_BUF_INIT(200);
    hf_buf_addz(&long_text, hf_digest_text(&e, buf));
    EQ_U(long_text.n, 7 + 128);
    OK(hf_digest_parse(hf_buf_span(&long_text), &d) == 0 && hf_digest_eq(&d, &e));
    OK(!hf_digest_eq(&none, &none)); /* two missing digests agree on nothing */
    EQ_S(hf_span_z(hf_digest_text(&none, buf)), "");
    hf_digest_of(HF_SHA256, hf_span(NULL, 0), &e);
    EQ_S(hf_span_sub(hf_span_z(hf_digest_text(&e, buf)), 0, 15), "sha256:e3b0c442");

    static const char *const bad[] = {"", "sha256:", "sha256", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
            "sha256:BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD", /* upper case: another name for the same blob */
            "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015a", "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad0",
            "sha256:../../../../../../../../../../../../../../../../../../../etc/passw", "sha512:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
            "md5:900150983cd24fb0d6963f7d28e17f72", "sha256:ga7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"};
    d.n = 77;
    for (size_t i = 0; i < HF_ARRAY_LEN(bad); i++)
        OK(hf_digest_parse(hf_span_z(bad[i]), &d) == HF_E_FORMAT && d.n == 77);
    return tap_done();
}
