"use strict";
for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0];
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const button = head.querySelector("button");
    if (!button) return;
    button.addEventListener("click", () => {
      const words = head.dataset.sort === "words";
      const down = head.ariaSort ? head.ariaSort === "ascending" : !words;
      const value = (row) => row.cells[column].dataset.value;
      const rows = [...body.rows].sort((a, b) => {
        const [x, y] = [value(a), value(b)];
        if (words) return down ? y.localeCompare(x) : x.localeCompare(y);
        if (x === "" || y === "") return (x === "") - (y === "");
        return down ? y - x : x - y;
      });
      for (const other of heads) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      body.append(...rows);
    });
  });
}
const matrix = document.querySelector(".matrix");
if (matrix) {
  const readout = document.querySelector(".readout");
  const say = (cell) => { if (cell && cell.title) readout.textContent = cell.title; };
  matrix.addEventListener("pointerover", (event) => say(event.target.closest("td")));
  matrix.addEventListener("click", (event) => say(event.target.closest("td")));
  const buttons = [...document.querySelectorAll(".toggle button")];
  for (const button of buttons) {
    button.addEventListener("click", () => {
      matrix.dataset.by = button.value;
      for (const other of buttons) other.setAttribute("aria-pressed", String(other === button));
    });
  }
}
