import { Button, Modal, TextInput } from "@mantine/core";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { QRCodeSVG } from "qrcode.react";
import { type FormEvent, useState } from "react";
import { api, body, type Schemas } from "../../api/client";
import { Command } from "../../ui/Command";
import { Confirm } from "../../ui/Confirm";
import { Once } from "../../ui/Once";
import { Problem } from "../../ui/Problem";
import css from "../../ui/ui.module.css";
import own from "./account.module.css";

/** Whether one is asked for a code beside the password, and how to change that. */
export function OneTimeCodes({ user }: { user: Schemas["User"] }) {
  const client = useQueryClient();
  const [codes, setCodes] = useState<string[]>();
  const params = { path: { name: user.name } };
  const begin = useMutation({
    mutationFn: () => body(api.POST("/api/v1/users/{name}/one-time-codes", { params })),
  });
  const refresh = () => client.invalidateQueries({ queryKey: ["users"] });
  return (
    <div className={css.stack}>
      {user.one_time_codes ? (
        <p className={css.quiet}>
          You are asked for a code of your authenticator beside the password. {user.recovery_codes}{" "}
          recovery {user.recovery_codes === 1 ? "code is" : "codes are"} left; set the codes up anew
          to get others.
        </p>
      ) : (
        <p className={css.quiet}>
          With a code of an authenticator app beside the password, a stolen password alone lets
          nobody in.
        </p>
      )}
      {begin.error && <Problem error={begin.error} />}
      <div className={css.row}>
        <Button
          variant={user.one_time_codes ? "default" : undefined}
          loading={begin.isPending}
          onClick={() => begin.mutate()}
        >
          {user.one_time_codes ? "Set up anew" : "Set up one-time codes"}
        </Button>
        {user.one_time_codes && (
          <Confirm
            label="Turn off"
            title="Be asked for no one-time codes?"
            danger
            action={() => api.DELETE("/api/v1/users/{name}/one-time-codes", { params })}
            done={refresh}
          >
            The password alone lets somebody in then. The recovery codes are good no more.
          </Confirm>
        )}
      </div>
      {begin.data && (
        <SetUp
          name={user.name}
          secret={begin.data}
          onClose={begin.reset}
          onDone={(made) => {
            begin.reset();
            setCodes(made);
            refresh();
          }}
        />
      )}
      <Once
        title="Your recovery codes"
        secret={codes?.join("\n")}
        onClose={() => setCodes(undefined)}
      >
        Each of them replaces a code once, for when the authenticator is lost. Keep them away from
        it. They are shown now and never again.
      </Once>
    </div>
  );
}

function SetUp({
  name,
  secret,
  onClose,
  onDone,
}: {
  name: string;
  secret: Schemas["OneTimeSecret"];
  onClose: () => void;
  onDone: (codes: string[]) => void;
}) {
  const [code, setCode] = useState("");
  const confirm = useMutation({
    mutationFn: () =>
      body(
        api.PUT("/api/v1/users/{name}/one-time-codes", {
          params: { path: { name } },
          body: { code: code.trim() },
        }),
      ),
    onSuccess: ({ codes }) => onDone(codes),
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    confirm.mutate();
  };
  return (
    <Modal
      opened
      onClose={onClose}
      title="Set up one-time codes"
      lockScroll={false}
      centered
      closeButtonProps={{ "aria-label": "Close" }}
    >
      <form className={css.stack} onSubmit={submit}>
        <p className={own.step}>1. Let your authenticator app read this, or type the secret.</p>
        <div className={own.code}>
          <QRCodeSVG value={secret.uri} size={192} marginSize={4} title="The secret, for an app" />
        </div>
        <Command>{secret.secret}</Command>
        <p className={own.step}>
          2. Type the code that it shows. Nothing changes before the server has seen one.
        </p>
        <TextInput
          label="Code"
          value={code}
          onChange={(event) => setCode(event.currentTarget.value)}
          autoComplete="one-time-code"
          inputMode="numeric"
          pattern="\s*[0-9]{6}\s*"
          title="Six digits"
          required
          data-autofocus
        />
        {confirm.error && <Problem error={confirm.error} />}
        <div>
          <Button type="submit" loading={confirm.isPending}>
            Ask for codes from now on
          </Button>
        </div>
      </form>
    </Modal>
  );
}
