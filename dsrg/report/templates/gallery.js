"use strict";
// Filters and sorts the galleries, and shows a picture large; without it the page shows all photos.
for (const section of document.querySelectorAll("[data-gallery]")) {
  const controls = section.querySelector(".controls"), list = section.querySelector(".photos");
  const photos = [...list.children], count = section.querySelector("[role=status]");
  const [cls, order] = ["class", "order"].map(name => controls.querySelector(`[name=${name}]`));
  const show = () => {
    const chosen = cls.value, by = order.value;
    const place = photo => by === "name" ? 0 : Number(photo.dataset.iou) * (by === "worst" ? 1 : -1);
    const wanted = photo => (!chosen || photo.dataset.classes.split("|").includes(chosen)) &&
      (by !== "median" || photo.dataset.rank === "median");
    photos.forEach(photo => { photo.hidden = !wanted(photo); });
    const sorted = [...photos].sort((a, b) => place(a) - place(b) || (a.dataset.id < b.dataset.id ? -1 : 1));
    list.append(...sorted);
    count.textContent = `${photos.filter(photo => !photo.hidden).length} of ${photos.length} photos shown`;
  };
  const over = controls.querySelector("[name=over]");
  over.addEventListener("change", () => {
    section.classList.toggle("over", over.checked);
    for (const row of section.querySelectorAll(".strip")) {
      row.style.setProperty("--photo", `url("${row.querySelector("img").src}")`);
    }
  });
  controls.hidden = false;
  cls.addEventListener("change", show);
  order.addEventListener("change", show);
}
const dialog = document.querySelector("dialog");
let strip = [], at = 0;
const turn = step => {
  at = (at + step + strip.length) % strip.length;
  const image = strip[at].querySelector("img");
  const large = dialog.querySelector("img");
  large.src = image.src; large.alt = image.alt; large.className = image.className;
  dialog.style.setProperty("--ratio", image.naturalWidth / image.naturalHeight || 1);
  dialog.classList.toggle("over", Boolean(strip[at].closest(".over")));
  dialog.style.setProperty("--photo", `url("${strip[0].querySelector("img").src}")`);
  dialog.querySelector("p").textContent = `${strip[at].closest("[data-id]").dataset.id}: ${image.alt}`;
};
for (const button of document.querySelectorAll(".strip button")) {
  button.addEventListener("click", () => {
    strip = [...button.closest(".strip").querySelectorAll("button")];
    at = strip.indexOf(button);
    turn(0);
    dialog.showModal();
  });
}
dialog.querySelector(".previous").addEventListener("click", () => turn(-1));
dialog.querySelector(".next").addEventListener("click", () => turn(1));
dialog.querySelector(".close").addEventListener("click", () => dialog.close());
dialog.addEventListener("click", event => { if (event.target === dialog) dialog.close(); });
dialog.addEventListener("keydown", event => {
  if (event.key === "ArrowLeft" || event.key === "ArrowRight") turn(event.key === "ArrowLeft" ? -1 : 1);
});
