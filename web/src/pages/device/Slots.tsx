import type { Schemas } from "../../api/client";
import { Card } from "../../ui/Page";
import { Scroll } from "../../ui/Scroll";
import css from "../../ui/ui.module.css";

/** The slots of a device that has such, as it reported them. */
export function Slots({ slots }: { slots: Schemas["DeviceSlots"] }) {
  return (
    <Card title="Slots" wide>
      <Scroll label="Slots">
        <table className={css.table}>
          <thead>
            <tr>
              <th scope="col">Slot</th>
              <th scope="col">Holds</th>
              <th scope="col">Started</th>
              <th scope="col">Known to work</th>
              <th scope="col">Tries left</th>
            </tr>
          </thead>
          <tbody>
            {slots.slots.map((slot) => (
              <tr key={slot.name}>
                <td>
                  {slot.name}
                  {slot.name === slots.running && <span className={css.quiet}> runs</span>}
                </td>
                <td>{slot.holds?.filepath ?? "not known"}</td>
                <td>{started(slot, slots.next)}</td>
                <td>{known(slot.successful)}</td>
                <td>{slot.tries_left ?? "not counted"}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </Scroll>
    </Card>
  );
}

function started(slot: Schemas["DeviceSlot"], next: string | null | undefined) {
  if (!slot.bootable) {
    return "never";
  }
  return slot.name === next ? "next" : "when the other one is given up";
}

function known(successful: boolean | null | undefined) {
  if (successful === true) {
    return "yes";
  }
  return successful === false ? "not yet" : "not remembered";
}
