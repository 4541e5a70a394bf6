import { TextInput } from "@mantine/core";
import { IconPin, IconPinnedOff } from "@tabler/icons-react";
import { useState } from "react";
import { api, body, type Schemas } from "../../api/client";
import { Confirm } from "../../ui/Confirm";
import { FormDialog } from "../../ui/FormDialog";
import css from "../../ui/ui.module.css";

/** Keeps a device at what it runs, or lets rollouts take it again. */
export function Pin({ device, done }: { device: Schemas["Device"]; done: () => void }) {
  const [reason, setReason] = useState("");
  const params = { path: { id: device.id } };
  if (device.pinned) {
    return (
      <Confirm
        label="Unpin"
        title={`Let rollouts take ${device.id} again?`}
        icon={<IconPinnedOff size={16} aria-hidden />}
        action={() => api.DELETE("/api/v1/devices/{id}/pin", { params })}
        done={done}
      >
        Rollouts that are made from then on may tell it to update.
      </Confirm>
    );
  }
  return (
    <FormDialog
      label="Pin"
      title={`Pin ${device.id}`}
      submit="Pin the device"
      variant="default"
      icon={<IconPin size={16} aria-hidden />}
      reset={() => setReason("")}
      action={() => body(api.PUT("/api/v1/devices/{id}/pin", { params, body: { reason } }))}
      done={done}
    >
      <p className={css.note}>
        It stays at what it runs: no rollout takes it before it is unpinned. What it was told
        already goes on.
      </p>
      <TextInput
        label="Why"
        description="For whoever wonders later"
        value={reason}
        onChange={(event) => setReason(event.currentTarget.value)}
        maxLength={1000}
        autoComplete="off"
        data-autofocus
      />
    </FormDialog>
  );
}
