// The console draws GET /calls, with Hold and Resume. It follows /events, and reads the calls again every two seconds.
// A link of `holdfast console` signs this tab in: its key is exchanged for a session, which only this tab keeps.

const REFRESH_MS = 2000;
const RECONNECT_MS = 1000;
const SESSION_ITEM = "holdfast.session"; // the page at /console/docs reads it too
const $ = (id) => document.getElementById(id);
const itemOf = new Map(); // call SID -> its <li>, kept when redrawn, so that focus and screen reader stay
let calls = [];
let selected = null;
let session = sessionStorage.getItem(SESSION_ITEM);

// Send no credentials of the browser: it would ask for a password when a session has ended.
function requestOptions(more = {}) {
  const own = session ? { Authorization: `Bearer ${session}` } : {};
  return { credentials: "omit", cache: "no-store", ...more, headers: { ...more.headers, ...own } };
}

async function ask(method, path, body) {
  const own = session;
  const answer = await fetch(path, requestOptions({
    method,
    headers: body ? { "Content-Type": "application/json" } : {},
    body: body && JSON.stringify(body),
  }));
  const result = await answer.json().catch(() => ({}));
  if (answer.status === 401 && own && own === session) signedOut("Your session has ended.");
  if (!answer.ok) throw Object.assign(new Error(result.message || `${answer.status} ${answer.statusText}`), { fix: result.fix });
  return result;
}

// --- signing in and out ------------------------------------------------------------------------------

// Remove the key from the address at once, so that neither the history nor a bookmark has it.
async function signInFromLink() {
  const key = new URLSearchParams(location.hash.slice(1)).get("key");
  if (location.hash) history.replaceState(null, "", location.pathname);
  if (key) {
    try {
      const body = await ask("POST", "/console/session", { key });
      session = body.session;
      sessionStorage.setItem(SESSION_ITEM, session);
    } catch (error) {
      if (!session) return signedOut(`Not signed in: ${error.message}.`);
    }
  }
  if (!session) return signedOut("");
  signedIn();
}

function signedIn() {
  $("signed-out").hidden = true;
  $("sign-out").hidden = $("api").hidden = $("link").hidden = $("keys").hidden = false;
  link("waiting");
  $("summary").textContent = "Live calls";
  listen();
  refresh();
}

function signedOut(why) {
  session = null;
  sessionStorage.removeItem(SESSION_ITEM);
  listening.abort();
  calls = [];
  draw();
  showError("");
  $("signed-out").hidden = false;
  $("sign-out").hidden = $("api").hidden = $("link").hidden = $("keys").hidden = $("no-calls").hidden = true;
  $("why-out").textContent = why;
  $("why-out").hidden = !why;
  $("summary").textContent = "signed out";
}

$("sign-out").addEventListener("click", async () => {
  await fetch("/console/session", requestOptions({ method: "DELETE" })).catch(() => {});
  signedOut("You have signed out.");
});
addEventListener("hashchange", () => location.hash && signInFromLink());

// --- keeping current ---------------------------------------------------------------------------------

let pending = null;
let refreshAgain = false;

async function refresh() {
  if (!session) return;
  if (pending) {
    refreshAgain = true;
    return pending;
  }
  const own = session;
  pending = ask("GET", "/calls")
    .then((body) => {
      if (own !== session) return;
      calls = body.calls;
      link("live");
      draw();
    })
    .catch(() => link("broken"))
    .finally(() => {
      pending = null;
      if (refreshAgain) {
        refreshAgain = false;
        refresh();
      }
    });
  return pending;
}

function link(state) {
  $("link").dataset.state = state;
  $("link-text").textContent = { waiting: "connecting", live: "live", broken: "no answer; trying again" }[state];
}

// Do what EventSource does, which cannot send Authorization: read events, and continue where the stream was cut off.
// Source: HTML, "Server-sent events".
let listening = new AbortController();
let lastEvent = null;

async function listen() {
  listening.abort();
  const own = (listening = new AbortController());
  while (!own.signal.aborted) {
    try {
      const headers = lastEvent === null ? {} : { "Last-Event-ID": lastEvent };
      const answer = await fetch("/events", requestOptions({ headers, signal: own.signal }));
      if (answer.status === 401) return refresh();
      if (answer.ok) await read(answer.body.pipeThrough(new TextDecoderStream()).getReader());
    } catch {
      // no answer, or cut off: try again
    }
    await new Promise((again) => setTimeout(again, RECONNECT_MS));
  }
}

