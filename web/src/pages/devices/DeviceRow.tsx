import { IconPin } from "@tabler/icons-react";
import type { CSSProperties } from "react";
import { Link } from "react-router";
import type { Schemas } from "../../api/client";
import { Installed } from "../../ui/Installed";
import { deviceAt } from "../../ui/links";
import { State } from "../../ui/State";
import { When } from "../../ui/When";
import own from "./devices.module.css";

interface Props {
  index: number;
  style: CSSProperties;
  /** Absent until it is here. */
  device: Schemas["DeviceSummary"] | undefined;
  chosen: boolean;
  onChoose: ((id: string, on: boolean) => void) | undefined;
}

export function DeviceRow({ index, style, device, chosen, onChoose }: Props) {
  return (
    <div role="row" aria-rowindex={index + 2} className={own.row} style={style} data-row={index}>
      <span role="cell" className={own.check}>
        {device && onChoose ? (
          <input
            type="checkbox"
            className={own.box}
            aria-label={`Choose ${device.id}`}
            checked={chosen}
            onChange={(event) => onChoose(device.id, event.currentTarget.checked)}
          />
        ) : (
          <span className={own.hidden}>{index + 1}</span>
        )}
      </span>
      <span role="cell" className={own.id}>
        {device ? <Link to={deviceAt(device.id)}>{device.id}</Link> : "…"}
      </span>
      <span role="cell" className={own.state}>
        {device && <State of={device.state} />}
        {device?.pinned && (
          <IconPin
            className={own.pin}
            size={14}
            role="img"
            aria-label={`pinned by ${device.pinned.by}`}
          />
        )}
      </span>
      <span role="cell" className={own.runs}>
        {device && <Installed image={device.installed} bare />}
        {device?.assignment && <span className={own.next}> → {device.assignment.release}</span>}
      </span>
      <span role="cell" className={own.extra}>
        {device?.hardware_id}
      </span>
      <span role="cell" className={own.extra} title={device?.groups.join(", ")}>
        {device?.groups.join(", ")}
      </span>
      <span role="cell" className={own.seen}>
        {device && <When at={device.last_seen} />}
      </span>
    </div>
  );
}
