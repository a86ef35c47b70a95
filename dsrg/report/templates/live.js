"use strict";
// While the run goes on: loads the page anew, and puts the reader where he was: scroll, filters, details, enlarged picture.
addEventListener("DOMContentLoaded", () => {
  const banner = document.querySelector(".live"), {made, refresh} = banner.dataset;
  const controls = () => [...document.querySelectorAll("[data-gallery] [name]")];
  const title = section => section.querySelector("h2").id;
  const key = control => `${title(control.closest("[data-gallery]"))} ${control.name}`;
  const words = detail => detail.querySelector("summary").textContent;
  const button = one => one && [one.closest("section").querySelector("h2").id, one.closest("[data-id]").dataset.id,
    one.lastElementChild.textContent.replace(/ [\d.]+ %$/, "")].join("\n");
  // the heading above the top of the window: what is new above it does not move what is read
  const above = () => [...document.querySelectorAll("h2")].filter(h => h.getBoundingClientRect().top <= 60).pop();
  const place = heading => heading ? heading.getBoundingClientRect().top : -scrollY;

  const remember = () => history.replaceState({
    heading: above() ? above().id : "", top: place(above()),
    controls: controls().map(one => [key(one), one.type === "checkbox" ? one.checked : one.value]),
    open: [...document.querySelectorAll("details[open]")].map(words),
    enlarged: dialog.open ? button(strip[at]) : null,
  }, "");

  const restore = was => {
    for (const [name, value] of was.controls) {
      const control = controls().find(one => key(one) === name);
      if (!control || (control.type === "checkbox" ? control.checked : control.value) === value) continue;
      control[control.type === "checkbox" ? "checked" : "value"] = value;
      control.dispatchEvent(new Event("change"));
    }
    for (const detail of document.querySelectorAll("details")) detail.open ||= was.open.includes(words(detail));
    const large = was.enlarged && [...document.querySelectorAll(".strip button")].find(one => button(one) === was.enlarged);
    if (large) large.click();
    scrollBy(0, place(was.heading && document.getElementById(was.heading)) - was.top);
  };

  history.scrollRestoration = "manual";
  if (history.state && history.state.controls) restore(history.state);
  let acted = -Infinity;
  for (const kind of ["input", "keydown", "pointerdown"]) addEventListener(kind, () => { acted = performance.now(); });
  const minutes = () => (Date.now() / 1000 - made) / 60;
  if (minutes() > 15) {
    banner.querySelector("span").textContent = `No news for ${Math.round(minutes())} minutes: the run may have been ` +
      "ended from outside, or the machine slept. python -m tools.watch with the run's folder says.";
  }
  const look = () => {
    const choosing = document.activeElement.tagName === "SELECT" && performance.now() - acted < 20000;
    if (!choosing) { remember(); location.reload(); }
  };
  setInterval(look, 1000 * refresh);
});
