import { Button, Modal, TextInput } from "@mantine/core";
import { IconAlertOctagon, IconCircleCheck, IconShieldCheck } from "@tabler/icons-react";
import { useMutation } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { Command } from "../../ui/Command";
import { Problem } from "../../ui/Problem";
import css from "../../ui/ui.module.css";
import { Chain, readCheckpoint, writeCheckpoint } from "./chain";
import { everyEntry, readFromServer } from "./reading";

/** Follows the chain of hashes from its first entry to its last, here in the browser. */
export function Verify() {
  const [open, setOpen] = useState(false);
  const [text, setText] = useState("");
  const [seen, setSeen] = useState(0);
  const pinned = readCheckpoint(text);
  const isWrong = text.trim() !== "" && !pinned;
  const verify = useMutation({
    mutationFn: async () => {
      if (!window.isSecureContext) {
        throw new Error(
          "Browsers count hashes only over HTTPS. Use `updraft-server audit verify` on the server.",
        );
      }
      const chain = new Chain(pinned);
      for await (const part of everyEntry(readFromServer(), {})) {
        await chain.take(part);
        setSeen(chain.last.number);
        if (chain.wrong) break;
      }
      chain.end();
      return chain;
    },
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    setSeen(0);
    if (!isWrong) verify.mutate();
  };
  return (
    <>
      <Button
        variant="default"
        leftSection={<IconShieldCheck size={16} aria-hidden />}
        onClick={() => {
          verify.reset();
          setOpen(true);
        }}
      >
        Verify
      </Button>
      <Modal
        opened={open}
        onClose={() => setOpen(false)}
        title="Verify the audit log"
        size="lg"
        lockScroll={false}
        centered
        closeButtonProps={{ "aria-label": "Close" }}
      >
        <form className={css.stack} onSubmit={submit}>
          <p className={css.note}>
            Each entry carries the hash of the one before. Your browser reads all of them and counts
            the hashes again, so it finds an entry that was changed, removed or put in. Only a
            checkpoint that you kept elsewhere shows that the whole chain was not made anew.
          </p>
          <TextInput
            label="Checkpoint from an earlier time"
            description="NUMBER:HASH; may be left out"
            value={text}
            onChange={(event) => setText(event.currentTarget.value)}
            error={isWrong && "A checkpoint is a number, a colon and 64 hexadecimal digits."}
            autoComplete="off"
            spellCheck={false}
            data-autofocus
          />
          <div>
            <Button type="submit" loading={verify.isPending} disabled={isWrong}>
              Verify
            </Button>
          </div>
          <div role="status" className={css.stack}>
            {verify.isPending && `${seen.toLocaleString("en")} entries are whole so far…`}
            {verify.data && <Verdict chain={verify.data} />}
          </div>
          {verify.error && <Problem error={verify.error} />}
        </form>
      </Modal>
    </>
  );
}

function Verdict({ chain }: { chain: Chain }) {
  if (chain.wrong) {
    return (
      <p className={css.row}>
        <IconAlertOctagon size={20} className={css.bad} aria-hidden /> <b>The chain is broken.</b>
        {chain.wrong}
      </p>
    );
  }
  return (
    <>
      <p className={css.row}>
        <IconCircleCheck size={20} className={css.good} aria-hidden />
        <b>All {chain.last.number.toLocaleString("en")} entries are whole.</b>
      </p>
      <p className={css.quiet}>Keep this checkpoint where nobody changes it, for the next time:</p>
      <Command>{writeCheckpoint(chain.last)}</Command>
    </>
  );
}
