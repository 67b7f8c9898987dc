// The console: what GET /calls says, drawn; Hold and Resume; kept current by /events, and by asking every two seconds.
// Who opens a link of `holdfast console` is signed in: its key is traded for a session, which this tab alone keeps.

const ASK_AGAIN_MS = 2000;
const LISTEN_AGAIN_MS = 1000;
const KEPT = "holdfast.session"; // the page at /console/docs reads it too
const $ = (id) => document.getElementById(id);
const shown = new Map(); // call SID -> its <li>, kept across redraws so that the focus and the screen reader stay
let calls = [];
let selected = null;
let session = sessionStorage.getItem(KEPT);

// Without the browser's own credentials: it would ask for a password when a session has ended.
function asked(more = {}) {
  const mine = session ? { Authorization: `Bearer ${session}` } : {};
  return { credentials: "omit", cache: "no-store", ...more, headers: { ...more.headers, ...mine } };
}

async function ask(method, path, body) {
  const mine = session;
  const answer = await fetch(path, asked({
    method,
    headers: body ? { "Content-Type": "application/json" } : {},
    body: body && JSON.stringify(body),
  }));
  const told = await answer.json().catch(() => ({}));
  if (answer.status === 401 && mine && mine === session) signedOut("Your session has ended.");
  if (!answer.ok) throw Object.assign(new Error(told.message || `${answer.status} ${answer.statusText}`), { fix: told.fix });
  return told;
}

// --- signing in and out ------------------------------------------------------------------------------

