/* Updates the device by the library, step by step: what `updraftd run-once` does in one.
 *
 *     cc -Iinclude examples/agent.c -lupdraft_c -o agent
 *     ./agent /etc/updraft/updraftd.toml
 *     ./agent /etc/updraft/updraftd.toml SERIAL NOTE    remembers a note with a secondary, too
 */

#include <stdio.h>

#include "updraft.h"

static void on_event(const char *name, const char *json, void *data) {
  (void)json;
  ++*(unsigned *)data;
  printf("event %s\n", name);
}

static int failed(const char *what) {
  fprintf(stderr, "%s: %s\n", what, updraft_last_error());
  return 1;
}

static int update(Aktualizr *agent) {
  int status = 0;
  Updates *updates = Aktualizr_updates_check(agent);
  if (updates == NULL) {
    return failed("check");
  }
  printf("%zu updates\n", Aktualizr_get_targets_num(updates));
  for (size_t n = 0; n < Aktualizr_get_targets_num(updates) && status == 0; ++n) {
    Target *target = Aktualizr_get_nth_target(updates, n);
    const char *name = Aktualizr_get_target_name(target);
    if (Aktualizr_download_target(agent, target) != 0) {
      status = failed("download");
    } else if (Aktualizr_install_target(agent, target) != 0) {
      status = failed("install");
    } else {
      printf("installed %s\n", name);
    }
    Aktualizr_free_target_name(name);
  }
  Aktualizr_updates_free(updates);
  return status;
}

static int show_secondaries(Aktualizr *agent) {
  char *list = updraft_get_secondaries(agent);
  if (list == NULL) {
    return failed("list the secondaries");
  }
  printf("secondaries %s\n", list);
  updraft_free_text(list);
  return 0;
}

int main(int argc, char **argv) {
  unsigned events = 0;
  int status;
  Aktualizr *agent;

  if (argc != 2 && argc != 4) {
    fprintf(stderr, "usage: %s CONFIGURATION [SERIAL NOTE]\n", argv[0]);
    return 2;
  }
  agent = Aktualizr_create_from_path(argv[1]);
  if (agent == NULL) {
    return failed("read the configuration");
  }
  updraft_set_event_handler(agent, on_event, &events);
  if (Aktualizr_initialize(agent) != 0) {
    status = failed("initialize");
  } else if (Aktualizr_send_device_data(agent) != 0) {
    status = failed("send device data");
  } else if (Aktualizr_pause(agent) != kSuccess || Aktualizr_resume(agent) != kSuccess) {
    status = failed("pause and resume");
  } else {
    status = update(agent);
  }
  if (status == 0 && argc == 4 && updraft_set_secondary_data(agent, argv[2], argv[3]) != 0) {
    status = failed("remember the note");
  }
  if (status == 0) {
    status = show_secondaries(agent);
  }
  if (status == 0 && Aktualizr_send_manifest(agent, "{\"from\": \"C\"}") != 0) {
    status = failed("send a manifest");
  }
  Aktualizr_destroy(agent);
  printf("%u events\n", events);
  return status;
}
