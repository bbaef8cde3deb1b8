// The tiles switch findings of their verdict on and off.
for (const box of document.querySelectorAll(".tile input")) {
  box.addEventListener("change", () => {
    for (const finding of document.querySelectorAll(`.finding[data-verdict="${box.dataset.verdict}"]`)) {
      finding.hidden = !box.checked;
    }
  });
}