// The key leaves the address at once, so that neither the history nor a bookmark has it.
async function arrive() {
  const key = new URLSearchParams(location.hash.slice(1)).get("key");
  if (location.hash) history.replaceState(null, "", location.pathname);
  if (key) {
    try {
      const told = await ask("POST", "/console/session", { key });
      session = told.session;
      sessionStorage.setItem(KEPT, session);
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
  sessionStorage.removeItem(KEPT);
  listening.abort();
  calls = [];
  draw();
  trouble("");
  $("signed-out").hidden = false;
  $("sign-out").hidden = $("api").hidden = $("link").hidden = $("keys").hidden = $("nobody").hidden = true;
  $("why-out").textContent = why;
  $("why-out").hidden = !why;
  $("summary").textContent = "signed out";
}

$("sign-out").addEventListener("click", async () => {
  await fetch("/console/session", asked({ method: "DELETE" })).catch(() => {});
  signedOut("You have signed out.");
});
addEventListener("hashchange", () => location.hash && arrive());

// --- keeping current ---------------------------------------------------------------------------------

let asking = null;
let askAgain = false;

async function refresh() {
  if (!session) return;
  if (asking) {
    askAgain = true;
    return asking;
  }
  const mine = session;
  asking = ask("GET", "/calls")
    .then((told) => {
      if (mine !== session) return;
      calls = told.calls;
      link("live");
      draw();
    })
    .catch(() => link("broken"))
    .finally(() => {
      asking = null;
      if (askAgain) {
        askAgain = false;
        refresh();
      }
    });
  return asking;
}

function link(state) {
  $("link").dataset.state = state;
  $("link-text").textContent = { waiting: "connecting", live: "live", broken: "no answer; trying again" }[state];
}

// What EventSource does, which can send no Authorization: reads events, and comes back where they were cut off.
// Source: HTML, "Server-sent events".
let listening = new AbortController();
let lastEvent = null;

async function listen() {
  listening.abort();
  const mine = (listening = new AbortController());
  while (!mine.signal.aborted) {
    try {
      const headers = lastEvent === null ? {} : { "Last-Event-ID": lastEvent };
      const answer = await fetch("/events", asked({ headers, signal: mine.signal }));
      if (answer.status === 401) return refresh();
      if (answer.ok) await read(answer.body.pipeThrough(new TextDecoderStream()).getReader());
    } catch {
      // no answer, or cut off: tried again
    }
    await new Promise((again) => setTimeout(again, LISTEN_AGAIN_MS));
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

setInterval(() => document.hidden || refresh(), ASK_AGAIN_MS);
setInterval(() => calls.forEach((call) => call.held && detail(shown.get(call.sid), call)), 1000);
document.addEventListener("visibilitychange", () => document.hidden || refresh());

// --- drawing -----------------------------------------------------------------------------------------

// Those who meet: the same conference, or a leg and the one it dialled, or two that meet through a hold.
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
  for (const [sid, item] of shown) {
    if (live.has(sid)) continue;
    const next = item === document.activeElement ? neighbour(item, 1) || neighbour(item, -1) : null;
    item.remove();
    shown.delete(sid);
    if (selected === sid) select(next, Boolean(next));
  }
  const rooms = conversations();
  for (const room of drawn.keys()) if (!rooms.has(room)) drawn.delete(room);
  const articles = [...rooms].map(([room, parties]) => article(room, parties));
  const board = $("conversations");
  const had = document.activeElement;
  if (articles.some((one, at) => board.children[at] !== one) || board.children.length !== articles.length) {
    board.replaceChildren(...articles);
    if (had && had !== document.activeElement && had.isConnected) had.focus({ preventScroll: true });
  }
  $("nobody").hidden = calls.length > 0;
  const held = calls.filter((call) => call.held || call.held_by_phone).length;
  $("summary").textContent = calls.length
    ? `${calls.length} live ${calls.length === 1 ? "call" : "calls"}${held ? `, ${held} on hold` : ""}`
    : "No live calls";
  document.title = held ? `(${held} held) Holdfast` : "Holdfast";
  if (!shown.has(selected)) select(parties()[0] || null, false);
}

const drawn = new Map(); // room -> its <article>

function article(room, members) {
  const one = drawn.get(room) || $("conversation").content.firstElementChild.cloneNode(true);
  drawn.set(room, one);
  const conference = members[0].conference;
  one.querySelector("h2").textContent = conference
    ? `Conference ${members[0].conference_name || conference}`
    : members.length > 1 ? "Two legs" : "One call";
  const items = members.map((call) => party(call, members));
  why(one.querySelector("details"), members);
  const list = one.querySelector("ul");
  if (items.some((item, at) => list.children[at] !== item) || list.children.length !== items.length)
    list.replaceChildren(...items);
  return one;
}

// What keeps a whole conversation from being held is told once, under it.
function why(place, members) {
  const told = members.every((call) => !call.held && !call.can_hold)
    ? [...new Set(members.flatMap((call) => [call.why_not, call.fix]).filter(Boolean))].join("\n")
    : "";
  place.hidden = !told;
  text(place, "p", told);
}

function party(call, members) {
  let item = shown.get(call.sid);
  if (!item) {
    item = $("party").content.firstElementChild.cloneNode(true);
    item.dataset.call = call.sid;
    item.querySelector(".hold").addEventListener("click", () => hold(call.sid));
    item.querySelector(".resume").addEventListener("click", () => resume(call.sid));
    item.addEventListener("focus", () => select(item, false));
    shown.set(call.sid, item);
  }
  const name = called(call);
  item.dataset.held = call.held ? "yes" : "no";
  item.dataset.hears = { music: "music", "the other party": "talk" }[call.hears] || (call.hears ? "silence" : "unknown");
  item.title = call.sid;
  text(item, ".name", name);
  const uri = call.direction === "inbound" ? call.from : call.to;
  text(item, ".status", [call.status, call.muted && "muted", uri !== name && uri].filter(Boolean).join(" · "));
  const hears = heard(call, members);
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
  if (call.held && call.since) parts.push(`on hold for ${lasting(Date.now() / 1000 - call.since)}`);
  if (call.held && call.by) parts.push(`by ${call.by}`);
  if (call.held_by_phone) parts.push("its own phone holds");
  if (call.held && !call.hold) parts.push("held by another program, which alone can resume it");
  text(item, ".detail", parts.filter(Boolean).join(" "));
}

function text(item, selector, value) {
  const place = item.querySelector(selector);
  if (place.textContent !== value) place.textContent = value;
}

// The far end's name: of a SIP address the user, of a client address the identity.
function called(call) {
  const address = (call.direction === "inbound" ? call.from : call.to) || call.from || call.sid;
  return address.replace(/^(sips?|client):/, "").replace(/@.*$/, "");
}

// Whom a party hears, by name where they are in sight.
function heard(call, members) {
  if (call.hears !== "the other party") return call.hears;
  const others = members.filter((one) => one !== call && !one.held && !one.muted).map(called);
  return others.length ? new Intl.ListFormat("en").format(others) : call.hears;
}

function lasting(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}

// --- doing -------------------------------------------------------------------------------------------

const of = (sid) => calls.find((call) => call.sid === sid);

function hold(sid) {
  return act(sid, "is on hold", () => ask("POST", "/holds", { call: sid, by: "console" }));
}

function resume(sid) {
  return act(sid, "is back", () => ask("POST", `/holds/${of(sid).hold}/resume`, { by: "console" }));
}

async function act(sid, outcome, work) {
  const item = shown.get(sid);
  const name = called(of(sid));
  const buttons = item.querySelectorAll("button");
  const before = [...buttons].map((button) => button.disabled);
  buttons.forEach((button) => (button.disabled = true));
  trouble("");
  try {
    await work();
    speak(`${name} ${outcome}`);
  } catch (error) {
    trouble([`${name}: ${error.message}`, error.fix].filter(Boolean).join("\n"));
  } finally {
    buttons.forEach((button, at) => (button.disabled = before[at]));
    await refresh();
  }
}

function speak(words) {
  $("spoken").textContent = words;
}

function trouble(words) {
  $("trouble").textContent = words;
  $("trouble").hidden = !words;
}

// --- by keyboard -------------------------------------------------------------------------------------

const parties = () => [...document.querySelectorAll(".party")];
const neighbour = (item, step) => parties()[parties().indexOf(item) + step] || null;

function select(item, focus) {
  selected = item ? item.dataset.call : null;
  for (const one of parties()) {
    const here = one === item;
    one.tabIndex = here ? 0 : -1;
    one.querySelectorAll("button").forEach((button) => (button.tabIndex = here ? 0 : -1));
  }
  if (item && focus) item.focus();
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const step = { ArrowDown: 1, j: 1, ArrowUp: -1, k: -1 }[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  const item = shown.get(selected);
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

arrive();
