import { Tabs } from "@mantine/core";
import { useSearchParams } from "react-router";
import { useMay } from "../../session/SessionContext";
import { Page } from "../../ui/Page";
import css from "../../ui/ui.module.css";
import { AlertList } from "./AlertList";
import { Rules } from "./Rules";
import { Subscriptions } from "./Subscriptions";

export default function Alerts() {
  const [search, setSearch] = useSearchParams();
  const may = useMay();
  const tabs = [
    { value: "alerts", label: "Alerts", content: <AlertList /> },
    { value: "rules", label: "Rules", content: <Rules /> },
    // Who is told holds addresses of people: only who may change it may see it.
    ...(may("admin")
      ? [{ value: "subscriptions", label: "Who is told", content: <Subscriptions /> }]
      : []),
  ];
  const asked = search.get("tab");
  const tab = tabs.some(({ value }) => value === asked) ? asked : "alerts";
  return (
    <Page title="Alerts" about="Devices that need somebody, and who is told of it">
      <Tabs
        value={tab}
        onChange={(next) =>
          setSearch(next && next !== "alerts" ? { tab: next } : {}, { replace: true })
        }
        keepMounted={false}
      >
        <Tabs.List aria-label="Parts of the page">
          {tabs.map(({ value, label }) => (
            <Tabs.Tab key={value} value={value}>
              {label}
            </Tabs.Tab>
          ))}
        </Tabs.List>
        {tabs.map(({ value, content }) => (
          <Tabs.Panel key={value} value={value} pt="md">
            <div className={css.page}>{content}</div>
          </Tabs.Panel>
        ))}
      </Tabs>
    </Page>
  );
}
