import { Button } from "@mantine/core";
import { useInfiniteQuery } from "@tanstack/react-query";
import { Link } from "react-router";
import { api, body } from "../../api/client";
import { Loading } from "../../ui/Empty";
import { deviceAt, releaseAt } from "../../ui/links";
import { Card } from "../../ui/Page";
import { Scroll } from "../../ui/Scroll";
import { State } from "../../ui/State";
import css from "../../ui/ui.module.css";
import { When } from "../../ui/When";

/** The devices of a rollout, a part at a time. */
export function Members({ name, total }: { name: string; total: number }) {
  const members = useInfiniteQuery({
    queryKey: ["rollout", name, "devices"],
    queryFn: ({ pageParam, signal }) =>
      body(
        api.GET("/api/v1/rollouts/{name}/devices", {
          params: { path: { name }, query: { after: pageParam, limit: 50 } },
          signal,
        }),
      ),
    initialPageParam: "",
    getNextPageParam: (page) => page.next ?? undefined,
  });
  const items = members.data?.pages.flatMap((page) => page.items) ?? [];
  return (
    <Card title="Its devices" wide>
      {members.isPending && <Loading />}
      <Scroll label="Devices of the rollout">
        <table className={css.table}>
          <thead>
            <tr>
              <th scope="col">Device</th>
              <th scope="col">Phase</th>
              <th scope="col">State</th>
              <th scope="col">Why</th>
              <th scope="col">Since</th>
            </tr>
          </thead>
          <tbody>
            {items.map((member) => (
              <tr key={member.device}>
                <td className={css.name}>
                  <Link to={deviceAt(member.device)}>{member.device}</Link>
                </td>
                <td>{member.phase + 1}</td>
                <td>
                  <State of={member.state} />
                </td>
                <td>
                  {member.reason}
                  {member.via && (
                    <div className={css.quiet}>
                      first to <Link to={releaseAt(member.via)}>{member.via}</Link>
                    </div>
                  )}
                  {(member.attempts ?? 0) > 1 && (
                    <div className={css.quiet}>{member.attempts} attempts</div>
                  )}
                </td>
                <td>
                  <When at={member.changed_at} none="" />
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </Scroll>
      {members.hasNextPage && (
        <Button
          mt="sm"
          variant="default"
          loading={members.isFetchingNextPage}
          onClick={() => members.fetchNextPage()}
        >
          Show more of {total.toLocaleString("en")}
        </Button>
      )}
    </Card>
  );
}
