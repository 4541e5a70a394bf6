import { Button, Menu, TextInput } from "@mantine/core";
import { IconBookmark, IconChevronDown, IconSearch, IconX } from "@tabler/icons-react";
import { type FormEvent, useEffect, useState } from "react";
import { useStored } from "../../app/stored";
import own from "./devices.module.css";
import { asFilter, commonViews, savedViews } from "./filters";

interface Props {
  filter: string;
  onChange: (filter: string) => void;
}

/** The search field with the filters that have names. */
export function FilterBar({ filter, onChange }: Props) {
  const [text, setText] = useState(filter);
  const [views, setViews] = useStored(savedViews);
  useEffect(() => setText(filter), [filter]);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    onChange(asFilter(text));
  };
  const saved = views.find((view) => view.filter === filter);
  const save = () => setViews([...views, { name: filter, filter }]);
  const forget = () => setViews(views.filter((view) => view !== saved));
  return (
    <search>
      <form onSubmit={submit} className={own.filters}>
        <TextInput
          className={own.search}
          aria-label="Filter devices"
          placeholder="An id, or state==failed;group==lab"
          leftSection={<IconSearch size={16} aria-hidden />}
          value={text}
          onChange={(event) => setText(event.currentTarget.value)}
          data-search
          spellCheck={false}
          autoComplete="off"
        />
        <Button type="submit" variant="default">
          Filter
        </Button>
        {filter && (
          <Button
            variant="default"
            leftSection={<IconX size={16} aria-hidden />}
            onClick={() => onChange("")}
          >
            Clear
          </Button>
        )}
        <Menu position="bottom-end" width={280} withInitialFocusPlaceholder={false}>
          <Menu.Target>
            <Button variant="default" rightSection={<IconChevronDown size={16} aria-hidden />}>
              Views
            </Button>
          </Menu.Target>
          <Menu.Dropdown>
            {commonViews.map((view) => (
              <Menu.Item key={view.name} onClick={() => onChange(view.filter)}>
                {view.name}
              </Menu.Item>
            ))}
            {views.length > 0 && <Menu.Divider />}
            {views.map((view) => (
              <Menu.Item key={view.filter} onClick={() => onChange(view.filter)}>
                <code>{view.name}</code>
              </Menu.Item>
            ))}
            {filter && (
              <>
                <Menu.Divider />
                <Menu.Item
                  leftSection={<IconBookmark size={16} aria-hidden />}
                  onClick={saved ? forget : save}
                >
                  {saved ? "Forget this view" : "Save this filter as a view"}
                </Menu.Item>
              </>
            )}
          </Menu.Dropdown>
        </Menu>
      </form>
    </search>
  );
}
