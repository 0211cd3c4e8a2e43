/* SPDX-License-Identifier: Apache-2.0 */
/* seal-cli.h - where seals lie, and how they get there: what `seal` and `scan --seal` share. */
#pragma once
#include "seal/seal.h"

struct hf_seal_place {
    const char *state; /* folder of the state: STATE/seals/sha256-HEX.seal */
    const char *file;  /* this file instead; NULL: none */
    bool force;        /* replaces what is there, whatever it is */
};
/* Where the kept seal of the image with this digest is.  HF_E_USAGE: d is empty. */
HF_MUSTUSE int hf_seal_kept_path(const char *state, const struct hf_digest *d, struct hf_buf *ret, struct hf_err *err);
/* Opens the kept seal of the image with this digest of config, manifest or index: by its name, else by what the seals say that they are of (those that watch made have one name only).  path: where
 * it is, also when it is not there (-ENOENT). */
HF_MUSTUSE int hf_seal_open_kept(const char *state, const struct hf_digest *d, struct hf_buf *path, struct hf_seal **ret, struct hf_err *err);
/* The kept seal of the one image whose digest (of any kind) begins so: 8 hexadecimal digits at least, with or without "sha256:".  -ENOENT: that is no beginning of a digest;
 * HF_E_NOT_FOUND: none does; HF_E_USAGE: those of several do. */
HF_MUSTUSE int hf_seal_kept_begins(const char *state, struct hf_span beginning, struct hf_buf *ret_path, struct hf_err *err);
/* Where this image's seal goes. */
HF_MUSTUSE int hf_seal_place_of(const struct hf_seal_place *p, const struct hf_image *img, struct hf_buf *ret, struct hf_err *err);
HF_MUSTUSE int hf_seal_open_path(const char *path, struct hf_seal **ret, struct hf_err *err);
/* Writes it there; a kept one is found by the image's manifest and index too.  -EEXIST: another seal is there, which may be the true one. */
HF_MUSTUSE int hf_seal_keep(const struct hf_seal_place *p, const struct hf_image *img, struct hf_span bytes, struct hf_err *err);
/* The private key in a file as plain PEM (hf_seal_wipe it).  An encrypted one is opened by the first line of password_file (NULL: none), else COSIGN_PASSWORD, else
 * what is typed on the terminal. */
HF_MUSTUSE int hf_seal_private_key(const char *path, const char *password_file, struct hf_buf *ret_pem, struct hf_err *err);
/* Every kept seal as a table or JSON; those that cannot be read are told, counted and left out. */
HF_MUSTUSE int hf_seal_list(const char *state, bool json, struct hf_buf *out, uint64_t *ret_unread, struct hf_err *err);
