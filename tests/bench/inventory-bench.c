/* SPDX-License-Identifier: Apache-2.0 */
/* What a new advisory database costs: inventory-bench STORE DATABASE SCAN.json IMAGES PACKAGES puts a real scan into the inventory as so many images (the
 * first PACKAGES of it, without its vulnerabilities), each running, matches them, and makes incidents (docs/performance.md). */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/fs.h"
#include "base/json.h"
#include "inventory/inventory.h"
#include "store/incidents.h"
#include "store/store.h"

static struct hf_err err;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Of this process: what a machine that others work on too cannot stretch. */
static double cpu(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int good(int rc, const char *what)
{
    if (rc < 0) {
        fprintf(stderr, "inventory-bench: %s: %s\n", what, err.msg);
        exit(1);
    }
    return rc;
}

/* Those that have vulnerabilities first: else the first of the alphabet would be all that is matched. */
static void sort_vulnerable(cJSON *packages, const cJSON *vulns)
{
    int front = 0;
    for (const cJSON *v = vulns ? vulns->child : NULL; v; v = v->next) {
        const cJSON *purl = cJSON_GetObjectItemCaseSensitive(v, "purl");
        int at = 0;
        for (cJSON *p = packages->child; p && cJSON_IsString(purl); p = p->next, at++) {
            const cJSON *own = cJSON_GetObjectItemCaseSensitive(p, "purl");
            if (at < front || !cJSON_IsString(own) || strcmp(own->valuestring, purl->valuestring) != 0)
                continue;
            cJSON_InsertItemInArray(packages, 0, cJSON_DetachItemViaPointer(packages, p));
            front++;
            break;
        }
    }
}

static void cut(cJSON *list, int n)
{
    while (cJSON_GetArraySize(list) > n)
        cJSON_DeleteItemFromArray(list, n);
}

static void fill(struct hf_store *s, const char *path, unsigned images, int packages)
{
    hf_autobuf text = HF_BUF_INIT(HF_INV_SCAN_MAX), out = HF_BUF_INIT(HF_INV_SCAN_MAX);
    good(hf_read_file(path, &text, &err), path);
    cJSON *root = cJSON_ParseWithLength(text.p, text.n), *image = cJSON_GetObjectItemCaseSensitive(root, "image");
    sort_vulnerable(cJSON_GetObjectItemCaseSensitive(root, "packages"), cJSON_GetObjectItemCaseSensitive(root, "vulnerabilities"));
    cut(cJSON_GetObjectItemCaseSensitive(root, "packages"), packages);
    cut(cJSON_GetObjectItemCaseSensitive(root, "vulnerabilities"), 0);
    for (unsigned i = 0; i < images; i++) {
        char digest[80], id[32];
        struct hf_jw w;
        snprintf(digest, sizeof digest, "sha256:%064x", i + 1);
        snprintf(id, sizeof id, "box-%u", i);
        cJSON_DeleteItemFromObjectCaseSensitive(image, "digest");
        cJSON_AddStringToObject(image, "digest", digest);
        hf_buf_clear(&out);
        hf_jw_init(&w, &out, false);
        hf_inv_json(&w, root);
        good(hf_inv_scan(s, hf_buf_span(&out), hf_span(NULL, 0), NULL, &err), "scan");
        good(hf_store_container_put(s, &(struct hf_inv_container){hf_span_z(id), HF_S("h"), hf_span_z(id), HF_S("shop/web:1"), hf_span_z(digest), HF_S("{}"), 1, 0, 1}, &err), "container");
    }
    cJSON_Delete(root);
}

int main(int argc, char **argv)
{
    struct hf_store *s = NULL;
    struct hf_inv_rematched r;
    struct hf_inv_news *news;
    uint64_t images = 0, packages = 0, change = 0;
    if (argc != 6 || hf_parse_u64(hf_span_z(argv[4]), 10, 1, 100000, &images) < 0 || hf_parse_u64(hf_span_z(argv[5]), 10, 1, 100000, &packages) < 0) {
        fprintf(stderr, "inventory-bench STORE DATABASE SCAN.json IMAGES PACKAGES\n");
        return 2;
    }
    good(hf_store_open(&s, argv[1], &err), argv[1]);
    double t = now(), c = cpu();
    fill(s, argv[3], (unsigned)images, (int)packages);
    printf("%-28s %8.2f s (cpu %.2f s, %.1f ms an image)\n", "scans put in", now() - t, cpu() - c, (cpu() - c) * 1000 / (double)images);
    good(hf_inv_news_new(&news, s, NULL), "news");
    for (unsigned round = 0; round < 4; round++) {
        static const char *const names[] = {"first match", "match again, nothing new", "is anything to do", "all of it new"};
        if (round == 3)
            for (unsigned i = 0; i < images; i++) {
                char digest[80];
                snprintf(digest, sizeof digest, "sha256:%064x", i + 1);
                good(hf_store_findings_put(s, hf_span_z(digest), NULL, 0, &err), "findings");
            }
        t = now();
        c = cpu();
        good(hf_inv_rematch(s, &(struct hf_inv_rematch_opts){.db_path = argv[2], .all = round & 1}, hf_inv_collect, news, &r, &err), "rematch");
        printf("%-28s %8.2f s (cpu %.2f s): %llu images, %llu packages, %llu findings, %llu added, %llu changed\n", names[round], now() - t, cpu() - c, (unsigned long long)r.images, (unsigned long long)r.packages,
                (unsigned long long)r.findings, (unsigned long long)r.added, (unsigned long long)r.changed);
    }
    t = now();
    c = cpu();
    int made = good(hf_inv_incidents(news, HF_S("h"), hf_store_now(), &err), "incidents");
    printf("%-28s %8.2f s (cpu %.2f s): %d\n", "incidents of that", now() - t, cpu() - c, made);
    t = now();
    for (unsigned i = 0; i < 1000; i++)
        good(hf_store_incident_last_change(s, &change, &err), "last change");
    printf("%-28s %8.2f us\n", "has an incident changed", (now() - t) * 1e6 / 1000);
    hf_inv_news_free(news);
    hf_store_close(s);
    return 0;
}
