/* SPDX-License-Identifier: Apache-2.0 */
#include "advisories/fetch/download.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

#include "base/curl.h"
#include "base/fs.h"
#include "base/hash.h"
#include "base/json.h"

enum {
    CONNECT_S = 20,
    SLOW_BYTES = 256,  /* fewer bytes a second for SLOW_S seconds is a dead transfer */
    SLOW_S = 30,
    TOTAL_S = 4 * 3600,
    REDIRECTS = 5,
    MAX_META = 16 << 10,
    MAX_VALUE = 1024,
};

/* What is remembered of a file: which address it is of, and the server's validators.  The same for a part. */
struct meta {
    char etag[MAX_VALUE], modified[MAX_VALUE];
};

struct transfer {
    const struct hf_download *d;
    const struct hf_curl *curl;
    CURL *easy;
    int fd;
    uint64_t have;     /* bytes of the part already there */
    long status;
    struct meta seen;  /* of the response */
    char md5[64];      /* base64 of x-goog-hash */
    bool over, io_error, too_late;
};

int hf_download_check_url(const char *url, struct hf_err *err)
{
    static const char *const local[] = {"127.0.0.1", "[::1]", "localhost"};
    const char *host = strstr(url, "://");
    if (host && memchr(host + 3, '@', strcspn(host + 3, "/?#"))) /* "http://127.0.0.1:x@elsewhere/" */
        return hf_fail(err, HF_E_USAGE, "\"%s\" is not fetched: a name or password in an address would stand in messages and logs", url);
    if (!strncmp(url, "https://", 8) && url[8])
        return 0;
    for (size_t i = 0; i < HF_ARRAY_LEN(local) && !strncmp(url, "http://", 7); i++) {
        size_t n = strlen(local[i]);
        if (!strncmp(url + 7, local[i], n) && (!url[7 + n] || url[7 + n] == ':' || url[7 + n] == '/'))
            return 0;
    }
    return hf_fail(err, HF_E_USAGE, "\"%s\" is not fetched: addresses begin with https://, or http:// for this machine only", url);
}

static void keep_value(const char *line, size_t n, const char *name, char out[MAX_VALUE])
{
    size_t k = strlen(name);
    struct hf_span v;
    if (n <= k || !hf_span_eq_nocase(hf_span(line, k), hf_span_z(name)))
        return;
    v = hf_span_trim(hf_span(line + k, n - k));
    if (v.n < MAX_VALUE && !memchr(v.p ? v.p : "", '\n', v.n))
        snprintf(out, MAX_VALUE, HF_SPAN_FMT, HF_SPAN_ARG(v));
}

static size_t on_header(char *line, size_t size, size_t n, void *ctx)
{
    struct transfer *t = ctx;
    n *= size;
    if (n > 5 && !memcmp(line, "HTTP/", 5)) /* the last response of a chain of redirects counts */
        t->seen = (struct meta){{0}, {0}};
    keep_value(line, n, "etag:", t->seen.etag);
    keep_value(line, n, "last-modified:", t->seen.modified);
    char hash[MAX_VALUE] = "";
    keep_value(line, n, "x-goog-hash:", hash);
    char *md5 = strstr(hash, "md5=");
    if (md5)
        snprintf(t->md5, sizeof t->md5, "%.*s", (int)strcspn(md5 + 4, ", "), md5 + 4);
    return n;
}

static size_t on_body(char *p, size_t size, size_t n, void *ctx)
{
    struct transfer *t = ctx;
    n *= size;
    if (!t->status) {
        t->curl->getinfo(t->easy, CURLINFO_RESPONSE_CODE, &t->status);
        /* The server gives the whole after all: what was there is of no use. */
        if (t->status == 200 && t->have) {
            if (ftruncate(t->fd, 0) < 0 || lseek(t->fd, 0, SEEK_SET) < 0)
                t->io_error = true;
            t->have = 0;
        }
    }
    if (t->status != 200 && t->status != 206)
        return n; /* the text of an error page */
    t->have += n;
    if (t->have > t->d->max_bytes) {
        t->over = true;
        return 0;
    }
    for (size_t done = 0; done < n && !t->io_error;) {
        ssize_t w = write(t->fd, p + done, n - done);
        if (w < 0 && errno == EINTR)
            continue;
        t->io_error = w < 0;
        done += w > 0 ? (size_t)w : 0;
    }
    hf_progress_add(t->d->progress, n);
    return t->io_error ? 0 : n;
}

/* --- what is remembered --- */

