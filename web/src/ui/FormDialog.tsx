import { Button, type ButtonProps, Modal } from "@mantine/core";
import { useMutation } from "@tanstack/react-query";
import { type FormEvent, type ReactNode, useState } from "react";
import { Problem } from "./Problem";
import css from "./ui.module.css";

interface Props {
  /** What the button that opens it says. */
  label: string;
  title: string;
  /** What the button at its end says: what is done. */
  submit: string;
  icon?: ReactNode;
  variant?: ButtonProps["variant"];
  size?: string;
  /** What is still missing, in words; nothing can be done before it is there. */
  lacks?: string | null;
  /** Somebody came to the page for it. */
  isOpenAtFirst?: boolean;
  /** Puts the fields to what they are at first; called each time it is opened. */
  reset: () => void;
  action: () => Promise<unknown>;
  done?: () => void;
  /** The fields. */
  children: ReactNode;
}

/** A button, and the dialog with fields that it opens. */
export function FormDialog(props: Props) {
  const { label, title, submit, icon, variant, size, lacks, reset, action, done, children } = props;
  const [open, setOpen] = useState(props.isOpenAtFirst ?? false);
  const deed = useMutation({
    mutationFn: action,
    onSuccess: () => {
      setOpen(false);
      done?.();
    },
  });
  const show = () => {
    reset();
    deed.reset();
    setOpen(true);
  };
  const send = (event: FormEvent) => {
    event.preventDefault();
    if (!lacks) deed.mutate();
  };
  return (
    <>
      <Button variant={variant} leftSection={icon} onClick={show}>
        {label}
      </Button>
      <Modal
        opened={open}
        onClose={() => setOpen(false)}
        title={title}
        size={size}
        lockScroll={false}
        centered
        closeButtonProps={{ "aria-label": "Close" }}
      >
        <form onSubmit={send} className={css.stack}>
          {children}
          {deed.error && <Problem error={deed.error} />}
          {lacks && <p className={css.quiet}>{lacks}</p>}
          <div className={css.row}>
            <Button type="submit" loading={deed.isPending} disabled={!!lacks}>
              {submit}
            </Button>
            <Button variant="default" onClick={() => setOpen(false)}>
              Cancel
            </Button>
          </div>
        </form>
      </Modal>
    </>
  );
}
