/* SPDX-License-Identifier: Apache-2.0 */
/* stream.h - the layers of an image that a daemon exports: one pass over the archive while it arrives, nothing kept on disk.
 *
 * Each member that is not a JSON document is walked as a layer and hashed; the digest of its content says which layer of the image
 * it is, so it does not matter that the manifest comes last.  The archive is asked for a second time only when wanted files are
 * hard links whose content came by before their name.  Memory: that of one layer's walk, and the facts. */
#pragma once
#include "image/layer.h"

struct hf_streamed {
    bool known; /* in: not wanted */
    bool got;   /* result is filled and the caller's to free */
    int rc;     /* of the walk; the content's digest is right all the same */
    struct hf_err err;
    struct hf_layer_result result;
};
/* v: one for each layer of the image, zeroed but for known.  created_by of the layers is set when the archive has the config.
 * A layer that the archive lacks is HF_E_DIGEST; what was got until an error is kept. */
HF_MUSTUSE int hf_stream_layers(struct hf_image *img, const struct hf_layer_opts *o, struct hf_streamed *v, struct hf_err *err);
