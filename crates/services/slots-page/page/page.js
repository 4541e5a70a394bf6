// The page of a device's slots: asks the device, and tells it what somebody wants.

import { chosen, showLog, showProblem, showStatus, showUpdates } from "./view.js";

const $ = (id) => document.getElementById(id);

/** How often the device is asked, in milliseconds. */
const BUSY = 500;
const IDLE = 2000;
const KEY = "updraft-slots-token";

/** How what somebody asked for last failed. */
let asked = null;
let timer = 0;

/** The token comes once, behind the address, and is not left there. */
function takeToken() {
  const token = location.hash.slice(1);
  if (/^[0-9a-f]{64}$/.test(token)) {
    sessionStorage.setItem(KEY, token);
    history.replaceState(null, "", location.pathname);
  }
}

/** A request to the device. Fails with a problem. */
async function call(method, path, body) {
  const headers = { authorization: `Bearer ${sessionStorage.getItem(KEY) ?? ""}` };
  if (body) headers["content-type"] = "application/json";
  let response;
  try {
    response = await fetch(`api/v1/${path}`, { method, headers, body: body && JSON.stringify(body) });
  } catch {
    throw { status: 0, detail: "The device does not answer.", cures: ["wait, or start it again"] };
  }
  const answer = await response.json();
  if (response.ok) return answer;
  throw answer;
}

/** Asks for the token, and says why. */
function showLogin(problem) {
  clearTimeout(timer);
  $("page").hidden = true;
  $("login").hidden = false;
  showProblem($("login-problem"), problem);
  $("token").focus();
}

/** Fetches what is told, and shows it; again after a while. */
async function refresh() {
  clearTimeout(timer);
  let pause = IDLE;
  try {
    const status = await call("GET", "status");
    const isFirst = $("page").hidden;
    $("login").hidden = true;
    $("page").hidden = false;
    const isNew = showStatus(status, asked);
    if (isNew) showLog(await call("GET", "log"));
    if (isFirst) await reload();
    if (["RUNNING", "PAUSED"].includes(status.slots.updater)) pause = BUSY;
  } catch (problem) {
    const hadToken = sessionStorage.getItem(KEY) !== null;
    if (problem.status === 401) return showLogin(hadToken ? problem : null);
    showProblem($("problem"), problem);
    $("page").hidden = false;
  }
  clearTimeout(timer);
  timer = setTimeout(refresh, pause);
}

async function reload() {
  showUpdates(await call("GET", "updates"));
}

async function view() {
  const file = chosen();
  if (!file) return;
  const { text } = await call("GET", `updates/${encodeURIComponent(file)}`);
  $("view-title").textContent = file;
  $("view-text").textContent = text;
  $("view").showModal();
}

/** Whether somebody means it. */
function confirmed(title, text) {
  const dialog = $("confirm");
  $("confirm-title").textContent = title;
  $("confirm-text").textContent = text;
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
  });
}

const QUESTIONS = {
  apply: ["Apply this update?", "It is written to the slot that does not run, over what is there."],
  cancel: ["Cancel the update?", "What is done is kept: applied again, it goes on where it was."],
  reset: ["Reset?", "An update that was applied is taken back, and one that was begun is forgotten."],
};

const DEEDS = {
  apply: () => {
    const update = chosen();
    if (!update) throw { detail: "No update is chosen.", cures: ["choose one of the list"] };
    return call("POST", "apply", { update });
  },
  view,
  reload,
};

async function act(deed) {
  const question = QUESTIONS[deed];
  if (question && !(await confirmed(...question))) return;
  asked = null;
  try {
    await (DEEDS[deed] ?? (() => call("POST", deed)))();
  } catch (problem) {
    asked = problem;
  }
  await refresh();
}

document.addEventListener("click", (event) => {
  const button = event.target.closest?.("button[data-do]");
  if (button && button.getAttribute("aria-disabled") !== "true") act(button.dataset.do);
});

$("login").addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem(KEY, $("token").value.trim());
  $("token").value = "";
  refresh();
});

addEventListener("hashchange", () => {
  takeToken();
  refresh();
});

takeToken();
refresh();
