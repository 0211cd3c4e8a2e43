/* SPDX-License-Identifier: Apache-2.0 */
/* curl.h - libcurl, loaded when the first request is made.
 *
 * It brings some forty libraries with it, which would cost every run eight milliseconds and several MiB, though most make no
 * request. */
#pragma once
#include <curl/curl.h>

#include "base/err.h"

struct hf_curl {
    __typeof__(&curl_easy_init) init;
    __typeof__(&curl_easy_cleanup) cleanup;
    __typeof__(&curl_easy_setopt) setopt;
    __typeof__(&curl_easy_perform) perform;
    __typeof__(&curl_easy_getinfo) getinfo;
    __typeof__(&curl_easy_strerror) strerror;
    __typeof__(&curl_easy_pause) pause;
    __typeof__(&curl_easy_recv) recv;
    __typeof__(&curl_easy_reset) reset;
    __typeof__(&curl_easy_send) send;
    __typeof__(&curl_multi_add_handle) multi_add_handle;
    __typeof__(&curl_multi_cleanup) multi_cleanup;
    __typeof__(&curl_multi_info_read) multi_info_read;
    __typeof__(&curl_multi_init) multi_init;
    __typeof__(&curl_multi_perform) multi_perform;
    __typeof__(&curl_multi_poll) multi_poll;
    __typeof__(&curl_multi_remove_handle) multi_remove_handle;
    __typeof__(&curl_slist_append) slist_append;
    __typeof__(&curl_slist_free_all) slist_free_all;
};
/* NULL and the error when the library is missing.  Thread-safe. */
const struct hf_curl *hf_curl(struct hf_err *err);
