/* SPDX-License-Identifier: Apache-2.0 */
/* rpmdb.h - RPM's package databases (Berkeley DB hash, NDB, SQLite) and the package headers in them.
 *
 * Three readers give the same thing: one header blob a package, one after the other, so that a database of any size costs the
 * memory of its largest header.  They write nothing, take no locks and need no file system.  Not done here: signatures,
 * checksums of headers, indexes beside Packages.  Layouts: docs/formats/rpmdb.md. */
#pragma once
#include "base/ra.h"

enum {
    HF_RPM_HEADER_MAX = 64 << 20,  /* bytes of one header; the largest known (texlive, kernel) are under 8 MiB */
    HF_RPM_TAGS_MAX = 0xffff,      /* index entries, as rpm itself */
    HF_RPM_HEADERS_MAX = 1 << 17,  /* packages in one database; the largest installations have some 20,000 */
    HF_RPM_PATH_MAX = 4096,
};

/* --- one header --- */
struct hf_rpm_header { /* borrowed from the blob; a missing tag is empty */
    struct hf_span name, version, release, arch, sourcerpm, vendor, license, module;
    bool has_epoch;
    uint32_t epoch;
    /* for hf_rpm_files */
    struct hf_span basenames, dirnames, oldfilenames; /* from the array's first byte to the end of the data */
    struct hf_span dirindexes, filemodes;             /* big-endian uint32 / uint16 arrays */
    uint32_t n_basenames, n_dirnames, n_dirindexes, n_oldfilenames, n_filemodes;
};
/* HF_E_FORMAT / HF_E_TRUNCATED say which tag is wrong. */
HF_MUSTUSE int hf_rpm_header_parse(struct hf_span blob, struct hf_rpm_header *ret, struct hf_err *err);
/* Calls cb with each path (no leading slash) that is not a directory.  0, HF_E_FORMAT, HF_E_LIMIT, or what cb returned. */
typedef int (*hf_rpm_file_cb)(void *ctx, struct hf_span path, struct hf_err *err);
HF_MUSTUSE int hf_rpm_files(const struct hf_rpm_header *h, hf_rpm_file_cb cb, void *ctx, struct hf_err *err);
/* "bash-5.1.8-6.el9.src.rpm" to "bash" and "5.1.8-6.el9"; false when it is not such a name. */
bool hf_rpm_source(struct hf_span sourcerpm, struct hf_span *ret_name, struct hf_span *ret_version);

/* --- databases --- */
struct hf_rpmdb_sink {
    /* A header's bytes, valid during the call; < 0 stops the walk with that code. */
    int (*header)(void *ctx, struct hf_span blob, struct hf_err *err);
    /* A record that cannot be read; the walk goes on when 0 is returned. */
    int (*damaged)(void *ctx, const char *what);
    void *ctx;
};
/* Berkeley DB hash `Packages`, either byte order; work holds one header. */
HF_MUSTUSE int hf_rpmdb_bdb(const struct hf_ra *db, struct hf_buf *work, const struct hf_rpmdb_sink *sink, struct hf_err *err);
/* NDB `Packages.db`. */
HF_MUSTUSE int hf_rpmdb_ndb(const struct hf_ra *db, struct hf_buf *work, const struct hf_rpmdb_sink *sink, struct hf_err *err);
/* SQLite `rpmdb.sqlite`; wal is the `-wal` file beside it, or NULL. */
HF_MUSTUSE int hf_rpmdb_sqlite(const struct hf_ra *db, const struct hf_ra *wal, const struct hf_rpmdb_sink *sink,
        struct hf_err *err);

/* --- container manifest 2 (CBL-Mariner and Azure Linux without a database) --- */
struct hf_rpm_manifest_line {
    struct hf_span name, version, release, vendor, arch, epoch, sourcerpm; /* epoch empty when there is none */
};
/* Next line: 1, 0 at the end, HF_E_DAMAGED_ENTRY (the caller may go on). */
HF_MUSTUSE int hf_rpm_manifest_next(struct hf_span *rest, struct hf_rpm_manifest_line *ret, struct hf_err *err);
