const element = (id) => document.getElementById(id);
const percent = (p) => (100 * p).toFixed(1) + " %";
const drop = element("drop");
let latest = 0;  // Only the newest image's answer is shown.

async function explain(file, name) {
  const turn = ++latest, limit = Number(drop.dataset.megabytes);
  // The server would cut a longer upload off, which a browser shows as a lost connection.
  if (file.size > 1e6 * limit) return say(name + ": The file is larger than " + limit + " MB.", true);
  say("Looking at " + name + " …");
  const begin = performance.now();
  try {
    const response = await fetch("/explain", {method: "POST", body: file});
    const answer = await response.json();
    if (turn !== latest) return;
    if (answer.error) return say(name + ": " + answer.error, true);
    show(answer);
    say(name + ": answered in " + Math.round(performance.now() - begin) + " ms");
  } catch (error) {
    if (turn === latest) say("The server cannot be reached: " + error.message, true);
  }
}

function say(text, failed = false) {
  const status = element("status");
  status.textContent = text;
  status.className = failed ? "error" : "";
  if (failed) element("answer").hidden = true;
}

function show(answer) {
  element("photo").src = answer.photo;
  element("saliency").src = answer.saliency;
  element("classes").replaceChildren(...answer.classes.map((item) => {
    const row = document.createElement("li");
    row.style.setProperty("--p", item.probability);
    row.append(span(item.name), span(percent(item.probability), "number"));
    return row;
  }));
  element("crops").replaceChildren(...answer.crops.map((crop) =>
    card(crop.photo, "The crop " + crop.place, crop.name + ", " + percent(crop.probability), crop.place)));
  element("conv1").hidden = !answer.responses;
  if (answer.responses) element("responses").src = answer.responses;
  element("neighbors").replaceChildren(...answer.neighbors.map((one) =>
    card(one.photo, "A training image of " + one.label, one.label, "")));
  element("neighbors-note").textContent = answer.neighbors_note;
  element("answer").hidden = false;
}

function span(text, kind = "") {
  const made = document.createElement("span");
  made.textContent = text;
  made.className = kind;
  return made;
}

function card(source, alt, text, note) {
  const item = document.createElement("li"), image = new Image(), small = document.createElement("small");
  image.src = source;
  image.alt = alt;
  small.textContent = note;
  item.append(image, text, small);
  return item;
}

element("file").addEventListener("change", (event) => {
  const file = event.target.files[0];
  if (file) explain(file, file.name);
  event.target.value = "";  // So that the same file can be chosen again.
});
for (const button of document.querySelectorAll("[data-sample]")) {
  button.addEventListener("click", async () => {
    const response = await fetch("/samples/" + button.dataset.sample + ".png");
    explain(await response.blob(), button.firstElementChild.alt);
  });
}
for (const kind of ["dragenter", "dragover", "dragleave", "drop"]) {
  drop.addEventListener(kind, (event) => {
    event.preventDefault();
    drop.classList.toggle("over", kind === "dragenter" || kind === "dragover");
    const file = kind === "drop" && event.dataTransfer.files[0];
    if (file) explain(file, file.name);
  });
}
