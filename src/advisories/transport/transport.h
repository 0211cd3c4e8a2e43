/* SPDX-License-Identifier: Apache-2.0 */
/* transport.h - the advisory database as one signed file, for machines without a network.  Format: docs/formats/dbexport.md.
 *
 * A tar (zstd) of three members in this order: manifest.json, manifest.sig (ed25519 over the manifest's bytes), advisories.hfdb.
 * Nothing of the database is written before the signature of the manifest that gives its size and digest is verified. */
#pragma once
#include "advisories/db/advdb.h"
#include "base/hash.h"

/* Writes db_path to file, signed with the private key of a PEM file. */
HF_MUSTUSE int hf_transport_export(const char *db_path, const char *file, const char *key_pem, struct hf_err *err);

struct hf_transport_opts {
    const char *key_pem;  /* public key */
    bool allow_older;     /* than the database that is there */
    uint64_t max_bytes;   /* of the database */
};
/* Verifies file and replaces db_path atomically.  HF_E_SIGNATURE (missing, wrong, by another key), HF_E_DIGEST, HF_E_FORMAT, HF_E_LIMIT;
 * HF_E_USAGE for an older one.  Without success db_path is as before. */
HF_MUSTUSE int hf_transport_import(const char *file, const char *db_path, const struct hf_transport_opts *o, struct hf_err *err);

/* --- parts --- */
struct hf_transport_manifest {
    uint64_t size, built_unix;
    struct hf_digest digest;
};
HF_MUSTUSE int hf_transport_manifest_parse(struct hf_span text, struct hf_transport_manifest *ret, struct hf_err *err);
void hf_transport_manifest_write(const struct hf_advdb *db, const struct hf_transport_manifest *m, struct hf_buf *out);
enum { HF_SIGNATURE_BYTES = 64 };
HF_MUSTUSE int hf_transport_sign(struct hf_span text, const char *key_pem, uint8_t ret[HF_SIGNATURE_BYTES], struct hf_err *err);
HF_MUSTUSE int hf_transport_verify(struct hf_span text, struct hf_span signature, const char *key_pem, struct hf_err *err);
