import { Button } from "@mantine/core";
import { IconPlayerPause, IconPlayerPlay, IconPlayerStop } from "@tabler/icons-react";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { api, body, type Schemas } from "../../api/client";
import { useMay } from "../../session/SessionContext";
import { Confirm } from "../../ui/Confirm";
import { Problem } from "../../ui/Problem";

/** What can be done with a rollout in its state, for whoever may do it. */
export function RolloutActions({ rollout }: { rollout: Schemas["Rollout"] }) {
  const may = useMay();
  const client = useQueryClient();
  const params = { path: { name: rollout.name } };
  const show = (changed: Schemas["Rollout"]) => {
    client.setQueryData(["rollout", rollout.name], changed);
    for (const queryKey of [["rollouts"], ["overview"]]) client.invalidateQueries({ queryKey });
  };
  const pause = useMutation({
    mutationFn: () => body(api.POST("/api/v1/rollouts/{name}/pause", { params })),
    onSuccess: show,
  });
  const resume = useMutation({
    mutationFn: () => body(api.POST("/api/v1/rollouts/{name}/resume", { params })),
    onSuccess: show,
  });
  if (!may("operate") || rollout.ended_at) return null;
  const error = pause.error ?? resume.error;
  return (
    <>
      {error && <Problem error={error} />}
      {rollout.state === "running" && (
        <Button
          variant="default"
          leftSection={<IconPlayerPause size={16} aria-hidden />}
          loading={pause.isPending}
          onClick={() => pause.mutate()}
        >
          Pause
        </Button>
      )}
      {rollout.state === "paused" && (
        <Button
          leftSection={<IconPlayerPlay size={16} aria-hidden />}
          loading={resume.isPending}
          onClick={() => resume.mutate()}
        >
          Resume
        </Button>
      )}
      <Confirm
        label="Stop"
        title={`Stop ${rollout.name}?`}
        danger
        icon={<IconPlayerStop size={16} aria-hidden />}
        action={async () => show(await body(api.POST("/api/v1/rollouts/{name}/stop", { params })))}
      >
        Devices that have not begun are left alone; those that have begun finish by themselves. A
        stopped rollout does not go on again.
      </Confirm>
    </>
  );
}
