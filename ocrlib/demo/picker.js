// What a browser shows of ImagePicker in widgets.py: a box that an image file is chosen in, dropped on, or pasted into.

function render({ model, el }) {
  const box = document.createElement("div");
  box.tabIndex = 0; // so that a click gives it the keyboard
  box.dataset.lmSuppressShortcuts = "true"; // JupyterLab would paste a cell
  box.style.cssText =
    "display: inline-flex; flex-wrap: wrap; align-items: center; gap: 4px 10px; padding: 6px 10px; border-radius: 4px; line-height: 1.4";
  const input = document.createElement("input");
  input.type = "file";
  input.accept = "image/*";
  input.hidden = true;
  const button = document.createElement("button");
  button.className = "jupyter-button";
  button.textContent = "choose an image file";
  const words = document.createElement("span");
  words.textContent = "or drop one here, or click here and paste it (Ctrl-V)";

  const mark = (over) => {
    box.style.border = over ? "1px solid #0072b2" : "1px dashed #888";
  };
  const take = async (file) => {
    if (!file) return;
    const fits = file.size <= model.get("largest"); // a larger one would end the connection to the kernel
    const content = fits ? await file.arrayBuffer() : new ArrayBuffer(0);
    model.set("value", { name: file.name, size: file.size, content: new DataView(content) });
    model.save_changes();
  };
  const on = (part, name, act) =>
    part.addEventListener(name, (event) => {
      event.preventDefault(); // the browser would open the file
      event.stopPropagation();
      act(event);
    });

  button.addEventListener("click", () => input.click());
  input.addEventListener("change", () => {
    take(input.files[0]);
    input.value = ""; // so that the same file can be chosen again
  });
  on(box, "dragenter", () => mark(true));
  on(box, "dragover", () => mark(true));
  on(box, "dragleave", () => mark(false));
  on(box, "drop", (event) => {
    mark(false);
    take(event.dataTransfer.files[0]);
  });
  on(box, "paste", (event) => take(event.clipboardData.files[0]));
  mark(false);
  box.append(button, input, words);
  el.append(box);
}

export default { render };
