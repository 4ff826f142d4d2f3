// Keys, the next card kept ready, and no reload between two decisions. Without this file the same forms and links do the same work.
"use strict";

(() => {
  const bar = document.getElementById("bar");
  const card = document.getElementById("card");
  const says = document.getElementById("says");
  const why = document.getElementById("why");
  const keys = document.getElementById("keys");
  const STOPPED = "The server does not answer: was it stopped? What it has not confirmed is not on disk.";
  const address = (text) => new URL(text, location.href);
  const past = (text) => address(text).searchParams.get("past") || "";
  let ahead = null;   // { url, html }: the card behind this one
  let busy = false;
  let held = past(location.href);
  let looked = 0, since = performance.now();

  document.documentElement.classList.add("js");

  // How long a person looked at a card: a window in the background does not count.
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) looked += performance.now() - since;
    since = performance.now();
  });
  const seconds = () => ((looked + (document.hidden ? 0 : performance.now() - since)) / 1000).toFixed(1);

  const article = () => card.querySelector("article");
  const without = (text) => { const url = address(text); url.searchParams.delete("past"); return url.href; };

  function tell(text, bad) {
    says.textContent = text;
    says.classList.toggle("bad", Boolean(bad));
  }

  async function part(text) {
    const url = address(text);
    url.searchParams.set("part", "card");
    const answer = await fetch(url, { headers: { Accept: "application/json" }, redirect: "error" });
    if (answer.ok) return answer.text();
    const said = await answer.json().catch(() => ({ error: STOPPED, hint: "" }));
    throw new Error(`${said.error}. ${said.hint}`);
  }

  // What this window can take back is carried by its forms and links; a card that was fetched ahead does not know of the last decision.
  function carry(numbers) {
    for (const field of card.querySelectorAll("input[name=past]")) field.value = numbers;
    for (const link of card.querySelectorAll("a[href]")) {
      const url = address(link.href);
      url.searchParams.set("past", numbers);
      link.href = url.href;
    }
  }

  function ready() {
    const next = article() && article().dataset.next;
    // The page after the last card counts what is left, so it is asked for when it is shown; so is what could not be fetched now.
    const kept = (html) => (html.includes("data-next=") ? html : null);
    ahead = next ? { url: without(next), html: part(next).then(kept, () => null) } : null;
    looked = 0;
    since = performance.now();
  }

  async function go(text, push = true) {
    const html = (ahead && ahead.url === without(text) && await ahead.html) || await part(text);
    card.innerHTML = html;   // made by the server, every text in it escaped
    carry(past(text));
    const here = address(article().dataset.here);
    here.searchParams.set("past", past(text));
    held = past(text);
    history[push ? "pushState" : "replaceState"](null, "", here);
    document.title = article().dataset.title || "Groundtune";
    window.scrollTo(0, 0);
    card.focus({ preventScroll: true });
    ready();
  }

  async function again(message) {
    try {
      ahead = null;
      const here = address(article().dataset.here);
      here.searchParams.set("past", held);
      await go(here.href, false);
    } catch { /* the message below says enough */ }
    tell(message, true);
  }

  async function send(form, button, more = {}) {
    if (busy) return;
    busy = true;
    try {
      const body = new URLSearchParams(new FormData(form, button));
      if (body.has("seconds")) body.set("seconds", seconds());
      for (const [name, value] of Object.entries(more)) body.set(name, value);
      let answer;
      try {
        answer = await fetch(form.action, { method: "POST", body, headers: { Accept: "application/json" }, redirect: "error" });
      } catch {
        tell(STOPPED, true);
        return;
      }
      const said = await answer.json().catch(() => ({ error: STOPPED, hint: "" }));
      if (!answer.ok) {
        await again(`${said.error}. ${said.hint}`);
        return;
      }
      bar.innerHTML = said.bar;   // made by the server, every text in it escaped
      tell(said.says, false);
      await go(said.next).catch((error) => tell(error.message, true));
    } finally {
      busy = false;
    }
  }

  function ask(form, button) {
    const list = why.querySelector(".reasons");
    const own = why.querySelector("#own-words");
    const reasons = [...form.querySelectorAll("select[name=reason] option")].map((option) => option.value).filter(Boolean);
    const finish = (reason, words) => { why.close(); send(form, button, { reason, words }); };
    list.replaceChildren(...reasons.map((reason, place) => {
      const choice = document.createElement("button");
      const key = document.createElement("kbd");
      key.textContent = String(place + 1);
      choice.append(key, ` ${reason}`);
      choice.addEventListener("click", () => finish(reason, ""));
      return choice;
    }));
    own.value = "";
    why.querySelector("form").onsubmit = (event) => { event.preventDefault(); finish("", own.value); };
    why.querySelector("[value=cancel]").onclick = () => why.close();
    why.onkeydown = (event) => {
      if (event.target === own || event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
      const choice = /^[1-9]$/.test(event.key) && list.children[Number(event.key) - 1];
      if (choice) choice.click();
      else if (event.key === "0") own.focus();
      else if (event.key === "Enter" && event.target === why) finish("", "");
      else return;
      event.preventDefault();
    };
    why.showModal();
    why.focus();
  }

  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.matches("form.edit")) { dirty = false; return; }
    if (!form.matches("form[data-send]")) return;
    event.preventDefault();
    if (event.submitter && event.submitter.hasAttribute("data-why")) ask(form, event.submitter);
    else send(form, event.submitter);
  });

  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-go]");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) return;
    event.preventDefault();
    if (busy) return;
    tell("", false);
    go(link.href).catch((error) => tell(error.message, true));
  });

  // A layout without Latin letters still has the keys where they are printed.
  function letter(event) {
    if (/^[\x21-\x7e]$/.test(event.key)) return event.key.toLowerCase();
    return /^(Key|Digit)[A-Z0-9]$/.test(event.code) ? event.code.slice(-1).toLowerCase() : "";
  }

  document.addEventListener("keydown", (event) => {
    const target = event.target;
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && target.form && target.form.matches(".edit")) {
      event.preventDefault();
      target.form.requestSubmit();
      return;
    }
    // A key that is held down would decide on rows that nobody has seen.
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || event.isComposing || event.repeat) return;
    if ((why && why.open) || (keys && !keys.checked)) return;
    if (target.matches("input:not([type=checkbox]), textarea, select")) return;
    if (event.key === "Enter" && target.matches("a, button, summary")) return;
    const found = event.key === "Enter" ? card.querySelector("[data-enter]") : letter(event) && document.querySelector(`[data-key="${CSS.escape(letter(event))}"]`);
    if (!found) return;
    event.preventDefault();
    if (found.disabled) tell("That cannot be done with this row as it is; the reason is shown above the buttons.", true);
    else found.click();
  });

  let dirty = false;
  document.addEventListener("input", (event) => { if (event.target.closest("form.edit")) dirty = true; });
  window.addEventListener("beforeunload", (event) => { if (dirty) event.preventDefault(); });
  window.addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });

  if (bar) {
    try { keys.checked = localStorage.getItem("groundtune-keys") !== "off"; } catch { /* storage can be forbidden */ }
    keys.addEventListener("change", () => {
      try { localStorage.setItem("groundtune-keys", keys.checked ? "on" : "off"); } catch { /* it lasts for this page */ }
    });
    history.scrollRestoration = "manual";
    // An older address knows nothing of later decisions, but this window can still take them back.
    window.addEventListener("popstate", () => {
      const url = address(location.href);
      url.searchParams.set("past", held);
      go(url.href, false).catch((error) => tell(error.message, true));
    });
    card.focus({ preventScroll: true });
    ready();
  }
  // Keys that come before this are lost; who waits for the page waits for this.
  document.documentElement.dataset.listens = "";
})();
