/* SPDX-License-Identifier: Apache-2.0 */
#include "base/config.h"

#include <stdio.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "tap.h"

static struct hf_err err;

static struct hf_config *parse(const char *text)
{
    struct hf_config *c = NULL;
    err = (struct hf_err)HF_ERR_INIT;
    int rc = hf_config_parse(&c, hf_span_z(text), "x.yaml", &err);
    OK((rc == 0) == (c != NULL) && (rc == 0 || (rc == HF_E_USAGE && err.msg[0])));
    return c;
}

/* The message has both texts in it. */
static void refused(const char *text, const char *where, const char *what)
{
    struct hf_config *c = parse(text);
    if (!OK(!c && strstr(err.msg, where) == err.msg && strstr(err.msg, what)))
        printf("# %s\n", err.msg);
    hf_config_free(c);
}

static void texts(void)
{
    hf_cleanup(hf_config_freep) struct hf_config *c = parse("# comment\nscan:\n  cache_dir: /c\n  max_memory: 64M\ndb: {path: \"/d x\", max_age_hours: 48}\n");
    OK(c && !strcmp(c->cache_dir, "/c") && c->max_memory == 64 << 20 && !strcmp(c->db_path, "/d x") && c->db_max_age_h == 48);
    static const char *const nothing[] = {"", "\n", "# only a comment\n", "---\n", "scan:\n", "scan: {}\n", "{}", "\xef\xbb\xbfscan:\n"};
    for (size_t i = 0; i < HF_ARRAY_LEN(nothing); i++) {
        hf_cleanup(hf_config_freep) struct hf_config *d = parse(nothing[i]);
        OK(d && d->cache_dir && d->db_path && d->store_url && d->docker_host && d->max_memory == 256 << 20 && d->db_max_age_h == 120);
    }
    refused("scan:\n  cache_dri: /c\n", "x.yaml:2: ", "did you mean scan.cache_dir?");
    refused("scan:\n\n  zzzzzzzzzzzz: 1\n", "x.yaml:3: ", "unknown key \"scan.zzzzzzzzzzzz\"");
    refused("scna:\n  cache_dir: /c\n", "x.yaml:1: ", "did you mean scan?");
    refused("scna:\n", "x.yaml:1: ", "unknown section");
    refused("db:\n  max_age_hours: soon\n", "x.yaml:2: ", "db.max_age_hours wants a number from 1 to");
    refused("db:\n  max_age_hours: 0\n", "x.yaml:2: ", "not \"0\"");
    refused("db:\n  max_age_hours:\n", "x.yaml:2: ", "wants a number");
    refused("scan:\n  max_memory: 1M\n", "x.yaml:2: ", "a size such as 64M");
    refused("scan:\n  max_memory: 17179869184G\n", "x.yaml:2: ", "a size such as 64M"); /* 2^64 bytes */
    refused("db:\n  path: ''\n", "x.yaml:2: ", "db.path is empty");
    refused("db:\n  path: /a\n  path: /b\n", "x.yaml:3: ", "already set in line 2");
    refused("db:\n  path: /a\n---\ndb:\n  path: /b\n", "x.yaml:5: ", "already set in line 2");
    refused("db:\n  path: [a, b]\n", "x.yaml:2: ", "a list");
    refused("db:\n  path: {a: b}\n", "x.yaml:2: ", "nested too deep");
    refused("- db\n", "x.yaml:1: ", "a list");
    refused("just text\n", "x.yaml:1: ", "sections");
    refused("db: /a\n", "x.yaml:1: ", "not a value");
    refused("? {a: b}\n: c\n", "x.yaml:1: ", "nested");
    refused("db: &x\n  path: /a\ndocker: *x\n", "x.yaml:3: ", "alias");
    refused("db:\n  path: \"open\n", "x.yaml:", "");
    refused("db:\n\tpath: /a\n", "x.yaml:2: ", "");
    refused("db:\n  path: \"\\0\"\n", "x.yaml:2: ", "NUL");
    refused("db:\n  path: \xff\n", "x.yaml:", "");
    refused("db:\n  \"pa\x1b[31mth\": x\n", "x.yaml:", "");
    hf_autobuf deep = HF_BUF_INIT(1 << 20);
    for (unsigned i = 0; i < 100000; i++)
        hf_buf_addc(&deep, i & 1 ? '{' : '[');
    refused(hf_buf_z(&deep), "x.yaml:1: ", "a list");
    hf_buf_clear(&deep);
    for (unsigned i = 0; i < 300; i++)
        hf_buf_addc(&deep, 'x');
    hf_buf_addz(&deep, ":\n  path: x\n");
    refused(hf_buf_z(&deep), "x.yaml:1: ", "too long");
}

