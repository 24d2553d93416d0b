// Two small things: a copy button on every command, and the name of the edge that answered.

for (const block of document.querySelectorAll("pre")) {
  const frame = document.createElement("div");
  frame.className = "code";
  block.replaceWith(frame);
  frame.append(block);
  if (!navigator.clipboard || block.dataset.copy === undefined) continue;
  const button = document.createElement("button");
  button.className = "copy";
  button.type = "button";
  button.textContent = "copy";
  button.addEventListener("click", async () => {
    const lines = block.textContent.split("\n").filter((line) => line && !line.startsWith("#"));
    await navigator.clipboard.writeText(lines.map((line) => line.replace(/^\$ /, "")).join("\n"));
    button.textContent = "copied";
    setTimeout(() => (button.textContent = "copy"), 1600);
  });
  frame.append(button);
}

// Every answer of an edge carries `X-Edgeward: <edge> <release>`.
const served = document.querySelector(".served");
fetch(location.pathname, { method: "HEAD" })
  .then((answer) => answer.headers.get("x-edgeward"))
  .then((value) => {
    const [edge, release] = (value || "").split(" ");
    if (!served || !edge) return;
    const name = document.createElement("b");
    name.textContent = edge.toUpperCase();
    served.replaceChildren("Served by ", name, release ? `, release ${release}` : "");
  })
  .catch(() => {});