static void read_meta(const char *path, const char *url, struct meta *ret)
{
    hf_autobuf text = HF_BUF_INIT(MAX_META);
    hf_cleanup(hf_json_doc_freep) struct hf_json_doc *doc = NULL;
    *ret = (struct meta){{0}, {0}};
    if (hf_read_file(path, &text, NULL) < 0 || hf_json_parse(hf_buf_span(&text), &doc, NULL) < 0)
        return;
    hf_jnode root = hf_json_root(doc);
    if (!hf_span_eqz(hf_jgetstr(root, "url"), url))
        return;
    snprintf(ret->etag, sizeof ret->etag, HF_SPAN_FMT, HF_SPAN_ARG(hf_span_sub(hf_jgetstr(root, "etag"), 0, MAX_VALUE - 1)));
    snprintf(ret->modified, sizeof ret->modified, HF_SPAN_FMT, HF_SPAN_ARG(hf_span_sub(hf_jgetstr(root, "last_modified"), 0, MAX_VALUE - 1)));
}

static int write_meta(const char *path, const char *url, const struct meta *m, struct hf_err *err)
{
    hf_autobuf out = HF_BUF_INIT(MAX_META);
    struct hf_jw w;
    hf_jw_init(&w, &out, true);
    hf_jw_object(&w);
    hf_jw_kstrz(&w, "url", url);
    hf_jw_kstrz(&w, "etag", m->etag);
    hf_jw_kstrz(&w, "last_modified", m->modified);
    hf_jw_object_end(&w);
    return hf_write_file(path, 0644, hf_buf_span(&out), err);
}

/* --- one request --- */

static void add_line(const struct hf_curl *curl, struct curl_slist **list, const char *name, const char *value)
{
    char line[MAX_VALUE + 64];
    if (!*value)
        return;
    snprintf(line, sizeof line, "%s: %s", name, value);
    struct curl_slist *more = curl->slist_append(*list, line);
    if (more)
        *list = more;
}

