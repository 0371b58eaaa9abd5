// What a page can't do without a script: drop and progress, copying, and bringing its live parts up to date.
"use strict";

const LIVE_MILLISECONDS = 3000;
const AT_ONCE = 3;

for (const element of document.querySelectorAll("[data-script]")) element.hidden = false;

// --- PDFs: a browser without a viewer of its own would save what stands in a frame, without being asked -----------

for (const place of document.querySelectorAll("[data-pdf]")) {
  if (navigator.pdfViewerEnabled === false) continue;
  const frame = document.createElement("iframe");
  frame.title = place.title;
  frame.src = place.dataset.pdf;
  place.replaceChildren(frame);
}

// --- copy ---------------------------------------------------------------------------------------------------

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent.trim());
  const before = button.textContent;
  button.textContent = "Copied";
  setTimeout(() => { button.textContent = before; }, 1500);
});

// --- live parts: polled while the page is looked at, and only until what they tell of has ended -------------------------------------------

async function refresh() {
  if (document.hidden) return;
  for (const part of document.querySelectorAll("[data-live]:not([data-ended])")) {
    if (part.contains(document.activeElement)) continue;
    try {
      const answer = await fetch(part.dataset.live, { headers: { Accept: "text/html" } });
      if (!answer.ok) continue;
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("[data-live]");
      if (fresh && "ended" in fresh.dataset) part.dataset.ended = "";
      if (fresh && fresh.innerHTML !== part.innerHTML) part.replaceChildren(...fresh.childNodes);
    } catch {
      return; // the node is down: what was seen last stays, and the next round tries again
    }
  }
}

if (document.querySelector("[data-live]")) {
  setInterval(refresh, LIVE_MILLISECONDS);
  document.addEventListener("visibilitychange", refresh);
}

// --- upload -------------------------------------------------------------------------------------------------

function readable(bytes) {
  const units = ["bytes", "kB", "MB", "GB", "TB"];
  let power = 0;
  while (bytes >= 1000 && power < units.length - 1) { bytes /= 1000; power += 1; }
  return `${power && bytes < 100 ? bytes.toFixed(1) : Math.round(bytes)} ${units[power]}`;
}

function send(url, file, onProgress) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("PUT", url);
    request.setRequestHeader("Accept", "text/plain");
    request.upload.onprogress = (event) => onProgress(event.loaded, event.total);
    request.onload = () => (request.status < 300 ? resolve() : reject(new Error(request.responseText.trim())));
    request.onerror = () => reject(new Error("the node does not answer"));
    request.send(file);
  });
}

// Files of a drop, with their paths inside what was dropped; folders are walked.
async function* filesOf(entry, path) {
  if (entry.isFile) {
    yield { path: path + entry.name, file: await new Promise((done, failed) => entry.file(done, failed)) };
    return;
  }
  const reader = entry.createReader();
  for (;;) {
    const batch = await new Promise((done, failed) => reader.readEntries(done, failed));
    if (!batch.length) return;
    for (const child of batch) yield* filesOf(child, `${path}${entry.name}/`);
  }
}

function address(base, path) {
  return `${base}/${path.split("/").map(encodeURIComponent).join("/")}`;
}

function line(queue, name) {
  const item = document.createElement("li");
  const label = document.createElement("span");
  const state = document.createElement("span");
  const bar = document.createElement("progress");
  label.className = "name";
  label.textContent = name;
  state.className = "state";
  state.textContent = "waits";
  bar.max = 1;
  bar.value = 0;
  bar.setAttribute("aria-label", `Progress of ${name}`);
  item.append(label, state, bar);
  queue.append(item);
  return { item, state, bar };
}

async function upload(area, found) {
  const queue = area.querySelector(".queue");
  const said = area.querySelector("[data-said]");
  const waiting = found.map((one) => ({ ...one, ...line(queue, one.path) }));
  const total = waiting.length;
  let failures = 0;
  async function work() {
    for (let next = waiting.shift(); next; next = waiting.shift()) {
      const { path, file, item, state, bar } = next;
      try {
        await send(address(area.dataset.upload, path), file, (sent, all) => {
          bar.value = all ? sent / all : 1;
          state.textContent = sent < all ? `${readable(sent)} of ${readable(all)}` : "is being stored";
        });
        bar.value = 1;
        state.textContent = `${readable(file.size)}, stored`;
        item.classList.add("done");
      } catch (error) {
        failures += 1;
        state.textContent = error.message;
        item.classList.add("failed");
      }
    }
  }
  said.textContent = `Uploading ${total} file${total === 1 ? "" : "s"}.`;
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  said.textContent = failures ? `${failures} of ${total} files could not be stored.` : "Everything is stored.";
  if (!failures) location.reload();
}

const area = document.querySelector("[data-upload]");
if (area) {
  const form = area.querySelector("form");
  const folder = area.querySelector("[data-folder]");
  const chosen = (files) => Array.from(files, (file) => ({ path: file.webkitRelativePath || file.name, file }));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    upload(area, chosen(form.elements.file.files));
  });
  area.querySelector("[data-choose-folder]").addEventListener("click", () => folder.click());
  folder.addEventListener("change", () => upload(area, chosen(folder.files)));
  let depth = 0; // a drag enters every child of what it is over
  const over = (change) => { depth += change; area.classList.toggle("over", depth > 0); };
  document.addEventListener("dragenter", (event) => { event.preventDefault(); over(1); });
  document.addEventListener("dragleave", () => over(-1));
  document.addEventListener("dragover", (event) => event.preventDefault());
  document.addEventListener("drop", async (event) => {
    event.preventDefault();
    over(-depth);
    const entries = Array.from(event.dataTransfer.items, (item) => item.webkitGetAsEntry()).filter(Boolean);
    const found = [];
    for (const entry of entries) for await (const one of filesOf(entry, "")) found.push(one);
    await upload(area, entries.length ? found : chosen(event.dataTransfer.files));
  });
}
