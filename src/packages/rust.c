/* SPDX-License-Identifier: Apache-2.0 */
/* Rust programs: the dependency list that `cargo auditable` links into them, zlib-compressed JSON in section .dep-v0.
 * Spec: github.com/rust-secure-code/cargo-auditable, PARSING.md and the JSON schema beside it. */
#include <zlib.h>

#include "base/json.h"
#include "formats/elf/elf.h"
#include "packages/catalogers.h"

enum { MAX_PACKED = 4 << 20, MAX_JSON = 16 << 20, MAX_NAME = 256 };

static int unpack(struct hf_span packed, struct hf_buf *out, struct hf_err *err)
{
    z_stream z = {.next_in = (Bytef *)(uintptr_t)packed.p, .avail_in = (uInt)packed.n};
    if (inflateInit(&z) != Z_OK)
        return hf_fail(err, HF_E_LIMIT, "out of memory");
    int rc = Z_OK;
    hf_buf_clear(out);
    while (rc == Z_OK && out->n <= MAX_JSON) {
        if (!hf_buf_reserve(out, 64 << 10))
            break;
        z.next_out = (Bytef *)out->p + out->n;
        z.avail_out = 64 << 10;
        rc = inflate(&z, Z_NO_FLUSH);
        out->n += (64 << 10) - z.avail_out;
    }
    inflateEnd(&z);
    if (rc == Z_STREAM_END)
        return 0;
    return rc == Z_OK ? hf_fail(err, HF_E_LIMIT, "section .dep-v0 unpacks to more than %d bytes", MAX_JSON)
                      : hf_fail(err, rc == Z_BUF_ERROR ? HF_E_TRUNCATED : HF_E_FORMAT, "section .dep-v0 is no zlib data");
}

static int run(const struct hf_cat_file *files, size_t n, struct hf_cat_scratch *scratch, struct hf_facts *out, struct hf_err *err)
{
    struct hf_elf elf;
    struct hf_elf_part part;
    struct hf_span packed;
    (void)n;
    int rc = hf_elf_open(&files->ra, &elf, NULL);
    if (rc == 1)
        rc = hf_elf_section(&elf, &files->ra, ".dep-v0", &scratch->other, &part, NULL);
    if (rc != 1) /* a damaged ELF file that says nothing of Rust is nobody's package */
        return 0;
    if (part.size > MAX_PACKED)
        return hf_fail(err, HF_E_LIMIT, "section .dep-v0 has %llu bytes, at most %d are read", (unsigned long long)part.size, MAX_PACKED);
    rc = hf_ra_get(&files->ra, part.offset, (size_t)part.size, &scratch->other, &packed, err);
    if (rc >= 0)
        rc = unpack(packed, &scratch->file, err);
    hf_cleanup(hf_json_doc_freep) struct hf_json_doc *doc = NULL;
    if (rc >= 0)
        rc = hf_json_parse_within(hf_buf_span(&scratch->file), scratch->file.max, &doc, err);
    if (rc < 0)
        return rc;
    hf_jnode packages = hf_jget(hf_json_root(doc), "packages");
    if (!hf_jis_array(packages))
        return hf_fail(err, HF_E_FORMAT, "section .dep-v0 lists no packages");
    unsigned bad = 0;
    HF_JFOREACH(p, packages) {
        struct hf_package pkg = {.type = HF_PKG_CARGO, .name = hf_jgetstr(p, "name"), .version = hf_jgetstr(p, "version")};
        if (!pkg.name.n || !pkg.version.n || pkg.name.n > MAX_NAME || pkg.version.n > MAX_NAME) {
            bad++;
            continue;
        }
        if (hf_span_eqz(hf_jgetstr(p, "kind"), "build")) /* ran while building, is not in the program */
            pkg.flags |= HF_PKG_DEV;
        if ((rc = hf_facts_package(out, &pkg, err)) < 0)
            return rc;
    }
    if (bad)
        hf_facts_incomplete(out, "rust: %u entries of .dep-v0 have no name or version", bad);
    return 0;
}

static const struct hf_want wants[] = {{HF_WANT_ELF, NULL, NULL, UINT64_C(8) << 30, false, ".dep-v0", 0}};
const struct hf_cataloger hf_cataloger_rust = {"rust", 1, wants, HF_ARRAY_LEN(wants), run};
