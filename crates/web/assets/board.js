// What pages do better with a script. Without it, everything works by links and forms.
"use strict";

// Sorting, filtering and metrics without a reload: the server's answer replaces the part that it changes.
let asking = null;
async function swap(address, keep) {
  const part = document.querySelector("[data-swap]");
  if (!part) { location.assign(address); return; }
  if (asking) asking.abort();
  const mine = asking = new AbortController();
  part.setAttribute("aria-busy", "true");
  try {
    const answer = await fetch(address, { signal: mine.signal, headers: { Accept: "text/html" } });
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const fresh = page.getElementById(part.id);
    if (!answer.ok || !fresh) { location.assign(address); return; }
    const active = document.activeElement;
    const id = part.contains(active) ? active.id : "";
    const caret = id && "selectionStart" in active ? [active.selectionStart, active.value] : null;
    part.replaceWith(fresh);
    document.title = page.title;
    if (keep) history.replaceState({ swapped: true }, "", address);
    else history.pushState({ swapped: true }, "", address);
    const next = id && document.getElementById(id);
    if (next) {
      next.focus({ preventScroll: true });
      if (caret && next.type === "search") {
        next.value = caret[1];
        next.setSelectionRange(caret[0], caret[0]);
      }
    }
    wire(fresh);
  } catch (error) {
    if (error.name !== "AbortError") location.assign(address);
  } finally {
    part.removeAttribute("aria-busy");
  }
}

document.addEventListener("click", (event) => {
  const link = event.target.closest("a");
  if (!link || event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey) return;
  if (link.dataset.themeTo) {
    event.preventDefault();
    theme(link);
  } else if (link.closest("[data-swap]") && link.pathname === location.pathname && !link.hash) {
    event.preventDefault();
    swap(link.href, false);
  }
});
addEventListener("popstate", () => { if (document.querySelector("[data-swap]")) swap(location.href, true); });

function query(form) {
  const values = new URLSearchParams();
  for (const [name, value] of new FormData(form)) if (value !== "") values.append(name, value);
  const text = values.toString();
  return form.getAttribute("action") + (text ? "?" + text : "");
}

function theme(chosen) {
  const to = chosen.dataset.themeTo;
  document.documentElement.dataset.theme = to;
  // The server keeps the choice, in a cookie that scripts cannot read.
  fetch(chosen.href, { redirect: "manual", keepalive: true });
  for (const link of document.querySelectorAll("[data-theme-to]")) {
    if (link.dataset.themeTo === to) link.setAttribute("aria-current", "true");
    else link.removeAttribute("aria-current");
  }
}

// Filters answer while they are changed.
function live(form) {
  let later;
  const go = () => { clearTimeout(later); swap(query(form), true); };
  form.addEventListener("submit", (event) => { event.preventDefault(); go(); });
  form.addEventListener("change", (event) => { if (event.target.tagName === "SELECT") go(); });
  form.addEventListener("input", (event) => {
    if (event.target.tagName !== "SELECT") { clearTimeout(later); later = setTimeout(go, 250); }
  });
}

// A chart shows the nearest point's words, marks its row, and leads to its page.
function chart(figure) {
  const svg = figure.querySelector("svg");
  const points = [...svg.querySelectorAll("circle[data-result]")];
  if (!points.length) return;
  const words = new Map(points.map((p) => [p, p.querySelector("title").textContent.replace(/\n+/g, "\n").trim()]));
  for (const p of points) p.querySelector("title").remove();
  const tip = document.createElement("div");
  tip.className = "tip";
  tip.hidden = true;
  figure.append(tip);
  figure.classList.add("live");
  let at = null;
  const row = () => at && document.querySelector(`tr[data-result="${at.dataset.result}"]`);
  const leave = () => {
    at?.classList.remove("at");
    row()?.classList.remove("seen");
    at = null;
    tip.hidden = true;
  };
  const over = (event) => {
    const box = svg.getBoundingClientRect();
    const scale = box.width / svg.viewBox.baseVal.width;
    let best = null, distance = 24;
    for (const p of points) {
      const d = Math.hypot(box.left + p.cx.baseVal.value * scale - event.clientX, box.top + p.cy.baseVal.value * scale - event.clientY);
      if (d < distance) { best = p; distance = d; }
    }
    if (best === at) return;
    leave();
    if (!best) return;
    at = best;
    at.classList.add("at");
    row()?.classList.add("seen");
    tip.textContent = words.get(at);
    tip.hidden = false;
    const outer = figure.getBoundingClientRect();
    const x = box.left - outer.left + at.cx.baseVal.value * scale;
    const y = box.top - outer.top + at.cy.baseVal.value * scale;
    tip.style.left = `${Math.max(4, Math.min(x + 12, outer.width - tip.offsetWidth - 8))}px`;
    tip.style.top = `${y - tip.offsetHeight - 10 < 0 ? y + 14 : y - tip.offsetHeight - 10}px`;
  };
  svg.addEventListener("pointermove", over);
  svg.addEventListener("pointerleave", leave);
  svg.addEventListener("click", (event) => {
    over(event);
    if (at) location.assign(`/result/${at.dataset.result}`);
  });
}

// Two rows are compared: a third choice replaces the first.
function compare(part) {
  const boxes = [...part.querySelectorAll('input[name="row"]')];
  const chosen = [];
  for (const box of boxes) {
    box.addEventListener("change", () => {
      const known = chosen.indexOf(box);
      if (known >= 0) chosen.splice(known, 1);
      if (box.checked) chosen.push(box);
      if (chosen.length > 2) chosen.shift().checked = false;
    });
  }
}

function wire(root) {
  for (const form of root.querySelectorAll("form[data-live]")) live(form);
  for (const figure of root.querySelectorAll("figure.chart")) chart(figure);
  compare(root);
}
wire(document);