static void put(const char *dir, const char *name, const char *text)
{
    hf_autobuf path = HF_BUF_INIT(4096);
    hf_buf_addf(&path, "%s/%s", dir, name);
    OK(hf_write_file(hf_buf_z(&path), 0600, hf_span_z(text), NULL) == 0);
}
static void drop(const char *dir, const char *name)
{
    hf_autobuf path = HF_BUF_INIT(4096);
    hf_buf_addf(&path, "%s/%s", dir, name);
    OK(unlink(hf_buf_z(&path)) == 0 || rmdir(hf_buf_z(&path)) == 0);
}

/* default < holdfast.yaml < conf.d in order of names < environment; one file given instead of all. */
static void order(const char *dir)
{
    hf_autobuf path = HF_BUF_INIT(4096);
    hf_autobuf shown = HF_BUF_INIT(1 << 16);
    struct hf_config *c = NULL;
    OK(hf_config_load_from(&c, dir, NULL, &err) == 0 && c->db_max_age_h == 120); /* nothing there is fine */
    hf_config_free(c);
    hf_buf_addf(&path, "%s/conf.d", dir);
    OK(mkdir(hf_buf_z(&path), 0700) == 0);
    put(dir, "holdfast.yaml", "db:\n  max_age_hours: 1\n  path: /from-file\nscan:\n  cache_dir: /from-file\ndocker: {host: unix:///f}\n");
    put(dir, "conf.d/20-b.yaml", "db:\n  max_age_hours: 3\n");
    put(dir, "conf.d/10-a.yaml", "db:\n  max_age_hours: 2\n  path: /from-conf.d\n");
    put(dir, "conf.d/99-off.yaml.bak", "not: read\n");
    put(dir, "conf.d/.hidden.yaml", "not: read\n");
    OK(setenv("HOLDFAST_SCAN_CACHE_DIR", "/from-env", 1) == 0);
    c = NULL;
    OK(hf_config_load_from(&c, dir, NULL, &err) == 0);
    OK(c && c->db_max_age_h == 3 && !strcmp(c->db_path, "/from-conf.d") && !strcmp(c->cache_dir, "/from-env") && !strcmp(c->docker_host, "unix:///f"));
    if (c)
        hf_config_show(c, &shown);
    static const char *const lines[] = {"scan.cache_dir", "HOLDFAST_SCAN_CACHE_DIR", "conf.d/20-b.yaml:2", "holdfast.yaml:6", "default", "/from-conf.d"};
    for (size_t i = 0; i < HF_ARRAY_LEN(lines); i++)
        OK(hf_span_search(hf_buf_span(&shown), hf_span_z(lines[i])) != SIZE_MAX);
    hf_config_free(c);
    OK(setenv("HOLDFAST_DB_MAX_AGE_HOURS", "-5", 1) == 0);
    c = NULL;
    OK(hf_config_load_from(&c, dir, NULL, &err) == HF_E_USAGE && !c && strstr(err.msg, "HOLDFAST_DB_MAX_AGE_HOURS"));
    OK(unsetenv("HOLDFAST_DB_MAX_AGE_HOURS") == 0 && unsetenv("HOLDFAST_SCAN_CACHE_DIR") == 0);
    hf_buf_clear(&path);
    hf_buf_addf(&path, "%s/conf.d/10-a.yaml", dir);
    OK(hf_config_load_from(&c, dir, hf_buf_z(&path), &err) == 0 && c->db_max_age_h == 2 && strcmp(c->docker_host, "unix:///f") != 0);
    hf_config_free(c);
    c = NULL;
    OK(hf_config_load_from(&c, dir, "/nonexistent.yaml", &err) == HF_E_USAGE && strstr(err.msg, "/nonexistent.yaml"));
    put(dir, "conf.d/20-b.yaml", "db:\n  max_age_hours: 3\n  pth: /x\n");
    OK(hf_config_load_from(&c, dir, NULL, &err) == HF_E_USAGE && !c && strstr(err.msg, "conf.d/20-b.yaml:3: ") && strstr(err.msg, "db.path"));
    drop(dir, "conf.d/20-b.yaml");
    drop(dir, "conf.d/10-a.yaml");
    drop(dir, "conf.d/99-off.yaml.bak");
    drop(dir, "conf.d/.hidden.yaml");
    drop(dir, "conf.d");
    put(dir, "conf.d", "a file\n");
    OK(hf_config_load_from(&c, dir, NULL, &err) == HF_E_USAGE && !c && strstr(err.msg, "conf.d"));
    drop(dir, "conf.d");
    drop(dir, "holdfast.yaml");
    OK(rmdir(dir) == 0);
}

int main(void)
{
    char dir[] = "/tmp/hf-test-config-XXXXXX";
    texts();
    if (OK(mkdtemp(dir) != NULL))
        order(dir);
    return tap_done();
}
