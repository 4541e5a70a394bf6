// What the page shows of what the device tells. Texts of the device are never taken as HTML.

const $ = (id) => document.getElementById(id);

/** An element with attributes and children. */
function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

/** Which buttons do something, by the state of the updater. */
const ENABLED = {
  IDLE: ["apply", "reset"],
  ERROR: ["apply", "reset"],
  RUNNING: ["suspend", "cancel"],
  PAUSED: ["resume", "cancel"],
  SLOT_SWITCH_REQUIRED: ["switch", "reset"],
  REBOOT_REQUIRED: ["switch-back", "reset"],
};

const DOING = {
  UPDATE_AVAILABLE: "begun",
  DOWNLOADING: "written",
  VERIFYING: "verified",
  FINALIZING: "finished",
};

/** One sentence for the state. */
function summary({ updater, status, phase, update, running }) {
  const what = update ? update.origin : "The update";
  switch (updater) {
    case "PAUSED":
      return `${what} waits: it was suspended.`;
    case "RUNNING":
      return `${what} is being ${DOING[status] ?? "verified"}.`;
    case "SLOT_SWITCH_REQUIRED":
      return `${what} is applied, and not to be started yet: switch the slot when it is.`;
    case "REBOOT_REQUIRED":
      return `${what} is applied, and started when the device is restarted.`;
  }
  if (status === "CLEANUP_PREVIOUS_UPDATE") {
    return `${what} runs in slot ${running}, and nobody has found it well yet.`;
  }
  if (phase === "begun") {
    return `${what} was begun and interrupted: apply it again, and it goes on where it was.`;
  }
  return "No update is in work.";
}

function yes(is) {
  return is ? "yes" : "no";
}

function showSlots({ slots, running, active }) {
  const rows = slots.map((slot) => {
    const cells = [
      yes(slot.name === running),
      yes(slot.name === active),
      yes(slot.bootable),
      slot.successful === null ? "not remembered" : yes(slot.successful),
      slot.tries_left ?? "not counted",
    ];
    const head = element("th", { scope: "row" }, slot.name);
    return element("tr", {}, head, ...cells.map((cell) => element("td", {}, String(cell))));
  });
  $("slots").replaceChildren(...rows);
}

function showFacts({ updater, status, last, boot_control: bootControl }) {
  const facts = [
    ["Updater state", updater],
    ["Engine status", status],
    ["Last result", last ? `${last.name} (${last.code}): ${last.message}` : "none"],
    ["Boot control", bootControl],
  ];
  const shown = facts.flatMap(([name, value]) => [
    element("dt", {}, name),
    element("dd", {}, value),
  ]);
  $("facts").replaceChildren(...shown);
}

/** A problem with its ways out; none hides the place. */
export function showProblem(place, problem) {
  place.hidden = !problem;
  if (!problem) return place.replaceChildren();
  const code = problem.code === undefined ? "" : ` (${problem.title}, ${problem.code})`;
  const lines = [element("p", {}, `${problem.detail}${code}`)];
  for (const cure of problem.cures ?? []) lines.push(element("p", {}, `Way out: ${cure}`));
  place.replaceChildren(...lines);
}

/** How the last update ended, when it did not end well. */
function ofLast({ updater, last }) {
  const isTold = updater === "ERROR" || (updater === "IDLE" && last?.name === "RolledBack");
  if (!isTold || !last) return null;
  const detail = `${last.message}. That is: ${last.cause}.`;
  return { title: last.name, detail, cures: [last.cure], code: last.code };
}

function showProgress({ updater, progress }) {
  const isShown = updater === "RUNNING" || updater === "PAUSED";
  $("progress").hidden = !isShown;
  if (!isShown) return;
  const bar = $("bar");
  if (!progress) {
    bar.removeAttribute("value");
    $("progress-text").textContent = "";
    return;
  }
  bar.value = progress.permille;
  const left = progress.seconds_left;
  const isTimed = left !== null && updater === "RUNNING";
  const rest = isTimed ? `, about ${left < 90 ? `${left} s` : `${Math.round(left / 60)} min`} left` : "";
  $("progress-text").textContent = `${(progress.permille / 10).toFixed(1)} %${rest}`;
}

/** Says something once: what is said again in the same words is no news. */
function say(place, text) {
  if (place.textContent !== text) place.textContent = text;
}

let shown = "";

/** Shows what the device tells of its slots. `asked`: how what was asked for here failed. */
export function showStatus({ slots, problem }, asked) {
  say($("summary"), summary(slots));
  showProgress(slots);
  // The rest only when it changed, so that nobody loses what they are reading.
  const now = JSON.stringify([{ ...slots, progress: null }, problem, asked]);
  if (now === shown) return false;
  shown = now;
  showSlots(slots);
  showFacts(slots);
  const isRunning = slots.updater === "RUNNING" || slots.updater === "PAUSED";
  showProblem($("problem"), asked ?? (isRunning ? null : (problem ?? ofLast(slots))));
  const enabled = [...(ENABLED[slots.updater] ?? []), "view", "reload"];
  for (const button of document.querySelectorAll("button[data-do]")) {
    // Not `disabled`: whoever uses the keyboard would lose their place.
    button.setAttribute("aria-disabled", String(!enabled.includes(button.dataset.do)));
  }
  return true;
}

/** Shows the updates that may be chosen; the chosen one stays chosen. */
export function showUpdates(updates) {
  const before = chosen();
  const labels = updates.map((update, at) => {
    const radio = element("input", { type: "radio", name: "update", value: update.file });
    radio.disabled = update.name === null;
    radio.checked = update.file === before || (!before && at === 0 && !radio.disabled);
    const switched = update.force_switch_slot ? "started at the restart" : "waits for the switch";
    const about = update.name
      ? `${update.file} · ${update.install_type} · ${update.url} · ${switched}`
      : `cannot be used: ${update.problem.detail}`;
    const name = element("span", {}, update.name ?? update.file);
    return element("label", {}, radio, name, element("span", { class: "about" }, about));
  });
  $("updates").replaceChildren(...labels);
  $("choice").hidden = updates.length === 0;
  $("no-updates").hidden = updates.length > 0;
}

/** The file of the update that is chosen. */
export function chosen() {
  return document.querySelector("input[name=update]:checked")?.value;
}

/** Shows the log, the newest first. */
export function showLog(log) {
  const lines = log.toReversed().map(({ time, event, message }) => {
    const when = time === null ? null : new Date(time * 1000);
    const clock = when ? element("time", { datetime: when.toISOString() }, when.toLocaleString()) : "";
    return element("li", {}, clock, ` ${event}: ${message}`);
  });
  $("log").replaceChildren(...(lines.length > 0 ? lines : [element("li", {}, "nothing yet")]));
}