static void common(const struct hf_curl *curl, CURL *c, const char *url)
{
    curl->setopt(c, CURLOPT_URL, url);
    curl->setopt(c, CURLOPT_USERAGENT, "holdfast/" HF_VERSION);
    curl->setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
    /* From TLS only to TLS; a mirror on this machine may send to itself. */
    curl->setopt(c, CURLOPT_REDIR_PROTOCOLS_STR, "https");
    curl->setopt(c, CURLOPT_FOLLOWLOCATION, 1L);
    curl->setopt(c, CURLOPT_MAXREDIRS, (long)REDIRECTS);
    curl->setopt(c, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_S);
    curl->setopt(c, CURLOPT_LOW_SPEED_LIMIT, (long)SLOW_BYTES);
    const char *slow = getenv("HF_FETCH_SLOW_S"); /* tests do not wait half a minute */
    uint64_t seconds = SLOW_S;
    if (slow && hf_parse_u64(hf_span_z(slow), 10, 1, 3600, &seconds) < 0)
        seconds = SLOW_S;
    curl->setopt(c, CURLOPT_LOW_SPEED_TIME, (long)seconds);
    curl->setopt(c, CURLOPT_TIMEOUT, (long)TOTAL_S);
    curl->setopt(c, CURLOPT_NOSIGNAL, 1L);
    curl->setopt(c, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
}

static CURLcode ask(struct transfer *t, const struct meta *known, const struct meta *part)
{
    const struct hf_curl *curl = t->curl;
    struct curl_slist *lines = NULL;
    char range[64];
    t->status = 0;
    t->seen = (struct meta){{0}, {0}};
    common(curl, t->easy, t->d->url);
    curl->setopt(t->easy, CURLOPT_HEADERFUNCTION, on_header);
    curl->setopt(t->easy, CURLOPT_HEADERDATA, t);
    curl->setopt(t->easy, CURLOPT_WRITEFUNCTION, on_body);
    curl->setopt(t->easy, CURLOPT_WRITEDATA, t);
    if (t->have) {
        snprintf(range, sizeof range, "%llu-", (unsigned long long)t->have);
        curl->setopt(t->easy, CURLOPT_RANGE, range);
        /* A weak validator does not say that the bytes are the same. */
        add_line(curl, &lines, "If-Range", part->etag[0] && strncmp(part->etag, "W/", 2) ? part->etag : part->modified);
    } else {
        curl->setopt(t->easy, CURLOPT_RANGE, NULL);
        add_line(curl, &lines, "If-None-Match", known->etag);
        if (!known->etag[0])
            add_line(curl, &lines, "If-Modified-Since", known->modified);
    }
    curl->setopt(t->easy, CURLOPT_HTTPHEADER, lines);
    CURLcode rc = curl->perform(t->easy);
    curl->getinfo(t->easy, CURLINFO_RESPONSE_CODE, &t->status);
    curl->setopt(t->easy, CURLOPT_HTTPHEADER, NULL);
    curl->slist_free_all(lines);
    return rc;
}

static int digests(struct transfer *t, const char *part, struct hf_err *err)
{
    hf_autoclose int fd = open(part, O_RDONLY | O_CLOEXEC);
    hf_cleanup(hf_hash_freep) struct hf_hash *sha = hf_hash_new(HF_SHA256);
    EVP_MD_CTX *md5 = EVP_MD_CTX_new();
    hf_autofree char *block = malloc(1 << 18);
    if (fd < 0 || !sha || !md5 || !block || EVP_DigestInit_ex(md5, EVP_md5(), NULL) != 1) {
        EVP_MD_CTX_free(md5);
        return hf_fail(err, -EIO, "%s: cannot be read again", part);
    }
    ssize_t n;
    while ((n = read(fd, block, 1 << 18)) > 0) {
        hf_hash_add(sha, block, (size_t)n);
        EVP_DigestUpdate(md5, block, (size_t)n);
    }
    uint8_t raw[64];
    unsigned len = 0;
    char text[129], base64[64];
    EVP_DigestFinal_ex(md5, raw, &len);
    EVP_EncodeBlock((unsigned char *)base64, raw, (int)len);
    EVP_MD_CTX_free(md5);
    hf_hex(raw, hf_hash_end(sha, raw), text);
    if (n < 0)
        return hf_fail(err, -errno, "%s: %s", part, hf_err_name(-errno));
    if (t->d->sha256 && strcmp(text, t->d->sha256) != 0)
        return hf_fail(err, HF_E_DIGEST, "%s: expected sha256:%s but it is sha256:%s", t->d->url, t->d->sha256, text);
    if (t->md5[0] && strcmp(base64, t->md5) != 0)
        return hf_fail(err, HF_E_DIGEST, "%s: the server announced md5 %s but it is %s", t->d->url, t->md5, base64);
    return 0;
}

static int explain(const struct transfer *t, CURLcode rc, struct hf_err *err)
{
    const char *url = t->d->url;
    if (t->over)
        return hf_fail(err, HF_E_LIMIT, "%s: more than %llu bytes", url, (unsigned long long)t->d->max_bytes);
    if (t->io_error)
        return hf_fail(err, -EIO, "%s: cannot be written: %s", t->d->path, hf_err_name(-errno));
    if (rc == CURLE_UNSUPPORTED_PROTOCOL && t->status >= 300 && t->status < 400)
        return hf_fail(err, HF_E_UNSUPPORTED, "%s: redirects to an address that is not https", url);
    if (rc != CURLE_OK)
        return hf_fail(err, -EIO, "%s: %s", url, t->curl->strerror(rc));
    if (t->status == 404 || t->status == 410)
        return t->d->may_be_missing ? HF_E_NOT_FOUND : hf_fail(err, HF_E_NOT_FOUND, "%s: not there (status %ld)", url, t->status);
    return hf_fail(err, -EIO, "%s: status %ld", url, t->status);
}

/* PATH.part is whole: check it and put it in place. */
static int finish(struct transfer *t, const char *part, const char *part_meta, const char *meta, struct hf_err *err)
{
    int rc = fsync(t->fd) < 0 ? hf_fail(err, -errno, "%s: %s", part, hf_err_name(-errno)) : digests(t, part, err);
    if (rc < 0) {
        if (rc == HF_E_DIGEST) { /* resuming would only give the same again */
            unlink(part);
            unlink(part_meta);
        }
        return rc;
    }
    unlink(meta); /* so that a crash between the two asks again instead of believing the old validators */
    if (rename(part, t->d->path) < 0)
        return hf_fail(err, -errno, "%s: %s", t->d->path, hf_err_name(-errno));
    unlink(part_meta);
    rc = write_meta(meta, t->d->url, &t->seen, err);
    return rc < 0 ? rc : 1;
}

static int transfer(struct transfer *t, const char *part, const char *part_meta, const char *meta, struct hf_err *err)
{
    struct meta known, resumed;
    struct stat st;
    read_meta(meta, t->d->url, &known);
    if (stat(t->d->path, &st) < 0)
        known = (struct meta){{0}, {0}};
    read_meta(part_meta, t->d->url, &resumed);
    bool validated = (resumed.etag[0] && strncmp(resumed.etag, "W/", 2)) || resumed.modified[0];
    if (fstat(t->fd, &st) == 0 && st.st_size > 0 && validated)
        t->have = (uint64_t)st.st_size;
    else if (ftruncate(t->fd, 0) < 0)
        return hf_fail(err, -errno, "%s: %s", part, hf_err_name(-errno));
    if (lseek(t->fd, (off_t)t->have, SEEK_SET) < 0)
        return hf_fail(err, -errno, "%s: %s", part, hf_err_name(-errno));
    uint64_t before = t->have;
    CURLcode rc = ask(t, &known, &resumed);
    if (t->status == 416 && before) { /* the file became shorter */
        if (ftruncate(t->fd, 0) < 0 || lseek(t->fd, 0, SEEK_SET) < 0)
            return hf_fail(err, -errno, "%s: %s", part, hf_err_name(-errno));
        t->have = 0;
        rc = ask(t, &known, &resumed);
    }
    if (rc == CURLE_OK && t->status == 304) {
        unlink(part);
        unlink(part_meta);
        int same = t->d->sha256 ? digests(t, t->d->path, err) : 0;
        if (same < 0) { /* "unchanged", but not what the index lists: asked for without conditions the next time */
            unlink(meta);
            return same;
        }
        (void)!utimensat(AT_FDCWD, t->d->path, NULL, 0); /* known to be as it is now */
        return 0;
    }
    if (rc == CURLE_OK && (t->status == 200 || t->status == 206))
        return finish(t, part, part_meta, meta, err);
    if (t->over || t->have == 0) {
        unlink(part);
        unlink(part_meta);
    } else if (t->seen.etag[0] || t->seen.modified[0]) {
        (void)!write_meta(part_meta, t->d->url, &t->seen, NULL);
    }
    return explain(t, rc, err);
}

int hf_download(const struct hf_download *d, struct hf_err *err)
{
    hf_autobuf part = HF_BUF_INIT(8192), meta = HF_BUF_INIT(8192), part_meta = HF_BUF_INIT(8192);
    struct transfer t = {.d = d, .fd = -1};
    int rc = hf_download_check_url(d->url, err);
    if (rc < 0)
        return rc;
    if (!(t.curl = hf_curl(err)))
        return HF_E_UNSUPPORTED;
    hf_buf_addf(&part, "%s.part", d->path);
    hf_buf_addf(&meta, "%s.meta", d->path);
    hf_buf_addf(&part_meta, "%s.part.meta", d->path);
    if (!hf_buf_ok(&part) || !hf_buf_ok(&part_meta))
        return hf_fail(err, -ENAMETOOLONG, "%s: too long", d->path);
    t.fd = open(hf_buf_z(&part), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (t.fd < 0)
        return hf_fail(err, -errno, "%s: %s", hf_buf_z(&part), hf_err_name(-errno));
    t.easy = t.curl->init();
    rc = t.easy ? transfer(&t, hf_buf_z(&part), hf_buf_z(&part_meta), hf_buf_z(&meta), err) : hf_fail(err, -ENOMEM, "out of memory");
    if (t.easy)
        t.curl->cleanup(t.easy);
    close(t.fd);
    struct stat st;
    if (stat(hf_buf_z(&part), &st) == 0 && st.st_size == 0)
        unlink(hf_buf_z(&part));
    return rc;
}

static size_t on_text(char *p, size_t size, size_t n, void *ctx)
{
    struct hf_buf *out = ctx;
    hf_buf_add(out, p, size * n);
    return hf_buf_ok(out) ? size * n : 0;
}

int hf_download_text(const char *url, struct hf_buf *out, struct hf_err *err)
{
    const struct hf_curl *curl;
    int rc = hf_download_check_url(url, err);
    if (rc < 0)
        return rc;
    if (!(curl = hf_curl(err)))
        return HF_E_UNSUPPORTED;
    CURL *c = curl->init();
    if (!c)
        return hf_fail(err, -ENOMEM, "out of memory");
    common(curl, c, url);
    curl->setopt(c, CURLOPT_WRITEFUNCTION, on_text);
    curl->setopt(c, CURLOPT_WRITEDATA, out);
    CURLcode done = curl->perform(c);
    long status = 0;
    curl->getinfo(c, CURLINFO_RESPONSE_CODE, &status);
    curl->cleanup(c);
    if (!hf_buf_ok(out))
        return hf_fail(err, HF_E_LIMIT, "%s: more than %zu bytes", url, out->max);
    if (done != CURLE_OK)
        return hf_fail(err, -EIO, "%s: %s", url, curl->strerror(done));
    return status == 200 ? 0 : hf_fail(err, status == 404 || status == 410 ? HF_E_NOT_FOUND : -EIO, "%s: status %ld", url, status);
}
