/* SPDX-License-Identifier: Apache-2.0 */
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <sys/stat.h>

#include "seal/seal-internal.h"
#include "tap.h"

enum { MANY = 50000 };

static void key_pair(const char *kind, struct hf_buf *private, struct hf_buf *public)
{
    EVP_PKEY *k = !strcmp(kind, "ED25519") ? EVP_PKEY_Q_keygen(NULL, NULL, kind) : EVP_PKEY_Q_keygen(NULL, NULL, "EC", kind);
    for (int i = 0; i < 2; i++) {
        BIO *b = BIO_new(BIO_s_mem());
        char *p;
        if (i ? !PEM_write_bio_PUBKEY(b, k) : !PEM_write_bio_PKCS8PrivateKey(b, k, NULL, NULL, 0, NULL, NULL))
            abort();
        long n = BIO_get_mem_data(b, &p);
        hf_buf_add(i ? public : private, p, (size_t)n);
        BIO_free(b);
    }
    EVP_PKEY_free(k);
}

static struct hf_seal_entry file(const char *path, const char *content)
{
    struct hf_seal_entry e = {.path = hf_span_z(path), .mode = S_IFREG | 0755, .size = strlen(content), .has_sha256 = true, .package = UINT32_MAX, .layer = UINT32_MAX};
    struct hf_digest d;
    hf_digest_of(HF_SHA256, hf_span_z(content), &d);
    memcpy(e.sha256, d.b, 32);
    return e;
}

static struct hf_seal_subject subject(struct hf_span key)
{
    struct hf_seal_subject s = {.target = HF_S("docker-archive:x.tar"), .os = HF_S("linux"), .arch = HF_S("amd64"), .created_unix = 1700000000, .key_pem = key};
    hf_digest_of(HF_SHA256, HF_S("config"), &s.config);
    hf_digest_of(HF_SHA256, HF_S("manifest"), &s.manifest);
    return s;
}

