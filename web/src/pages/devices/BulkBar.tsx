import { Button, Modal, Select } from "@mantine/core";
import { IconUsersPlus } from "@tabler/icons-react";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { Link } from "react-router";
import { api, body } from "../../api/client";
import * as queries from "../../api/queries";
import { Problem } from "../../ui/Problem";
import css from "../../ui/ui.module.css";
import own from "./devices.module.css";

/** The most devices that one deed is about. */
const MOST = 20_000;

interface Props {
  total: number;
  filter: string;
  chosen: ReadonlySet<string>;
  onChosen: (chosen: ReadonlySet<string>) => void;
  mayChoose: boolean;
}

/** How many devices there are, and what can be done with those that are chosen. */
export function BulkBar({ total, filter, chosen, onChosen, mayChoose }: Props) {
  const all = useMutation({ mutationFn: () => everyId(filter), onSuccess: onChosen });
  const count = chosen.size;
  return (
    <div className={own.bulk}>
      <span role="status">
        <b>{total.toLocaleString("en")}</b> {total === 1 ? "device" : "devices"}
        {count > 0 && `, ${count.toLocaleString("en")} chosen`}
      </span>
      {mayChoose && (
        <span className={css.row}>
          {count > 0 && count < total && total <= MOST && (
            <Button
              size="xs"
              variant="default"
              loading={all.isPending}
              onClick={() => all.mutate()}
            >
              Choose all {total.toLocaleString("en")}
            </Button>
          )}
          {count > 0 && (
            <>
              <Button size="xs" variant="default" onClick={() => onChosen(new Set())}>
                Choose none
              </Button>
              <AddToGroup chosen={chosen} />
              {count <= 200 && (
                <Button
                  size="xs"
                  variant="default"
                  component={Link}
                  to={`/new-rollout?devices=${[...chosen].map(encodeURIComponent).join(",")}`}
                >
                  Roll out to these
                </Button>
              )}
            </>
          )}
        </span>
      )}
      {all.error && <Problem error={all.error} />}
    </div>
  );
}

async function everyId(filter: string): Promise<Set<string>> {
  const ids = new Set<string>();
  let after: string | undefined;
  do {
    const query = { filter: filter || undefined, after, limit: 1000 };
    const page = await body(api.GET("/api/v1/devices", { params: { query } }));
    for (const { id } of page.items) ids.add(id);
    after = page.next ?? undefined;
  } while (after);
  return ids;
}

function AddToGroup({ chosen }: { chosen: ReadonlySet<string> }) {
  const [open, setOpen] = useState(false);
  const [group, setGroup] = useState<string | null>(null);
  const { data } = useQuery({ ...queries.groups, enabled: open });
  const client = useQueryClient();
  const add = useMutation({
    mutationFn: (name: string) =>
      body(
        api.POST("/api/v1/groups/{name}/devices", {
          params: { path: { name } },
          body: { add: [...chosen], remove: [] },
        }),
      ),
    onSuccess: () => {
      setOpen(false);
      for (const queryKey of [["groups"], ["devices"]]) client.invalidateQueries({ queryKey });
    },
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (group) add.mutate(group);
  };
  const names = (data?.items ?? []).map(({ name }) => name);
  return (
    <>
      <Button
        size="xs"
        leftSection={<IconUsersPlus size={15} aria-hidden />}
        onClick={() => setOpen(true)}
      >
        Add to a group
      </Button>
      <Modal
        opened={open}
        onClose={() => setOpen(false)}
        title={`Add ${chosen.size.toLocaleString("en")} devices to a group`}
        lockScroll={false}
        centered
        closeButtonProps={{ "aria-label": "Close" }}
      >
        <form onSubmit={submit} className={css.stack}>
          <Select
            label="Group"
            placeholder={names.length === 0 ? "There is no group yet" : "Choose a group"}
            data={names}
            value={group}
            onChange={setGroup}
            searchable
          />
          {data && names.length === 0 && (
            <p className={css.quiet}>
              Make one on the page <Link to="/groups">Groups</Link>.
            </p>
          )}
          {add.error && <Problem error={add.error} />}
          <div className={css.row}>
            <Button type="submit" disabled={!group} loading={add.isPending}>
              Add
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
