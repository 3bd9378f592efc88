// SQL on the admin's pages, as the page to ask shows it.

import { layOut, paint } from "./ask/sql.js";

for (const block of document.querySelectorAll("pre.answers-sql")) paint(block, layOut(block.textContent));
