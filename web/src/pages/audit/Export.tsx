import { Button } from "@mantine/core";
import { IconDownload } from "@tabler/icons-react";
import { useMutation } from "@tanstack/react-query";
import { download } from "../../ui/download";
import { Problem } from "../../ui/Problem";
import { type AuditSearch, filterOf } from "./filter";
import { everyEntry, readFromServer } from "./reading";

/** More than that is no work for a page in a browser. */
const MOST = 200_000;

/** Saves all entries of a filter as lines of JSON, oldest first. */
export function Export({ search }: { search: AuditSearch }) {
  const save = useMutation({
    mutationFn: async () => {
      const lines: string[] = [];
      for await (const part of everyEntry(readFromServer(), filterOf(search, Date.now()))) {
        for (const entry of part) lines.push(`${JSON.stringify(entry)}\n`);
        if (lines.length > MOST) {
          throw new Error(
            "There are too many entries for a browser. Narrow them, or use `updraft-server audit export` on the server.",
          );
        }
      }
      download("audit.jsonl", new Blob(lines, { type: "application/jsonl" }));
    },
  });
  return (
    <>
      <Button
        variant="default"
        leftSection={<IconDownload size={16} aria-hidden />}
        loading={save.isPending}
        onClick={() => save.mutate()}
      >
        Export
      </Button>
      {save.error && <Problem error={save.error} />}
    </>
  );
}
