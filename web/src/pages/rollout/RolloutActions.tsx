import { Button } from "@mantine/core";
import {
  IconArrowBackUp,
  IconPlayerPause,
  IconPlayerPlay,
  IconPlayerStop,
  IconPlayerTrackNext,
  IconRefresh,
} from "@tabler/icons-react";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { api, body, type Schemas } from "../../api/client";
import { useSession } from "../../session/SessionContext";
import { Confirm } from "../../ui/Confirm";
import { Problem } from "../../ui/Problem";
import { Decision } from "./Decision";
import { type Verb, verbsFor } from "./verbs";

/** Verbs whose request has no body. */
type Plain = Exclude<Verb, "approve" | "deny">;

/** What can be done with a rollout in its state, for whoever may do it. */
export function RolloutActions({ rollout }: { rollout: Schemas["Rollout"] }) {
  const session = useSession();
  const client = useQueryClient();
  const { name } = rollout;
  const show = (changed: Schemas["Rollout"]) => {
    client.setQueryData(["rollout", name], changed);
    for (const queryKey of [["rollout", name], ["rollouts"], ["approvals"], ["overview"]]) {
      client.invalidateQueries({ queryKey });
    }
  };
  const act = async (verb: Plain) =>
    show(await body(api.POST(`/api/v1/rollouts/{name}/${verb}`, { params: { path: { name } } })));
  const at = useMutation({ mutationFn: act });
  const plain = (verb: Plain, label: string, icon: typeof IconRefresh, isMain: boolean) => {
    const Icon = icon;
    return (
      <Button
        key={verb}
        variant={isMain ? undefined : "default"}
        leftSection={<Icon size={16} aria-hidden />}
        loading={at.isPending && at.variables === verb}
        onClick={() => at.mutate(verb)}
      >
        {label}
      </Button>
    );
  };
  const buttons: Record<Verb, () => ReactNode> = {
    approve: () => <Decision key="approve" name={name} verb="approve" show={show} />,
    deny: () => <Decision key="deny" name={name} verb="deny" show={show} />,
    start: () => plain("start", "Start now", IconPlayerPlay, true),
    pause: () => plain("pause", "Pause", IconPlayerPause, false),
    resume: () => plain("resume", "Resume", IconPlayerPlay, true),
    advance: () => (
      <Confirm
        key="advance"
        label="Next phase"
        title={`Begin the next phase of ${name}?`}
        icon={<IconPlayerTrackNext size={16} aria-hidden />}
        action={() => act("advance")}
      >
        It begins whether or not the present phase is good enough or old enough. Devices of the
        present phase go on.
      </Confirm>
    ),
    retry: () => (
      <Confirm
        key="retry"
        label="Retry failed"
        title={`Give devices of ${name} another attempt?`}
        icon={<IconRefresh size={16} aria-hidden />}
        action={() => act("retry")}
      >
        Devices that failed are told again, after a stop also those from which it was taken back. A
        rollout that has ended goes on with them.
      </Confirm>
    ),
    rollback: () => (
      <Confirm
        key="rollback"
        label="Roll back"
        title={`Roll ${name} back?`}
        danger
        type={name}
        icon={<IconArrowBackUp size={16} aria-hidden />}
        action={() => act("rollback")}
      >
        Devices that have the release, or have begun to fetch it, are told to run again what they
        ran before. Limits, windows and freezes do not hold that up.
      </Confirm>
    ),
    stop: () => (
      <Confirm
        key="stop"
        label="Stop"
        title={`Stop ${name}?`}
        danger
        icon={<IconPlayerStop size={16} aria-hidden />}
        action={() => act("stop")}
      >
        Devices that have not begun are left alone; those that have begun finish by themselves.
      </Confirm>
    ),
  };
  return (
    <>
      {at.error && <Problem error={at.error} />}
      {verbsFor(rollout, session).map((verb) => buttons[verb]())}
    </>
  );
}
