// Everything works without this file; with it, small forms open as dialogs, keys are copied and colours change at once.
"use strict";

const dialog = document.getElementById("dialog");

document.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-dialog]");
  if (link && dialog && !event.ctrlKey && !event.metaKey && !event.shiftKey) {
    event.preventDefault();
    htmx.ajax("GET", link.href, { target: "#dialog", select: "#ask", swap: "innerHTML" });
    return;
  }
  const shut = event.target.closest("[data-shut]");
  if (shut && dialog && dialog.open) {
    event.preventDefault();
    dialog.close();
    return;
  }
  const copies = event.target.closest("[data-copy], [data-copy-from]");
  if (copies) {
    const from = copies.dataset.copyFrom;
    copy(from ? document.getElementById(from).value : copies.dataset.copy, copies);
  }
});

async function copy(text, button) {
  await navigator.clipboard.writeText(text);
  const said = button.getAttribute("aria-label");
  button.classList.add("copied");
  button.setAttribute("aria-label", "Copied");
  setTimeout(() => {
    button.classList.remove("copied");
    button.setAttribute("aria-label", said);
  }, 1200);
}

// What has just come onto the page.
function arrive(part) {
  if (navigator.clipboard) {
    part.querySelectorAll("[data-copy], [data-copy-from]").forEach((button) => { button.hidden = false; });
  }
  part.querySelectorAll("[data-all]").forEach((all) => {
    all.hidden = false;
    all.onchange = () => {
      document.querySelectorAll(`input[name="${all.dataset.all}"]`).forEach((box) => { box.checked = all.checked; });
    };
  });
}

// A click outside a dialog closes it; what was typed in it is kept until then.
if (dialog) {
  dialog.addEventListener("mousedown", (event) => { if (event.target === dialog) dialog.close(); });
  dialog.addEventListener("close", () => { dialog.replaceChildren(); });
  document.addEventListener("htmx:afterSwap", (event) => {
    if (event.detail.target !== dialog) return;
    if (!dialog.open) dialog.showModal();
    const first = dialog.querySelector("[aria-invalid], input:not([type=hidden]), select, textarea");
    if (first) first.focus();
  });
}

// Forms in a dialog are sent as they stand, and come back into it when they are refused.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.matches(".themes")) {
    event.preventDefault();
    const theme = event.submitter.value;
    document.documentElement.dataset.theme = theme;
    form.querySelectorAll("button").forEach((button) => {
      button.setAttribute("aria-pressed", String(button.value === theme));
    });
    fetch(form.action, { method: "POST", body: new URLSearchParams({ theme, back: "/" }), redirect: "manual" });
  } else if (form.matches("dialog form[data-ask]:not([enctype])")) {
    event.preventDefault();
    if (form.classList.contains("sent")) return;
    form.classList.add("sent");
    const values = Object.fromEntries(new FormData(form, event.submitter));
    htmx.ajax("POST", form.getAttribute("action"), { target: "#dialog", select: "#ask", swap: "innerHTML", values })
      .finally(() => form.classList.remove("sent"));
  }
});

// An answer without a form of ours in it (a session that is over, a fault) is shown as the page that it is.
document.addEventListener("htmx:beforeSwap", (event) => {
  if (event.detail.target === dialog && !event.detail.xhr.responseText.includes('id="ask"')) {
    event.detail.shouldSwap = false;
    location.assign(event.detail.xhr.responseURL || location.href);
  }
});

document.addEventListener("htmx:load", (event) => arrive(event.detail.elt));
document.addEventListener("DOMContentLoaded", () => arrive(document));
