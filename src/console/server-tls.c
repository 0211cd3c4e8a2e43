// SPDX-License-Identifier: Apache-2.0
/* Certificate and key, read and held against each other while the files can still be opened. */
#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "console/console-internal.h"
#include "console/secret.h"

enum { PEM_MAX = 1 << 20 };

static void bio_freep(BIO **b)
{
    BIO_free(*b);
}

static void x509_freep(X509 **x)
{
    X509_free(*x);
}

static void key_freep(EVP_PKEY **k)
{
    EVP_PKEY_free(*k);
}

static int read_pem(const char *what, const char *path, struct hf_buf *ret, struct hf_err *err)
{
    hf_buf_init(ret, PEM_MAX);
    int rc = hf_read_file(path, ret, err);
    if (rc < 0)
        return hf_wrap(err, rc, "%s", what);
    hf_buf_addc(ret, 0);
    ret->n -= hf_buf_ok(ret);
    return hf_buf_ok(ret) ? 0 : hf_fail(err, HF_E_LIMIT, "%s %s is larger than %u bytes", what, path, (unsigned)PEM_MAX);
}

int hf_tls_load(struct hf_console *c, const char *cert, const char *key, struct hf_err *err)
{
    struct stat st;
    if (stat(key, &st) == 0 && st.st_mode & 7)
        return hf_fail(err, HF_E_USAGE, "everyone may read the key %s; chmod 640 or less", key);
    int rc = read_pem("certificate", cert, &c->tls.cert, err);
    rc = rc < 0 ? rc : read_pem("key", key, &c->tls.key, err);
    if (rc < 0)
        return rc;
    hf_cleanup(bio_freep) BIO *cert_in = BIO_new_mem_buf(c->tls.cert.p, (int)c->tls.cert.n);
    hf_cleanup(bio_freep) BIO *key_in = BIO_new_mem_buf(c->tls.key.p, (int)c->tls.key.n);
    hf_cleanup(x509_freep) X509 *x = cert_in ? PEM_read_bio_X509(cert_in, NULL, NULL, NULL) : NULL;
    hf_cleanup(key_freep) EVP_PKEY *k = key_in ? PEM_read_bio_PrivateKey(key_in, NULL, NULL, (void *)(size_t) "") : NULL;
    ERR_clear_error();
    if (!x)
        return hf_fail(err, HF_E_USAGE, "%s has no certificate in PEM", cert);
    if (!k)
        return hf_fail(err, HF_E_USAGE, "%s has no key in PEM, or one with a password", key);
    return X509_check_private_key(x, k) == 1 ? 0 : hf_fail(err, HF_E_USAGE, "the key %s does not belong to the certificate %s", key, cert);
}
