/* SPDX-License-Identifier: Apache-2.0 */
/* The private key to sign seals with, and its password: from a file, the environment as cosign has it, or the terminal. */
#include <errno.h>
#include <stdio.h>

#include "base/fs.h"
#include "cli/password.h"
#include "cli/seal-cli.h"

enum { MAX_KEY = 64 << 10, MAX_PASSWORD = 4096 };

static int first_line(const char *path, struct hf_buf *ret, struct hf_err *err)
{
    hf_cleanup(hf_seal_wipe) struct hf_buf text = HF_BUF_INIT(MAX_PASSWORD);
    int rc = hf_read_file(path, &text, err);
    if (rc < 0)
        return hf_wrap(err, rc, "the password");
    struct hf_span rest = hf_buf_span(&text), line = {NULL, 0};
    (void)hf_span_line(&rest, &line);
    hf_buf_adds(ret, line);
    return 0;
}

static int ask(const char *path, struct hf_buf *ret, struct hf_err *err)
{
    char prompt[300];
    snprintf(prompt, sizeof prompt, "Password of %.200s: ", path);
    int rc = hf_cli_password(prompt, ret, err);
    return rc == -ENOTTY ? hf_fail(err, HF_E_USAGE, "%s is encrypted: give its password with --password-file, in COSIGN_PASSWORD, or on a terminal", path) : rc;
}

int hf_seal_private_key(const char *path, const char *password_file, struct hf_buf *ret_pem, struct hf_err *err)
{
    hf_cleanup(hf_seal_wipe) struct hf_buf pem = HF_BUF_INIT(MAX_KEY);
    hf_cleanup(hf_seal_wipe) struct hf_buf password = HF_BUF_INIT(MAX_PASSWORD);
    int rc = hf_read_file(path, &pem, err);
    if (rc < 0)
        return rc;
    if (!hf_seal_key_encrypted(hf_buf_span(&pem))) {
        hf_buf_adds(ret_pem, hf_buf_span(&pem));
        return hf_buf_ok(ret_pem) ? 0 : hf_fail(err, HF_E_LIMIT, "%s is too large for a key", path);
    }
    const char *env = getenv("COSIGN_PASSWORD");
    if (password_file)
        rc = first_line(password_file, &password, err);
    else if (env)
        hf_buf_addz(&password, env);
    else
        rc = ask(path, &password, err);
    if (rc >= 0 && !hf_buf_ok(&password))
        rc = hf_fail(err, HF_E_LIMIT, "the password is longer than %d bytes", MAX_PASSWORD);
    if (rc < 0)
        return rc;
    rc = hf_seal_key_decrypt(hf_buf_span(&pem), hf_buf_span(&password), ret_pem, err);
    return rc < 0 ? hf_wrap(err, rc, "%s", path) : 0;
}
