/* The device agent of Updraft as a library: the C interface of aktualizr's library, and a little more.
 *
 * Written by cbindgen from bindings/c/src; do not change it by hand. See docs/src/library.md.
 */

#ifndef UPDRAFT_H
#define UPDRAFT_H

#include <stddef.h>
#include <stdint.h>

/*
 Whether work stands still.
 */
typedef enum {
  /*
   As was asked for.
   */
  kSuccess = 0,
  /*
   It did before.
   */
  kAlreadyPaused,
  /*
   It did not before.
   */
  kAlreadyRunning,
  /*
   That cannot be done.
   */
  kError,
} Pause_Status_C;

/*
 An agent with the thread that does its work.
 */
typedef struct Aktualizr Aktualizr;

/*
 A campaign that the server offers.
 */
typedef struct Campaign Campaign;

/*
 Settings of an agent.
 */
typedef struct Config Config;

/*
 The open file of a target.
 */
typedef struct StorageTargetHandle StorageTargetHandle;

/*
 A target; it belongs to its list.
 */
typedef struct Target Target;

/*
 What a check found.
 */
typedef struct Updates Updates;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/*
 An agent with this configuration, which the caller keeps. Null after a failure.
 */
Aktualizr *Aktualizr_create_from_cfg(Config *cfg);

/*
 An agent with the configuration in this file or folder. Null after a failure.
 */
Aktualizr *Aktualizr_create_from_path(const char *config_path);

/*
 Opens the agent's state, and provisions the device if that has not happened.
 */
int Aktualizr_initialize(Aktualizr *a);

/*
 One whole cycle: after a reboot confirms or takes back, then checks, brings and installs.
 */
int Aktualizr_uptane_cycle(Aktualizr *a);

/*
 Ends an agent: what is under way stops at its next safe point.
 */
void Aktualizr_destroy(Aktualizr *a);

/*
 Calls `handler` with the name of each event, in the thread that does the work.
 */
int Aktualizr_set_signal_handler(Aktualizr *a, void (*handler)(const char *event_name));

/*
 Calls `handler` with each event: its name, all its fields as JSON, and `data`, in the thread that
 does the work. `data` has to be good until the agent is destroyed.
 */
int updraft_set_event_handler(Aktualizr *a, void (*handler)(const char *name,
                                                            const char *json,
                                                            void *data), void *data);

/*
 Cycles every `uptane.polling_sec` until the agent is destroyed. Returns at once.
 */
int updraft_run_forever(Aktualizr *a);

/*
 Sends a manifest, with this JSON as its `custom` part; null: without one.
 */
int Aktualizr_send_manifest(Aktualizr *a, const char *manifest);

/*
 Sends what the device tells of itself, as far as it has changed.
 */
int Aktualizr_send_device_data(Aktualizr *a);

/*
 Lets all work stand still at its next safe point.
 */
Pause_Status_C Aktualizr_pause(Aktualizr *a);

/*
 Lets work go on.
 */
Pause_Status_C Aktualizr_resume(Aktualizr *a);

/*
 Stops what is under way, and drops what was asked for after it.
 */
void Aktualizr_abort(Aktualizr *a);

/*
 Asks the server for campaigns; the first of them, or null when there is none or that fails.
 */
Campaign *Aktualizr_campaigns_check(Aktualizr *a);

/*
 Says yes to a campaign.
 */
int Aktualizr_campaign_accept(Aktualizr *a, Campaign *c);

/*
 Says: not now.
 */
int Aktualizr_campaign_postpone(Aktualizr *a, Campaign *c);

/*
 Says no to a campaign.
 */
int Aktualizr_campaign_decline(Aktualizr *a, Campaign *c);

/*
 Frees a campaign.
 */
void Aktualizr_campaign_free(Campaign *c);

/*
 Reads a configuration: a file with its drop-in folder, or a folder of `*.toml` files. Null after
 a failure.
 */
Config *updraft_config_load(const char *config_path);

/*
 Changes one setting: `key` is `section.key`.
 */
int updraft_config_set(Config *cfg, const char *key, const char *value);

/*
 Frees a configuration; agents that were made from it keep what it said.
 */
void updraft_config_free(Config *cfg);

/*
 What went wrong in the last function that failed in this thread; empty before the first. It is
 valid until the next function fails in this thread.
 */
const char *updraft_last_error(void);

/*
 The vehicle's other ECUs that have answered once, as a JSON list of objects with `serial`,
 `hardware_id`, `kind`, `installed` and `pending` (each SHA-256 and name), `key` (its id and its
 public half) and `data`. To be freed by `updraft_free_text`. Null after a failure.
 */
char *updraft_get_secondaries(Aktualizr *a);

/*
 Frees a text that a function of ours gave; null is fine.
 */
void updraft_free_text(char *text);

/*
 Remembers a text with a secondary, which `updraft_get_secondaries` gives back as `data`.
 */
int updraft_set_secondary_data(Aktualizr *a, const char *serial, const char *data);

/*
 Replaces the text of the installation report that waits for the server; -1 also when none does.
 */
int updraft_set_installation_raw_report(Aktualizr *a, const char *report);

/*
 Sends this JSON instead of what the agent finds out about the hardware.
 */
int updraft_set_custom_hardware_info(Aktualizr *a, const char *hardware);

/*
 Opens the file of a target that was brought. Null after a failure.
 */
StorageTargetHandle *Aktualizr_open_stored_target(Aktualizr *a, const Target *t);

/*
 Reads up to `size` bytes into `buf`, which has room for them. 0 at the end, and after a failure.
 */
size_t Aktualizr_read_stored_target(StorageTargetHandle *handle, uint8_t *buf, size_t size);

/*
 Closes the file of a target.
 */
int Aktualizr_close_stored_target(StorageTargetHandle *handle);

/*
 Asks the server; what is assigned and not installed, which may be nothing. Null after a failure.
 */
Updates *Aktualizr_updates_check(Aktualizr *a);

/*
 Frees a list of updates, with its targets.
 */
void Aktualizr_updates_free(Updates *u);

/*
 How many targets there are.
 */
size_t Aktualizr_get_targets_num(Updates *u);

/*
 One of them, counted from 0. Null when there are not so many.
 */
Target *Aktualizr_get_nth_target(Updates *u, size_t n);

/*
 A target's name, to be freed by `Aktualizr_free_target_name`.
 */
const char *Aktualizr_get_target_name(Target *t);

/*
 Frees a target's name.
 */
void Aktualizr_free_target_name(const char *n);

/*
 Brings a target. 0 when all of it is here.
 */
int Aktualizr_download_target(Aktualizr *a, Target *t);

/*
 Installs a target that was brought. 0 when it runs, or will run after a reboot.
 */
int Aktualizr_install_target(Aktualizr *a, Target *t);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* UPDRAFT_H */
