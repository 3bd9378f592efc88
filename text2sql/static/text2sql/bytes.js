// Counts the bytes of a text while it is written: <span data-bytes-of="id of the field">.
document.addEventListener("DOMContentLoaded", () => {
  for (const shown of document.querySelectorAll("[data-bytes-of]")) {
    const field = document.getElementById(shown.dataset.bytesOf);
    const count = () => {
      shown.textContent = new TextEncoder().encode(field.value.trim()).length.toLocaleString("en");
    };
    field.addEventListener("input", count);
  }
});
