// Adapts the field for an address to what is typed: a phone number gets a keyboard of digits, and one without its
// country code the question for the country. Without this script the server asks for the country.

const field = document.querySelector("#identifier");
const holder = document.querySelector("[data-country]");

// As the server reads it: digits of any script, and what people put between them.
const PHONE = /^[+＋]?[\p{Nd}\s()[\]./‐‑‒–—−~-]*$/u;
const digitsOf = (text) => text.match(/\p{Nd}/gu)?.length ?? 0;

function adapt({ select, asked }) {
  const text = field.value.trim();
  const phone = PHONE.test(text);
  // Mail addresses begin with digits, too, and on a keyboard of digits there is no "@": so only what says that it is a
  // phone number gets one.
  field.inputMode = phone && /^[+＋(0]./u.test(text) ? "tel" : "email";
  const abroad = /^(\+|＋|00)/u.test(text);
  // What the server asks for stays, however short the number is.
  const atHome = phone && !abroad && (asked || digitsOf(text) > 3);
  holder.hidden = select.disabled = !atHome;
}

// The page's language has a name for every country; the server would have to carry them all.
function name(select) {
  const lang = document.documentElement.lang || "en";
  const names = new Intl.DisplayNames([lang], { type: "region" });
  const chosen = select.value;
  const options = [...select.options].filter((option) => option.value);
  for (const option of options) option.text = `${names.of(option.value)} (+${option.dataset.calling})`;
  select.append(...options.sort((one, other) => one.text.localeCompare(other.text, lang)));
  select.value = chosen;
}

if (field && holder) {
  const select = holder.querySelector("select");
  const asked = !holder.hidden;
  name(select);
  field.addEventListener("input", () => adapt({ select, asked: false }));
  adapt({ select, asked });
}
