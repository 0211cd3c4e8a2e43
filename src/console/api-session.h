/* SPDX-License-Identifier: Apache-2.0 */
/* api-session.h - handlers of signing in and out, accounts, tokens and the stream; rows of routes.c. */
#pragma once
#include "console/api.h"

#define HF_HANDLER(name) int name(struct hf_api *api, const struct hf_request *q, struct hf_reply *ret, struct hf_err *err)
HF_HANDLER(hf_api_session_methods);
HF_HANDLER(hf_api_session_get);
HF_HANDLER(hf_api_session_post);
HF_HANDLER(hf_api_session_delete);
HF_HANDLER(hf_api_session_password);
HF_HANDLER(hf_api_oidc_start);
HF_HANDLER(hf_api_oidc_callback);
HF_HANDLER(hf_api_stream);
/* api-accounts.c */
HF_HANDLER(hf_api_users_get);
HF_HANDLER(hf_api_users_post);
HF_HANDLER(hf_api_user_patch);
HF_HANDLER(hf_api_user_delete);
HF_HANDLER(hf_api_tokens_get);
HF_HANDLER(hf_api_tokens_post);
HF_HANDLER(hf_api_token_delete);

/* ns since the epoch as RFC 3339. */
void hf_api_time(int64_t ns, char ret[40]);