async function read(stream) {
  let rest = "";
  for (;;) {
    const { done, value } = await stream.read();
    if (done) return;
    const events = (rest + value).split("\n\n");
    rest = events.pop();
    for (const event of events) {
      lastEvent = /^id: (.*)$/m.exec(event)?.[1] ?? lastEvent;
      if (/^event: hold$/m.test(event)) refresh();
    }
  }
}

setInterval(() => document.hidden || refresh(), REFRESH_MS);
setInterval(() => calls.forEach((call) => call.held && detail(itemOf.get(call.sid), call)), 1000);
document.addEventListener("visibilitychange", () => document.hidden || refresh());

// --- drawing -----------------------------------------------------------------------------------------

// Group the parties of each conversation: a conference, a leg and the leg it dialled, or two legs that a hold connects.
function conversations() {
  const rooms = new Map();
  const roomOf = new Map();
  for (const call of [...calls].reverse()) {
    const known = [call.parent, call.peer].map((sid) => roomOf.get(sid)).find(Boolean);
    const room = call.conference || known || call.sid;
    roomOf.set(call.sid, room);
    rooms.set(room, [...(rooms.get(room) || []), call]);
  }
  return rooms;
}

function draw() {
  const live = new Set(calls.map((call) => call.sid));
  for (const [sid, item] of itemOf) {
    if (live.has(sid)) continue;
    const next = item === document.activeElement ? neighbour(item, 1) || neighbour(item, -1) : null;
    item.remove();
    itemOf.delete(sid);
    if (selected === sid) select(next, Boolean(next));
  }
  const rooms = conversations();
  for (const room of articleOf.keys()) if (!rooms.has(room)) articleOf.delete(room);
  const articles = [...rooms].map(([room, parties]) => article(room, parties));
  const list = $("conversations");
  const focused = document.activeElement;
  if (articles.some((element, index) => list.children[index] !== element) || list.children.length !== articles.length) {
    list.replaceChildren(...articles);
    if (focused && focused !== document.activeElement && focused.isConnected) focused.focus({ preventScroll: true });
  }
  $("no-calls").hidden = calls.length > 0;
  const held = calls.filter((call) => call.held || call.held_by_phone).length;
  $("summary").textContent = calls.length
    ? `${calls.length} live ${calls.length === 1 ? "call" : "calls"}${held ? `, ${held} on hold` : ""}`
    : "No live calls";
  document.title = held ? `(${held} held) Holdfast` : "Holdfast";
  if (!itemOf.has(selected)) select(parties()[0] || null, false);
}

const articleOf = new Map(); // room -> its <article>

function article(room, members) {
  const element = articleOf.get(room) || $("conversation").content.firstElementChild.cloneNode(true);
  articleOf.set(room, element);
  const conference = members[0].conference;
  element.querySelector("h2").textContent = conference
    ? `Conference ${members[0].conference_name || conference}`
    : members.length > 1 ? "Two legs" : "One call";
  const items = members.map((call) => party(call, members));
  showReason(element.querySelector("details"), members);
  const list = element.querySelector("ul");
  if (items.some((item, index) => list.children[index] !== item) || list.children.length !== items.length)
    list.replaceChildren(...items);
  return element;
}

// Show once, under a conversation, why none of its parties can be held.
function showReason(target, members) {
  const reason = members.every((call) => !call.held && !call.can_hold)
    ? [...new Set(members.flatMap((call) => [call.why_not, call.fix]).filter(Boolean))].join("\n")
    : "";
  target.hidden = !reason;
  text(target, "p", reason);
}

