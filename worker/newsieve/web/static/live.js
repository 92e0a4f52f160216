// New articles at the top of a list, as they come. Nothing is missed: what comes while the reader is
// elsewhere waits behind a button, and after a break the server sends what came meanwhile.

const MOST_WAITING = 500; // cards in memory; then the stream rests until the reader wants them
const MOST_SHOWN = 300; // cards in the page; the oldest go, and stand on the next page
const TOP_PIXELS = 150; // whoever has scrolled further is reading
const RETRY_MILLISECONDS = 5000; // after an answer that EventSource does not try again
const SAY_MILLISECONDS = 2000; // what is read aloud comes at most this often

const list = document.getElementById("articles");
const pause = document.getElementById("pause");
const news = document.getElementById("news");
const state = document.getElementById("connection");
const announcement = document.getElementById("announcement");
const older = document.getElementById("older");

const address = new URL(list.dataset.stream, location.href);
let source = null;
let isPaused = false;
let waiting = []; // [id, markup], oldest first
let said = 0; // cards that were put in and not announced yet
let timer = 0;

function connect() {
  window.clearTimeout(timer);
  source?.close();
  source = new EventSource(address);
  source.onopen = () => show("Live", "live");
  source.onerror = () => {
    show("Connection lost, trying again", "lost");
    if (source.readyState === EventSource.CLOSED) {
      timer = window.setTimeout(connect, RETRY_MILLISECONDS);
    }
  };
  source.onmessage = (event) => {
    address.searchParams.set("since_id", event.lastEventId);
    receive(event.lastEventId, event.data);
  };
}

function show(text, kind) {
  state.hidden = false;
  state.textContent = isPaused && kind === "live" ? "Paused" : text;
  state.className = `connection ${isPaused ? "" : kind}`;
}

function receive(id, markup) {
  if (document.getElementById(`outcome-${id}`)) return;
  if (!isPaused && !waiting.length && !isReading()) {
    insert([[id, markup]]);
    return;
  }
  waiting.push([id, markup]);
  if (waiting.length >= MOST_WAITING) {
    source.close(); // the rest comes when these have been looked at
    source = null;
  }
  count();
}

function isReading() {
  return window.scrollY > TOP_PIXELS || list.contains(document.activeElement);
}

function insert(cards) {
  document.getElementById("empty")?.remove();
  const items = document.createDocumentFragment();
  for (const [id, markup] of cards) {
    const item = document.createElement("li");
    item.id = `outcome-${id}`;
    item.innerHTML = markup;
    item.firstElementChild.classList.add("new");
    items.prepend(item);
  }
  list.prepend(items);
  while (list.childElementCount > MOST_SHOWN) list.lastElementChild.remove();
  if (older && list.childElementCount === MOST_SHOWN) {
    const next = new URL(older.href);
    next.searchParams.set("before", list.lastElementChild.id.split("-")[1]);
    older.href = next;
  }
  if (!said) window.setTimeout(announce, SAY_MILLISECONDS);
  said += cards.length;
}

function announce() {
  announcement.textContent = said === 1 ? "1 new article" : `${said} new articles`;
  said = 0;
}

function count() {
  const number = waiting.length;
  news.hidden = !number;
  news.textContent = source ? `${number} new` : `More than ${number} new`;
}

function showWaiting() {
  const cards = waiting;
  waiting = [];
  const wasFocused = document.activeElement === news;
  insert(cards);
  count();
  window.scrollTo({ top: 0 });
  if (wasFocused) list.querySelector("a")?.focus({ preventScroll: true });
  if (!source) connect();
}

pause.addEventListener("click", () => {
  isPaused = !isPaused;
  pause.textContent = isPaused ? "Resume" : "Pause";
  pause.setAttribute("aria-pressed", String(isPaused));
  if (!isPaused && waiting.length) showWaiting();
  show("Live", "live");
});
news.addEventListener("click", showWaiting);
window.addEventListener("scroll", () => {
  if (!isPaused && waiting.length && !isReading()) showWaiting();
}, { passive: true });
window.addEventListener("pagehide", () => source?.close());
window.addEventListener("pageshow", (event) => {
  if (event.persisted) connect();
});

pause.hidden = false;
connect();
