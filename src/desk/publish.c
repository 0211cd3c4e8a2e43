// SPDX-License-Identifier: Apache-2.0
#include "desk/publish.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "notify/conf.h"
#include "store/settings.h"
#include "store/store.h"

enum { ALL_MAX = 2 << 20, FILES_MAX = 256 };

static int put(struct hf_store *s, const char *key, struct hf_buf *doc, struct hf_err *err)
{
    hf_autobuf before = HF_BUF_INIT(HF_STORE_DOC_MAX);
    if (!hf_buf_ok(doc))
        return hf_fail(err, HF_E_LIMIT, "what %s says is too long for the store", key);
    int rc = hf_store_setting_get(s, hf_span_z(key), &before, err);
    if (rc < 0 || (rc > 0 && hf_span_eq(hf_buf_span(&before), hf_buf_span(doc))))
        return rc < 0 ? rc : 0;
    rc = hf_store_setting_put(s, hf_span_z(key), hf_buf_span(doc), err);
    return rc < 0 ? rc : 0;
}

/* ---- channels ---- */

static void updates_of(struct hf_jw *w, unsigned updates)
{
    static const char *const names[] = {"state", "severity", "alert", "comment", "action"};
    hf_jw_key(w, "updates");
    hf_jw_array(w);
    for (unsigned i = 0; i < HF_ARRAY_LEN(names); i++)
        if (updates >> i & 1)
            hf_jw_strz(w, names[i]);
    hf_jw_array_end(w);
}

static bool leads(const uint32_t *to, size_t n, size_t channel)
{
    for (size_t i = 0; i < n; i++)
        if (to[i] == channel)
            return true;
    return false;
}

int hf_publish_channels(struct hf_store *s, const struct hf_nconf *conf, struct hf_err *err)
{
    hf_autobuf doc = HF_BUF_INIT(HF_STORE_DOC_MAX);
    struct hf_jw w;
    hf_jw_init(&w, &doc, false);
    hf_jw_object(&w);
    hf_jw_key(&w, "channels");
    hf_jw_array(&w);
    for (size_t i = 0; i < conf->n_channels; i++) {
        const struct hf_nchannel *c = &conf->channels[i];
        hf_jw_object(&w);
        hf_jw_kstr(&w, "name", c->name);
        hf_jw_kstrz(&w, "kind", (unsigned)c->kind < HF_N_KINDS ? hf_nkinds[c->kind] : "?");
        updates_of(&w, c->updates);
        hf_jw_key(&w, "routes");
        hf_jw_array(&w);
        for (size_t r = 0; r < conf->n_routes; r++)
            if (leads(conf->routes[r].to, conf->routes[r].n_to, i) || leads(conf->routes[r].escalate_to, conf->routes[r].n_escalate_to, i))
                hf_jw_str(&w, conf->routes[r].name);
        hf_jw_array_end(&w);
        hf_jw_object_end(&w);
    }
    hf_jw_array_end(&w);
    hf_jw_object_end(&w);
    return put(s, "console/channels", &doc, err);
}

/* ---- exceptions ---- */

static int wanted(const struct dirent *d)
{
    struct hf_span n = hf_span_z(d->d_name);
    return n.p[0] != '.' && (hf_span_ends(n, HF_S(".yaml")) || hf_span_ends(n, HF_S(".yml")));
}

static int one_file(struct hf_jw *w, const char *path, size_t *room, unsigned *left_out, struct hf_err *err)
{
    hf_autobuf text = HF_BUF_INIT(ALL_MAX);
    int rc = hf_read_file(path, &text, err);
    if (rc == -ENOENT)
        return 0;
    if (rc == HF_E_LIMIT || (rc >= 0 && text.n > *room)) {
        ++*left_out;
        return 0;
    }
    if (rc < 0)
        return rc;
    *room -= text.n;
    hf_jw_object(w);
    hf_jw_kstrz(w, "file", path);
    hf_jw_kstr(w, "text", hf_buf_span(&text));
    hf_jw_object_end(w);
    return 0;
}

static int folder(struct hf_jw *w, const char *path, size_t *room, unsigned *left_out, struct hf_err *err)
{
    struct dirent **all = NULL;
    int n = scandir(path, &all, wanted, alphasort), rc = n < 0 ? hf_fail(err, -errno, "%s: %s", path, strerror(errno)) : 0;
    for (int i = 0; i < n; i++) {
        char file[4200];
        snprintf(file, sizeof file, "%s/%s", path, all[i]->d_name);
        if (i >= FILES_MAX)
            ++*left_out;
        else if (rc == 0)
            rc = one_file(w, file, room, left_out, err);
        free(all[i]);
    }
    free(all);
    return rc;
}

int hf_publish_exceptions(struct hf_store *s, const char *path, struct hf_err *err)
{
    hf_autobuf doc = HF_BUF_INIT(HF_STORE_DOC_MAX);
    size_t room = ALL_MAX;
    unsigned left_out = 0;
    struct stat st;
    struct hf_jw w;
    int rc = 0;
    hf_jw_init(&w, &doc, false);
    hf_jw_object(&w);
    hf_jw_key(&w, "files");
    hf_jw_array(&w);
    if (stat(path, &st) == 0)
        rc = S_ISDIR(st.st_mode) ? folder(&w, path, &room, &left_out, err) : one_file(&w, path, &room, &left_out, err);
    else if (errno != ENOENT)
        rc = hf_fail(err, -errno, "%s: %s", path, strerror(errno));
    hf_jw_array_end(&w);
    hf_jw_ku64(&w, "left_out", left_out);
    hf_jw_object_end(&w);
    return rc < 0 ? rc : put(s, "console/exceptions", &doc, err);
}

int hf_published(struct hf_store *s, const char *what, struct hf_json_doc **ret, struct hf_err *err)
{
    hf_autobuf text = HF_BUF_INIT(HF_STORE_DOC_MAX);
    char key[64];
    snprintf(key, sizeof key, "console/%s", what);
    int rc = hf_store_setting_get(s, hf_span_z(key), &text, err);
    if (rc <= 0)
        return rc;
    rc = hf_json_parse(hf_buf_span(&text), ret, err);
    return rc < 0 ? rc : 1;
}
