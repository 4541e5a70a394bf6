import { useSearchParams } from "react-router";
import { Page } from "../../ui/Page";
import { DeviceList } from "./DeviceList";
import { FilterBar } from "./FilterBar";
import { readOrder, writeOrder } from "./filters";

export function Devices() {
  const [search, setSearch] = useSearchParams();
  const filter = search.get("filter") ?? "";
  const order = readOrder(search.get("sort"));
  const change = (next: { filter?: string; sort?: string }) => {
    const wanted = { filter, sort: writeOrder(order), ...next };
    const params = Object.entries(wanted).filter((pair): pair is [string, string] => !!pair[1]);
    setSearch(params, { replace: true });
  };
  return (
    <Page title="Devices">
      <FilterBar filter={filter} onChange={(next) => change({ filter: next })} />
      <DeviceList
        key={filter}
        filter={filter}
        order={order}
        onOrder={(next) => change({ sort: writeOrder(next) })}
      />
    </Page>
  );
}
