// What every page does once it is there: times in the reader's zone, the theme kept, toasts, sheets.
import { localiseTimes } from "./times.js";
import { keepTheme } from "./theme.js";
import { showWaitingToasts } from "./toasts.js";
import { openSheets } from "./sheets.js";

localiseTimes(document);
keepTheme(document);
showWaitingToasts(document);
openSheets(document);
// what an answer without a new page has to say
document.addEventListener("htmx:oobAfterSwap", ({ detail: { target } }) => {
  if (target?.id === "toasts") showWaitingToasts(document);
});
