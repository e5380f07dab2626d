// Pages are whole without this: it refreshes them in place, reads charts out, zooms, and sends what is done.
"use strict";
(() => {
  const root = document.documentElement;
  const saved = (value) => {
    try {
      return value === undefined ? localStorage.getItem("theme") : localStorage.setItem("theme", value);
    } catch { return null; }
  };
  const theme = saved();
  if (theme) root.dataset.theme = theme;
  root.classList.add("js");

  const make = (name, kind, text) => {
    const element = document.createElement(name);
    element.className = kind || "";
    if (text !== undefined) element.textContent = text;
    return element;
  };
  const find = (selector, within = document) => within.querySelector(selector);

  // Another page, or the same one anew: only what differs is put in its place, so that nothing flickers.
  const PARTS = ["main", "nav", "#controls", "footer"];
  let asked = 0;
  let isMoving = false;
  let isStale = false;
  async function swap(href, isNew, isNext = isNew) {
    const number = ++asked;
    isMoving = isNew;
    if (isNew) find("main").classList.add("busy");
    let text;
    try {
      const answer = await fetch(href, { headers: { accept: "text/html" } });
      text = await answer.text();
      // Spanmill starts or stops: what is shown stays until there is something new.
      if (answer.status >= 500 && isNew) return location.assign(href);
      if (answer.status >= 500 || !answer.headers.get("content-type")?.startsWith("text/html")) throw new Error();
    } catch {
      find("main")?.classList.remove("busy");
      isMoving = false;
      return live(false);
    }
    if (number !== asked) return;
    isMoving = false;
    // Somebody began something while it was asked for: then it is shown later.
    isStale = !isNew && isBusy();
    if (isStale) return live(isOpen);
    const page = new DOMParser().parseFromString(text, "text/html");
    if (isNext) history.pushState(null, "", href);
    const focus = focused();
    const at = !isNew && hovered && pointer;
    hide();
    for (const selector of PARTS) {
      const [old, next] = [find(selector), find(selector, page)];
      // Whoever is at a filter stays there: its list may be open, or its text not be whole.
      if (!isNew && selector === "#controls" && old?.contains(document.activeElement)) continue;
      if (old && next) old.replaceWith(document.adoptNode(next));
      else old?.replaceChildren();
    }
    document.title = page.title;
    focus();
    if (isNew) news.replaceChildren();
    hear();
    live(isOpen);
    if (at) hover(document.elementFromPoint(at.x, at.y), at.x, at.y);
  }

  // What has the focus, and how it gets it again in the new page.
  function focused() {
    const element = document.activeElement;
    if (!element || element === document.body) return () => {};
    const section = element.closest("[id]");
    const own = element.getAttribute("href");
    const label = element.getAttribute("aria-label");
    const path = element.id ? `#${CSS.escape(element.id)}` : section ? `#${CSS.escape(section.id)}` : null;
    const place = section ? [...section.querySelectorAll(element.localName)].indexOf(element) : 0;
    return () => {
      const within = path && find(path);
      if (!within) return;
      const same = [...within.querySelectorAll(element.localName)];
      const next = element.id ? within
        : same.find((one) => label && one.getAttribute("aria-label") === label) || same[place] || same.find((one) => own && one.getAttribute("href") === own);
      next?.focus({ preventScroll: true });
    };
  }

  // An alert that fires since the page was shown is told, whatever is looked at.
  const news = make("div", "news");
  news.setAttribute("role", "status");
  let heard = null;
  function hear() {
    const { told = 0, what } = find("nav .badge")?.dataset ?? {};
    if (heard !== null && told > heard) {
      const link = make("a", "", what);
      link.href = find("nav a:has(.badge)").href;
      news.replaceChildren(link);
    }
    heard = Math.max(heard, told);
  }

  // Live: the server says when there is something new.
  let isOpen = false;
  function live(open) {
    isOpen = open;
    const element = find("#live");
    if (!element) return;
    const words = !find("main")?.dataset.live ? "" : !open ? "offline" : isStale ? "paused" : "live";
    element.classList.toggle("on", words === "live");
    if (element.textContent !== words) element.textContent = words;
  }
  const isBusy = () => !!(isMoving || drag || isReading || document.hidden || find("details[open]"));
  const refresh = () => {
    if (!find("main")?.dataset.live) return;
    isStale = isBusy();
    if (!isStale) swap(location.href, false);
    else live(isOpen);
  };
  function listen() {
    const events = new EventSource("/api/v1/events");
    let known = null;
    events.addEventListener("evaluated", (event) => {
      live(true);
      if (known !== null && known !== event.data) refresh();
      known = event.data;
    });
    events.onerror = () => {
      live(false);
      if (events.readyState === EventSource.CLOSED) setTimeout(listen, 15000);
    };
    addEventListener("pagehide", () => events.close());
  }
  document.addEventListener("visibilitychange", () => !document.hidden && isStale && refresh());

  // Charts: crosshair and tooltip over all charts of the same time, zoom by dragging.
  const tip = make("div", "tip");
  tip.hidden = true;
  tip.setAttribute("aria-hidden", "true");
  const spoken = make("div", "sr");
  spoken.setAttribute("role", "status");
  let drag = null;
  let hovered = null;
  let pointer = null;
  let isReading = false;
  const steps = (figure) => +figure.dataset.steps;
  const sameTime = (figure) =>
    [...document.querySelectorAll(".chart")].filter((other) => ["from", "step", "steps"].every((name) => other.dataset[name] === figure.dataset[name]));

  function cross(figure, place) {
    document.querySelectorAll(".cross").forEach((line) => line.remove());
    if (place === null) return;
    for (const other of sameTime(figure)) {
      const line = make("div", "cross");
      line.style.left = `${((place + 0.5) / steps(other)) * 100}%`;
      find(".area", other).append(line);
    }
  }

  function rows(figure, place) {
    const table = find("table", figure);
    const names = [...table.tHead.rows[0].cells];
    const cells = [...table.tBodies[0].rows[place].cells];
    return { time: cells[0].textContent, values: names.slice(1).map((name, number) => [name.className, name.textContent, cells[number + 1].textContent]) };
  }

  function show(figure, place, x, y) {
    const { time, values } = rows(figure, place);
    tip.replaceChildren(make("b", "", `${time} UTC`));
    for (const [colour, name, value] of values) {
      if (!value) continue;
      const row = make("div", colour ? "" : "all");
      if (colour) row.append(make("i", colour));
      row.append(make("span", "", name), make("em", "", value));
      tip.append(row);
    }
    if (tip.children.length === 1) tip.append(make("div", "", "nothing"));
    tip.hidden = false;
    const left = x + 16 + tip.offsetWidth > innerWidth ? x - tip.offsetWidth - 16 : x + 16;
    const top = Math.min(innerHeight - tip.offsetHeight - 8, y + 12);
    tip.style.transform = `translate(${Math.max(4, left)}px,${Math.max(4, top)}px)`;
    cross(figure, place);
  }

  function hide() {
    tip.hidden = true;
    hovered = null;
    drag = null;
    isReading = false;
    document.querySelectorAll(".cross, .band").forEach((line) => line.remove());
  }

  function band(figure, a, b) {
    find(".band", figure)?.remove();
    const element = make("div", "band");
    const [least, most] = [Math.min(a, b), Math.max(a, b) + 1];
    element.style.left = `${(least / steps(figure)) * 100}%`;
    element.style.width = `${((most - least) / steps(figure)) * 100}%`;
    find(".area", figure).append(element);
  }

  function zoom(figure, a, b) {
    const [from, step] = [+figure.dataset.from, +figure.dataset.step];
    const [least, most] = [Math.min(a, b), Math.max(a, b) + 1];
    const url = new URL(location.href);
    url.searchParams.delete("range");
    const begin = from + least * step;
    url.searchParams.set("from", begin);
    url.searchParams.set("to", Math.max(from + most * step, begin + 60000));
    swap(url.href, true);
  }

  const placeAt = (figure, x) => {
    const box = find(".area", figure).getBoundingClientRect();
    return Math.max(0, Math.min(steps(figure) - 1, Math.floor(((x - box.left) / box.width) * steps(figure))));
  };
  const chartAt = (element) => element?.closest?.(".area") && element.closest(".chart");
  function hover(element, x, y) {
    const figure = drag?.figure || chartAt(element);
    pointer = { x, y };
    if (!figure) {
      if (hovered) hide();
      return;
    }
    const place = placeAt(figure, x);
    hovered = figure;
    show(figure, place, x, y);
    if (drag) band(figure, drag.place, place);
  }
  document.addEventListener("pointermove", (event) => hover(event.target, event.clientX, event.clientY));
  document.addEventListener("pointerdown", (event) => {
    const figure = chartAt(event.target);
    if (figure && event.button === 0 && event.pointerType !== "touch") drag = { figure, place: placeAt(figure, event.clientX) };
  });
  document.addEventListener("pointerup", (event) => {
    if (!drag) return;
    const { figure, place } = drag;
    const end = placeAt(figure, event.clientX);
    drag = null;
    find(".band", figure)?.remove();
    if (end !== place) zoom(figure, place, end);
  });

  // The same by keyboard: arrows read values, with shift they select, enter zooms.
  const read = new WeakMap();
  function key(event, figure) {
    const end = steps(figure) - 1;
    const at = read.get(figure) || { place: end + 1, anchor: null };
    const moves = { ArrowLeft: at.place - 1, ArrowRight: at.place + 1, Home: 0, End: end };
    if (event.key === "Escape") return hide();
    if (event.key === "Enter" && at.anchor !== null && at.anchor !== at.place) return zoom(figure, at.anchor, at.place);
    if (!(event.key in moves)) return;
    event.preventDefault();
    const place = Math.max(0, Math.min(end, moves[event.key]));
    const anchor = event.shiftKey ? at.anchor ?? Math.min(at.place, end) : null;
    read.set(figure, { place, anchor });
    const box = find(".area", figure).getBoundingClientRect();
    show(figure, place, box.left + ((place + 0.5) / (end + 1)) * box.width, box.top + 20);
    isReading = true;
    if (anchor === null) find(".band", figure)?.remove();
    else band(figure, anchor, place);
    const { time, values } = rows(figure, place);
    spoken.textContent = `${time} UTC: ${values.filter(([, , value]) => value).map(([, name, value]) => `${name} ${value}`).join(", ") || "nothing"}`;
  }

  // What is done: sent as JSON, and what is wrong with it is said beside it.
  async function send(element, body) {
    const problem = find(".problem", element.localName === "form" ? element : element.parentElement);
    const buttons = element.localName === "form" ? [find("button", element)] : [element];
    buttons.forEach((button) => (button.disabled = true));
    if (problem) problem.textContent = "";
    try {
      const answer = await fetch(element.dataset.post, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });
      if (!answer.ok) {
        const told = await answer.json().catch(() => ({}));
        throw new Error(told.detail || `the server answered ${answer.status}`);
      }
      element.closest("details")?.removeAttribute("open");
      if (element.dataset.post.endsWith("/remove")) location.assign(`/monitors${location.search}`);
      else await swap(location.href, true, false);
    } catch (error) {
      if (problem) problem.textContent = error.message;
    } finally {
      buttons.forEach((button) => (button.disabled = false));
    }
  }

  function fields(form) {
    const body = {};
    for (const [name, value] of new FormData(form)) {
      if (!value.trim()) continue;
      const [first, second] = name.split(".");
      if (second) (body[first] ??= {})[second] = value.trim();
      else body[first] = value.trim();
    }
    return body;
  }

  async function copy(button) {
    const code = find("code", button);
    const text = code.textContent;
    try {
      await navigator.clipboard.writeText(button.dataset.copy);
      code.textContent = "copied";
    } catch {
      // Without a secure connection there is no clipboard: then it can be selected.
      code.textContent = button.dataset.copy;
      return getSelection().selectAllChildren(code);
    }
    setTimeout(() => (code.textContent = text), 1200);
  }

  document.addEventListener("click", (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
    const link = event.target.closest("a[data-swap]");
    if (link) {
      event.preventDefault();
      return swap(link.href.split("#")[0], true);
    }
    const button = event.target.closest("button");
    if (!button) return;
    if (button.dataset.copy) copy(button);
    else if (button.dataset.post) send(button, JSON.parse(button.dataset.body || "{}"));
    else if (button.id === "theme") {
      const isDark = getComputedStyle(root).colorScheme === "dark" || (!root.dataset.theme && matchMedia("(prefers-color-scheme: dark)").matches);
      root.dataset.theme = isDark ? "light" : "dark";
      saved(root.dataset.theme);
    }
  });
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.dataset.post === undefined && form.dataset.filters === undefined) return;
    event.preventDefault();
    if (form.dataset.post) send(form, fields(form));
    else filter(form);
  });
  const filter = (form) => {
    const entries = [...new FormData(form)].filter(([, value]) => value);
    swap(`${form.action}?${new URLSearchParams(entries)}`, true);
  };
  document.addEventListener("change", (event) => {
    const form = event.target.closest("form[data-filters]");
    if (form) filter(form);
  });
  document.addEventListener("keydown", (event) => {
    if (event.target.matches?.(".chart")) return key(event, event.target);
    if (event.key === " " && event.target.matches?.("[role=switch]")) {
      event.preventDefault();
      event.target.click();
    }
  });
  // What can be filtered by is asked for when it is wanted: there may be a lot of it.
  document.addEventListener("focusin", async ({ target }) => {
    if (!target.list || target.list.options.length) return;
    try {
      const values = (await (await fetch("/api/v1/values")).json())[target.name];
      target.list.replaceChildren(...values.map((value) => new Option(value)));
    } catch { /* Any text can be typed all the same, and they are asked for again. */ }
  });
  document.addEventListener("focusout", (event) => event.target.matches?.(".chart") && hide());
  addEventListener("popstate", () => swap(location.href, true, false));
  document.addEventListener("DOMContentLoaded", () => {
    document.body.append(tip, spoken, news);
    hear();
    live(false);
    if (find("#live")) listen();
  });
})();
