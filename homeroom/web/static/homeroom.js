// What the pages do beyond plain forms, all of which work without it: follow a run, take selected words, keys, selections.
"use strict";

const csrf = document.body.dataset.csrf;
document.body.addEventListener("htmx:configRequest", (event) => { event.detail.headers["X-CSRF-Token"] = csrf; });
document.body.addEventListener("htmx:beforeSwap", (event) => {
  if (event.detail.xhr.status >= 400) event.detail.shouldSwap = true;  // an error is a part of the page like any other
});
for (const button of document.querySelectorAll(".noscript")) button.hidden = true;

// Ask before what cannot be undone.
document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-sure]");
  if (button && !window.confirm(button.dataset.sure)) event.preventDefault();
});

// A run: the server sends the part of the page that changed; a lost line is taken up by the browser (Last-Event-ID).
const live = document.querySelector("[data-events]");
if (live) {
  const source = new EventSource(live.dataset.events);
  const lines = document.getElementById("lines");
  source.onmessage = (event) => {
    const said = JSON.parse(event.data);
    live.innerHTML = said.html;  // rendered and escaped by the server
    for (const line of said.lines) lines.append(line + "\n");
    if (said.lines.length) lines.scrollTop = lines.scrollHeight;
  };
  source.addEventListener("bye", () => source.close());
  source.onerror = () => {  // refused, and not just cut: the browser does not come again by itself
    if (source.readyState === EventSource.CLOSED) setTimeout(() => location.reload(), 15000);
  };
}

// A page that waits for the teacher's draft looks again by itself, unless somebody is typing.
const again = document.querySelector("[data-again]");
if (again) {
  const look = () => {
    const typing = document.activeElement && /INPUT|TEXTAREA|SELECT/.test(document.activeElement.tagName);
    if (typing) return void setTimeout(look, 2000);
    location.reload();
  };
  setTimeout(look, Number(again.dataset.again));
}

// Selected words of the document become a passage.
const text = document.querySelector(".text");
const take = document.querySelector(".take-selection");
if (text && take) {
  document.addEventListener("selectionchange", () => {
    const chosen = document.getSelection();
    const inside = chosen.rangeCount && text.contains(chosen.getRangeAt(0).commonAncestorContainer);
    const words = inside ? chosen.toString().trim() : "";
    if (words) document.getElementById("passage").value = words;
    if (words || inside) take.hidden = !words;
  });
  document.addEventListener("submit", (event) => {
    if (event.submitter !== take) document.getElementById("passage").value = "";
  });
}

// A passage that was chosen from a list goes into the field below it, where it can be changed.
document.addEventListener("change", (event) => {
  const into = document.getElementById(event.target.dataset.into || "");
  if (into) into.value = event.target.dataset.text;
});

// Samples by keys: j and k move, x ticks, a accepts, r rejects, u undoes.
const samples = document.querySelector("[data-keys]");
if (samples) {
  const rows = [...samples.querySelectorAll(".sample")];
  let here = -1;
  const move = (to) => {
    rows[here]?.classList.remove("here");
    here = Math.max(0, Math.min(rows.length - 1, to));
    rows[here]?.classList.add("here");
    rows[here]?.focus({ preventScroll: true });
    rows[here]?.scrollIntoView({ block: "nearest" });
  };
  const press = (what) => {
    if (!samples.querySelector("input[name=n]:checked") && here >= 0) rows[here].querySelector("input[name=n]").checked = true;
    samples.querySelector(`button[value=${what}]`)?.click();
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || /INPUT|TEXTAREA|SELECT/.test(event.target.tagName)) return;
    const box = rows[here]?.querySelector("input[name=n]");
    if (event.key === "j") move(here + 1);
    else if (event.key === "k") move(here - 1);
    else if (event.key === "x" && box) box.checked = !box.checked;
    else if (event.key === "a") press("accept");
    else if (event.key === "r") press("reject");
    else if (event.key === "u") press("undo");
    else return;
    event.preventDefault();
  });
  samples.querySelector("[data-all]")?.addEventListener("change", (event) => {
    for (const box of samples.querySelectorAll("input[name=n]")) box.checked = event.target.checked;
  });
}
