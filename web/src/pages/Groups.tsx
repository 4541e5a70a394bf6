import { Button, Modal, TextInput } from "@mantine/core";
import { IconTrash } from "@tabler/icons-react";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { Link } from "react-router";
import { api } from "../api/client";
import * as queries from "../api/queries";
import { useMay } from "../session/SessionContext";
import { Confirm } from "../ui/Confirm";
import { Empty, Loading } from "../ui/Empty";
import { devicesAt, quoted } from "../ui/links";
import { namePattern, nameRule } from "../ui/names";
import { Card, Page } from "../ui/Page";
import { Problem } from "../ui/Problem";
import { Scroll } from "../ui/Scroll";
import css from "../ui/ui.module.css";
import { When } from "../ui/When";

export default function Groups() {
  const { data, error, refetch } = useQuery(queries.groups);
  const may = useMay();
  const client = useQueryClient();
  const refresh = () => client.invalidateQueries({ queryKey: ["groups"] });
  return (
    <Page
      title="Groups"
      about="Named sets of devices, for rollouts and filters"
      actions={may("operate") && <NewGroup done={refresh} />}
    >
      {error && !data && <Problem error={error} retry={refetch} />}
      {!data && !error && <Loading />}
      {data && (
        <Card>
          {data.items.length === 0 ? (
            <Empty title="No groups yet" command="updraft group create canary DEVICE">
              A group such as <code>canary</code> gets a release first. Make one here or with the
              command, and add devices on the page Devices.
            </Empty>
          ) : (
            <Scroll label="Groups">
              <table className={css.table}>
                <thead>
                  <tr>
                    <th scope="col">Group</th>
                    <th scope="col">Devices</th>
                    <th scope="col">Made</th>
                    {may("operate") && (
                      <th scope="col" className={css.end}>
                        Actions
                      </th>
                    )}
                  </tr>
                </thead>
                <tbody>
                  {data.items.map((group) => (
                    <tr key={group.name}>
                      <td className={css.name}>
                        <b>{group.name}</b>
                        {group.description && <div className={css.quiet}>{group.description}</div>}
                      </td>
                      <td>
                        <Link
                          to={devicesAt(`group==${quoted(group.name)}`)}
                          aria-label={`${group.device_count} devices of ${group.name}`}
                        >
                          {group.device_count.toLocaleString("en")}
                        </Link>
                      </td>
                      <td>
                        <When at={group.created_at} />
                      </td>
                      {may("operate") && (
                        <td className={css.end}>
                          <Confirm
                            label="Delete"
                            title={`Delete the group ${group.name}?`}
                            danger
                            icon={<IconTrash size={16} aria-hidden />}
                            action={() =>
                              api.DELETE("/api/v1/groups/{name}", {
                                params: { path: { name: group.name } },
                              })
                            }
                            done={refresh}
                          >
                            Its devices stay, and rollouts keep the devices that they have.
                          </Confirm>
                        </td>
                      )}
                    </tr>
                  ))}
                </tbody>
              </table>
            </Scroll>
          )}
        </Card>
      )}
    </Page>
  );
}

function NewGroup({ done }: { done: () => void }) {
  const [open, setOpen] = useState(false);
  const [name, setName] = useState("");
  const [description, setDescription] = useState("");
  const create = useMutation({
    mutationFn: () => api.POST("/api/v1/groups", { body: { name, description, devices: [] } }),
    onSuccess: () => {
      setOpen(false);
      setName("");
      setDescription("");
      done();
    },
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    create.mutate();
  };
  return (
    <>
      <Button onClick={() => setOpen(true)}>New group</Button>
      <Modal
        opened={open}
        onClose={() => setOpen(false)}
        title="New group"
        lockScroll={false}
        centered
        closeButtonProps={{ "aria-label": "Close" }}
      >
        <form onSubmit={submit} className={css.stack}>
          <TextInput
            label="Name"
            description={nameRule}
            value={name}
            onChange={(event) => setName(event.currentTarget.value)}
            pattern={namePattern}
            autoComplete="off"
            required
            data-autofocus
          />
          <TextInput
            label="Description"
            value={description}
            onChange={(event) => setDescription(event.currentTarget.value)}
          />
          {create.error && <Problem error={create.error} />}
          <Button type="submit" loading={create.isPending}>
            Make the group
          </Button>
        </form>
      </Modal>
    </>
  );
}
