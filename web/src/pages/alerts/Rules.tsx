import { IconPencil, IconTrash } from "@tabler/icons-react";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useSearchParams } from "react-router";
import { api } from "../../api/client";
import * as queries from "../../api/queries";
import { useMay } from "../../session/SessionContext";
import { Confirm } from "../../ui/Confirm";
import { Empty, Loading } from "../../ui/Empty";
import { Card } from "../../ui/Page";
import { Problem } from "../../ui/Problem";
import { State } from "../../ui/State";
import css from "../../ui/ui.module.css";
import { RuleForm } from "./RuleForm";
import { ruleInWords } from "./rule";

/** The rules by which alerts are raised. */
export function Rules() {
  const { data, error, refetch } = useQuery(queries.alertRules);
  const open = useQuery(queries.openAlerts);
  const [search] = useSearchParams();
  const may = useMay()("operate");
  const client = useQueryClient();
  const refresh = () => {
    for (const queryKey of [["alert-rules"], ["alerts"]]) client.invalidateQueries({ queryKey });
  };
  if (error && !data) return <Problem error={error} retry={refetch} />;
  if (!data) return <Loading />;
  return (
    <Card
      title="Rules"
      aside={
        may && (
          <RuleForm
            metric={search.get("metric") ?? undefined}
            taken={data.map(({ name }) => name)}
            done={refresh}
          />
        )
      }
    >
      {data.length === 0 && (
        <Empty
          title="No rules yet"
          command="updraft alert add low-memory --metric memory.available_bytes --below 5e7 --for 10m"
        >
          A rule watches every device, or those of a group, and raises one alert for each device
          that it finds. When what it looks for is over, so is the alert.
        </Empty>
      )}
      <ul className={css.list}>
        {data.map((rule) => {
          const raised = open.data?.items.filter(({ rule: name }) => name === rule.name).length;
          return (
            <li key={rule.name} className={css.entry}>
              <div>
                <div className={css.row}>
                  <b>{rule.name}</b>
                  <State of={rule.severity ?? "warning"} />
                  {!!raised && <span className={css.quiet}>{raised} open</span>}
                </div>
                <p>{ruleInWords(rule)}</p>
              </div>
              {may && (
                <div className={css.row}>
                  <RuleForm
                    rule={rule}
                    taken={[]}
                    done={refresh}
                    icon={<IconPencil size={16} aria-hidden />}
                  />
                  <Confirm
                    label="Delete"
                    title={`Delete the rule ${rule.name}?`}
                    danger
                    icon={<IconTrash size={16} aria-hidden />}
                    action={() =>
                      api.DELETE("/api/v1/alert-rules/{name}", {
                        params: { path: { name: rule.name } },
                      })
                    }
                    done={refresh}
                  >
                    Its alerts go with it, those that are over too. The events that tell of them
                    stay.
                  </Confirm>
                </div>
              )}
            </li>
          );
        })}
      </ul>
    </Card>
  );
}
