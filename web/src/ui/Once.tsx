import { Button, Modal } from "@mantine/core";
import type { ReactNode } from "react";
import { Command } from "./Command";
import css from "./ui.module.css";

/** A secret that the server shows once: it stays until somebody says that it is kept elsewhere. */
export function Once({
  title,
  secret,
  onClose,
  children,
}: {
  title: string;
  /** Absent: there is nothing to show. */
  secret: string | undefined;
  onClose: () => void;
  children: ReactNode;
}) {
  return (
    <Modal
      opened={secret !== undefined}
      onClose={onClose}
      title={title}
      lockScroll={false}
      centered
      withCloseButton={false}
      closeOnClickOutside={false}
      closeOnEscape={false}
    >
      <div className={css.stack}>
        <div>{children}</div>
        <Command>{secret ?? ""}</Command>
        <div>
          <Button onClick={onClose} data-autofocus>
            I have kept it
          </Button>
        </div>
      </div>
    </Modal>
  );
}
