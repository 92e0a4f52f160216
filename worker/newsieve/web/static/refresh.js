// A page that is asked for again from time to time; what has changed of it is replaced, part by part.
// Where the reader is stays: scroll, focus and what is unfolded.

const part = document.getElementById("refresh");
const note = document.getElementById("refreshed");
const milliseconds = Number(part.dataset.seconds) * 1000;
const sources = new WeakMap(); // of each part, its markup as it was sent
let timer = 0;

for (const child of part.children) sources.set(child, child.outerHTML);

async function refresh() {
  try {
    const answer = await fetch(location.href, { headers: { accept: "text/html" } });
    if (!answer.ok) throw new Error(`status ${answer.status}`);
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const sent = page.getElementById("refresh");
    if (!sent) throw new Error("another page was sent");
    replace([...sent.children]);
    say("");
  } catch (error) {
    say(`Not updated since ${new Date().toLocaleTimeString()}: ${error.message}`);
  }
  wait();
}

function replace(sent) {
  sent.forEach((child, index) => {
    const shown = part.children[index];
    const markup = child.outerHTML;
    if (!shown) {
      part.append(document.adoptNode(child));
    } else if (sources.get(shown) === markup || shown.contains(document.activeElement)) {
      return;
    } else {
      keepUnfolded(shown, child);
      shown.replaceWith(document.adoptNode(child));
    }
    sources.set(child, markup);
  });
  while (part.children.length > sent.length) part.lastElementChild.remove();
}

function keepUnfolded(shown, child) {
  const now = [...child.querySelectorAll("details")];
  [...shown.querySelectorAll("details")].forEach((item, index) => {
    if (now[index]) now[index].open = item.open;
  });
}

function say(text) {
  if (text && !note.hidden) return; // since the first time
  note.hidden = !text;
  note.textContent = text;
}

function wait() {
  window.clearTimeout(timer);
  if (!document.hidden) timer = window.setTimeout(refresh, milliseconds);
}

document.addEventListener("visibilitychange", () => {
  if (!document.hidden) refresh();
  else window.clearTimeout(timer);
});
wait();