function party(call, members) {
  let item = itemOf.get(call.sid);
  if (!item) {
    item = $("party").content.firstElementChild.cloneNode(true);
    item.dataset.call = call.sid;
    item.querySelector(".hold").addEventListener("click", () => hold(call.sid));
    item.querySelector(".resume").addEventListener("click", () => resume(call.sid));
    item.addEventListener("focus", () => select(item, false));
    itemOf.set(call.sid, item);
  }
  const name = nameOf(call);
  item.dataset.held = call.held ? "yes" : "no";
  item.dataset.hears = { music: "music", "the other party": "talk" }[call.hears] || (call.hears ? "silence" : "unknown");
  item.title = call.sid;
  text(item, ".name", name);
  const uri = call.direction === "inbound" ? call.from : call.to;
  text(item, ".status", [call.status, call.muted && "muted", uri !== name && uri].filter(Boolean).join(" · "));
  const hears = hearsText(call, members);
  text(item, ".heard", hears ? `hears ${hears}` : call.held_by_phone ? "hears nothing" : "");
  const holdButton = item.querySelector(".hold");
  holdButton.disabled = !call.can_hold;
  holdButton.title = call.can_hold ? "" : call.why_not || "";
  holdButton.setAttribute("aria-label", `Hold ${name}`);
  item.querySelector(".resume").disabled = !call.hold;
  item.querySelector(".resume").setAttribute("aria-label", `Resume ${name}`);
  item.setAttribute("aria-label", `${name}, ${call.held ? "on hold" : call.status}, hears ${hears || "what is not known"}`);
  detail(item, call);
  return item;
}

function detail(item, call) {
  const parts = [];
  if (call.held && call.since) parts.push(`on hold for ${duration(Date.now() / 1000 - call.since)}`);
  if (call.held && call.by) parts.push(`by ${call.by}`);
  if (call.held_by_phone) parts.push("its own phone holds");
  if (call.held && !call.hold) parts.push("held by another program, which alone can resume it");
  text(item, ".detail", parts.filter(Boolean).join(" "));
}

function text(item, selector, value) {
  const target = item.querySelector(selector);
  if (target.textContent !== value) target.textContent = value;
}

// Return the name of the other end: the user of a SIP address, the identity of a client address.
function nameOf(call) {
  const address = (call.direction === "inbound" ? call.from : call.to) || call.from || call.sid;
  return address.replace(/^(sips?|client):/, "").replace(/@.*$/, "");
}

// Return what a party hears, with the names of the other parties where the page shows them.
function hearsText(call, members) {
  if (call.hears !== "the other party") return call.hears;
  const others = members.filter((member) => member !== call && !member.held && !member.muted).map(nameOf);
  return others.length ? new Intl.ListFormat("en").format(others) : call.hears;
}

function duration(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}

// --- doing -------------------------------------------------------------------------------------------

const callOf = (sid) => calls.find((call) => call.sid === sid);

function hold(sid) {
  return run(sid, "is on hold", () => ask("POST", "/holds", { call: sid, by: "console" }));
}

function resume(sid) {
  return run(sid, "is back", () => ask("POST", `/holds/${callOf(sid).hold}/resume`, { by: "console" }));
}

async function run(sid, outcome, work) {
  const item = itemOf.get(sid);
  const name = nameOf(callOf(sid));
  const buttons = item.querySelectorAll("button");
  const before = [...buttons].map((button) => button.disabled);
  buttons.forEach((button) => (button.disabled = true));
  showError("");
  try {
    await work();
    announce(`${name} ${outcome}`);
  } catch (error) {
    showError([`${name}: ${error.message}`, error.fix].filter(Boolean).join("\n"));
  } finally {
    buttons.forEach((button, index) => (button.disabled = before[index]));
    await refresh();
  }
}

function announce(words) {
  $("announcement").textContent = words;
}

function showError(words) {
  $("error").textContent = words;
  $("error").hidden = !words;
}

// --- by keyboard -------------------------------------------------------------------------------------

const parties = () => [...document.querySelectorAll(".party")];
const neighbour = (item, step) => parties()[parties().indexOf(item) + step] || null;

function select(item, focus) {
  selected = item ? item.dataset.call : null;
  for (const element of parties()) {
    const isSelected = element === item;
    element.tabIndex = isSelected ? 0 : -1;
    element.querySelectorAll("button").forEach((button) => (button.tabIndex = isSelected ? 0 : -1));
  }
  if (item && focus) item.focus();
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const step = { ArrowDown: 1, j: 1, ArrowUp: -1, k: -1 }[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  const item = itemOf.get(selected);
  if (step) {
    const next = document.activeElement?.closest(".party") ? neighbour(item, step) : item || parties()[0];
    if (next) select(next, true);
    event.preventDefault();
  } else if (item && /^[hr]$/i.test(event.key)) {
    const button = item.querySelector(event.key.toLowerCase() === "h" ? ".hold" : ".resume");
    if (!button.disabled && button.offsetParent) button.click();
    event.preventDefault();
  }
});

signInFromLink();
