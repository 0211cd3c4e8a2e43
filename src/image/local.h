/* SPDX-License-Identifier: Apache-2.0 */
/* local.h - which image of a store is meant by what somebody wrote.
 *
 * A name in full counts before one that a registry's host was left out of, that before a name's last parts, those before digests and ids; of the tag ":latest" may be
 * left out.  What means several images is an error that lists them: nothing is guessed. */
#pragma once
#include "base/hash.h"
#include "base/mem.h"

struct hf_local {
    struct hf_span asked; /* as written */
    struct hf_span full;  /* with its tag */
    struct hf_span hex;   /* the digest in it, or what may be the beginning of an id (from 6 digits on); empty: none */
    /* the image that fits best so far */
    unsigned fit;         /* 0: none */
    struct hf_span digest, name, place;
    size_t others;        /* that fit as well, of other content */
    struct hf_buf list;   /* of all these, for people */
    struct hf_arena arena;
};
/* asked must outlive it.  HF_E_USAGE: it cannot be an image's name (empty, over 1,024 bytes, control characters). */
HF_MUSTUSE int hf_local_init(struct hf_local *l, struct hf_span asked, struct hf_err *err);
void hf_local_done(struct hf_local *l);

/* How well an image called `name` fits; 0: not. */
unsigned hf_local_name(const struct hf_local *l, struct hf_span name);
/* How well one with this digest does ("sha256:HEX", or HEX alone). */
unsigned hf_local_digest(const struct hf_local *l, struct hf_span digest);
/* One that fits.  digest: what says whether two are the same image; place: where it lies, for the caller; everything is copied. */
HF_MUSTUSE int hf_local_found(struct hf_local *l, unsigned fit, struct hf_span digest, struct hf_span name, struct hf_span place, struct hf_err *err);
/* 1: one image is meant; 0: none; HF_E_USAGE: several.  store: what keeps them, for the error. */
HF_MUSTUSE int hf_local_end(struct hf_local *l, const char *store, struct hf_err *err);
