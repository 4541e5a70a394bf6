import { Button, Menu } from "@mantine/core";
import { IconBan, IconTrash, IconUsersGroup } from "@tabler/icons-react";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "react-router";
import { api, type Schemas } from "../../api/client";
import * as queries from "../../api/queries";
import { useMay } from "../../session/SessionContext";
import { Confirm } from "../../ui/Confirm";
import { Problem } from "../../ui/Problem";
import { Pin } from "./Pin";

export function DeviceActions({ device }: { device: Schemas["Device"] }) {
  const may = useMay();
  const client = useQueryClient();
  const navigate = useNavigate();
  const path = { id: device.id };
  const refresh = () =>
    Promise.all(
      [["device", device.id], ["devices"], ["groups"], ["overview"]].map((queryKey) =>
        client.invalidateQueries({ queryKey }),
      ),
    );
  return (
    <>
      {may("operate") && <Groups device={device} done={refresh} />}
      {may("operate") && device.state !== "revoked" && <Pin device={device} done={refresh} />}
      {may("admin") && device.state !== "revoked" && (
        <Confirm
          label="Revoke"
          title={`Revoke ${device.id}?`}
          danger
          icon={<IconBan size={16} aria-hidden />}
          action={() => api.POST("/api/v1/devices/{id}/revoke", { params: { path } })}
          done={refresh}
        >
          The server refuses the device's certificate from then on: it gets no updates and can
          report nothing. What is known of it stays. This cannot be taken back; the device has to be
          deleted and register anew.
        </Confirm>
      )}
      {may("admin") && (
        <Confirm
          label="Delete"
          title={`Delete ${device.id}?`}
          danger
          type={device.id}
          icon={<IconTrash size={16} aria-hidden />}
          action={() => api.DELETE("/api/v1/devices/{id}", { params: { path } })}
          done={() => {
            refresh();
            navigate("/devices");
          }}
        >
          All that is known of it goes, events excepted; its certificate is refused, and its id is
          free again.
        </Confirm>
      )}
    </>
  );
}

function Groups({ device, done }: { device: Schemas["Device"]; done: () => void }) {
  const { data } = useQuery(queries.groups);
  const change = useMutation({
    mutationFn: async (name: string) => {
      const params = { path: { name, id: device.id } };
      const one = "/api/v1/groups/{name}/devices/{id}" as const;
      if (device.groups.includes(name)) await api.DELETE(one, { params });
      else await api.PUT(one, { params });
    },
    onSuccess: done,
  });
  const groups = data?.items ?? [];
  return (
    <>
      {change.error && <Problem error={change.error} />}
      <Menu position="bottom-end" closeOnItemClick={false} withInitialFocusPlaceholder={false}>
        <Menu.Target>
          <Button variant="default" leftSection={<IconUsersGroup size={16} aria-hidden />}>
            Groups
          </Button>
        </Menu.Target>
        <Menu.Dropdown>
          {groups.length === 0 && <Menu.Label>There is no group yet</Menu.Label>}
          {groups.map(({ name }) => (
            <Menu.CheckboxItem
              key={name}
              checked={device.groups.includes(name)}
              onChange={() => change.mutate(name)}
            >
              {name}
            </Menu.CheckboxItem>
          ))}
        </Menu.Dropdown>
      </Menu>
    </>
  );
}
