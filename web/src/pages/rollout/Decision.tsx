import { Textarea } from "@mantine/core";
import { IconCheck, IconX } from "@tabler/icons-react";
import { useState } from "react";
import { api, body, type Schemas } from "../../api/client";
import { FormDialog } from "../../ui/FormDialog";
import css from "../../ui/ui.module.css";

interface Props {
  name: string;
  verb: "approve" | "deny";
  show: (changed: Schemas["Rollout"]) => void;
}

const words = {
  approve: {
    label: "Approve",
    about: "It begins at once, or waits for its time, with the rules that it has.",
    icon: <IconCheck size={16} aria-hidden />,
  },
  deny: {
    label: "Deny",
    about: "It never begins. Whoever made it may make another.",
    icon: <IconX size={16} aria-hidden />,
  },
};

/** The say of a second person. */
export function Decision({ name, verb, show }: Props) {
  const [remark, setRemark] = useState("");
  const { label, about, icon } = words[verb];
  const request = { params: { path: { name } }, body: { remark: remark.trim() || null } };
  return (
    <FormDialog
      label={label}
      title={`${label} ${name}`}
      submit={`${label} the rollout`}
      variant={verb === "approve" ? undefined : "default"}
      icon={icon}
      reset={() => setRemark("")}
      action={async () =>
        show(
          await body(
            verb === "approve"
              ? api.POST("/api/v1/rollouts/{name}/approve", request)
              : api.POST("/api/v1/rollouts/{name}/deny", request),
          ),
        )
      }
    >
      <p className={css.note}>{about}</p>
      <Textarea
        label="Remark"
        description="For whoever made it, and for the events"
        value={remark}
        onChange={(event) => setRemark(event.currentTarget.value)}
        maxLength={1000}
        autosize
        minRows={2}
        data-autofocus
      />
    </FormDialog>
  );
}
