/* SPDX-License-Identifier: Apache-2.0 */
#include "base/curl.h"

#include <pthread.h>
#include <stddef.h>

#include "base/library.h"

static struct hf_curl api;
static const char *problem;

static void load(void)
{
    static const struct hf_symbol symbols[] = {
            {"curl_easy_init", offsetof(struct hf_curl, init)}, {"curl_easy_cleanup", offsetof(struct hf_curl, cleanup)},
            {"curl_easy_setopt", offsetof(struct hf_curl, setopt)}, {"curl_easy_perform", offsetof(struct hf_curl, perform)},
            {"curl_easy_getinfo", offsetof(struct hf_curl, getinfo)}, {"curl_easy_strerror", offsetof(struct hf_curl, strerror)},
            {"curl_easy_pause", offsetof(struct hf_curl, pause)}, {"curl_easy_recv", offsetof(struct hf_curl, recv)},
            {"curl_easy_reset", offsetof(struct hf_curl, reset)}, {"curl_easy_send", offsetof(struct hf_curl, send)},
            {"curl_multi_add_handle", offsetof(struct hf_curl, multi_add_handle)},
            {"curl_multi_cleanup", offsetof(struct hf_curl, multi_cleanup)},
            {"curl_multi_info_read", offsetof(struct hf_curl, multi_info_read)},
            {"curl_multi_init", offsetof(struct hf_curl, multi_init)},
            {"curl_multi_perform", offsetof(struct hf_curl, multi_perform)},
            {"curl_multi_poll", offsetof(struct hf_curl, multi_poll)},
            {"curl_multi_remove_handle", offsetof(struct hf_curl, multi_remove_handle)},
            {"curl_slist_append", offsetof(struct hf_curl, slist_append)}, {"curl_slist_free_all", offsetof(struct hf_curl, slist_free_all)},
    };
    problem = hf_library("libcurl.so.4", symbols, sizeof symbols / sizeof symbols[0], &api);
}

const struct hf_curl *hf_curl(struct hf_err *err)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, load);
    if (!problem)
        return &api;
    hf_fail(err, HF_E_UNSUPPORTED, "libcurl cannot be loaded (%s); install the package libcurl4", problem);
    return NULL;
}
