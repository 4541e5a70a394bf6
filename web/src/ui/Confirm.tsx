import { Button, Modal, TextInput } from "@mantine/core";
import { useMutation } from "@tanstack/react-query";
import { type FormEvent, type ReactNode, useState } from "react";
import { Problem } from "./Problem";
import css from "./ui.module.css";

interface Props {
  /** The button's text, and the dialog's title: what is done. */
  label: string;
  title: string;
  children: ReactNode;
  /** What has to be typed before it can be done; for what cannot be undone. */
  type?: string;
  danger?: boolean;
  icon?: ReactNode;
  action: () => Promise<unknown>;
  done?: () => void;
}

/** A button whose deed is asked about first. */
export function Confirm({ label, title, children, type, danger, icon, action, done }: Props) {
  const [open, setOpen] = useState(false);
  const [typed, setTyped] = useState("");
  const deed = useMutation({
    mutationFn: action,
    onSuccess: () => {
      setOpen(false);
      done?.();
    },
  });
  const close = () => {
    setOpen(false);
    setTyped("");
    deed.reset();
  };
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (!type || typed === type) deed.mutate();
  };
  return (
    <>
      <Button
        variant={danger ? "light" : "default"}
        color={danger ? "red" : undefined}
        leftSection={icon}
        onClick={() => setOpen(true)}
      >
        {label}
      </Button>
      <Modal
        opened={open}
        onClose={close}
        title={title}
        lockScroll={false}
        centered
        closeButtonProps={{ "aria-label": "Close" }}
      >
        <form onSubmit={submit} className={css.stack}>
          <div>{children}</div>
          {type && (
            <TextInput
              label={
                <>
                  Type <code>{type}</code> to go on
                </>
              }
              value={typed}
              onChange={(event) => setTyped(event.currentTarget.value)}
              autoComplete="off"
              data-autofocus
            />
          )}
          {deed.error && <Problem error={deed.error} />}
          <div className={css.row}>
            <Button
              type="submit"
              color={danger ? "red" : undefined}
              loading={deed.isPending}
              disabled={type !== undefined && typed !== type}
            >
              {label}
            </Button>
            <Button variant="default" onClick={close}>
              Cancel
            </Button>
          </div>
        </form>
      </Modal>
    </>
  );
}
