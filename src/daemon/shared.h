/* SPDX-License-Identifier: Apache-2.0 */
/* shared.h - what the daemon's processes tell of themselves: one page or two of memory that the supervisor made before it started them.
 *
 * Each number has one writer (or is only added to, atomically); who reads may see one a moment old.  The hub and the hand are less trusted than the
 * supervisor: it takes what stands here as numbers and as text to be bounded and escaped, and decides nothing by it but what it says. */
#pragma once
#include <stdint.h>

enum { HF_SHARED_TEXT = 256 };
struct hf_daemon_shared {
    /* hub: lines of watch */
    uint64_t lines, lines_refused;
    uint64_t lines_dropped;    /* not looked at for incidents and inventory: too many waited */
    uint64_t console_dropped;  /* not passed on to the console: it did not read */
    uint64_t waiting_bytes;    /* of lines that wait to be looked at */
    uint64_t sensor_lost;      /* events that the sensor says it lost */
    /* hub: the store */
    uint64_t alerts, incidents_new, incidents_changed;
    uint64_t alerts_dropped;   /* the store was down too long */
    uint64_t pending_bytes;    /* alerts that wait for the store */
    uint64_t store_failures;
    uint64_t store_down_since; /* seconds since the epoch; 0: it takes what is written */
    /* hub: channels */
    uint64_t channels, queue_waiting, queue_dead, delivered, retries, answers;
    uint64_t delivered_age_ms; /* of the last that was delivered: from its push */
    /* hub: inventory */
    uint64_t scans, scans_failed, scans_waiting, rematches;
    /* hand */
    uint64_t hand_asked, hand_refused, hand_failed;
    /* supervisor: lines thrown away while there was no hub */
    uint64_t unread_bytes;
    uint32_t hub_ready, console_ready; /* 1: it serves */
    char store_error[HF_SHARED_TEXT], notify_error[HF_SHARED_TEXT], inventory_error[HF_SHARED_TEXT]; /* written by the hub; may be torn when read */
    char console_url[HF_SHARED_TEXT];
};
#define HF_SHARED_ADD(at, n) __atomic_add_fetch(&(at), (n), __ATOMIC_RELAXED)
#define HF_SHARED_SET(at, v) __atomic_store_n(&(at), (v), __ATOMIC_RELAXED)
#define HF_SHARED_GET(at) __atomic_load_n(&(at), __ATOMIC_RELAXED)
