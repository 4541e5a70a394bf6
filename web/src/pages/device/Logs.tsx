import { Button, Modal } from "@mantine/core";
import { IconDownload, IconFileText } from "@tabler/icons-react";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { api, type Schemas } from "../../api/client";
import * as queries from "../../api/queries";
import { useMay } from "../../session/SessionContext";
import { download } from "../../ui/download";
import { Loading } from "../../ui/Empty";
import { Card } from "../../ui/Page";
import { Problem } from "../../ui/Problem";
import { State } from "../../ui/State";
import { bytes } from "../../ui/time";
import css from "../../ui/ui.module.css";
import { When } from "../../ui/When";

/** The logs that a device was asked for, and a way to ask. */
export function Logs({ id }: { id: string }) {
  const may = useMay();
  const client = useQueryClient();
  const { data, error, refetch } = useQuery(queries.deviceLogs(id));
  const ask = useMutation({
    mutationFn: () => api.POST("/api/v1/devices/{id}/logs", { params: { path: { id } } }),
    onSuccess: () => client.invalidateQueries({ queryKey: ["device", id] }),
  });
  return (
    <Card
      title="Logs"
      aside={
        may("operate") && (
          <Button
            variant="default"
            size="compact-sm"
            loading={ask.isPending}
            onClick={() => ask.mutate()}
          >
            Ask for a log
          </Button>
        )
      }
    >
      {ask.error && <Problem error={ask.error} />}
      {error && !data && <Problem error={error} retry={refetch} />}
      {!data && !error && <Loading />}
      {data?.length === 0 && (
        <p className={css.quiet}>
          It was not asked for one. It sends its journal with the poll after somebody asks.
        </p>
      )}
      {data && data.length > 0 && (
        <ul className={css.list} aria-label="Logs">
          {data.map((log) => (
            <li key={log.id} className={css.entry}>
              <div>
                <State of={log.state} />
                <p className={`${css.small} ${css.quiet}`}>
                  asked by {log.requested_by}, <When at={log.requested_at} />
                  {log.received_at && (
                    <>
                      {" · "}came <When at={log.received_at} />, {bytes(log.bytes ?? 0)}
                    </>
                  )}
                </p>
              </div>
              {log.state === "received" && may("operate") && <Show id={id} log={log} />}
            </li>
          ))}
        </ul>
      )}
    </Card>
  );
}

function Show({ id, log }: { id: string; log: Schemas["DeviceLog"] }) {
  const [open, setOpen] = useState(false);
  const { data, error } = useQuery({ ...queries.deviceLog(id, log.id), enabled: open });
  return (
    <>
      <Button
        variant="default"
        size="compact-sm"
        aria-label={`Show log ${log.id}`}
        leftSection={<IconFileText size={16} aria-hidden />}
        onClick={() => setOpen(true)}
      >
        Show
      </Button>
      <Modal
        opened={open}
        onClose={() => setOpen(false)}
        title={`Log ${log.id} of ${id}`}
        size="xl"
      >
        {error && <Problem error={error} />}
        {data === undefined && !error && <Loading />}
        {data !== undefined && (
          <>
            <Button
              variant="default"
              leftSection={<IconDownload size={16} aria-hidden />}
              onClick={() => download(`${id}-${log.id}.log`, new Blob([data]))}
            >
              Save
            </Button>
            {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by keys */}
            <pre className={css.pre} tabIndex={0}>
              {data}
            </pre>
          </>
        )}
      </Modal>
    </>
  );
}