static void small(struct hf_buf *out, struct hf_span key)
{
    hf_cleanup(hf_seal_builder_freep) struct hf_seal_builder *b = hf_seal_builder_new(1 << 20);
    struct hf_seal_subject s = subject(key);
    uint32_t layer = hf_seal_builder_layer(b, HF_S("sha256:aa")), package = hf_seal_builder_package(b, HF_S("coreutils"), HF_S("9.1-1"), HF_S("pkg:deb/debian/coreutils@9.1-1"));
    struct hf_seal_entry v[] = {file("/bin/ls", "ls"), file("/bin/a\nb", "newline"), file("/bin", ""), file("/big", ""), file("/bin/link", ""), file("/bin/ping", "ping")};
    v[0].package = package;
    v[0].layer = layer;
    v[2].mode = S_IFDIR | 01777;
    v[2].has_sha256 = false;
    v[3].size = (uint64_t)5 << 32;
    v[3].uid = UINT32_MAX;
    v[4].mode = S_IFLNK | 0777;
    v[4].has_sha256 = false;
    v[4].link = HF_S("../../etc/passwd");
    v[5].mode = S_IFREG | 04755;
    v[5].caps = hf_span("\1\0\0\2\0\40\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 20);
    for (size_t i = 0; i < HF_ARRAY_LEN(v); i++)
        EQ_I(hf_seal_builder_add(b, &v[i], NULL), 0);
    EQ_I(hf_seal_builder_finish(b, &s, out, NULL), 0);
}

static void round_trip(void)
{
    hf_autobuf out = HF_BUF_INIT(1 << 20);
    hf_cleanup(hf_seal_closep) struct hf_seal *s = NULL;
    struct hf_seal_entry e;
    struct hf_digest d;
    small(&out, hf_span("", 0));
    EQ_I(hf_seal_open_mem(&s, hf_buf_span(&out), NULL), 0);
    EQ_U(hf_seal_entries(s), 6);
    EQ_I(hf_seal_find(s, HF_S("/bin/ls"), &e, NULL), 1);
    EQ_S(hf_seal_package(s, e.package), "coreutils 9.1-1");
    EQ_S(hf_seal_purl(s, e.package), "pkg:deb/debian/coreutils@9.1-1");
    EQ_S(hf_seal_layer(s, e.layer), "sha256:aa");
    EQ_U(e.size, 2);
    EQ_I(hf_seal_find(s, HF_S("/bin/a\nb"), &e, NULL), 1);
    EQ_U(e.package, UINT32_MAX);
    EQ_I(hf_seal_find(s, HF_S("/big"), &e, NULL), 1);
    OK(e.size == (uint64_t)5 << 32 && e.uid == UINT32_MAX);
    EQ_I(hf_seal_find(s, HF_S("/bin/link"), &e, NULL), 1);
    EQ_S(e.link, "../../etc/passwd");
    OK(!e.has_sha256);
    EQ_I(hf_seal_find(s, HF_S("/bin/ping"), &e, NULL), 1);
    EQ_U(e.caps.n, 20);
    EQ_U(e.mode, S_IFREG | 04755);
    EQ_I(hf_seal_find(s, HF_S("/bin/l"), &e, NULL), 0);
    EQ_I(hf_seal_find(s, HF_S("/"), &e, NULL), 0);
    EQ_I(hf_seal_find(s, HF_S(""), &e, NULL), 0);
    hf_digest_of(HF_SHA256, HF_S("ping"), &d);
    EQ_I(hf_seal_find_sha256(s, d.b, &e, NULL), 1);
    EQ_S(e.path, "/bin/ping");
    d.b[31] ^= 1;
    EQ_I(hf_seal_find_sha256(s, d.b, &e, NULL), 0);
    hf_digest_of(HF_SHA256, HF_S("config"), &d);
    OK(hf_digest_eq(&d, hf_seal_config_digest(s)));
    EQ_S(hf_seal_created(s), "2023-11-14T22:13:20Z");
    OK(hf_seal_check_signature(s, HF_S("x"), NULL) == HF_E_SIGNATURE); /* not signed at all */
}

/* Every byte changed, every length: nothing but a clear error, and nothing that was changed is believed. */
static void changed(void)
{
    hf_autobuf out = HF_BUF_INIT(1 << 20), private = HF_BUF_INIT(4096), public = HF_BUF_INIT(4096);
    key_pair("ED25519", &private, &public);
    small(&out, hf_buf_span(&private));
    size_t believed = 0, cut = 0, silent = 0;
    for (size_t i = 0; i < out.n; i++) {
        struct hf_seal *s = NULL;
        struct hf_err err = HF_ERR_INIT;
        struct hf_seal_iter it = {0};
        struct hf_seal_entry e;
        int rc;
        out.p[i] = (char)(out.p[i] ^ 1);
        rc = hf_seal_open_mem(&s, hf_buf_span(&out), &err);
        rc = rc < 0 ? rc : hf_seal_check_signature(s, hf_buf_span(&public), &err);
        while (rc >= 0 && (rc = hf_seal_next(s, &it, &e, &err)) == 1)
            ;
        out.p[i] = (char)(out.p[i] ^ 1);
        /* the id of the key is a hint and not signed */
        size_t id = hf_span_search(hf_buf_span(&out), HF_S("\"keyid\""));
        believed += rc >= 0 && (i < id || i >= id + 80);
        silent += rc < 0 && !err.msg[0];
        hf_seal_close(s);
        s = NULL;
        cut += hf_seal_open_mem(&s, hf_span(out.p, i), NULL) >= 0;
        hf_seal_close(s);
    }
    EQ_U(believed, 0);
    EQ_U(silent, 0);
    EQ_U(cut, 0);
}

static void signatures(const char *kind)
{
    hf_autobuf out = HF_BUF_INIT(1 << 20), private = HF_BUF_INIT(4096), public = HF_BUF_INIT(4096), other = HF_BUF_INIT(4096), none = HF_BUF_INIT(4096);
    hf_cleanup(hf_seal_closep) struct hf_seal *s = NULL;
    struct hf_err err = HF_ERR_INIT;
    key_pair(kind, &private, &public);
    key_pair(kind, &none, &other);
    small(&out, hf_buf_span(&private));
    EQ_I(hf_seal_open_mem(&s, hf_buf_span(&out), NULL), 0);
    EQ_U(hf_seal_signatures(s), 1);
    EQ_I(hf_seal_check_signature(s, hf_buf_span(&public), NULL), 0);
    EQ_I(hf_seal_check_signature(s, hf_buf_span(&other), &err), HF_E_SIGNATURE);
    OK(strstr(err.msg, "not by this key"));
    EQ_I(hf_seal_check_signature(s, HF_S("rubbish"), &err), HF_E_FORMAT);
}

static void refused(void)
{
    hf_cleanup(hf_seal_builder_freep) struct hf_seal_builder *b = hf_seal_builder_new(1 << 20);
    hf_autobuf out = HF_BUF_INIT(1 << 20), private = HF_BUF_INIT(8192), public = HF_BUF_INIT(8192);
    static const char *const bad[] = {"", "/", "a", "//a", "/a/", "/a//b", "/a/../b", "/..", "/./a"};
    struct hf_seal_subject s = subject(hf_span("", 0));
    struct hf_seal_entry e;
    for (size_t i = 0; i < HF_ARRAY_LEN(bad); i++) {
        e = file(bad[i], "x");
        EQ_I(hf_seal_builder_add(b, &e, NULL), HF_E_FORMAT);
    }
    e = file("/a", "x");
    e.layer = 3;
    EQ_I(hf_seal_builder_add(b, &e, NULL), HF_E_FORMAT);
    e = file("/a", "x");
    EQ_I(hf_seal_builder_add(b, &e, NULL), 0);
    key_pair("P-384", &private, &public);
    s.key_pem = hf_buf_span(&private);
    EQ_I(hf_seal_builder_finish(b, &s, &out, NULL), HF_E_UNSUPPORTED);
    EQ_I(hf_seal_builder_add(b, &e, NULL), 0);
    s.key_pem = hf_span("", 0);
    EQ_I(hf_seal_builder_finish(b, &s, &out, NULL), HF_E_FORMAT);
}

static void many(void)
{
    hf_cleanup(hf_seal_builder_freep) struct hf_seal_builder *b = hf_seal_builder_new(256 << 20);
    hf_autobuf out = HF_BUF_INIT(64 << 20);
    hf_cleanup(hf_seal_closep) struct hf_seal *s = NULL;
    struct hf_seal_subject subj = subject(hf_span("", 0));
    struct hf_seal_entry e;
    struct hf_seal_iter it = {0};
    char path[128];
    size_t n = 0;
    for (unsigned i = MANY; i-- > 0;) {
        snprintf(path, sizeof path, "/usr/lib/python3/dist-packages/module%u/sub_package/file_%u.py", i % 331, i);
        e = file(path, path);
        e.size = i * 7919u % 100000;
        if (hf_seal_builder_add(b, &e, NULL) < 0)
            break;
    }
    EQ_I(hf_seal_builder_finish(b, &subj, &out, NULL), 0);
    OK(out.n < 3000000);
    printf("# %d files: %zu bytes\n", MANY, out.n);
    EQ_I(hf_seal_open_mem(&s, hf_buf_span(&out), NULL), 0);
    while (hf_seal_next(s, &it, &e, NULL) == 1)
        n++;
    EQ_U(n, MANY);
    size_t found = 0;
    for (unsigned i = 0; i < MANY; i += 97) {
        snprintf(path, sizeof path, "/usr/lib/python3/dist-packages/module%u/sub_package/file_%u.py", i % 331, i);
        struct hf_seal_entry want = file(path, path), got;
        found += hf_seal_find(s, hf_span_z(path), &got, NULL) == 1 && !memcmp(got.sha256, want.sha256, 32) && hf_seal_find_sha256(s, want.sha256, &got, NULL) == 1 &&
                hf_span_eqz(got.path, path);
    }
    EQ_U(found, (MANY + 96) / 97);
}

/* RFC 6962, section 2.1.3: seven leaves. */
static void tree(void)
{
    uint8_t l[7][32], a[32], pair[65] = {1}, ij[32], k[32], want[32];
    struct hf_digest d;
    for (unsigned i = 0; i < 7; i++)
        hf_seal_leaf(hf_span((const char *)&"0123456"[i], 1), l[i]);
    uint8_t v[7][32];
    memcpy(v, l, sizeof l);
#define NODE(x, y, out) (memcpy(pair + 1, x, 32), memcpy(pair + 33, y, 32), hf_digest_of(HF_SHA256, hf_span((const char *)pair, 65), &d), memcpy(out, d.b, 32))
    uint8_t g[32], h[32];
    NODE(l[0], l[1], g);
    NODE(l[2], l[3], h);
    NODE(g, h, k);
    NODE(l[4], l[5], ij);
    NODE(ij, l[6], ij);
    NODE(k, ij, want);
    hf_seal_tree(v, 7, a);
    OK(memcmp(a, want, 32) == 0);
}

static void empty(void)
{
    hf_cleanup(hf_seal_builder_freep) struct hf_seal_builder *b = hf_seal_builder_new(1 << 20);
    hf_autobuf out = HF_BUF_INIT(1 << 20);
    hf_cleanup(hf_seal_closep) struct hf_seal *s = NULL;
    struct hf_seal_subject subj = {.target = HF_S("dir:/x")};
    struct hf_seal_iter it = {0};
    struct hf_seal_entry e;
    EQ_I(hf_seal_builder_finish(b, &subj, &out, NULL), 0);
    EQ_I(hf_seal_open_mem(&s, hf_buf_span(&out), NULL), 0);
    EQ_I(hf_seal_next(s, &it, &e, NULL), 0);
    EQ_I(hf_seal_find(s, HF_S("/a"), &e, NULL), 0);
    EQ_U(hf_seal_config_digest(s)->n, 0);
}

int main(void)
{
    round_trip();
    changed();
    signatures("ED25519");
    signatures("P-256");
    refused();
    many();
    tree();
    empty();
    return tap_done();
}
