"use strict";
// A picture opens enlarged on a click, or on Enter; Escape closes it and the focus goes back.
const dialog = document.querySelector("dialog");
for (const button of document.querySelectorAll(".zoom")) {
  button.addEventListener("click", () => {
    const picture = button.querySelector("picture").cloneNode(true);
    const image = picture.querySelector("img");
    const width = Number(image.getAttribute("width"));
    const height = Number(image.getAttribute("height"));
    const room = Math.min((0.92 * innerWidth - 40) / width, (0.78 * innerHeight) / height);
    const factor = Math.max(1, Math.min(3, room));
    image.setAttribute("width", Math.round(width * factor));
    image.setAttribute("height", Math.round(height * factor));
    dialog.querySelector("div").replaceChildren(picture);
    dialog.showModal();
  });
}
