"use strict";
(async () => {
  const bytes = Uint8Array.from(atob(document.getElementById("data").textContent), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  const data = JSON.parse(await new Response(stream).text());
  const list = document.getElementById("questions");
  const make = (tag, text, name) => {
    const element = document.createElement(tag);
    if (text !== undefined) element.textContent = text;
    if (name) element.className = name;
    return element;
  };
  const text = (numbers) => numbers.map((number) => data.texts[number]).join("\n");

  function card(arm, answer) {
    const box = make("div", undefined, "card");
    const title = make("h3", arm + " ");
    title.append(make("span", data.primary + " " + (answer.primary === null ? "–" : answer.primary.toFixed(2)), "pill"));
    box.append(title);
    if (answer.failure) box.append(make("p", "failed: " + answer.failure));
    box.append(make("p", answer.said || "(nothing)"));
    for (const conflict of answer.conflicts || []) box.append(make("p", "its passages disagree: " + conflict, "warn"));
    for (const cited of answer.cited) box.append(make("p", "“" + cited.quote + "” — " + cited.document, "gold"));
    box.append(make("p", answer.note, "facts"));
    const scores = make("details");
    scores.append(make("summary", "scores"));
    const table = make("table");
    for (const [metric, value, reason] of answer.scores) {
      const row = make("tr");
      row.append(make("td", data.texts[metric]), make("td", value === null ? "–" : String(value)), make("td", data.texts[reason]));
      table.append(row);
    }
    scores.append(table);
    box.append(scores);
    if (answer.passages.length) {
      const passages = make("details");
      passages.append(make("summary", answer.passages.length + " passages"));
      for (const passage of answer.passages) {
        passages.append(make("p", passage.head));
        passages.append(make("pre", text(passage.text)));
      }
      box.append(passages);
    }
    for (const [name, number] of [["prompt", answer.prompt], ["raw output", answer.raw]]) {
      const part = make("details");
      part.append(make("summary", name));
      part.append(make("pre", text(number)));
      box.append(part);
    }
    return box;
  }

  function detail(question) {
    const box = make("div", undefined, "detail");
    box.append(make("p", question.asked, "facts"));
    const gold = make("div", undefined, "gold");
    gold.append(make("b", "wanted: "), make("span", question.wanted));
    for (const evidence of question.evidence) gold.append(make("div", "evidence: " + evidence));
    box.append(gold);
    const cards = make("div", undefined, "cards");
    for (const arm of data.arms) if (question.answers[arm]) cards.append(card(arm, question.answers[arm]));
    box.append(cards);
    return box;
  }

  function show() {
    const kind = document.getElementById("kind").value;
    const arm = document.getElementById("arm").value;
    const words = document.getElementById("words").value.toLowerCase();
    const kept = data.questions.filter((question) => (!kind || question.kind === kind) && (!words || question.question.toLowerCase().includes(words)));
    if (arm) kept.sort((a, b) => (a.answers[arm]?.primary ?? 2) - (b.answers[arm]?.primary ?? 2));
    list.replaceChildren();
    for (const question of kept) {
      const item = make("div", undefined, "question");
      const head = make("button");
      head.type = "button";
      head.setAttribute("aria-expanded", "false");
      const pills = make("span", undefined, "pills");
      pills.append(make("span", question.kind, "pill"));
      for (const name of data.arms) {
        const answer = question.answers[name];
        if (!answer) continue;
        const value = answer.primary;
        const tone = value === null ? "" : value >= 0.5 ? " good" : value < 0.2 ? " bad" : "";
        pills.append(make("span", name + " " + (value === null ? "–" : value.toFixed(2)), "pill" + tone));
      }
      head.append(make("span", question.question), pills);
      head.addEventListener("click", () => {
        const open = head.getAttribute("aria-expanded") === "true";
        head.setAttribute("aria-expanded", String(!open));
        if (open) item.lastChild.remove();
        else item.append(detail(question));
      });
      item.append(head);
      list.append(item);
    }
    document.getElementById("count").textContent = kept.length + " of " + data.questions.length + " questions";
  }
  for (const name of ["kind", "arm", "words"]) document.getElementById(name).addEventListener("input", show);
  show();
})();
