// What every page does once it is there: times in the reader's zone, the theme kept, toasts, sheets.
import { localiseTimes } from "./times.js";
import { keepTheme } from "./theme.js";
import { showWaitingToasts } from "./toasts.js";
import { openSheets } from "./sheets.js";

localiseTimes(document);
keepTheme(document);
showWaitingToasts(document);
openSheets(document);
